"""Every setting: its names in the environment, its default, how it is read, what it means.

A field of :class:`Settings` is a setting, and its metadata say all of that; ``configuration.py``
reads them. ``serving settings``, the reference page and the error for a bad value are made from it.

SageMaker's and the AWS toolkits' variable names keep their meaning; the toolkit's own begin with
``SERVING_``. Of several names the first that is set wins.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from serving import kinds
from serving.kinds import BOOLEAN, MIB, PATH, TEXT, Kind, mebibytes, seconds, whole
from serving.machine import cpu_count, default_cache, default_sessions

__all__ = ["MIB", "Settings"]


def _setting(default: Any, kind: Kind, names: str, meaning: str, **others: Kind) -> Any:
    """A field: its default, how it is read, the variables, and what it means.

    ``others`` are further variables, which are read in another way, such as in another unit.
    """
    variables = {**dict.fromkeys(names.split(), kind), **others}
    metadata = {"kind": kind, "variables": variables, "meaning": meaning}
    if callable(default):
        return field(default_factory=default, metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings of a server. Sizes are in bytes and times in seconds.

    ``workers`` is 0 where nobody says how many; ``workforce.plan`` does when a server starts.
    """

    base_dir: Path = _setting(
        Path("/opt/ml"),
        PATH,
        "SAGEMAKER_BASE_DIR",
        "Folder under which SageMaker mounts the model, as `model`.",
    )
    model: str = _setting(
        "",
        TEXT,
        "SERVING_MODEL SM_MODEL_DIR",
        "Model directory, archive or URL; the default is `model` in the base folder.",
    )
    multi_model: bool = _setting(
        False,
        BOOLEAN,
        "SAGEMAKER_MULTI_MODEL",
        "Whether models are loaded and unloaded while the server runs.",
    )
    model_name: str = _setting(
        "model",
        TEXT,
        "SERVING_MODEL_NAME",
        "What the one model is called in the log, and by clients of the Open Inference Protocol.",
    )
    repository: str = _setting(
        "",
        TEXT,
        "SERVING_REPOSITORY",
        "Folder or address (s3://bucket/models) of archives and model directories, which clients "
        "name in X-Amzn-SageMaker-Target-Model. It makes a server of many models.",
    )
    repository_seconds: float = _setting(
        5.0,
        seconds(0, 86_400),
        "SERVING_REPOSITORY_SECONDS",
        "Longest time for which a model in use that has changed in the repository is not noticed.",
    )
    pinned: str = _setting(
        "",
        TEXT,
        "SERVING_PINNED",
        "Names of models in the repository, with commas between, that are loaded at the start and "
        "never evicted.",
    )
    model_memory: int = _setting(
        0,
        kinds.or_zero(mebibytes(1, 100_000_000)),
        "SERVING_MODEL_MEMORY_MB",
        "Memory that loaded models may take together; 0: four fifths of the container's, without "
        "what the server takes itself.",
    )
    gpu_memory: int = _setting(
        0,
        kinds.or_zero(mebibytes(1, 100_000_000)),
        "SERVING_GPU_MEMORY_MB",
        "Memory of the GPUs that loaded models may take together; 0: nine tenths of what there is.",
    )
    gpu: int = _setting(
        0,
        whole(0, 1023),
        "SERVING_GPU",
        "Number of the GPU that a model runs on, among those that its process sees. A server of "
        "many models chooses it for each, by free memory.",
    )
    region: str = _setting(
        "",
        TEXT,
        "SAGEMAKER_REGION",
        "AWS region for models at s3:// addresses and for scripts, unless AWS_DEFAULT_REGION is "
        "set.",
    )
    host: str = _setting(
        "http",
        kinds.choice("http", "mms"),
        "SERVING_HOST",
        "Server that takes the requests: `http`, this project's own, or `mms`, AWS's "
        "multi-model-server, which needs Java.",
    )
    bind: str = _setting("0.0.0.0", TEXT, "SERVING_BIND", "Address to listen on.")  # noqa: S104 - a container's port is published by whoever runs it
    port: int = _setting(8080, whole(0, 65535), "SAGEMAKER_BIND_TO_PORT", "Port to listen on.")
    further_ports: range = _setting(
        range(0),
        kinds.PORTS,
        "SAGEMAKER_SAFE_PORT_RANGE",
        "Ports for whatever else listens in the container. This server needs none besides its own, "
        "which SageMaker does not choose from these.",
    )
    base_path: str = _setting(
        "",
        TEXT,
        "SERVING_BASE_PATH AWS_LWA_REMOVE_BASE_PATH",
        "Path under which a gateway reaches a Lambda function, such as /scores; it is taken off "
        "the path of each request.",
    )
    workers: int = _setting(
        0,
        whole(1, 1024)._replace(write=lambda number: str(number or "")),
        "SAGEMAKER_MODEL_SERVER_WORKERS SAGEMAKER_NUM_MODEL_WORKERS",
        "Worker processes, each with the model loaded; by default one for each GPU or else for "
        "each CPU that this container may use, as far as its memory allows.",
    )
    min_workers: int = _setting(
        1,
        whole(1, 1024),
        "SAGEMAKER_TS_MIN_WORKERS",
        "Fewest worker processes, where their number is not set.",
    )
    max_workers: int = _setting(
        1024,
        whole(1, 1024),
        "SAGEMAKER_TS_MAX_WORKERS",
        "Most worker processes, where their number is not set.",
    )
    threads: int = _setting(
        0,
        whole(0, 1024),
        "SERVING_THREADS OMP_NUM_THREADS",
        "Threads a native library uses for one prediction; 0: the CPUs divided by the workers.",
    )
    engine: str = _setting(
        "",
        TEXT,
        "SERVING_ENGINE",
        "Engine to load the model with (xgboost, onnx, torch, neuron), where its files fit "
        "several. Of an XGBoost model that is converted, too: xgboost or onnx alone; by default "
        "the faster one for each number of rows.",
    )
    program: str = _setting(
        "inference.py",
        TEXT,
        "SAGEMAKER_PROGRAM",
        "Name of the user's script in its folder.",
    )
    code: str = _setting(
        "",
        TEXT,
        "SAGEMAKER_SUBMIT_DIRECTORY",
        "Folder of the user's script and its requirements, or an archive or URL of one; by default "
        "`code` in the model directory.",
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
        kinds.ANYTHING,
        "SAGEMAKER_BATCH",
        "Set by batch transform, to anything: answers are parts of one file.",
    )
    max_body: int = _setting(
        25 * MIB,
        kinds.size_limit(mebibytes(0.001, 100_000)),
        "SAGEMAKER_MAX_PAYLOAD_IN_MB",
        "Largest request body; larger ones are answered 413.",
        MAX_CONTENT_LENGTH=kinds.in_bytes(1, 100_000 * MIB),
        SAGEMAKER_MAX_REQUEST_SIZE=kinds.in_bytes(1, 100_000 * MIB),
    )
    max_head: int = _setting(
        64 * 1024,
        kinds.in_bytes(1024, 16 * MIB),
        "SERVING_MAX_HEAD_BYTES",
        "Largest request line and header section together.",
    )
    max_batch_rows: int = _setting(
        1024,
        whole(1, 1_000_000),
        "SERVING_MAX_BATCH_ROWS SAGEMAKER_TS_BATCH_SIZE",
        "Most rows stacked into one call of the model.",
    )
    max_queue: int = _setting(
        1000,
        whole(1, 1_000_000),
        "SERVING_MAX_QUEUE SAGEMAKER_MODEL_JOB_QUEUE_SIZE",
        "Most requests waiting for the model in a worker; further ones are answered 503.",
    )
    request_timeout: float = _setting(
        60.0,
        seconds(0.1, 86_400),
        "SAGEMAKER_MODEL_SERVER_TIMEOUT_SECONDS SAGEMAKER_MODEL_SERVER_TIMEOUT "
        "SAGEMAKER_TS_RESPONSE_TIMEOUT",
        "Time a request may take, waiting included; then it is answered 504.",
    )
    startup_timeout: float = _setting(
        600.0,
        seconds(0.1, 86_400),
        "SAGEMAKER_STARTUP_TIMEOUT",
        "Time the model has to load; then /ping says that it failed to.",
    )
    receive_timeout: float = _setting(
        30.0,
        seconds(0.1, 86_400),
        "SERVING_RECEIVE_TIMEOUT",
        "Longest silence while a request is being received; then it is answered 408.",
    )
    idle_timeout: float = _setting(
        75.0,
        seconds(0.1, 86_400),
        "SERVING_IDLE_TIMEOUT",
        "Time a connection may stay open between requests.",
    )
    drain_timeout: float = _setting(
        25.0,
        seconds(0, 86_400),
        "SERVING_DRAIN_TIMEOUT",
        "Time running requests have to finish after SIGTERM. SageMaker kills after 30.",
    )
    cache: Path = _setting(
        default_cache,
        PATH,
        "SERVING_CACHE",
        "Folder for downloaded and unpacked archives, by default in the user's cache folder or, "
        "where that cannot be written, in the temporary one.",
    )
    max_unpacked: int = _setting(
        20 * 1024 * MIB,
        mebibytes(1, 10_000_000),
        "SERVING_MAX_UNPACKED_MB",
        "Largest size an archive may unpack to.",
    )
    sessions: bool = _setting(
        False,
        BOOLEAN,
        "SAGEMAKER_ENABLE_STATEFUL_SESSIONS",
        "Whether clients may open sessions, in which a script keeps values between requests.",
    )
    sessions_expiration: float = _setting(
        1200.0,
        seconds(1, 31_536_000),
        "SAGEMAKER_SESSIONS_EXPIRATION",
        "Time after which a session ends, from its creation.",
    )
    sessions_path: Path = _setting(
        default_sessions,
        PATH,
        "SAGEMAKER_SESSIONS_PATH",
        "Folder that the workers share for the values of sessions; shared memory by default.",
    )
    canary: str = _setting(
        "",
        TEXT,
        "SERVING_CANARY",
        "File with the body of a request, in the model directory or by its absolute path. The "
        "server asks its own model with it, and /ping is bad while it is not answered well.",
    )
    canary_content_type: str = _setting(
        "",
        TEXT,
        "SERVING_CANARY_CONTENT_TYPE",
        "Content-Type of that request; by default from the file's suffix.",
    )
    canary_seconds: float = _setting(
        30.0,
        seconds(0.1, 86_400),
        "SERVING_CANARY_SECONDS",
        "Time from an answer to that request to the next asking, and the longest an answer may "
        "take.",
    )
    keys: str = _setting(
        "",
        TEXT,
        "SERVING_KEYS",
        "File of the keys that clients have to have, in TOML. Without one, whoever reaches the "
        "server may use it.",
    )
    tls_certificate: str = _setting(
        "",
        TEXT,
        "SERVING_TLS_CERTIFICATE",
        "PEM file of the server's certificate, with those that lead to its root below it. With "
        "one, the server speaks HTTPS.",
    )
    tls_key: str = _setting(
        "",
        TEXT,
        "SERVING_TLS_KEY",
        "PEM file of the certificate's private key, where the certificate's own does not hold it.",
    )
    tls_client_ca: str = _setting(
        "",
        TEXT,
        "SERVING_TLS_CLIENT_CA",
        "PEM file of the authorities one of which every client has to have its certificate from; "
        "by default clients need none.",
    )
    endpoints: str = _setting(
        "",
        TEXT,
        "SERVING_ENDPOINTS",
        "TOML or JSON file of the endpoints that clients of the SageMaker Runtime API name, with "
        "their variants. Without one, any endpoint reaches the model.",
    )
    async_output: str = _setting(
        "",
        TEXT,
        "SERVING_ASYNC_OUTPUT",
        "Folder or address (s3://bucket/answers) for the answers to asynchronous invocations, "
        "which are refused if it is not set.",
    )
    async_failures: str = _setting(
        "",
        TEXT,
        "SERVING_ASYNC_FAILURES",
        "Folder or address for the errors of asynchronous invocations; by default that of their "
        "answers.",
    )
    async_inputs: str = _setting(
        "",
        TEXT,
        "SERVING_ASYNC_INPUTS",
        "Folders and addresses, with commas between, in which the inputs that asynchronous "
        "invocations name may lie; by default that of their answers.",
    )
    async_spool: str = _setting(
        "",
        TEXT,
        "SERVING_ASYNC_SPOOL",
        "Folder on this machine in which asynchronous invocations wait, and outlive the server; by "
        "default `.spool` in that of their answers or, where that is an address, `async-spool` in "
        "the cache.",
    )
    async_concurrency: int = _setting(
        4,
        whole(1, 1000),
        "SERVING_ASYNC_CONCURRENCY",
        "Asynchronous invocations that this server works on at once, as SageMaker's "
        "MaxConcurrentInvocationsPerInstance.",
    )
    log_level: int = _setting(
        20,
        kinds.LOG_LEVEL,
        "SAGEMAKER_CONTAINER_LOG_LEVEL",
        "Least severe log records that are written.",
        AWS_LAMBDA_LOG_LEVEL=kinds.LOG_LEVEL,
    )
    log_format: str = _setting(
        "text",
        kinds.choice("text", "json"),
        "SERVING_LOG_FORMAT",
        "Form of the log: lines for people, or one JSON object a line.",
        AWS_LAMBDA_LOG_FORMAT=kinds.any_case(kinds.choice("text", "json")),
    )
    access_log: bool = _setting(
        False,
        BOOLEAN,
        "SERVING_ACCESS_LOG",
        "Write a line to the log for each request but those for /ping.",
    )
    emf_namespace: str = _setting(
        "",
        TEXT,
        "SERVING_EMF_NAMESPACE",
        "CloudWatch namespace. If it is set, each worker writes its metrics to standard output in "
        "CloudWatch's embedded metric format.",
    )
    emf_interval: float = _setting(
        60.0,
        seconds(1, 86_400),
        "SERVING_EMF_INTERVAL",
        "Time between two such lines.",
    )

    @property
    def many(self) -> bool:
        """Whether this is a server of many models."""
        return self.multi_model or bool(self.repository)

    @property
    def model_source(self) -> str:
        """Where the model comes from: a directory, an archive or a URL."""
        return self.model or str(self.base_dir / "model")

    @property
    def model_threads(self) -> int:
        """Threads a native library uses for one prediction, at least 1."""
        return self.threads or max(1, cpu_count() // max(1, self.workers))

    def code_folder(self, model: Path) -> Path:
        """Where the user's script lies that belongs to the model directory ``model``.

        What SageMaker's SDK names is the folder in the model, wherever that lies here.
        """
        sdks = f"{self.base_dir}/model/code"
        named = self.code.removeprefix("file://").rstrip("/")
        return Path(named) if named not in ("", sdks) else model / "code"
