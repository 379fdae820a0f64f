"""What is said about variables that mean nothing here."""

from dataclasses import fields

import pytest

from serving.environment import INSTEAD, unheeded
from serving.settings import Settings


@pytest.mark.parametrize("name", INSTEAD)
def test_a_variable_that_means_nothing_is_named_with_what_to_use_instead(name: str) -> None:
    assert unheeded({name: "1", "PATH": "/bin"}) == [
        f"{name} is set and means nothing to this server: {INSTEAD[name]}."
    ]


def test_nothing_is_said_about_what_is_not_set() -> None:
    assert unheeded({"SAGEMAKER_USE_NGINX": "", "SAGEMAKER_PROGRAM": "inference.py"}) == []


def test_what_another_host_heeds_is_not_named_there() -> None:
    variables = {"SAGEMAKER_MODEL_SERVER_VMARGS": "-Xmx1g", "SAGEMAKER_USE_NGINX": "true"}
    assert len(unheeded(variables)) == 2
    (left,) = unheeded(variables, "mms")
    assert left.startswith("SAGEMAKER_USE_NGINX ")


def test_no_setting_is_said_to_mean_nothing() -> None:
    known = {name for field in fields(Settings) for name in field.metadata["variables"]}
    assert not known & INSTEAD.keys()


def test_each_variable_of_the_toolkits_is_a_setting_or_named() -> None:
    """Those of sagemaker-inference, sagemaker-containers, and the PyTorch and XGBoost images."""
    known = {name for field in fields(Settings) for name in field.metadata["variables"]}
    assert {
        *("SAGEMAKER_BASE_DIR", "SAGEMAKER_PROGRAM", "SAGEMAKER_SUBMIT_DIRECTORY"),
        *("SAGEMAKER_CONTAINER_LOG_LEVEL", "SAGEMAKER_REGION", "SM_MODEL_DIR"),
        *("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT", "SAGEMAKER_MODEL_SERVER_WORKERS"),
        *("SAGEMAKER_MODEL_SERVER_TIMEOUT", "SAGEMAKER_MODEL_SERVER_TIMEOUT_SECONDS"),
        *("SAGEMAKER_STARTUP_TIMEOUT", "SAGEMAKER_MODEL_SERVER_VMARGS"),
        *("SAGEMAKER_MAX_PAYLOAD_IN_MB", "SAGEMAKER_BIND_TO_PORT", "SAGEMAKER_SAFE_PORT_RANGE"),
        *("SAGEMAKER_MULTI_MODEL", "SAGEMAKER_HANDLER", "CA_REPOSITORY_ARN"),
        *("SAGEMAKER_TS_BATCH_SIZE", "SAGEMAKER_TS_MAX_BATCH_DELAY", "SAGEMAKER_TS_MIN_WORKERS"),
        *("SAGEMAKER_TS_MAX_WORKERS", "SAGEMAKER_TS_RESPONSE_TIMEOUT"),
        *("SAGEMAKER_INFERENCE_ACCELERATOR_PRESENT", "SAGEMAKER_USE_NGINX"),
        *("SAGEMAKER_SERVING_MODULE", "SAGEMAKER_BATCH", "SAGEMAKER_INFERENCE_OUTPUT"),
        *("SAGEMAKER_INFERENCE_ENSEMBLE", "MAX_CONTENT_LENGTH", "OMP_NUM_THREADS"),
        *("SAGEMAKER_NUM_MODEL_WORKERS", "SAGEMAKER_MODEL_JOB_QUEUE_SIZE"),
        *("SAGEMAKER_MAX_REQUEST_SIZE", "SAGEMAKER_MAX_HEAP_SIZE"),
        *("SAGEMAKER_MAX_DIRECT_MEMORY_SIZE", "SAGEMAKER_DISABLE_CONTAINER_SUPPORT"),
        "XGBOOST_MMS_CONFIG",
    } <= known | INSTEAD.keys()
