"""Settings: every variable, its rules, and where a value came from."""

import math
from dataclasses import FrozenInstanceError, fields
from pathlib import Path
from typing import Any

import pytest

from serving import settings
from serving.errors import SettingError
from serving.machine import cpu_count
from serving.settings import MIB, Settings, explain, parse, read

VALUES: list[tuple[str, str, str, Any]] = [
    ("base_dir", "SAGEMAKER_BASE_DIR", "/srv/ml", Path("/srv/ml")),
    ("model", "SERVING_MODEL", "s3://bucket/model.tar.gz", "s3://bucket/model.tar.gz"),
    ("bind", "SERVING_BIND", "127.0.0.1", "127.0.0.1"),
    ("port", "SAGEMAKER_BIND_TO_PORT", "9000", 9000),
    ("workers", "SAGEMAKER_MODEL_SERVER_WORKERS", "3", 3),
    ("threads", "SERVING_THREADS", "4", 4),
    ("threads", "OMP_NUM_THREADS", "2", 2),
    ("engine", "SERVING_ENGINE", "onnx", "onnx"),
    ("program", "SAGEMAKER_PROGRAM", "serve.py", "serve.py"),
    ("default_accept", "SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT", "text/csv", "text/csv"),
    ("allow_pickle", "SERVING_ALLOW_PICKLE", "true", True),
    ("inference_output", "SAGEMAKER_INFERENCE_OUTPUT", "labels", "labels"),
    ("ensemble", "SAGEMAKER_INFERENCE_ENSEMBLE", "false", False),
    ("batch", "SAGEMAKER_BATCH", "True", True),
    ("batch", "SAGEMAKER_BATCH", "false", True),
    ("max_body", "SAGEMAKER_MAX_PAYLOAD_IN_MB", "6", 6 * MIB),
    ("max_body", "SAGEMAKER_MAX_PAYLOAD_IN_MB", "0.5", MIB // 2),
    ("max_head", "SERVING_MAX_HEAD_BYTES", "8192", 8192),
    ("max_batch_rows", "SERVING_MAX_BATCH_ROWS", "64", 64),
    ("max_queue", "SERVING_MAX_QUEUE", "7", 7),
    ("max_queue", "SAGEMAKER_MODEL_JOB_QUEUE_SIZE", "100", 100),
    ("request_timeout", "SAGEMAKER_MODEL_SERVER_TIMEOUT_SECONDS", "1.5", 1.5),
    ("request_timeout", "SAGEMAKER_MODEL_SERVER_TIMEOUT", "20", 20.0),
    ("receive_timeout", "SERVING_RECEIVE_TIMEOUT", "5", 5.0),
    ("idle_timeout", "SERVING_IDLE_TIMEOUT", "5", 5.0),
    ("drain_timeout", "SERVING_DRAIN_TIMEOUT", "0", 0.0),
    ("cache", "SERVING_CACHE", "/var/cache/models", Path("/var/cache/models")),
    ("max_unpacked", "SERVING_MAX_UNPACKED_MB", "100", 100 * MIB),
    ("log_level", "SAGEMAKER_CONTAINER_LOG_LEVEL", "10", 10),
    ("log_level", "SAGEMAKER_CONTAINER_LOG_LEVEL", "Warning", 30),
]

REFUSED = [
    ("SAGEMAKER_BIND_TO_PORT", "65536", "a whole number from 0 to 65,535"),
    ("SAGEMAKER_BIND_TO_PORT", "http", "a whole number from 0 to 65,535"),
    ("SAGEMAKER_BIND_TO_PORT", "80.0", "a whole number from 0 to 65,535"),
    ("SAGEMAKER_MODEL_SERVER_WORKERS", "0", "a whole number from 1 to 1,024"),
    ("SAGEMAKER_MODEL_SERVER_WORKERS", "-1", "a whole number from 1 to 1,024"),
    ("SERVING_ALLOW_PICKLE", "maybe", "true or false"),
    ("SAGEMAKER_MAX_PAYLOAD_IN_MB", "6MB", "a number of MiB from 0.001 to 100,000"),
    ("SAGEMAKER_MAX_PAYLOAD_IN_MB", "nan", "a number of MiB from 0.001 to 100,000"),
    ("SAGEMAKER_MAX_PAYLOAD_IN_MB", "inf", "a number of MiB from 0.001 to 100,000"),
    ("SAGEMAKER_MODEL_SERVER_TIMEOUT", "0", "a number of seconds from 0.1 to 86,400"),
    ("SAGEMAKER_MODEL_SERVER_TIMEOUT", "1 min", "a number of seconds from 0.1 to 86,400"),
    ("SERVING_MAX_QUEUE", "9" * 5000, "a whole number from 1 to 1,000,000"),
    ("SAGEMAKER_CONTAINER_LOG_LEVEL", "loud", "a number"),
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
    known = {name for field in fields(Settings) for name in field.metadata["names"]}
    assert {variable for _, variable, _, _ in VALUES} == known


@pytest.mark.parametrize("field", fields(Settings), ids=lambda field: field.name)
def test_every_setting_says_what_it_means(field: Any) -> None:
    assert field.metadata["meaning"].endswith(".")
    assert field.metadata["kind"].allowed


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
    assert origins["threads"].variables == ("SERVING_THREADS", "OMP_NUM_THREADS")


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
    assert read({}, workers=2, threads=3).model_threads == 3


def test_there_is_a_worker_for_each_cpu() -> None:
    assert read({}).workers == cpu_count()


def test_the_limits_fit_sagemakers() -> None:
    limits = read({})
    assert limits.port == 8080
    assert limits.max_body == 25 * MIB
    assert limits.request_timeout == 60
    assert limits.drain_timeout < 30
    assert not math.isinf(limits.max_unpacked)
