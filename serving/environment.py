"""Variables of AWS's toolkits that mean nothing here, and what to use instead."""

from collections.abc import Mapping

JAVA = "there is no Java here"

INSTEAD = {
    "CA_REPOSITORY_ARN": "to install a script's requirements from CodeArtifact, set PIP_INDEX_URL "
    "to the repository's address with its token",
    "SAGEMAKER_DISABLE_CONTAINER_SUPPORT": f"{JAVA}; the CPUs and the memory of the container are "
    "always heeded, and SAGEMAKER_MODEL_SERVER_WORKERS sets another number of workers",
    "SAGEMAKER_HANDLER": "a script's functions take the place of a handler; SAGEMAKER_PROGRAM "
    "names the script",
    "SAGEMAKER_INFERENCE_ACCELERATOR_PRESENT": "AWS has ended Elastic Inference; a GPU is used "
    "where there is one",
    "SAGEMAKER_MAX_DIRECT_MEMORY_SIZE": f"{JAVA}; limit the container's memory, and the size of a "
    "request with SAGEMAKER_MAX_PAYLOAD_IN_MB",
    "SAGEMAKER_MAX_HEAP_SIZE": f"{JAVA}; limit the container's memory",
    "SAGEMAKER_MODEL_SERVER_VMARGS": f"{JAVA}; limit the container's memory, and set workers and "
    "threads with SAGEMAKER_MODEL_SERVER_WORKERS and SERVING_THREADS",
    "SAGEMAKER_SERVING_MODULE": "a script's functions take the place of a serving module; "
    "SAGEMAKER_PROGRAM names the script",
    "SAGEMAKER_TS_MAX_BATCH_DELAY": "requests never wait for others to come: those that wait for "
    "the model are its next batch, of at most SERVING_MAX_BATCH_ROWS rows",
    "SAGEMAKER_USE_NGINX": "this server needs no nginx before it; SERVING_RECEIVE_TIMEOUT and "
    "SAGEMAKER_MAX_PAYLOAD_IN_MB limit what clients may do",
    "XGBOOST_MMS_CONFIG": "there is no Multi Model Server here; `serving settings` lists what can "
    "be set",
}
"""The variables by name."""


HEEDED = {"mms": frozenset({"SAGEMAKER_MODEL_SERVER_VMARGS"})}
"""Those that mean something where the setting `host` is another than usual."""


def unheeded(environment: Mapping[str, str], host: str = "http") -> list[str]:
    """A sentence about each variable that is set and means nothing to the server, the ``host``."""
    return [
        f"{name} is set and means nothing to this server: {instead}."
        for name, instead in INSTEAD.items()
        if environment.get(name, "") != "" and name not in HEEDED.get(host, ())
    ]
