# Read by build.sh: what needs a Docker engine, or makes one ready.

readonly PUBLIC_BASE=python:3.11-slim-bookworm OWN_BASE=hybrid-serving-base:bookworm

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

## cpu [--only xgboost,onnx,torch] [--base IMAGE] [--tag T] [--wheelhouse DIR] [--ca FILE]
##     [--index URL] [-- DOCKER BUILD OPTIONS]
##                           builds hybrid-serving:cpu, or with --only a slim hybrid-serving:cpu-NAME
command_cpu() {
    local extras=xgboost,onnx,torch tag= base= wheelhouse= ca= index= name
    while [ $# -gt 0 ]; do
        case "$1" in
            --only) extras=$(value "$@") tag=${tag:-hybrid-serving:cpu-${2//,/-}} ;;
            --base) base=$(value "$@") ;;
            --tag) tag=$(value "$@") ;;
            --wheelhouse) wheelhouse=$(value "$@"); wheelhouse=$(from_caller "$wheelhouse") ;;
            --ca) ca=$(value "$@"); ca=$(from_caller "$ca") ;;
            --index) index=$(value "$@") ;;
            --) shift && break ;;
            *) die "cpu has no option $1" ;;
        esac
        shift 2
    done
    for name in ${extras//,/ }; do
        case "$name" in
            xgboost | onnx | torch) ;;
            *) die "--only takes xgboost, onnx and torch, with commas between; '$name' is none" ;;
        esac
    done
    need_engine cpu
    ca=${ca:-$(pip_setting cert)}
    index=${index:-$(pip_setting index-url)}
    [ -n "$base" ] || choose_base
    fill_wheelhouse "$wheelhouse" "$extras"
    set -- "$@" --file containers/cpu/Dockerfile --tag "${tag:-hybrid-serving:cpu}" \
        --build-arg BASE_IMAGE="$base" --build-arg EXTRAS="$extras" \
        --build-arg VERSION="$(sed -n 's/^__version__ = "\(.*\)"/\1/p' serving/__init__.py)" \
        --build-arg REVISION="$(git rev-parse HEAD 2>/dev/null || echo unknown)"
    for name in HTTP_PROXY HTTPS_PROXY NO_PROXY http_proxy https_proxy no_proxy; do
        [ -z "${!name:-}" ] || set -- "$@" --build-arg "$name"
    done
    [ -z "$index" ] || set -- "$@" --build-arg PIP_INDEX_URL="$index"
    [ -z "$ca" ] || set -- "$@" --secret "id=ca,src=$ca"
    "$DOCKER" build "$@" --build-arg PIP_EXTRA_INDEX_URL="$(torch_source "$extras")" .
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

# Sets `base` to the image to build on, and fetches or makes it where that is needed.
choose_base() {
    base=$PUBLIC_BASE
    if have_image "$base"; then return; fi
    if have_image "$OWN_BASE" || ! "$DOCKER" pull "$base"; then
        say "$base is not here: building on $OWN_BASE instead."
        base=$OWN_BASE
        have_image "$base" || command_base
    fi
}

# Lays the wheels of the folder $1 into build/wheelhouse. With none named that is the wheel of torch
# which pip finds on this machine, if torch is among the extras $2.
fill_wheelhouse() {
    local wheel=
    rm -rf build/wheelhouse && mkdir -p build/wheelhouse
    if [ -n "$1" ]; then
        cp -p "$1"/*.whl build/wheelhouse
    elif wants_torch "$2"; then
        wheel=$(torch_wheel)
        [ -z "$wheel" ] || cp -p "$wheel" build/wheelhouse
    fi
}

# Prints the address of PyTorch's own index, if torch is wanted and comes from nowhere else.
torch_source() {
    if wants_torch "$1" && ! compgen -G 'build/wheelhouse/torch-*' >/dev/null; then
        echo "$TORCH_INDEX_URL"
    fi
}

wants_torch() { [[ ,$1, == *,torch,* ]]; }
