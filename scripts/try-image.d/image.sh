# To be sourced by scripts/try-image: facts of the image before it runs.
# shellcheck shell=bash disable=SC2154

# In bytes. The measured size is in docs/container.md.
MAX_BINARY=$((22 * 1024 * 1024))
MAX_IMAGE=$((48 * 1024 * 1024))

of_image() { "$engine" image inspect --format "{{$1}}" "$IMAGE"; }

same "the image's user" "$(of_image .Config.User)" 65532:65532
same "its stop signal" "$(of_image .Config.StopSignal)" SIGTERM
same "its entry point" "$(of_image 'json .Config.Entrypoint')" '["/usr/local/bin/manifold"]'
# shellcheck disable=SC2016
same "its ports" "$(of_image 'range $port, $_ := .Config.ExposedPorts}}{{$port}} {{end')" "8080/tcp 8443/tcp 9090/tcp "
case $engine in
    *podman) check=$(of_image 'json .HealthCheck.Test') ;;
    *) check=$(of_image 'json .Config.Healthcheck.Test') ;;
esac
same "its health check" "$check" '["CMD","/usr/local/bin/manifold","healthcheck"]'

label() { of_image "index .Config.Labels \"org.opencontainers.image.$1\""; }
same "label title" "$(label title)" manifold
same "label description" "$(label description)" "A reverse proxy for Server-Sent Events"
same "label licenses" "$(label licenses)" Apache-2.0
same "label version" "$(label version)" "$(sed -n '0,/^version = /s/^version = "\(.*\)"/\1/p' Cargo.toml)"
revision=$(label revision)
same "label revision" "${revision%-dirty}" "$head"
[ "$(date -u -d "$(label created)" +%Y-%m-%dT%H:%M:%SZ)" = "$(label created)" ] || false_fact "label created: $(label created)"
fact "label created: $(label created)"

# The image's files. A container is made to list them and never started.
files=$folder/files
mkdir "$files"
unstarted=$("$engine" create "$IMAGE")
containers+=("$unstarted")
"$engine" export "$unstarted" | tar -x -C "$files" --exclude 'dev/*' --no-same-owner

bounded() {
    [ "$2" -le "$3" ] || false_fact "$1: $2 bytes, and $3 are allowed"
    fact "$1: $2 bytes (at most $3)"
}
bounded "the binary" "$(stat -c %s "$files/usr/local/bin/manifold")" "$MAX_BINARY"
bounded "all files of the image" "$(find "$files" -type f -printf '%s\n' | awk '{ sum += $1 } END { print sum }')" "$MAX_IMAGE"

for name in LICENSE docs/third-party-licenses.txt; do
    cmp -s "$name" "$files/usr/share/doc/manifold/${name##*/}" || false_fact "/usr/share/doc/manifold/${name##*/} is not $name"
    fact "/usr/share/doc/manifold/${name##*/} is $name"
done

certificates=$(grep -c 'BEGIN CERTIFICATE' "$files/etc/ssl/certs/ca-certificates.crt" || true)
[ "$certificates" -ge 100 ] || false_fact "/etc/ssl/certs/ca-certificates.crt holds $certificates certificates"
fact "/etc/ssl/certs/ca-certificates.crt holds $certificates certificates"
