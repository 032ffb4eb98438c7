# To be sourced by scripts/try-image: every command of README.md's "Run it in a container" and of docs/container.md, in order.
# The commands run as they are written, with two changes. Ports and container names are replaced by free ones, and a
# `docker` on the path adds the flags that this machine needs. The first command, `make image`, builds the image that
# all parts try.
# shellcheck shell=bash disable=SC2154

export IMAGE=manifold
HEADING='## Run it in a container'

# Prints the fenced code blocks of a language: blocks LANGUAGE <TEXT
blocks() { awk -v fence="\`\`\`$1" '$0 == "```" { inside = 0 } inside { print } $0 == fence { inside = 1 }'; }

readme=$(awk -v heading="$HEADING" '/^## / { inside = ($0 == heading) } inside' README.md | blocks sh)
[ -n "$readme" ] || false_fact "README.md has no sh block under '$HEADING'"

# The ports in the documents, and the free ports that replace them.
exchange=(-e "s/127\.0\.0\.1:9000/$ORIGIN/g" -e "s/\bsse\b/$prefix-sse/g" -e "s/\bdemo-origin\b/$prefix-demo-origin/g")
for port in 8080 8081 9090; do
    free_port
    exchange+=(-e "s/\b$port\b/$PORT/g")
    [ "$port" != 8080 ] || DEFAULT_PORT=$PORT
done
containers+=("$prefix-sse" "$prefix-demo-origin")

shims=$folder/shims
mkdir "$shims"
# The engine by its full path, because this script itself is called docker.
real=$(command -v "$engine")
# A container without a configuration file and without MANIFOLD_LISTEN would take port 8080 of this machine.
cat >"$shims/docker" <<END
#!/usr/bin/env bash
if [ "\$1" = run ]; then
    case "\$*" in
        *MANIFOLD_LISTEN*|*/etc/manifold*|*" demo "*) listen=() ;;
        *) listen=(--env MANIFOLD_LISTEN=127.0.0.1:$DEFAULT_PORT) ;;
    esac
    exec "$real" run ${RUN_FLAGS[*]} "\${listen[@]}" "\${@:2}"
fi
exec "$real" "\$@"
END
chmod +x "$shims/docker"
ln -s "$OHA" "$shims/oha"

here=$folder/documents
mkdir "$here"
blocks toml <docs/container.md | awk -v folder="$here" '/^# .*\.toml$/ { file = folder "/" $2 } { print >file }'
sed -i "${exchange[@]}" "$here"/*.toml

# Runs one command of a document.
run_command() {
    local line
    line=$(sed "${exchange[@]}" <<<"$1")
    case $1 in
        "make image")
            make --no-print-directory image ENGINE="$engine" >"$folder/build.log" 2>&1 || {
                tail -n 40 "$folder/build.log" >&2
                false_fact "$1"
            }
            ;;
        "curl -N "*)
            # Without a limit it would read forever.
            events "${line#curl -N }" 3 "$folder/curl"
            ;;
        "docker "* | "curl "* | "oha "*)
            (cd "$here" && PATH=$shims:$PATH bash -euo pipefail -c "$line") >"$folder/said" 2>&1 ||
                false_fact "$1: $(cat "$folder/said")"
            ;;
        *) false_fact "a command that try-image does not run: $1" ;;
    esac
    case $1 in
        "docker run -d "*"--name sse "*) await "it listens: $1" logged "$prefix-sse" "listening addr=" ;;
        "docker run -d "*"--name demo-origin "*) await "it listens: $1" logged "$prefix-demo-origin" "manifold demo: " ;;
    esac
    fact "it runs: $1"
}

# Runs the commands of a document. They are read from descriptor 4, so that a command cannot read the next ones. A
# line that ends in a backslash continues on the next line. No container runs at a document's beginning.
run_document() {
    local command rest
    while IFS= read -r command <&4; do
        while [[ $command = *\\ ]]; do
            IFS= read -r rest <&4
            command=${command%\\}${rest#"${rest%%[![:space:]]*}"}
        done
        run_command "$command"
    done
    "$engine" rm --force "$prefix-sse" >/dev/null 2>&1 || true
}

run_document 4<<<"$readme"
run_document 4< <(blocks sh <docs/container.md)
