"""Every setting: read once, from a mapping that is passed in, into one frozen object.

A field of :class:`Settings` is a setting; its metadata says under which names the environment
carries it, how it is read, and what it means. The command line's help, ``serving settings`` and
the error for a bad value are all made from that.

SageMaker's and the AWS toolkits' variable names keep their meaning; the toolkit's own begin with
``SERVING_``. Of several names the first that is set wins.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, NamedTuple

from serving.errors import SettingError
from serving.machine import cpu_count, default_cache

MIB = 1024 * 1024


class Kind(NamedTuple):
    """How the text of a setting becomes its value."""

    read: Callable[[str], Any]
    """Raises ValueError for text that is not allowed."""
    allowed: str
    """What is allowed, for the error message."""


def _boolean(text: str) -> bool:
    return {
        "true": True,
        "1": True,
        "yes": True,
        "false": False,
        "0": False,
        "no": False,
        "": False,
    }[text.strip().lower()]


def _number(low: float, high: float, convert: Callable[[str], Any]) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        value = convert(text)
        if not low <= value <= high:
            raise ValueError(text)
        return value

    return read


def _whole(low: int, high: int) -> Kind:
    return Kind(_number(low, high, int), f"a whole number from {low:,} to {high:,}")


def _seconds(low: float, high: float) -> Kind:
    return Kind(_number(low, high, float), f"a number of seconds from {low:,} to {high:,}")


def _mebibytes(low: float, high: float) -> Kind:
    read = _number(low, high, float)
    return Kind(lambda text: int(read(text) * MIB), f"a number of MiB from {low:,} to {high:,}")


BOOLEAN = Kind(_boolean, "true or false")
TEXT = Kind(str, "text")
PATH = Kind(Path, "a path")


def _log_level(text: str) -> int:
    named = {"debug": 10, "info": 20, "warning": 30, "warn": 30, "error": 40, "critical": 50}
    return named.get(text.strip().lower()) or int(text)


def _setting(default: Any, kind: Kind, names: str, meaning: str) -> Any:
    metadata = {"kind": kind, "names": tuple(names.split()), "meaning": meaning}
    if callable(default):
        return field(default_factory=default, metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings of a server. Sizes are in bytes and times in seconds."""

    base_dir: Path = _setting(
        lambda: Path("/opt/ml"),
        PATH,
        "SAGEMAKER_BASE_DIR",
        "Folder under which SageMaker mounts the model, as `model`.",
    )
    model: str = _setting(
        "",
        TEXT,
        "SERVING_MODEL",
        "Model directory, archive or URL; the default is `model` in the base folder.",
    )
    bind: str = _setting("0.0.0.0", TEXT, "SERVING_BIND", "Address to listen on.")  # noqa: S104 - a container's port is published by whoever runs it
    port: int = _setting(8080, _whole(0, 65535), "SAGEMAKER_BIND_TO_PORT", "Port to listen on.")
    workers: int = _setting(
        cpu_count,
        _whole(1, 1024),
        "SAGEMAKER_MODEL_SERVER_WORKERS",
        "Worker processes, each with the model loaded; the default is the CPUs this container may "
        "use.",
    )
    threads: int = _setting(
        0,
        _whole(0, 1024),
        "SERVING_THREADS OMP_NUM_THREADS",
        "Threads a native library uses for one prediction; 0: the CPUs divided by the workers.",
    )
    engine: str = _setting(
        "",
        TEXT,
        "SERVING_ENGINE",
        "Engine to load the model with (xgboost, onnx, torch), where its files fit several.",
    )
    program: str = _setting(
        "inference.py",
        TEXT,
        "SAGEMAKER_PROGRAM",
        "Name of the user's script in the model's `code` folder.",
    )
    default_accept: str = _setting(
        "",
        TEXT,
        "SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT",
        "Media type of answers to clients that name none; empty: the engine's own default.",
    )
    allow_pickle: bool = _setting(
        False,
        BOOLEAN,
        "SERVING_ALLOW_PICKLE",
        "Load model files that are Python pickles. A pickle runs code when it is loaded: allow it "
        "only for models you made yourself.",
    )
    inference_output: str = _setting(
        "",
        TEXT,
        "SAGEMAKER_INFERENCE_OUTPUT",
        "Keys of an XGBoost model's answers, with commas between: predicted_label, labels, "
        "probability, probabilities, raw_score, raw_scores, predicted_score.",
    )
    ensemble: bool = _setting(
        True,
        BOOLEAN,
        "SAGEMAKER_INFERENCE_ENSEMBLE",
        "Whether several XGBoost models in one directory answer together; else the first does.",
    )
    batch: bool = _setting(
        False,
        Kind(bool, "anything"),
        "SAGEMAKER_BATCH",
        "Set by batch transform, to anything: answers are parts of one file.",
    )
    max_body: int = _setting(
        25 * MIB,
        _mebibytes(0.001, 100_000),
        "SAGEMAKER_MAX_PAYLOAD_IN_MB",
        "Largest request body, in MiB; larger ones are answered 413.",
    )
    max_head: int = _setting(
        64 * 1024,
        _whole(1024, 16 * MIB),
        "SERVING_MAX_HEAD_BYTES",
        "Largest request line and header section together, in bytes.",
    )
    max_batch_rows: int = _setting(
        1024,
        _whole(1, 1_000_000),
        "SERVING_MAX_BATCH_ROWS",
        "Most rows stacked into one call of the model.",
    )
    max_queue: int = _setting(
        1000,
        _whole(1, 1_000_000),
        "SERVING_MAX_QUEUE SAGEMAKER_MODEL_JOB_QUEUE_SIZE",
        "Most requests waiting for the model in a worker; further ones are answered 503.",
    )
    request_timeout: float = _setting(
        60.0,
        _seconds(0.1, 86_400),
        "SAGEMAKER_MODEL_SERVER_TIMEOUT_SECONDS SAGEMAKER_MODEL_SERVER_TIMEOUT",
        "Time a request may take, waiting included; then it is answered 504.",
    )
    receive_timeout: float = _setting(
        30.0,
        _seconds(0.1, 86_400),
        "SERVING_RECEIVE_TIMEOUT",
        "Longest silence while a request is being received; then it is answered 408.",
    )
    idle_timeout: float = _setting(
        75.0,
        _seconds(0.1, 86_400),
        "SERVING_IDLE_TIMEOUT",
        "Time a connection may stay open between requests.",
    )
    drain_timeout: float = _setting(
        25.0,
        _seconds(0, 86_400),
        "SERVING_DRAIN_TIMEOUT",
        "Time running requests have to finish after SIGTERM. SageMaker kills after 30.",
    )
    cache: Path = _setting(
        default_cache,
        PATH,
        "SERVING_CACHE",
        "Folder for downloaded and unpacked archives.",
    )
    max_unpacked: int = _setting(
        20 * 1024 * MIB,
        _mebibytes(1, 10_000_000),
        "SERVING_MAX_UNPACKED_MB",
        "Largest size an archive may unpack to, in MiB.",
    )
    log_level: int = _setting(
        20,
        Kind(_log_level, "a number (20 is info) or debug, info, warning, error"),
        "SAGEMAKER_CONTAINER_LOG_LEVEL",
        "Least severe log records that are written.",
    )

    @property
    def model_source(self) -> str:
        """Where the model comes from: a directory, an archive or a URL."""
        return self.model or str(self.base_dir / "model")

    @property
    def model_threads(self) -> int:
        """Threads a native library uses for one prediction, at least 1."""
        return self.threads or max(1, cpu_count() // self.workers)


class Origin(NamedTuple):
    """A setting as it stands, and why."""

    name: str
    value: Any
    source: str
    """``command line``, the variable's name, or ``default``."""
    variables: tuple[str, ...]
    meaning: str


def read(environment: Mapping[str, str], **given: Any) -> Settings:
    """Settings from an environment; ``given`` are the command line's, and win over it.

    Raises:
        SettingError: a variable's value is not allowed; names it, the value and what is allowed.
    """
    values = {name: value for name, value in given.items() if value is not None}
    for item in fields(Settings):
        name = _variable(item.metadata["names"], environment)
        if name and item.name not in values:
            values[item.name] = _read(item.metadata["kind"], name, environment[name])
    return Settings(**values)


def parse(setting: str, name: str, text: str) -> Any:
    """The value of a setting from text that came under another name, such as an option's.

    Raises:
        SettingError: the value is not allowed.
    """
    kinds = {item.name: item.metadata["kind"] for item in fields(Settings)}
    return _read(kinds[setting], name, text)


def explain(environment: Mapping[str, str], **given: Any) -> list[Origin]:
    """Every setting with its value and where it came from. Raises as :func:`read` does."""
    settings = read(environment, **given)
    origins = []
    for item in fields(Settings):
        names = item.metadata["names"]
        source = _variable(names, environment) or "default"
        if given.get(item.name) is not None:
            source = "command line"
        value = getattr(settings, item.name)
        origins.append(Origin(item.name, value, source, names, item.metadata["meaning"]))
    return origins


def _variable(names: tuple[str, ...], environment: Mapping[str, str]) -> str | None:
    return next((name for name in names if environment.get(name, "") != ""), None)


def _read(kind: Kind, name: str, text: str) -> Any:
    try:
        return kind.read(text)
    except (ValueError, KeyError, OverflowError):
        raise SettingError(f"{name}={text!r} is not allowed; it takes {kind.allowed}.") from None
