"""Start-up: the handler is there when its model is, and says in one line why it is not."""

import json
import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from awslambdaric.lambda_runtime_exception import FaultException

from serving.hosts import aws_lambda
from serving.hosts.aws_lambda import limits, starting
from serving.hosts.aws_lambda.host import Host
from serving.kinds import MIB
from tests.conftest import MakeSettings
from tests.hosts.aws_lambda.shapes import Context
from tests.models import stump
from tests.support import environment

Start = Callable[..., Host]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    stump().save_model(folder / "model.json")
    return folder


@pytest.fixture(autouse=True)
def _logging() -> Iterator[None]:
    """Put the log back as it was: start-up configures it."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    logging.captureWarnings(False)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    hosts: list[Host] = []

    def start_one(model: Path, **variables: str) -> Host:
        given = {"SM_MODEL_DIR": str(model), "SERVING_CACHE": str(tmp_path / "cache")}
        hosts.append(starting.start({**given, **variables}))
        return hosts[-1]

    yield start_one
    for host in hosts:
        host.close()


def test_the_model_is_loaded_before_the_first_event(start: Start, model: Path) -> None:
    assert start(model)([[0, 5]], Context()) == {"predictions": [{"score": 1.0}]}


@pytest.mark.parametrize(
    ("files", "kind", "told"),
    [
        (None, "ArchiveNotFound", "does not exist"),
        ({}, "ModelLoadError", "no model this server knows"),
        ({"xgboost-model": b"no model"}, "ModelLoadError", "xgboost-model"),
    ],
)
def test_a_model_that_cannot_be_loaded_ends_the_init_phase_with_one_line(
    start: Start, tmp_path: Path, files: dict[str, bytes] | None, kind: str, told: str
) -> None:
    folder = tmp_path / "other"
    if files is not None:
        folder.mkdir()
        for name, content in files.items():
            (folder / name).write_bytes(content)
    with pytest.raises(FaultException) as raised:
        start(folder)
    assert raised.value.exception_type == kind
    assert told in raised.value.msg
    assert "\n" not in raised.value.msg
    assert raised.value.trace is None


def test_a_bad_setting_does_too(start: Start, model: Path) -> None:
    with pytest.raises(FaultException) as raised:
        start(model, SERVING_MAX_QUEUE="many")
    assert raised.value.exception_type == "SettingError"


def test_the_settings_are_those_of_lambda(make_settings: MakeSettings) -> None:
    settings = starting.heeded(make_settings(workers=8))
    assert (settings.workers, settings.max_body) == (1, 6 * MIB)
    assert starting.heeded(make_settings(max_body=MIB)).max_body == MIB


def test_what_cannot_be_done_is_switched_off_and_the_log_says_so(
    make_settings: MakeSettings, caplog: pytest.LogCaptureFixture
) -> None:
    given: dict[str, Any] = {"sessions": True, "async_output": "/out", "emf_namespace": "Models"}
    settings = starting.heeded(make_settings(**given))
    assert (settings.sessions, settings.async_output, settings.emf_namespace) == (False, "", "")
    for name in given:
        assert limits.CANNOT[name].instead in caplog.text


def test_nothing_is_said_of_what_was_not_asked_for(
    make_settings: MakeSettings, caplog: pytest.LogCaptureFixture
) -> None:
    starting.heeded(make_settings())
    assert caplog.text == ""


def test_lambdas_own_variables_choose_the_form_and_the_level_of_the_log(
    start: Start, model: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    start(model, AWS_LAMBDA_LOG_FORMAT="JSON", AWS_LAMBDA_LOG_LEVEL="INFO")
    records = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    assert any("ready after" in record["message"] for record in records)


def test_the_handler_starts_when_it_is_asked_for_and_once(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    variables = environment(SM_MODEL_DIR=str(model), SERVING_CACHE=str(tmp_path / "cache"))
    monkeypatch.setattr(os, "environ", variables)
    module = vars(aws_lambda)
    assert "handler" not in module
    try:
        handler = aws_lambda.handler
        assert aws_lambda.handler is handler
        assert handler([[2, 5]], Context()) == {"predictions": [{"score": 3.0}]}
    finally:
        module.pop("handler").close()


def test_nothing_else_is_there() -> None:
    with pytest.raises(AttributeError, match="no attribute 'handle'"):
        _ = aws_lambda.handle
