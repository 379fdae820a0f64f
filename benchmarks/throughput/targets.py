"""What is measured: how each target is started on a port, and how it is stopped."""

import http.client
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from string import Template
from typing import NamedTuple

from benchmarks.throughput import BenchmarkError
from benchmarks.throughput.workload import Workload
from serving.processes import memory

WORKERS = 2
START_SECONDS = 60.0
STOP_SECONDS = 15.0
POLL_SECONDS = 0.01
PORTS = range(20_000, 32_767)
"""Linux gives out higher ones by itself; multi-model-server takes no higher ones."""
PACKAGES = {"java": "openjdk-17-jre-headless"}
"""Debian's, by program, where the names differ."""
HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]


class Target(NamedTuple):
    """A server process that answers ``POST /invocations`` on 127.0.0.1."""

    name: str
    command: Callable[[int], list[str]]
    """The command line for a port."""
    predicts: bool = True
    """False: it answers the first row's prediction, whatever it is sent."""
    variables: tuple[tuple[str, str], ...] = ()
    """Environment variables of its own."""
    ready: str = "/ping"
    """The path that answers 200 once it is ready."""
    folder: Path = REPOSITORY
    """Where it runs."""


class Started(NamedTuple):
    """A target that runs."""

    port: int
    pid: int
    began: float
    """When its process was started, by ``time.perf_counter``."""


def serving(workload: Workload) -> Target:
    """Return the server of this repository, as installed beside the running interpreter."""
    script = Path(sys.executable).with_name("serving")
    if not script.exists():
        raise BenchmarkError(f"{script} is missing: install the project into this environment.")

    def command(port: int) -> list[str]:
        address = ["--bind", "127.0.0.1", "--port", str(port)]
        return [str(script), "serve", str(workload.model), *address, "--workers", str(WORKERS)]

    return Target("serving", command)


def baseline(workload: Workload, threads: int) -> Target:
    """Return the Flask application on gunicorn's threaded worker, ``threads`` a worker."""
    model_file = str(workload.model / "model.ubj")

    def command(port: int) -> list[str]:
        return [
            *(sys.executable, "-m", "gunicorn", "--bind", f"127.0.0.1:{port}"),
            *("--worker-class", "gthread", "--workers", str(WORKERS), "--threads", str(threads)),
            # A listening socket a worker: one worker must not take all of a few connections.
            *(
                "--reuse-port",
                "--keep-alive",
                "60",
                "--no-control-socket",
                "--log-level",
                "warning",
            ),
            f"benchmarks.throughput.baseline:create_app({model_file!r})",
        ]

    return Target("baseline", command)


def nginx(workload: Workload, directory: Path) -> Target:
    """Return nginx with a constant of a prediction's size; its files lie in ``directory``."""
    template = Template((HERE / "nginx.conf").read_text())
    program = executable("nginx")
    prefix = directory / "nginx"
    prefix.mkdir()

    def command(port: int) -> list[str]:
        config = prefix / "nginx.conf"
        body = str(workload.predictions[0])
        config.write_text(template.substitute(workers=WORKERS, port=port, body=body))
        return [program, "-p", str(prefix), "-c", str(config), "-e", "stderr"]

    return Target("nginx", command, predicts=False)


def executable(name: str) -> str:
    """Path of a program that a package of Debian installs.

    Raises:
        BenchmarkError: it is not there; says which package has it.
    """
    # Debian installs nginx in /usr/sbin, which is not on every user's PATH.
    path = shutil.which(name, path=os.environ.get("PATH", os.defpath) + ":/usr/sbin")
    if path is None:
        raise BenchmarkError(f"{name} is missing: apt-get install {PACKAGES.get(name, name)}")
    return path


@contextmanager
def running(target: Target, directory: Path) -> Iterator[int]:
    """Start a target, wait until it answers, give its port, and leave no process behind."""
    with started(target, directory) as server:
        yield server.port


@contextmanager
def started(target: Target, directory: Path, port: int | None = None) -> Iterator[Started]:
    """Start a target and wait until it answers; no process is left behind.

    Args:
        target: What to start.
        directory: Where its output goes.
        port: The one it is to have; by default any that is free.
    """
    port = port or free_port()
    log = directory / f"{target.name}.log"
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(directory),
        "LANG": "C.UTF-8",
        "OMP_NUM_THREADS": "1",
        **dict(target.variables),
    }
    command = target.command(port)
    with log.open("wb") as output:
        began = time.perf_counter()
        try:
            process = subprocess.Popen(
                command,
                cwd=target.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            raise BenchmarkError(f"{target.name} cannot be started: {error}") from error
    try:
        _wait_until_ready(target, process, port, log)
        yield Started(port, process.pid, began)
    finally:
        _stop(process)


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on."""
    return free_ports(1)[0]


def free_ports(count: int) -> list[int]:
    """Return so many ports of 127.0.0.1 that nobody listens on."""
    found: list[int] = []
    with ExitStack() as probes:
        for port in random.sample(PORTS, len(PORTS)):
            probe = probes.enter_context(socket.socket())
            with suppress(OSError):
                probe.bind(("127.0.0.1", port))
                found.append(port)
            if len(found) == count:
                return found
    raise BenchmarkError(f"{count} ports from {PORTS.start} to {PORTS.stop - 1} are not free.")


def _wait_until_ready(
    target: Target, process: subprocess.Popen[bytes], port: int, log: Path
) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not _answers(port, target.ready):
        if process.poll() is not None:
            reason = f"ended with status {process.returncode}"
        elif time.monotonic() > deadline:
            reason = f"did not answer {target.ready} within {START_SECONDS:.0f} seconds"
        else:
            time.sleep(POLL_SECONDS)
            continue
        tail = log.read_text(errors="replace")[-4000:]
        raise BenchmarkError(f"{target.name} {reason}. Its output:\n{tail}")


def _answers(port: int, path: str) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _stop(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM to the master, time to drain, then SIGKILL to whatever is left of what it started."""
    started = set(memory.tree(process.pid))
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(STOP_SECONDS)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    # Those that have made sessions of their own; nobody else got such a number in this moment.
    for pid in started - {process.pid}:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
