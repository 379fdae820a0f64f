"""Starts multi-model-server with the core in it."""

import importlib.resources
import importlib.util
import math
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import NoReturn

from serving.errors import SettingError
from serving.settings import Settings

JAVA = "openjdk-17-jre-headless"
PACKAGES = {"mms": "multi-model-server", "sagemaker_inference": "sagemaker-inference"}
MAIN = "com.amazonaws.ml.mms.ModelServer"
HANDLER = "serving.hosts.mms.handler"
"""The module by its name: this process needs nothing of what it imports."""
MODEL = "model"
"""What the one model is called."""
LOG_CONFIG = Path(__file__).with_name("log4j2.xml")

PORTS = range(1, 32_767)
"""It takes no higher ones."""
MOST = 2**31 - 1
"""Its largest number."""
GRACE = 10
"""Seconds by which its time limits are longer than the core's, whose answers say more."""

NOT_THERE = {
    "repository": "models are registered at POST /models",
    "tls_certificate": "a proxy before it may speak HTTPS",
    "endpoints": "it has no SageMaker Runtime API",
    "async_output": "it has no SageMaker Runtime API",
}
"""Settings that other hosts heed and that would be expected to work, and what there is instead."""


def run(settings: Settings, folder: Path | None, environment: Mapping[str, str]) -> int:
    """Serve the model directory, or what is registered, until told to stop.

    Args:
        settings: As `serving.preparing` returns them.
        folder: Of the one model; None for a server of many.
        environment: What the server, and the models' processes, have in theirs.

    Returns:
        The exit status: 0 if it was told to stop, and the server's own if that ended by itself.

    Raises:
        SettingError: a setting means nothing to this server, or what it needs is not installed.
    """
    java = check(settings, environment)
    home = Path(str(importlib.resources.files("mms"))).parent
    with tempfile.TemporaryDirectory(prefix="mms-") as name, _told_to_stop():
        workspace = Path(name)
        if folder:
            (workspace / MODEL).symlink_to(folder.resolve())
        properties = workspace / "config.properties"
        properties.write_text(configuration(settings, workspace))
        command = [
            *(java, f"-Djava.io.tmpdir={workspace}", f"-Dmodel_server_home={home}"),
            f"-Dlog4j.configurationFile={LOG_CONFIG.as_uri()}",
            *environment.get("SAGEMAKER_MODEL_SERVER_VMARGS", "").split(),
            *("-cp", f"{home}/mms/frontend/*", MAIN),
            *("--python", sys.executable, "-f", str(properties)),
        ]
        with _group(command, {**environment, **variables(settings)}) as process:
            return process.wait()


def check(settings: Settings, environment: Mapping[str, str]) -> str:
    """Return the path of Java if this host can do all that the settings ask for.

    Raises:
        SettingError: it cannot; says what is to be changed or installed.
    """
    for name, instead in NOT_THERE.items():
        if getattr(settings, name):
            raise SettingError(f"SERVING_HOST=mms goes without the setting {name}: {instead}.")
    if settings.keys and settings.many:
        raise SettingError(
            "SERVING_HOST=mms guards one model with SERVING_KEYS, but not many: its /models asks "
            "nobody for a key."
        )
    if settings.port not in PORTS:
        raise SettingError(
            f"SERVING_HOST=mms listens on no port {settings.port}; SAGEMAKER_BIND_TO_PORT may be "
            f"from {PORTS.start} to {PORTS.stop - 1}."
        )
    if ":" in settings.bind:
        raise SettingError(
            f"SERVING_HOST=mms listens on no IPv6 address; SERVING_BIND is {settings.bind}."
        )
    missing = [name for module, name in PACKAGES.items() if not importlib.util.find_spec(module)]
    if missing:
        raise SettingError(
            f"SERVING_HOST=mms needs {' and '.join(missing)}; install with: "
            "pip install 'hybrid-serving[mms]'."
        )
    return _java(environment)


def configuration(settings: Settings, workspace: Path) -> str:
    """The server's configuration: the defaults of sagemaker-inference, then what we know better.

    The one model is a link in the workspace: the server reads commas and more in a name as its own.
    Whoever may register a model runs code. So where there is one model, nobody can over the
    network; SageMaker wants that of a server of many, at the same port.
    """
    defaults = "mme-mms.properties" if settings.many else "default-mms.properties"
    address = f"http://{settings.bind}:{settings.port}"
    seconds = math.ceil(max(settings.request_timeout, settings.startup_timeout)) + GRACE
    known = {
        "inference_address": address,
        "management_address": address if settings.many else f"unix:{workspace}/management",
        "model_store": "/",
        "load_models": "" if settings.many else f"{MODEL}={workspace / MODEL}",
        "default_service_handler": HANDLER,
        "default_workers_per_model": settings.workers,
        # The limit for a model's load is the same; the core keeps that of a request itself.
        "default_response_timeout_seconds": seconds,
        "job_queue_size": settings.max_queue,
        "max_request_size": min(settings.max_body, MOST),
        "max_response_size": MOST,
    }
    lines = [f"{name}={value}\n" for name, value in known.items() if value]
    return _toolkit().joinpath(defaults).read_text() + "".join(lines)


def variables(settings: Settings) -> dict[str, str]:
    """What the models' processes read of what was found out before the server started."""
    found = {"OMP_NUM_THREADS": str(settings.model_threads)}
    return {**found, "SAGEMAKER_SUBMIT_DIRECTORY": settings.code} if settings.code else found


def _java(environment: Mapping[str, str]) -> str:
    home = environment.get("JAVA_HOME")
    java = f"{home}/bin/java" if home else shutil.which("java", path=environment.get("PATH", ""))
    if java is None or not os.access(java, os.X_OK):
        raise SettingError(
            f"SERVING_HOST=mms needs Java, and there is no {java or 'java on the PATH'}; install "
            f"with: apt-get install {JAVA}."
        )
    return java


def _toolkit() -> Traversable:
    """The folder of what sagemaker-inference starts the server with."""
    return importlib.resources.files("sagemaker_inference") / "etc"


@contextmanager
def _told_to_stop() -> Iterator[None]:
    """While this lasts, SIGTERM and SIGINT end the program, with status 0."""

    def stop(_number: int, _frame: object) -> NoReturn:
        sys.exit(0)

    before = [(number, signal.signal(number, stop)) for number in (signal.SIGTERM, signal.SIGINT)]
    try:
        yield
    finally:
        for number, action in before:
            signal.signal(number, action)


@contextmanager
def _group(command: list[str], environment: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """A process, which is ended at last with all that it has started."""
    with subprocess.Popen(command, env=environment, process_group=0) as process:  # noqa: S603 - it is ours
        try:
            yield process
        finally:
            process.terminate()
            process.wait()
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
