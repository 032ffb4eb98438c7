# To be sourced by scripts/try-image: variables, mounted files, and the messages of a bad configuration.
# shellcheck shell=bash disable=SC2154

# A configuration is refused with one line and exit code 64.
refused() {
    [ "$CODE" -eq 64 ] || false_fact "$1: exit code $CODE, and should be 64: $SAID"
    [ "$(wc -l <<<"$SAID")" -eq 1 ] || false_fact "$1: more than one line: $SAID"
    [[ $SAID = *"$2"* ]] || false_fact "$1: '$2' is not in: $SAID"
    fact "$1: exit code 64, and: $SAID"
}

run "$IMAGE"
refused "no configuration" MANIFOLD_ORIGIN
run --env MANIFOLD_ORIGIN=nonsense "$IMAGE"
refused "a bad variable" MANIFOLD_ORIGIN

FILE=/etc/manifold/manifold.toml
cat >"$folder/bad.toml" <<END
[server]
drain_secs = "soon"

[[routes]]
path = "/*"
origin = "http://$ORIGIN"
END
run --volume "$folder/bad.toml:$FILE:ro" "$IMAGE"
refused "a bad file" drain_secs

run --env "MANIFOLD_ORIGIN=http://$ORIGIN" "$IMAGE" --test
[ "$CODE" -eq 0 ] || false_fact "--test: exit code $CODE: $SAID"
[[ $SAID = *0.0.0.0:8080* ]] || false_fact "MANIFOLD_LISTEN is 0.0.0.0:8080 by default: $SAID"
fact "MANIFOLD_LISTEN is 0.0.0.0:8080 by default"

# shellcheck disable=SC2016
cat >"$folder/good.toml" <<'END'
[[routes]]
path = "${WHERE:-/events}"
origin = "http://${ORIGIN}"
END
start file --volume "$folder/good.toml:$FILE:ro" --env "ORIGIN=$ORIGIN"
events "http://$AT/events" 3 "$folder/file"
# shellcheck disable=SC2016
fact 'a mounted file works, with ${ORIGIN} and ${WHERE:-/events} in it, and MANIFOLD_LISTEN beside it'
same "it ends" "$(end)" 0

start file-elsewhere --volume "$folder/good.toml:/site.toml:ro" --env "ORIGIN=$ORIGIN" -- -c /site.toml
events "http://$AT/events" 3 "$folder/file-elsewhere"
fact "a file elsewhere works, named by -c"
same "it ends" "$(end)" 0
