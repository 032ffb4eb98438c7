# To be sourced by scripts/try-image: many clients at once, by oha, as in docs/load-testing.md.
# shellcheck shell=bash disable=SC2154

CROWD=200

cat >"$folder/load.toml" <<END
[[routes]]
path = "/events"
origin = "http://$ORIGIN"

[routes.client]
max_lifetime_secs = 3
END
start load --volume "$folder/load.toml:/etc/manifold/manifold.toml:ro"
"$OHA" --no-tui -n $CROWD -c $CROWD "http://$AT/events" >"$folder/oha" || false_fact "oha failed"
said=$(cat "$folder/oha")
for text in $'Success rate:\t100.00%' "[200] $CROWD responses"; do
    [[ $said = *"$text"* ]] || false_fact "'$text' is not in what oha says: $said"
done
[[ $said != *"Error distribution"* ]] || false_fact "oha says: $said"
fact "oha with $CROWD clients at once: all of them had a whole stream"
same "it ends" "$(end)" 0
