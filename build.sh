#!/usr/bin/env bash
# The one door to everything that is done with this project; `./build.sh help` lists it.
set -euo pipefail

readonly CALLER=$PWD # paths on the command line are relative to it
cd "$(dirname "${BASH_SOURCE[0]}")"
source containers/engine.sh

readonly VENV_EXTRAS=xgboost,onnx,torch,lambda,wsgi,examples,benchmarks,dev
readonly CLIENTS_LOCK=tests/containers/clients.txt MMS_LOCK=tests/containers/mms.txt
# Where PyTorch publishes its CPU builds; empty where pip's own index has them.
TORCH_INDEX_URL=${TORCH_INDEX_URL-$(sed -n 's/^torch = "\(.*\)"/\1/p' containers/images.toml)}
export TORCH_INDEX_URL

say() { printf '%s\n' "$*" >&2; }
die() { say "build.sh: $*"; exit 1; }
from_caller() { (cd "$CALLER" && [ -e "$1" ] && realpath -- "$1") || die "there is no $1"; }

## help                      this list
command_help() {
    echo 'usage: ./build.sh COMMAND [ARGUMENTS]'
    sed -n 's/^## /  /p' build.sh containers/engine.sh
}

## venv                      makes .venv with everything; serve and serving lie in .venv/bin
command_venv() {
    local python stamp
    python=$(find_python)
    stamp=$({ cat constraints.txt pyproject.toml && "$python" --version && echo "$VENV_EXTRAS"; } | cksum)
    if [ "$(cat .venv/.stamp 2>/dev/null)" = "$stamp" ]; then return; fi
    say 'Making .venv: a few minutes the first time.'
    [ -x .venv/bin/python ] || "$python" -m venv .venv
    pip_install --upgrade pip
    pip_install --build-constraint constraints.txt --editable ".[$VENV_EXTRAS]"
    echo "$stamp" >.venv/.stamp
}

## demo [--once]             trains, packs and serves the examples, asks them, and keeps serving
command_demo() {
    command_venv
    exec .venv/bin/python inference_scripts/demo.py "$@"
}

## test [PYTEST ARGUMENTS]   lint, then every test, the container tests last; or what pytest is told
command_test() {
    local workers
    command_venv
    if [ $# -gt 0 ]; then
        find_engine || true
        exec .venv/bin/pytest "$@"
    fi
    # One more than there are cores: a test often waits for a server to start.
    workers=$(($(nproc) + 1))
    command_lint
    .venv/bin/pytest --numprocesses "$workers" --dist loadfile -m 'not container'
    if [ "${CI:-}" = true ]; then start_engine; fi
    if find_engine; then
        build_image cpu
        install_in_ci docker-registry docker-registry
        # These only run the image; the others also build, and share what is built from.
        TEST_IMAGE=hybrid-serving:cpu \
            .venv/bin/pytest --numprocesses auto --dist loadfile -m container tests/contract
        .venv/bin/pytest -m container --ignore tests/contract
    else
        say 'The container tests are left out: no Docker engine that builds images answers here.'
    fi
}

## lint                      ruff, mypy, hadolint, shellcheck
command_lint() {
    command_venv
    .venv/bin/ruff check
    .venv/bin/ruff format --check
    .venv/bin/mypy
    .venv/bin/hadolint containers/*/Dockerfile
    .venv/bin/shellcheck --external-sources build.sh containers/trim.sh
}

## lock                      renews the versions that .venv, the images and build/clients get
command_lock() {
    local python torch
    python=$(find_python)
    torch=$(torch_wheel)
    rm -rf build/lock && "$python" -m venv build/lock
    build/lock/bin/pip install --quiet --upgrade pip
    # With a wheel of torch at hand the lock follows it, its +cpu included: else pip may come to
    # prefer the same release with CUDA, or a newer one.
    torch=${torch:+$(basename "$torch" | sed 's/torch-\([^-]*\).*/torch==\1/')}
    # shellcheck disable=SC2046 # none or two words
    write_lock constraints.txt $(torch_index) hatchling pip ${torch:+"$torch"} \
        ".[aws,benchmarks,dev,examples,lambda,mms,onnx,torch,xgboost]"
    # Where no wheel of torch for CPUs is seen: the one with CUDA is wanted.
    PIP_CONSTRAINT=constraints.txt PIP_FIND_LINKS=build/lock \
        write_lock containers/gpu/constraints.txt hatchling pip ".[aws,gpu,xgboost]"
    lock_neuron
    # The last major version of the SDK that has Model.deploy(instance_type="local").
    write_lock "$CLIENTS_LOCK" awscli 'sagemaker<3'
    # sagemaker-inference imports pkg_resources, which later versions of setuptools do not have.
    grep -v '^setuptools==' constraints.txt >build/lock/constraints.txt
    write_lock "$MMS_LOCK" --constraint build/lock/constraints.txt ".[mms,onnx,xgboost]" 'setuptools<81'
}

## edge MODEL [OPTIONS]      makes the zip for Lambda@Edge; `serving edge --help` lists the options
command_edge() {
    command_venv
    cd "$CALLER"
    exec "$OLDPWD/.venv/bin/serving" edge "$@"
}

## clients                   makes build/clients: AWS's CLI and SageMaker's Python SDK, for tests
command_clients() {
    install_in_ci docker-compose docker-compose
    command -v docker-compose >/dev/null || docker compose version >/dev/null 2>&1 ||
        die "the SDK needs Docker Compose: on Debian and Ubuntu, apt-get install docker-compose"
    make_environment build/clients "$CLIENTS_LOCK"
}

## mms                       makes build/mms: multi-model-server with this runtime in it, for tests
command_mms() {
    local site
    install_in_ci java openjdk-17-jre-headless
    command -v java >/dev/null ||
        die "multi-model-server needs Java: on Debian and Ubuntu, apt-get install openjdk-17-jre-headless"
    make_environment build/mms "$MMS_LOCK"
    site=$(build/mms/bin/python -c 'import site; print(site.getsitepackages()[0])')
    echo "$PWD" >"$site/hybrid-serving.pth"
}

# Makes the environment $1 of the packages in the lock $2, unless it is there.
make_environment() {
    local python stamp
    mkdir -p "${1%/*}"
    # Tests in several processes ask for it at once: one makes it, and the others wait.
    if command -v flock >/dev/null; then exec 9>"$1.lock" && flock 9; fi
    python=$(find_python)
    stamp=$({ cat "$2" && "$python" --version; } | cksum)
    if [ "$(cat "$1/.stamp" 2>/dev/null)" = "$stamp" ]; then return; fi
    say "Making $1: about half a minute."
    "$python" -m venv --clear "$1"
    # The list is complete, and little of it is ever imported: no resolving, no compiling.
    "$1/bin/pip" install --quiet --no-deps --no-compile --requirement "$2"
    echo "$stamp" >"$1/.stamp"
}

# AWS's index is the only one with Neuron's wheels; where it is out of reach its lock stays as it is.
lock_neuron() {
    local url
    url=${NEURON_INDEX_URL-$(sed -n 's/^neuron = "\(.*\)"/\1/p' containers/images.toml)}
    if build/lock/bin/pip download --quiet --no-deps --dest build/lock/neuron --index-url "$url" \
        --python-version 3.12 --only-binary :all: torch-neuronx; then
        write_lock containers/neuron/constraints.txt --extra-index-url "$url" --python-version 3.12 \
            --only-binary :all: hatchling pip ".[aws,neuron]"
    else
        say "containers/neuron/constraints.txt stays as it is: $url does not answer."
    fi
}

# Writes to the file $1 which versions pip chooses for the rest, its arguments.
write_lock() {
    build/lock/bin/pip install --dry-run --ignore-installed --report build/lock/report.json "${@:2}"
    build/lock/bin/python - >build/lock/versions.txt <<'PYTHON'
import json
import re

print("# Written by ./build.sh lock.")
packages = (item["metadata"] for item in json.load(open("build/lock/report.json"))["install"])
versions = {re.sub("[-_.]+", "-", each["name"]).lower(): each["version"] for each in packages}
versions.pop("hybrid-serving", None)
for name, version in sorted(versions.items()):
    print(f"{name}=={version.partition('+')[0]}")
PYTHON
    mv build/lock/versions.txt "$1"
}

# Prints the Python to make environments with. 3.11 comes first: the images have it.
find_python() {
    local python without_venv=
    for python in python3.11 python3 python3.12 python3.13; do
        "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue
        if "$python" -c 'import ensurepip, venv' 2>/dev/null; then echo "$python" && return; fi
        without_venv=$python
    done
    [ -z "$without_venv" ] ||
        die "$without_venv has no venv module: on Debian and Ubuntu, apt-get install $without_venv-venv"
    die 'Python 3.11 or newer is needed, and none is on the PATH.'
}

# Prints what pip on this machine has been told for an option, by a variable or a file.
pip_setting() {
    { python3 -m pip config list 2>/dev/null || true; } | sed -n "/\.$1=/{s/^[^=]*='\(.*\)'\$/\1/p;q;}"
}

# Prints the wheel of torch that pip finds on this machine's disk, if there is one for Python 3.11.
torch_wheel() {
    local folder
    for folder in $(pip_setting find-links); do
        find "$folder" -maxdepth 1 -name 'torch-*-cp311-*.whl' 2>/dev/null || true
    done | sort | tail -n 1
}

# Prints pip's options for PyTorch's own index, unless there is a wheel of it.
torch_index() {
    [ -n "$(torch_wheel)" ] || [ -z "$TORCH_INDEX_URL" ] || echo "--extra-index-url $TORCH_INDEX_URL"
}

# pip shows its progress at a terminal, and elsewhere only what went wrong.
pip_install() {
    [ -t 1 ] || set -- --quiet "$@"
    # shellcheck disable=SC2046 # none or two words
    .venv/bin/python -m pip install --constraint constraints.txt $(torch_index) "$@"
}

case "${1:-help}" in
    help | venv | demo | test | lint | lock | edge | clients | mms | base | all | run)
        "command_${1:-help}" "${@:2}" ;;
    cpu | gpu | neuron | lambda) build_image "$@" ;;
    list | sizes | push | save | wheelhouse) images "$@" ;;
    test-image) command_test_image "${@:2}" ;;
    -h | --help) command_help ;;
    *) command_help >&2; exit 2 ;;
esac
