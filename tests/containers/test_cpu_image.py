"""A server's image keeps SageMaker's contract for containers, and runs where less is allowed.

It is the CPU image, or the one that ``./build.sh test-image`` names, with the examples that its
engines can serve.
"""

import os
import re
import subprocess
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from serving.values import Request

if TYPE_CHECKING:
    from tests.containers.docker import Docker, Starter
    from tests.containers.examples import InProcess, Trained


pytestmark = pytest.mark.container

SCRIPTS = Path(__file__).parents[2] / "inference_scripts"
ENGINES = {"pytorch_digits": "torch", "sklearn_onnx": "onnx", "xgboost_tabular": "xgboost"}
"""The extra that each example needs."""

BROUGHT = {"gpu": ["onnx", "torch"], "neuron": ["torch"]}
"""Engines that come with other extras."""

EXTRAS = os.environ.get("TEST_EXTRAS", "xgboost,onnx,torch").split(",")
HAS = {engine for extra in EXTRAS for engine in BROUGHT.get(extra, [extra])}
EXAMPLES = [example for example, engine in ENGINES.items() if engine in HAS]
EXAMPLE = EXAMPLES[-1]
MEDIA_TYPES = {
    ".csv": "text/csv",
    ".json": "application/json",
    ".pgm": "image/x-portable-graymap",
}
LOCKED_DOWN = ("--user", "1000", "--read-only", "--cap-drop", "ALL", "--tmpfs", "/tmp")
BUILT_FOR = """
from importlib.util import find_spec
if find_spec("torch"):
    import torch
    print("CUDA" if torch.version.cuda else "CPU", "here" if torch.cuda.is_available() else "away")
if find_spec("onnxruntime"):
    import onnxruntime
    providers = onnxruntime.get_available_providers()
    print("CUDA" if "CUDAExecutionProvider" in providers else "CPU", "away")
"""
MISSING = """
import os, re, subprocess, sysconfig
from pathlib import Path
site = Path(sysconfig.get_path("purelib"))
libraries = [*site.glob("torch/lib/*.so*"), *site.glob("onnxruntime/capi/*.so*")]
# What is loaded first, as torch and ONNX Runtime do it, need not be where the linker looks.
loaded = ":".join(str(folder) for folder in site.glob("nvidia/*/lib"))
for library in libraries:
    command, seen = ["ldd", str(library)], os.environ | {"LD_LIBRARY_PATH": loaded}
    linked = subprocess.run(command, env=seen, capture_output=True, text=True, check=True).stdout
    print(*re.findall("(.+) => not found", linked))
"""
"""Prints the libraries that those of the engines are linked to and that are not in the image."""

ABSENT = {"libcuda.so.1", "libnvinfer.so.10", "libnvonnxparser.so.10"}
"""The driver is the host's; TensorRT is an engine that nothing asks for."""

BUILD_TOOLS = re.compile(r"(.*-)?(as|c\+\+|cc|cmake|cpp|g\+\+|gcc|ld|make)(-[\d.]+)?")


def sample_requests(example: str) -> list[Request]:
    """The requests in the example's folder, a file each."""
    requests = []
    for path in sorted((SCRIPTS / example).glob("request.*")):
        headers = {"content-type": MEDIA_TYPES[path.suffix]}
        requests.append(Request("POST", "/invocations", headers, path.read_bytes()))
    return requests


@pytest.fixture(scope="session")
def files(docker: "Docker", image: str) -> list[str]:
    """The path of every file in the image that is not a folder, without the first slash."""
    container = docker("create", image)
    command = [docker.client, "export", container]
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE) as export,
        tarfile.open(fileobj=export.stdout, mode="r|") as archive,
    ):
        paths = [member.name for member in archive if not member.isdir()]
    docker("rm", container)
    return paths


@pytest.mark.parametrize("options", [(), LOCKED_DOWN], ids=["as root", "locked down"])
@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_answers_as_it_does_in_process(
    example: str,
    options: tuple[str, ...],
    image: str,
    start: "Starter",
    trained: "Trained",
    in_process: "InProcess",
) -> None:
    container = start(image, trained(example), *options)
    assert container.wait_for_ping(200).body == b""
    requests = sample_requests(example)
    assert len(requests) == 2
    for request in requests:
        answer = container.ask(request)
        assert answer.status == 200
        assert answer == in_process(trained(example), request)


def test_the_image_serves_when_no_argument_is_given(
    image: str, start: "Starter", trained: "Trained"
) -> None:
    start(image, trained(EXAMPLE), command="").wait_for_ping(200)


def test_the_other_commands_are_arguments_of_the_image(
    docker: "Docker", image: str, trained: "Trained"
) -> None:
    mount = f"{trained(EXAMPLE)}:/opt/ml/model:ro"
    assert ENGINES[EXAMPLE] in docker("run", "--rm", "-v", mount, image, "inspect", "/opt/ml/model")


def test_sigterm_reaches_the_server_which_ends_with_status_0(
    image: str, start: "Starter", trained: "Trained"
) -> None:
    container = start(image, trained(EXAMPLE))
    container.wait_for_ping(200)
    _interpreter, program, *_ = container.execute("cat", "/proc/1/cmdline").stdout.split("\0")
    assert program == "/opt/venv/bin/serving"
    assert container.stop() == 0


def test_the_port_is_the_one_sagemaker_names(
    image: str, start: "Starter", trained: "Trained"
) -> None:
    named = ("--env", "SAGEMAKER_BIND_TO_PORT=9123")
    container = start(image, trained(EXAMPLE), *named, port=9123)
    container.wait_for_ping(200)
    assert container.execute("serving", "ping").returncode == 0


@pytest.mark.parametrize("limit", [("--cpus", "1"), ("--cpuset-cpus", "0")], ids=" ".join)
def test_the_workers_are_as_many_as_the_cpus_of_the_container_not_of_its_host(
    image: str, start: "Starter", trained: "Trained", limit: tuple[str, ...]
) -> None:
    container = start(image, trained(EXAMPLE), *limit)
    container.wait_for_ping(200)
    assert "workers: 1, one for each CPU this container may use" in container.log


def test_the_model_cannot_be_written_to_and_need_not_be(
    image: str, start: "Starter", trained: "Trained"
) -> None:
    container = start(image, trained(EXAMPLE))
    container.wait_for_ping(200)
    assert "Read-only" in container.execute("touch", "/opt/ml/model/written").stdout


def test_no_shell_and_no_tini_is_before_the_server(docker: "Docker", image: str) -> None:
    configuration = docker.inspect(image)["Config"]
    assert (configuration["Entrypoint"], configuration["Cmd"]) == (
        ["/opt/venv/bin/serving"],
        ["serve"],
    )


def test_docker_finds_a_serving_container_healthy(
    image: str, start: "Starter", trained: "Trained"
) -> None:
    assert start(image, trained(EXAMPLE), *LOCKED_DOWN).wait_for_health() == "healthy"


def test_without_a_model_the_ping_says_why_and_the_container_stays(
    image: str, start: "Starter", tmp_path: Path
) -> None:
    container = start(image, tmp_path)
    answer = container.wait_for_ping(503)
    assert answer.headers["content-type"] == "application/json"
    assert b"/opt/ml/model" in answer.body
    probe = container.execute("serving", "ping")
    assert probe.returncode == 1
    assert "/opt/ml/model" in probe.stdout
    assert container.state["Running"]


def test_the_image_is_described_by_its_labels(docker: "Docker", image: str) -> None:
    labels = docker.inspect(image)["Config"]["Labels"]
    assert labels["com.amazonaws.sagemaker.capabilities.accept-bind-to-port"] == "true"
    assert labels["org.opencontainers.image.title"] == "hybrid-serving"
    assert labels["org.opencontainers.image.licenses"] == "Apache-2.0"
    assert re.fullmatch(r"\d+\.\d+\.\d+", labels["org.opencontainers.image.version"])
    assert re.fullmatch(
        r"[0-9a-f]{40}(-dirty)?|unknown", labels["org.opencontainers.image.revision"]
    )


def test_the_image_leaves_the_user_to_sagemaker(docker: "Docker", image: str) -> None:
    assert docker.inspect(image)["Config"]["User"] == ""


def test_no_build_tool_is_in_the_image(files: list[str]) -> None:
    programs = [path for path in files if re.match(r"(usr/|usr/local/|opt/venv/)?s?bin/", path)]
    assert "opt/venv/bin/serving" in programs
    assert [path for path in programs if BUILD_TOOLS.fullmatch(Path(path).name)] == []


def test_no_driver_of_a_gpu_is_in_the_image(files: list[str]) -> None:
    assert [path for path in files if re.search(r"/lib(cuda|nvidia-[a-z]+)\.so", path)] == []


def test_the_engines_are_built_for_gpus_in_the_image_for_gpus_alone(
    docker: "Docker", image: str
) -> None:
    told = docker("run", "--rm", "--entrypoint", "python", image, "-c", BUILT_FOR).splitlines()
    built_for = "CUDA away" if "gpu" in EXTRAS else "CPU away"
    assert told == [built_for] * len({"onnx", "torch"} & HAS)


def test_every_library_is_there_that_those_of_the_engines_are_linked_to(
    docker: "Docker", image: str
) -> None:
    missing = docker("run", "--rm", "--entrypoint", "python", image, "-c", MISSING).split()
    assert set(missing) <= ABSENT


def test_nothing_of_the_build_stays_in_the_image(files: list[str]) -> None:
    left = re.compile(
        r"run/secrets/|src/|wheelhouse/|root/\.cache/|var/cache/apt/archives/.*\.deb$"
        r"|var/lib/apt/lists/.*(Packages|Release)"
    )
    assert [path for path in files if left.match(path)] == []


def test_every_module_has_its_bytecode(files: list[str]) -> None:
    modules = [path for path in files if re.match(r"opt/venv/.*/serving/.*\.py$", path)]
    compiled = {path for path in files if path.endswith(".cpython-311.pyc")}
    assert modules
    for module in map(Path, modules):
        assert str(module.parent / "__pycache__" / f"{module.stem}.cpython-311.pyc") in compiled


def test_the_slim_image_has_its_engine_alone_and_answers(
    docker: "Docker",
    image: str,
    slim_image: str,
    start: "Starter",
    trained: "Trained",
    in_process: "InProcess",
) -> None:
    installed = docker("run", "--rm", "--entrypoint", "pip", slim_image, "list")
    assert "xgboost" in installed
    assert "torch" not in installed
    assert "onnxruntime" not in installed
    assert docker.inspect(slim_image)["Size"] < docker.inspect(image)["Size"] / 2
    container = start(slim_image, trained("xgboost_tabular"), *LOCKED_DOWN)
    container.wait_for_ping(200)
    for request in sample_requests("xgboost_tabular"):
        assert container.ask(request) == in_process(trained("xgboost_tabular"), request)
