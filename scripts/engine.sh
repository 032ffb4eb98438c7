# To be sourced: finds the container engine, and the flags that this machine needs.
# shellcheck shell=bash disable=SC2034

# Prints the first of the named engines that answers (docker needs its daemon), or nothing if none answers. If ENGINE
# is set, only that engine is tried.
find_engine() {
    local engine
    for engine in ${ENGINE:-"$@"}; do
        if command -v "$engine" >/dev/null 2>&1 && timeout 20 "$engine" info >/dev/null 2>&1; then
            echo "$engine"
            return
        fi
    done
}

# Prints the limits of this shell as flags. Some engines ask for higher limits by default. The kernel refuses those
# where even root may not raise its own limits.
own_limits() {
    local files processes
    files=$(ulimit -H -n)
    processes=$(ulimit -H -u)
    # Podman lowers its own limit of processes to this number before it starts anything.
    if [ "$processes" = unlimited ] || [ "$processes" -gt 32768 ]; then processes=32768; fi
    echo "--ulimit nofile=${files/unlimited/-1}:${files/unlimited/-1} --ulimit nproc=$processes:$processes"
}

# Sets RUN_FLAGS to the flags that `engine run` needs here; to nothing if it needs none. Fails if no flags help, and
# leaves the engine's message in RUN_ERROR.
#   find_run_flags ENGINE IMAGE COMMAND...
find_run_flags() {
    local engine=$1 image=$2 flags
    for flags in "" "$(own_limits)"; do
        read -r -a RUN_FLAGS <<<"$flags"
        if RUN_ERROR=$("$engine" run --rm --network host "${RUN_FLAGS[@]}" "$image" "${@:3}" 2>&1 >/dev/null </dev/null); then
            return 0
        fi
    done
    return 1
}

# Sets BUILD to the build command with the flags that it needs here. A build of podman or buildah shares the machine's
# network, because a network of its own needs further packages. It makes Docker's format, because OCI's has no
# HEALTHCHECK.
#   find_build ENGINE BASE
find_build() {
    local engine=$1 wanted flags
    case $engine in
        *buildah) BUILD=("$engine" bud --layers) ;;
        *) BUILD=("$engine" build) ;;
    esac
    case $engine in
        *docker) return ;;
    esac
    BUILD+=(--format docker --network host)
    for wanted in "" "$(own_limits)" "--isolation chroot"; do
        read -r -a flags <<<"$wanted"
        if printf 'FROM %s\nRUN true\n' "$2" | "${BUILD[@]}" "${flags[@]}" --file - scripts >/dev/null 2>&1; then
            BUILD+=("${flags[@]}")
            return
        fi
    done
    # No flags help. The build itself will report why.
}
