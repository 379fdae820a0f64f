"""The log: lines for people, or objects for programs."""

import json
import logging
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from serving import logs

log = logging.getLogger("serving.tests")


@pytest.fixture(autouse=True)
def _own_handlers() -> Iterator[None]:
    """Gives the root logger back as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers[:] = []
    yield
    logging.captureWarnings(False)
    root.handlers[:] = handlers
    root.setLevel(level)


def objects(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_text_has_fields_after_the_message(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(20)
    log.info("request %d", 1, extra={"status": 200, "path": "/invocations"})
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith(" INFO serving.tests: request 1 status=200 path=/invocations")


@pytest.mark.parametrize("text", ["a b", "a\nb", "a\x1b[31mb", "a\u2028b", "ä"])
def test_a_field_cannot_begin_a_line_of_its_own(
    capsys: pytest.CaptureFixture[str], text: str
) -> None:
    logs.configure(20)
    log.info("request", extra={"path": text})
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith(f"request path={json.dumps(text)}")
    assert line.isascii()


def test_a_record_is_one_json_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(20, "json")
    log.warning("two\nlines, %s", "ä\udcff", extra={"model": "model", "seconds": 0.25})
    (record,) = objects(capsys)
    time = datetime.fromisoformat(record.pop("time"))
    assert time.utcoffset() == timedelta(0)
    assert record.pop("pid") > 0
    assert record == {
        "level": "WARNING",
        "logger": "serving.tests",
        "message": "two\nlines, ä\udcff",
        "model": "model",
        "seconds": 0.25,
    }


def test_a_traceback_is_a_field_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(20, "json")
    log.error("failed", exc_info=ValueError("no weights"))
    (record,) = objects(capsys)
    assert record["exception"].endswith("ValueError: no weights")
    assert record["message"] == "failed"


def test_a_field_of_any_type_is_written_and_replaces_none_of_the_records_own(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logs.configure(20, "json")
    log.info("request", extra={"body": b"x", "level": "none"})
    (record,) = objects(capsys)
    assert record["body"] == "b'x'"
    assert record["level"] == "INFO"


@pytest.mark.parametrize("form", ["text", "json"])
def test_less_severe_records_are_not_written(capsys: pytest.CaptureFixture[str], form: str) -> None:
    logs.configure(30, form)
    log.info("quiet")
    log.warning("loud")
    assert "quiet" not in (written := capsys.readouterr().err)
    assert written.count("\n") == 1
