# Read by build.sh: what needs a Docker engine, or makes one ready.

# Takes the place of Python's public image where no registry answers.
readonly OWN_BASE=hybrid-serving-base:bookworm

# Finds a client that reaches an engine and can build with BuildKit: an old one has it built in, a
# new one needs buildx, and a machine may have both.
find_engine() {
    local client
    export DOCKER_BUILDKIT=1
    while read -r client; do
        "$client" info >/dev/null 2>&1 || continue
        case "$("$client" build --help 2>/dev/null)" in
            *--secret*) export DOCKER=$client && return ;;
        esac
    done < <(type -ap docker)
    return 1
}

need_engine() {
    find_engine || die "'$1' needs a Docker engine with BuildKit, and none answers here."
}

# Starts an engine on a CI machine where none answers; it ends with this script.
start_engine() {
    local log=build/dockerd.log pid
    if find_engine; then return; fi
    install_in_ci dockerd docker.io
    mkdir -p build
    dockerd >"$log" 2>&1 </dev/null &
    pid=$!
    # shellcheck disable=SC2064 # the variable is gone by then
    trap "kill $pid && wait $pid || true" EXIT
    for _ in {1..60}; do
        if find_engine; then return; fi
        kill -0 "$pid" 2>/dev/null || break
        sleep 1
    done
    tail -n 30 "$log" >&2
    die 'The Docker engine did not start; the end of its log is above.'
}

# Installs the Debian package $2 on a CI machine that lacks the program $1.
install_in_ci() {
    if [ "${CI:-}" != true ] || command -v "$1" >/dev/null; then return; fi
    say "Installing $2."
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -qq --yes --no-install-recommends "$2" >/dev/null
}

## base [--tag T] [--mirror URL | --mirror SOURCES_LIST]
##                           makes the base image from Debian's packages, where no registry answers
command_base() {
    local tag=$OWN_BASE mirror=
    while [ $# -gt 0 ]; do
        case "$1" in
            --tag) tag=$(value "$@") ;;
            --mirror)
                mirror=$(value "$@")
                [[ $mirror == *://* ]] || mirror=$(from_caller "$mirror")
                ;;
            *) die "base has no option $1" ;;
        esac
        shift 2
    done
    need_engine base
    install_in_ci mmdebstrap mmdebstrap
    command -v mmdebstrap >/dev/null ||
        die "'base' needs mmdebstrap: on Debian and Ubuntu, apt-get install mmdebstrap"
    # Manuals and translations stay out, licences stay in.
    mmdebstrap --variant=minbase --include=ca-certificates,python3,python3-venv \
        --dpkgopt='path-exclude=/usr/share/doc/*' \
        --dpkgopt='path-include=/usr/share/doc/*/copyright' \
        --dpkgopt='path-exclude=/usr/share/info/*' \
        --dpkgopt='path-exclude=/usr/share/locale/*' \
        --dpkgopt='path-exclude=/usr/share/man/*' \
        bookworm - ${mirror:+"$mirror"} | "$DOCKER" import --change 'CMD ["bash"]' - "$tag" >/dev/null
    say "$tag is ready."
}

## cpu | gpu | neuron | lambda | all
##     [--only EXTRAS] [--base IMAGE] [--tag T] [--wheelhouse DIR] [--ca FILE] [--index URL]
##     [--dry-run] [-- DOCKER BUILD OPTIONS]
##                           builds hybrid-serving:NAME, or with --only a slim NAME-EXTRAS
command_all() {
    local name
    for name in cpu gpu neuron lambda; do build_image "$name" "$@"; done
}

## list                      the images, and how large those are that are built
## sizes [--write]           what takes the space in them; --write renews docs/images.md
## push NAME --registry HOST[/PREFIX] [--tag T]...
##                           pushes an image; to ECR with the repository made and the login done
## save NAME [DIR]           writes an archive for a site without a registry
## wheelhouse DIR [--image NAME] [--only EXTRAS]
##                           fetches all wheels of an image, for a build without an index

# Builds an image; what pip on this machine has been told is the default of its options.
build_image() {
    SITE_BASE=$OWN_BASE SITE_CA=$(pip_setting cert) SITE_INDEX=$(pip_setting index-url) \
        SITE_TORCH_WHEEL=$(torch_wheel) images "$@"
}

# Runs the package `containers`.
images() {
    local python root=$PWD
    find_engine || true
    python=$(find_python)
    (cd "$CALLER" && PYTHONPATH=$root "$python" -P -m containers "$@")
}

## test-image NAME [PYTEST ARGUMENTS]
##                           the container tests of a server, against an image that is built
command_test_image() {
    [ $# -gt 0 ] || die 'test-image needs the name of an image'
    [[ $1 != *lambda ]] || die "$1 is no server's: ./build.sh test tests/containers/test_lambda.py"
    command_venv
    need_engine test-image
    [[ $1 == *:* ]] || set -- "hybrid-serving:$1" "${@:2}"
    have_image "$1" || die "$1 is not built yet"
    TEST_IMAGE=$1 TEST_EXTRAS=$("$DOCKER" image inspect "$1" \
        --format '{{index .Config.Labels "hybrid-serving.extras"}}') \
        exec .venv/bin/pytest tests/containers/test_cpu_image.py -k 'not slim_image' "${@:2}"
}

## run MODEL [DOCKER RUN OPTIONS]
##                           serves the folder MODEL from hybrid-serving:cpu, on port 8080
command_run() {
    local model
    [ $# -gt 0 ] || die 'run needs the folder of a model'
    model=$(from_caller "$1")
    [ -d "$model" ] || die "$model is no folder"
    need_engine run
    have_image hybrid-serving:cpu || die "hybrid-serving:cpu is not built yet: ./build.sh cpu"
    exec "$DOCKER" run --rm --publish 8080:8080 --volume "$model:/opt/ml/model:ro" "${@:2}" \
        hybrid-serving:cpu serve
}

# Prints the value of the option "$1", which follows it.
value() {
    [ $# -gt 1 ] || die "$1 needs a value"
    echo "$2"
}

have_image() { "$DOCKER" image inspect "$1" >/dev/null 2>&1; }
