# To be sourced: which container engine there is, and the flags that this machine needs.
# shellcheck shell=bash disable=SC2034

# Prints the first of the named engines that answers: docker needs its daemon. Prints nothing where none does. ENGINE, where
# it is set, is the only one that is tried.
find_engine() {
    local engine
    for engine in ${ENGINE:-"$@"}; do
        if command -v "$engine" >/dev/null 2>&1 && timeout 20 "$engine" info >/dev/null 2>&1; then
            echo "$engine"
            return
        fi
    done
}

# The limits of this shell as flags. Some engines ask for higher ones by default, which the kernel refuses where even root is
# not allowed to raise its own.
own_limits() {
    local files processes
    files=$(ulimit -H -n)
    processes=$(ulimit -H -u)
    # Podman lowers its own limit of processes to this number before it starts anything.
    if [ "$processes" = unlimited ] || [ "$processes" -gt 32768 ]; then processes=32768; fi
    echo "--ulimit nofile=${files/unlimited/-1}:${files/unlimited/-1} --ulimit nproc=$processes:$processes"
}

# Sets RUN_FLAGS to the flags with which `engine run` works here: none, if it works without. Fails if it works with none of
# them, and leaves what the engine said in RUN_ERROR.
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

# Sets BUILD to the command of a build with the flags that work here. A build of podman or buildah shares the machine's
# network, because a network of its own needs more than these packages; and it makes Docker's format, because OCI's has no
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
    # The build itself says what is wrong.
}
