# To be sourced by scripts/try-image and scripts/try-package: functions that they share.
# shellcheck shell=bash disable=SC2034,SC2154

facts=0

no_engine() {
    echo "${0##*/}: skipped: $*" >&2
    [ "${REQUIRE_ENGINE:-}" != 1 ] || exit 1
    exit 0
}

fact() {
    facts=$((facts + 1))
    echo "  true: $*"
}

false_fact() {
    echo "  FALSE: $*" >&2
    exit 1
}

# The fact that two texts are equal.
same() {
    [ "$2" = "$3" ] || false_fact "$1: it is '$2', and should be '$3'"
    fact "$1: $2"
}

# Runs a command until it succeeds, for PATIENCE seconds at most. The first argument says what is awaited.
PATIENCE=30
await() {
    local end=$((SECONDS + PATIENCE))
    until "${@:2}"; do
        [ "$SECONDS" -lt "$end" ] || false_fact "$1 (waited for $PATIENCE seconds)"
        sleep 0.2
    done
}

# Finds the bases of docker/Dockerfile, or local ones if those cannot be pulled. Sets PROBE to one that has a shell.
choose_bases() {
    local base line
    if [ -z "${BUILD_BASE:-}${RUNTIME_BASE:-}" ]; then
        # The small base comes first, because it soon shows whether any base can be pulled.
        for base in RUNTIME_BASE BUILD_BASE; do
            base=$(sed -n "s/^ARG $base=//p" docker/Dockerfile)
            if ! "$engine" image inspect "$base" >/dev/null 2>&1 && ! timeout 90 "$engine" pull "$base" >/dev/null 2>&1; then
                echo "${0##*/}: $base cannot be pulled; making local bases"
                while read -r line; do
                    export "${line?}"
                done < <(ENGINE=$engine scripts/image-bases || echo "FAILED=1")
                [ -z "${FAILED:-}" ] || exit 1
                break
            fi
        done
    fi
    PROBE=${BUILD_BASE:-$(sed -n 's/^ARG BUILD_BASE=//p' docker/Dockerfile)}
}

clean_up() {
    local code=$? id
    for id in "${containers[@]}"; do
        if [ "$code" -ne 0 ]; then
            "$engine" logs "$id" 2>&1 | tail -n 20 | sed "s/^/  $id: /" >&2 || true
        fi
        "$engine" rm --force "$id" >/dev/null 2>&1 || true
    done
    for id in "${processes[@]}"; do
        kill "$id" 2>/dev/null || true
    done
    rm -rf "$folder"
    exit "$code"
}

# Sets PORT to a port that no process listens on.
free_port() {
    while PORT=$((20000 + RANDOM % 12000)) && (exec 3<>"/dev/tcp/127.0.0.1/$PORT") 2>/dev/null; do :; done
}

# Starts an unmodified origin of tests/origins on $ORIGIN.
start_origins() {
    free_port
    ORIGIN=127.0.0.1:$PORT
    go build -o "$folder/origin" tests/origins/go/main.go
    "$folder/origin" "$ORIGIN" >"$folder/origin.log" 2>&1 &
    processes+=($!)
    await "the origin answers" curl --silent --output /dev/null "http://$ORIGIN/"
}

# The limits of a container of the image. They are those that docs/container.md recommends.
HARDENED=(--read-only --cap-drop ALL --security-opt no-new-privileges)

# Starts a container in the background, with its listener on $AT and its admin address on $ADMIN.
#   start NAME FLAGS... -- ARGUMENTS...
start() {
    local flags=() name=$prefix-$1
    shift
    while [ "$#" -gt 0 ] && [ "$1" != -- ]; do
        flags+=("$1")
        shift
    done
    free_port
    AT=127.0.0.1:$PORT
    free_port
    ADMIN=127.0.0.1:$PORT
    CONTAINER=$name
    containers+=("$name")
    "$engine" run --detach --name "$name" --network host "${RUN_FLAGS[@]}" "${HARDENED[@]}" --env "MANIFOLD_LISTEN=$AT" \
        --env "MANIFOLD_ADMIN=$ADMIN" "${flags[@]}" "$IMAGE" "${@:2}" >/dev/null
    await "$name listens on $AT" logged "$name" "listening addr=$AT"
}

logged() { "$engine" logs "$1" 2>&1 | grep -qF -- "$2"; }

# Stops the container that was started last, and returns its exit code.
end() {
    "$engine" stop --time 10 "$CONTAINER" >/dev/null
    "$engine" inspect --format '{{.State.ExitCode}}' "$CONTAINER"
}

# Runs a container that must end by itself. Sets CODE to its exit code and SAID to its output.
run() {
    CODE=0
    SAID=$(timeout 60 "$engine" run --rm --network host "${RUN_FLAGS[@]}" "${HARDENED[@]}" "$@" 2>&1 </dev/null) || CODE=$?
}

# Reads events from a URL into a file until there are COUNT.
#   events URL COUNT FILE
events() {
    : >"$3"
    curl --silent --no-buffer --max-time 30 "$1" >"$3" &
    local curl=$!
    await "$2 events come from $1" has_events "$3" "$2"
    kill "$curl"
    wait "$curl" || true
}

has_events() { [ "$(grep -c '^data: ' "$1")" -ge "$2" ]; }
