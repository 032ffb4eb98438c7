# To be sourced by scripts/try-image: what a container may do, and its health from start to end.
# shellcheck shell=bash disable=SC2034,SC2154

start limits --env "MANIFOLD_ORIGIN=http://$ORIGIN" --env 'MANIFOLD_PATH=/events'

state() { "$engine" inspect --format "{{$1}}" "$CONTAINER"; }
same "health before the first check" "$(state .State.Health.Status)" starting

# Read from the kernel outside of the container, because there is no shell inside.
of_process() {
    local file=/proc/$process/$1
    if [ -r "$file" ]; then cat "$file" 2>/dev/null || sudo -n cat "$file"; else sudo -n cat "$file"; fi
}
process=$(state .State.Pid)
status=$(of_process status)
field() { awk -v name="$1:" '$1 == name { $1 = ""; print substr($0, 2) }' <<<"$status"; }
same "its users (real, effective, saved, of files)" "$(field Uid)" "65532 65532 65532 65532"
same "its groups" "$(field Gid)" "65532 65532 65532 65532"
for set in CapEff CapPrm CapInh CapBnd CapAmb; do
    same "its capabilities ($set)" "$(field $set)" 0000000000000000
done
same "no new privileges" "$(field NoNewPrivs)" 1
same "its root is mounted" "$(of_process mountinfo | awk '$5 == "/" { split($6, options, ","); print options[1] }')" ro

events "http://$AT/events" 5 "$folder/first"
fact "a stream is read through it: 5 events"
same "a path that is not MANIFOLD_PATH" "$(curl --silent --output /dev/null --write-out '%{http_code}' "http://$AT/other")" 404
same "MANIFOLD_ADMIN: /healthz" "$(curl --silent "http://$ADMIN/healthz")" ok
same "MANIFOLD_ADMIN: /readyz" "$(curl --silent "http://$ADMIN/readyz")" ready

# Docker runs the checks by itself. Podman needs systemd for that, which is not everywhere, so they are run here.
health_is() {
    case $engine in
        *podman) timeout 30 "$engine" healthcheck run "$CONTAINER" >/dev/null 2>&1 || true ;;
    esac
    [ "$(state .State.Health.Status)" = "$1" ]
}
# Three checks in a row must fail. They are 10 seconds apart, and each waits for 5.
PATIENCE=90
await "health becomes healthy" health_is healthy
fact "health becomes healthy"

# A stopped process keeps its sockets and answers no one.
"$engine" kill --signal STOP "$CONTAINER" >/dev/null
await "health becomes unhealthy when nothing is answered" health_is unhealthy
fact "health becomes unhealthy when nothing is answered"
"$engine" kill --signal CONT "$CONTAINER" >/dev/null
await "health becomes healthy again" health_is healthy
fact "health becomes healthy again"
PATIENCE=30
same "the exit code of an orderly end" "$(end)" 0
