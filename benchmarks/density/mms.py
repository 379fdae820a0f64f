"""AWS's multi-model-server with many XGBoost models: what each costs there.

    .venv/bin/python -m benchmarks.density.mms [--models COUNT]

prints the figures as JSON. The server runs as AWS's images run it, but that its heap has a bound
and that it measures the machine only once; both would count as memory of the models. It is in an
environment of its own, which ``./build.sh mms`` makes. Java is a package of Debian.
"""

import argparse
import http.client
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from subprocess import PIPE, STDOUT
from typing import NamedTuple
from urllib.parse import urlencode

from benchmarks.density import archives
from benchmarks.throughput import BenchmarkError, workload
from benchmarks.throughput.targets import REPOSITORY, Target, executable, started
from serving.processes import memory

HOME = REPOSITORY / "build" / "mms"
HANDLER = Path(__file__).with_name("mms_handler.py")
HEAP = ("-Xms64m", "-Xmx512m")
"""By default Java takes up to a quarter of the machine."""
TIMEOUT = 120.0


@dataclass(frozen=True)
class Measured:
    """What models cost in multi-model-server."""

    models: int
    empty: int
    """Bytes of the server, with all its processes, before it loaded any."""
    each: float
    """Bytes of a model."""
    processes: float
    """Of a model."""
    load_ms: tuple[float, ...]
    """Time from the order to load a model to its end, for each in turn."""
    first_ms: tuple[float, ...]
    """Time of the first request to each."""
    answer: str
    """What each of them answered."""


class Done(NamedTuple):
    """A request that succeeded."""

    content: bytes
    milliseconds: float


def measure(models: Sequence[Path], ask: bytes) -> Measured:
    """Load each archive of an XGBoost model, and ask it once for CSV rows.

    Memory is the proportional set size of all the server's processes, before the first model and
    after the last answer. Archives are unpacked beforehand, as SageMaker's platform does it, so
    that is not in the time to load.

    Raises:
        BenchmarkError: Java is missing, or the server fails, or the models answer differently.
    """
    python = environment()
    with tempfile.TemporaryDirectory(prefix="mms-") as directory:
        workspace = Path(directory)
        names = unpack(models, workspace / "models")
        with started(_target(python, workspace), workspace) as server:
            wait_until_alone(server.pid)
            empty = memory.of(server.pid)
            loads = [_post(server.port, registration(name)) for name in names]
            firsts = [_post(server.port, f"/models/{name}/invoke", ask) for name in names]
            full = memory.of(server.pid)
            processes = len(list(memory.tree(server.pid))) - 1
    answers = {first.content for first in firsts}
    if len(answers) != 1:
        raise BenchmarkError(f"Models of one file answered differently: {answers}")
    return Measured(
        models=len(names),
        empty=empty,
        each=(full - empty) / len(names),
        processes=processes / len(names),
        load_ms=tuple(load.milliseconds for load in loads),
        first_ms=tuple(first.milliseconds for first in firsts),
        answer=answers.pop().decode(),
    )


def environment() -> Path:
    """The interpreter of an environment that has the server, which is made where it is not.

    Raises:
        BenchmarkError: it cannot be made; says what ``build.sh`` said.
    """
    command = ["./build.sh", "mms"]
    done = subprocess.run(
        command, cwd=REPOSITORY, stdout=PIPE, stderr=STDOUT, text=True, check=False
    )
    if done.returncode != 0:
        raise BenchmarkError(f"{' '.join(command)}:\n{done.stdout[-2000:]}")
    return HOME / "bin" / "python"


def unpack(models: Sequence[Path], store: Path) -> list[str]:
    """Unpack archives, each into a folder of its own; the names of the folders."""
    names = [archive.name.partition(".")[0] for archive in models]
    for name, archive in zip(names, models, strict=True):
        (store / name).mkdir(parents=True)
        with tarfile.open(archive) as members:
            members.extractall(store / name, filter="data")
    return names


def registration(name: str) -> str:
    """The address that loads a model, and answers when it is loaded."""
    wanted = {"url": name, "model_name": name, "initial_workers": 1, "synchronous": "true"}
    return f"/models?{urlencode(wanted)}"


def properties(port: int, workspace: Path) -> str:
    """The server's configuration file."""
    address = f"http://127.0.0.1:{port}"
    wanted = {
        "inference_address": address,
        "management_address": address,
        "model_store": workspace / "models",
        "default_service_handler": f"{workspace / HANDLER.name}:handle",
        "decode_input_request": "false",
        "metric_time_interval": 86_400,
    }
    return "".join(f"{name}={value}\n" for name, value in wanted.items())


def wait_until_alone(pid: int) -> None:
    """Wait for the end of the process that measures the machine when the server starts."""
    limit = time.monotonic() + TIMEOUT
    while len(list(memory.tree(pid))) > 1:
        if time.monotonic() > limit:
            raise BenchmarkError("multi-model-server without a model keeps a process running.")
        time.sleep(0.05)


def _target(python: Path, workspace: Path) -> Target:
    java = executable("java")
    (package,) = HOME.glob("lib/python3.*/site-packages")

    # Its folder is on the path of the models' processes: here this module would hide the server.
    shutil.copy(HANDLER, workspace)

    def command(port: int) -> list[str]:
        configuration = workspace / "config.properties"
        configuration.write_text(properties(port, workspace))
        return [
            *(java, *HEAP, f"-Djava.io.tmpdir={workspace}", f"-Dmodel_server_home={package}"),
            *("-cp", f"{package}/mms/frontend/*", "com.amazonaws.ml.mms.ModelServer"),
            *("--python", str(python), "-f", str(configuration)),
        ]

    logs = (("LOG_LOCATION", str(workspace)), ("METRICS_LOCATION", str(workspace)))
    return Target("multi-model-server", command, variables=logs)


def _post(port: int, path: str, body: bytes = b"") -> Done:
    with closing(http.client.HTTPConnection("127.0.0.1", port, TIMEOUT)) as connection:
        began = time.perf_counter()
        connection.request("POST", path, body, {"Content-Type": "text/csv"})
        response = connection.getresponse()
        content = response.read()
        seconds = time.perf_counter() - began
    if response.status != 200:
        raise BenchmarkError(f"{path} answered {response.status}: {content[:500]!r}")
    return Done(content, seconds * 1e3)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure copies of one model, and print what was measured."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.density.mms")
    parser.add_argument("--models", type=int, default=50, help="archives (%(default)s)")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="density-") as directory:
        work = workload.make(Path(directory))
        names = archives.make(work.model / "model.ubj", Path(directory), options.models)
        try:
            measured = measure([Path(directory) / name for name in names], work.rows[0])
        except BenchmarkError as error:
            print(error, file=sys.stderr)
            return 1
    print(json.dumps(asdict(measured), indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
