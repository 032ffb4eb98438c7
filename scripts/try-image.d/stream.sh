# To be sourced by scripts/try-image: `stop` while clients read their streams.
# shellcheck shell=bash disable=SC2154

CLIENTS=12

start stream --env "MANIFOLD_ORIGIN=http://$ORIGIN"
clients=()
for n in $(seq $CLIENTS); do
    : >"$folder/client-$n"
    curl --silent --no-buffer --max-time 60 "http://$AT/events" >"$folder/client-$n" &
    clients+=($!)
done
processes+=("${clients[@]}")
for n in $(seq $CLIENTS); do
    await "client $n reads events" has_events "$folder/client-$n" 3
done

# It would be 137 if the process had been killed.
same "the exit code of a stop with $CLIENTS clients" "$(end)" 0
for n in $(seq $CLIENTS); do
    code=0
    wait "${clients[n - 1]}" || code=$?
    # curl exits with 18 if a body is cut.
    [ "$code" -eq 0 ] || false_fact "client $n of $CLIENTS had no orderly end: curl exited with $code"
    # The end is an empty line, which completes an event, and then the reconnection time.
    [[ $(tail -n 1 "$folder/client-$n") = "retry: "* ]] || false_fact "client $n was not told when to come back"
    [ -z "$(tail -n 2 "$folder/client-$n" | head -n 1)" ] || false_fact "client $n was cut in the middle of an event"
done
fact "each of $CLIENTS clients had an orderly end, a complete last event and a time to come back"
