"""Settings: every variable, its rules, and where a value came from."""

import math
from dataclasses import FrozenInstanceError, fields
from pathlib import Path
from typing import Any

import pytest

from serving import settings
from serving.configuration import explain, parse, read
from serving.errors import SettingError
from serving.kinds import NO_LIMIT
from serving.settings import MIB, Settings

VALUES: list[tuple[str, str, str, Any]] = [
    ("base_dir", "SAGEMAKER_BASE_DIR", "/srv/ml", Path("/srv/ml")),
    ("model", "SERVING_MODEL", "s3://bucket/model.tar.gz", "s3://bucket/model.tar.gz"),
    ("model", "SM_MODEL_DIR", "/opt/ml/model", "/opt/ml/model"),
    ("multi_model", "SAGEMAKER_MULTI_MODEL", "true", True),
    ("repository", "SERVING_REPOSITORY", "s3://bucket/models", "s3://bucket/models"),
    ("repository_seconds", "SERVING_REPOSITORY_SECONDS", "60", 60.0),
    ("pinned", "SERVING_PINNED", "a.tar.gz, b.tar.gz", "a.tar.gz, b.tar.gz"),
    ("model_name", "SERVING_MODEL_NAME", "churn", "churn"),
    ("model_memory", "SERVING_MODEL_MEMORY_MB", "512", 512 * MIB),
    ("model_memory", "SERVING_MODEL_MEMORY_MB", "0", 0),
    ("gpu_memory", "SERVING_GPU_MEMORY_MB", "20000", 20000 * MIB),
    ("gpu_memory", "SERVING_GPU_MEMORY_MB", "0", 0),
    ("gpu", "SERVING_GPU", "1", 1),
    ("region", "SAGEMAKER_REGION", "eu-central-1", "eu-central-1"),
    ("host", "SERVING_HOST", "mms", "mms"),
    ("bind", "SERVING_BIND", "127.0.0.1", "127.0.0.1"),
    ("port", "SAGEMAKER_BIND_TO_PORT", "9000", 9000),
    ("further_ports", "SAGEMAKER_SAFE_PORT_RANGE", "9000-9999", range(9000, 10000)),
    ("base_path", "SERVING_BASE_PATH", "/scores", "/scores"),
    ("base_path", "AWS_LWA_REMOVE_BASE_PATH", "/scores", "/scores"),
    ("workers", "SAGEMAKER_MODEL_SERVER_WORKERS", "3", 3),
    ("workers", "SAGEMAKER_NUM_MODEL_WORKERS", "2", 2),
    ("min_workers", "SAGEMAKER_TS_MIN_WORKERS", "2", 2),
    ("max_workers", "SAGEMAKER_TS_MAX_WORKERS", "4", 4),
    ("threads", "SERVING_THREADS", "4", 4),
    ("threads", "OMP_NUM_THREADS", "2", 2),
    ("engine", "SERVING_ENGINE", "onnx", "onnx"),
    ("program", "SAGEMAKER_PROGRAM", "serve.py", "serve.py"),
    ("code", "SAGEMAKER_SUBMIT_DIRECTORY", "/opt/ml/model/code", "/opt/ml/model/code"),
    ("default_accept", "SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT", "text/csv", "text/csv"),
    ("allow_pickle", "SERVING_ALLOW_PICKLE", "true", True),
    ("inference_output", "SAGEMAKER_INFERENCE_OUTPUT", "labels", "labels"),
    ("ensemble", "SAGEMAKER_INFERENCE_ENSEMBLE", "false", False),
    ("batch", "SAGEMAKER_BATCH", "True", True),
    ("batch", "SAGEMAKER_BATCH", "false", True),
    ("max_body", "SAGEMAKER_MAX_PAYLOAD_IN_MB", "6", 6 * MIB),
    ("max_body", "SAGEMAKER_MAX_PAYLOAD_IN_MB", "0.5", MIB // 2),
    ("max_body", "SAGEMAKER_MAX_PAYLOAD_IN_MB", "0", NO_LIMIT),
    ("max_body", "MAX_CONTENT_LENGTH", "6291456", 6 * MIB),
    ("max_body", "SAGEMAKER_MAX_REQUEST_SIZE", "6553500", 6553500),
    ("max_head", "SERVING_MAX_HEAD_BYTES", "8192", 8192),
    ("max_batch_rows", "SERVING_MAX_BATCH_ROWS", "64", 64),
    ("max_batch_rows", "SAGEMAKER_TS_BATCH_SIZE", "8", 8),
    ("max_queue", "SERVING_MAX_QUEUE", "7", 7),
    ("max_queue", "SAGEMAKER_MODEL_JOB_QUEUE_SIZE", "100", 100),
    ("request_timeout", "SAGEMAKER_MODEL_SERVER_TIMEOUT_SECONDS", "1.5", 1.5),
    ("request_timeout", "SAGEMAKER_MODEL_SERVER_TIMEOUT", "20", 20.0),
    ("request_timeout", "SAGEMAKER_TS_RESPONSE_TIMEOUT", "30", 30.0),
    ("startup_timeout", "SAGEMAKER_STARTUP_TIMEOUT", "300", 300.0),
    ("receive_timeout", "SERVING_RECEIVE_TIMEOUT", "5", 5.0),
    ("idle_timeout", "SERVING_IDLE_TIMEOUT", "5", 5.0),
    ("drain_timeout", "SERVING_DRAIN_TIMEOUT", "0", 0.0),
    ("cache", "SERVING_CACHE", "/var/cache/models", Path("/var/cache/models")),
    ("max_unpacked", "SERVING_MAX_UNPACKED_MB", "100", 100 * MIB),
    ("sessions", "SAGEMAKER_ENABLE_STATEFUL_SESSIONS", "1", True),
    ("sessions_expiration", "SAGEMAKER_SESSIONS_EXPIRATION", "60", 60.0),
    ("sessions_path", "SAGEMAKER_SESSIONS_PATH", "/srv/sessions", Path("/srv/sessions")),
    ("canary", "SERVING_CANARY", "sample.csv", "sample.csv"),
    ("canary_content_type", "SERVING_CANARY_CONTENT_TYPE", "text/csv", "text/csv"),
    ("canary_seconds", "SERVING_CANARY_SECONDS", "5", 5.0),
    ("log_level", "SAGEMAKER_CONTAINER_LOG_LEVEL", "10", 10),
    ("log_level", "SAGEMAKER_CONTAINER_LOG_LEVEL", "Warning", 30),
    ("log_level", "AWS_LAMBDA_LOG_LEVEL", "TRACE", 5),
    ("log_level", "AWS_LAMBDA_LOG_LEVEL", "FATAL", 50),
    ("log_format", "SERVING_LOG_FORMAT", "json", "json"),
    ("log_format", "AWS_LAMBDA_LOG_FORMAT", "JSON", "json"),
    ("log_format", "AWS_LAMBDA_LOG_FORMAT", "Text", "text"),
    ("access_log", "SERVING_ACCESS_LOG", "true", True),
    ("emf_namespace", "SERVING_EMF_NAMESPACE", "Models", "Models"),
    ("emf_interval", "SERVING_EMF_INTERVAL", "10", 10.0),
    ("keys", "SERVING_KEYS", "/run/secrets/keys.toml", "/run/secrets/keys.toml"),
    ("tls_certificate", "SERVING_TLS_CERTIFICATE", "/tls/cert.pem", "/tls/cert.pem"),
    ("tls_key", "SERVING_TLS_KEY", "/tls/key.pem", "/tls/key.pem"),
    ("tls_client_ca", "SERVING_TLS_CLIENT_CA", "/tls/ca.pem", "/tls/ca.pem"),
    ("endpoints", "SERVING_ENDPOINTS", "endpoints.toml", "endpoints.toml"),
    ("async_output", "SERVING_ASYNC_OUTPUT", "s3://bucket/answers", "s3://bucket/answers"),
    ("async_failures", "SERVING_ASYNC_FAILURES", "/srv/failures", "/srv/failures"),
    ("async_inputs", "SERVING_ASYNC_INPUTS", "s3://bucket/asked", "s3://bucket/asked"),
    ("async_spool", "SERVING_ASYNC_SPOOL", "/srv/spool", "/srv/spool"),
    ("async_concurrency", "SERVING_ASYNC_CONCURRENCY", "9", 9),
]

REFUSED = [
    ("SAGEMAKER_BIND_TO_PORT", "65536", "a whole number from 0 to 65,535"),
    ("SAGEMAKER_BIND_TO_PORT", "http", "a whole number from 0 to 65,535"),
    ("SAGEMAKER_BIND_TO_PORT", "80.0", "a whole number from 0 to 65,535"),
    ("SAGEMAKER_SAFE_PORT_RANGE", "9999-9000", "two port numbers with a hyphen between"),
    ("SAGEMAKER_SAFE_PORT_RANGE", "9000", "two port numbers with a hyphen between"),
    ("SAGEMAKER_SAFE_PORT_RANGE", "0-70000", "two port numbers with a hyphen between"),
    ("SAGEMAKER_MODEL_SERVER_WORKERS", "0", "a whole number from 1 to 1,024"),
    ("SAGEMAKER_TS_MAX_WORKERS", "0", "a whole number from 1 to 1,024"),
    ("SAGEMAKER_MULTI_MODEL", "maybe", "true or false"),
    ("SERVING_MODEL_MEMORY_MB", "-1", "a number of MiB from 1 to 100,000,000, or 0"),
    ("SERVING_ALLOW_PICKLE", "maybe", "true or false"),
    ("SAGEMAKER_MAX_PAYLOAD_IN_MB", "6MB", "a number of MiB from 0.001 to 100,000"),
    ("SAGEMAKER_MAX_PAYLOAD_IN_MB", "nan", "a number of MiB from 0.001 to 100,000"),
    ("SAGEMAKER_MAX_PAYLOAD_IN_MB", "inf", "a number of MiB from 0.001 to 100,000"),
    ("MAX_CONTENT_LENGTH", "6.5", "a whole number of bytes from 1 to 104,857,600,000"),
    ("MAX_CONTENT_LENGTH", "0", "a whole number of bytes from 1 to 104,857,600,000"),
    ("SAGEMAKER_MODEL_SERVER_TIMEOUT", "0", "a number of seconds from 0.1 to 86,400"),
    ("SAGEMAKER_MODEL_SERVER_TIMEOUT", "1 min", "a number of seconds from 0.1 to 86,400"),
    ("SERVING_MAX_QUEUE", "9" * 5000, "a whole number from 1 to 1,000,000"),
    ("SAGEMAKER_CONTAINER_LOG_LEVEL", "loud", "a number"),
    ("SERVING_LOG_FORMAT", "JSON", "text or json"),
]


@pytest.mark.parametrize(("name", "variable", "text", "value"), VALUES)
def test_a_variable_sets_its_setting_and_no_other(
    name: str, variable: str, text: str, value: Any
) -> None:
    default = read({})
    changed = read({variable: text})
    assert getattr(changed, name) == value
    assert {
        field.name
        for field in fields(Settings)
        if getattr(changed, field.name) != getattr(default, field.name)
    } <= {name}


def test_every_variable_is_tried_here() -> None:
    known = {name for field in fields(Settings) for name in field.metadata["variables"]}
    assert {variable for _, variable, _, _ in VALUES} == known


@pytest.mark.parametrize("field", fields(Settings), ids=lambda field: field.name)
def test_every_setting_says_what_it_means(field: Any) -> None:
    assert field.metadata["meaning"].endswith(".")
    assert all(kind.allowed for kind in field.metadata["variables"].values())


@pytest.mark.parametrize("field", fields(Settings), ids=lambda field: field.name)
def test_what_is_printed_of_a_setting_is_read_as_its_value(field: Any) -> None:
    kind = field.metadata["kind"]
    for name, _, _, value in VALUES:
        if name == field.name:
            assert kind.read(kind.write(value)) == value


@pytest.mark.parametrize("text", ["true", "True", "1", "yes", " TRUE "])
def test_yes_is_said_in_several_ways(text: str) -> None:
    assert read({"SERVING_ALLOW_PICKLE": text}).allow_pickle is True


@pytest.mark.parametrize("text", ["false", "False", "0", "no", ""])
def test_so_is_no(text: str) -> None:
    assert read({"SERVING_ALLOW_PICKLE": text}).allow_pickle is False


def test_of_several_names_the_first_that_is_set_wins() -> None:
    both = {
        "SAGEMAKER_MODEL_SERVER_TIMEOUT": "60",
        "SAGEMAKER_MODEL_SERVER_TIMEOUT_SECONDS": "10",
    }
    assert read(both).request_timeout == 10
    assert read(both | {"SAGEMAKER_MODEL_SERVER_TIMEOUT_SECONDS": ""}).request_timeout == 60


def test_an_empty_variable_is_not_set() -> None:
    assert read({"SAGEMAKER_BIND_TO_PORT": "", "SAGEMAKER_PROGRAM": ""}) == read({})


def test_the_command_line_wins_over_the_environment() -> None:
    environment = {"SAGEMAKER_BIND_TO_PORT": "9000", "SERVING_BIND": "::1"}
    given = read(environment, port=9001, bind=None)
    assert (given.port, given.bind) == (9001, "::1")


def test_a_variable_the_command_line_overrides_is_not_read() -> None:
    assert read({"SAGEMAKER_BIND_TO_PORT": "nonsense"}, port=9001).port == 9001


@pytest.mark.parametrize(("variable", "text", "allowed"), REFUSED)
def test_a_bad_value_is_refused_with_its_name_and_what_is_allowed(
    variable: str, text: str, allowed: str
) -> None:
    with pytest.raises(SettingError) as refusal:
        read({variable: text})
    message = str(refusal.value)
    assert message.startswith(f"{variable}={text!r} is not allowed; it takes {allowed}")
    assert "\n" not in message


def test_text_from_elsewhere_is_read_by_the_settings_rules() -> None:
    assert parse("port", "--port", "81") == 81
    with pytest.raises(SettingError, match=r"^--port='x' is not allowed; it takes a whole number"):
        parse("port", "--port", "x")


def test_settings_are_read_from_the_mapping_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    before = read({})
    for _, variable, text, _ in VALUES:
        monkeypatch.setenv(variable, text)
    assert read({}) == before


def test_settings_do_not_change() -> None:
    with pytest.raises(FrozenInstanceError):
        read({}).port = 1  # type: ignore[misc]


def test_explain_says_where_each_value_came_from() -> None:
    environment = {"SERVING_MODEL": "/m", "OMP_NUM_THREADS": "3", "SAGEMAKER_BIND_TO_PORT": "1"}
    origins = {origin.name: origin for origin in explain(environment, port=2)}
    assert [origin.name for origin in explain({})] == [field.name for field in fields(Settings)]
    assert (origins["port"].value, origins["port"].source) == (2, "command line")
    assert (origins["model"].value, origins["model"].source) == ("/m", "SERVING_MODEL")
    assert (origins["threads"].value, origins["threads"].source) == (3, "OMP_NUM_THREADS")
    assert (origins["bind"].value, origins["bind"].source) == ("0.0.0.0", "default")
    assert list(origins["threads"].variables) == ["SERVING_THREADS", "OMP_NUM_THREADS"]


def test_explain_gives_a_value_in_the_unit_of_the_first_variable() -> None:
    origins = {origin.name: origin for origin in explain({"MAX_CONTENT_LENGTH": "6291456"})}
    body = origins["max_body"]
    assert (body.value, body.text, body.source) == (6 * MIB, "6", "MAX_CONTENT_LENGTH")
    assert body.variables["MAX_CONTENT_LENGTH"].startswith("a whole number of bytes")


def test_each_variable_has_its_own_unit_and_the_first_counts() -> None:
    both = {"MAX_CONTENT_LENGTH": "100", "SAGEMAKER_MAX_PAYLOAD_IN_MB": "1"}
    assert read(both).max_body == MIB


def test_the_fewest_workers_are_not_more_than_the_most() -> None:
    with pytest.raises(SettingError, match=r"SAGEMAKER_TS_MIN_WORKERS=3 is more than .*=2"):
        read({"SAGEMAKER_TS_MIN_WORKERS": "3", "SAGEMAKER_TS_MAX_WORKERS": "2"})


def test_the_port_need_not_be_among_those_for_others() -> None:
    both = {"SAGEMAKER_BIND_TO_PORT": "8080", "SAGEMAKER_SAFE_PORT_RANGE": "9000-9999"}
    assert read(both).port == 8080


@pytest.mark.parametrize(
    ("code", "folder"),
    [
        ("", "/m/code"),
        ("/opt/ml/model/code", "/m/code"),
        ("file:///opt/ml/model/code/", "/m/code"),
        ("/srv/code", "/srv/code"),
        ("file:///srv/code", "/srv/code"),
    ],
)
def test_the_script_lies_in_the_model_unless_another_folder_is_named(
    code: str, folder: str
) -> None:
    assert read({"SAGEMAKER_SUBMIT_DIRECTORY": code}).code_folder(Path("/m")) == Path(folder)


def test_explain_refuses_what_read_refuses() -> None:
    with pytest.raises(SettingError, match="SERVING_MAX_QUEUE"):
        explain({"SERVING_MAX_QUEUE": "none"})


def test_the_model_is_where_sagemaker_mounts_it_unless_it_is_named() -> None:
    assert read({}).model_source == "/opt/ml/model"
    assert read({"SAGEMAKER_BASE_DIR": "/srv"}).model_source == "/srv/model"
    assert read({"SERVING_MODEL": "m.tar.gz"}).model_source == "m.tar.gz"


def test_workers_share_the_cpus_unless_threads_are_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "cpu_count", lambda: 8)
    assert read({}, workers=2).model_threads == 4
    assert read({}, workers=16).model_threads == 1
    assert read({}).model_threads == 8
    assert read({}, workers=2, threads=3).model_threads == 3


def test_the_limits_fit_sagemakers() -> None:
    limits = read({})
    assert limits.port == 8080
    assert limits.max_body == 25 * MIB
    assert limits.request_timeout == 60
    assert limits.drain_timeout < 30
    assert not math.isinf(limits.max_unpacked)
