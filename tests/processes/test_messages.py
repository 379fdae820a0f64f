"""What frames say is the same at the other end."""

import math
from dataclasses import fields
from pathlib import Path

import pytest

from serving import problems
from serving.errors import BadRequest, Overloaded, PredictionError
from serving.processes import messages
from serving.settings import Settings
from serving.values import Request, Response
from tests.conftest import MakeSettings
from tests.support import post


def test_settings_arrive_with_the_types_that_they_have(make_settings: MakeSettings) -> None:
    given = {
        "further_ports": range(9000, 9010),
        "base_dir": Path("/else\udcff/where"),  # no UTF-8
        "request_timeout": 0.1 + 0.2,
        "default_accept": "text/csv",
    }
    settings = make_settings(**given)
    written = messages.write_load("a", Path("/models/\udcff"), settings)
    name, folder, read = messages.read_load(written)
    assert name == "a"
    assert folder == Path("/models/\udcff")
    assert read == settings
    kinds = {item.name: type(getattr(settings, item.name)) for item in fields(Settings)}
    assert {name: type(getattr(read, name)) for name in kinds} == kinds


@pytest.mark.parametrize("deadline", [math.inf, 12345.678901234567])
def test_a_request_arrives_as_an_invocation(deadline: float) -> None:
    headers = {"content-type": "text/plain", "x-name": "Jos\xe9"}
    sent = Request("POST", "/models/one/invoke", headers, b"body", "a=b", deadline)
    arrived = messages.read_request(messages.write_request(sent), sent.body)
    assert arrived == sent._replace(path="/invocations")


def test_a_response_arrives_as_it_was() -> None:
    sent = Response(415, b"body", "text/plain", (("x-one", "1"), ("x-two", "\xfc")))
    assert messages.read_response(messages.write_response(sent), sent.body) == sent


def test_header_fields_that_are_no_text_are_refused() -> None:
    with pytest.raises(BadRequest, match="header fields are no text"):
        messages.write_request(post(x_name="\ud800"))
    with pytest.raises(PredictionError, match="header fields are no text"):
        messages.write_response(Response(200, b"", "\ud800"))


def test_an_error_is_answered_the_same_at_either_end() -> None:
    error = Overloaded("Too much.")
    error.headers = (("retry-after", "3"),)
    answer = problems.response(error)
    assert isinstance(answer.body, bytes)
    there = messages.read_error(messages.write_response(answer), answer.body)
    assert problems.response(there) == answer
