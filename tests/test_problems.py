"""Errors into responses: statuses, bodies, and what the log has instead."""

import json
import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from serving import errors, problems
from serving.errors import BadRequest, Overloaded, PredictionError, ServingError
from serving.values import Request, Response
from tests.support import post


def subclasses(error: type[ServingError]) -> Iterator[type[ServingError]]:
    yield error
    for child in error.__subclasses__():
        if child.__module__ == errors.__name__:
            yield from subclasses(child)


def body_of(response: Response) -> dict[str, object]:
    assert response.content_type == "application/json"
    assert isinstance(response.body, bytes)
    assert response.body.endswith(b"\n")
    return dict(json.loads(response.body))


@pytest.mark.parametrize("kind", list(subclasses(ServingError)), ids=lambda kind: kind.__name__)
def test_an_error_says_its_status_type_and_message(kind: type[ServingError]) -> None:
    response = problems.response(kind("Why, and what would be right."))
    assert response.status == kind.status
    assert body_of(response) == {
        "code": kind.status,
        "type": kind.type,
        "message": "Why, and what would be right.",
    }


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (errors.PayloadTooLarge, "ValidationError"),
        (errors.BadRequest, "ValidationError"),
        (errors.RequestTimeout, "RequestTimeout"),
        (errors.Draining, "ServiceUnavailable"),
        (errors.PredictionError, "InternalFailure"),
    ],
)
def test_on_the_paths_of_aws_an_error_is_as_its_clients_read_it(
    kind: type[ServingError], name: str
) -> None:
    error = kind("Why.")
    error.headers = (("retry-after", "3"),)
    response = problems.response(error, Request("POST", "/endpoints/any/invocations", {}, b""))
    assert (response.status, body_of(response)) == (kind.status, {"Message": "Why."})
    assert response.headers == (("x-amzn-errortype", name), ("retry-after", "3"))


def test_an_errors_header_fields_go_with_it() -> None:
    error = Overloaded("Later.")
    error.headers = (("retry-after", "3"),)
    assert problems.response(error).headers == (("retry-after", "3"),)


def test_a_message_that_is_no_unicode_is_answered_all_the_same() -> None:
    response = problems.response(BadRequest("model-\udcff.ubj is damaged"))
    assert body_of(response)["message"] == "model-?.ubj is damaged"


def test_an_unexpected_error_is_logged_and_the_client_sees_nothing_of_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail() -> Response:
        raise KeyError("secret")

    response = problems.attempt(fail)
    assert response.status == 500
    assert body_of(response) == {
        "code": 500,
        "type": "PredictionError",
        "message": "The server failed with KeyError; see its log.",
    }
    assert "Traceback" in caplog.text
    assert "secret" in caplog.text


def test_the_cause_of_a_servers_error_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    cause = RuntimeError("the cause")
    error = PredictionError("predict_fn failed.")
    error.__cause__ = cause
    problems.response(error)
    assert [record.exc_info and record.exc_info[1] for record in caplog.records] == [cause]


@pytest.mark.parametrize("error", [KeyError("secret"), PredictionError("predict_fn failed.")])
def test_what_is_logged_has_the_requests_name(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(request: Request, *more: object) -> Response:
        raise error from ValueError("the cause")

    problems.attempt(fail, post(x_request_id="order-7"), 1)
    problems.attempt(fail, post())
    assert [getattr(record, "request_id", None) for record in caplog.records] == ["order-7", None]


def test_an_error_may_know_its_request_itself(caplog: pytest.LogCaptureFixture) -> None:
    error = PredictionError("predict_fn failed.")
    error.__cause__ = ValueError("the cause")
    error.request_id = "order-7"
    problems.response(error)
    assert [getattr(record, "request_id", None) for record in caplog.records] == ["order-7"]


def test_what_a_client_did_wrong_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    error = BadRequest("no")
    error.__cause__ = ValueError("why")
    problems.response(error)
    assert caplog.records == []


def test_a_step_that_works_gives_its_value() -> None:
    assert problems.catch(divmod, 7, 2) == (3, 1)
    assert problems.attempt(divmod, 7, 2) == (3, 1)


class Panic(BaseException):
    """As extensions written in Rust raise it."""


@pytest.mark.parametrize("error", [ValueError(), SystemExit(1), Panic(), BadRequest("no")])
def test_a_step_may_raise_anything(error: BaseException) -> None:
    def step() -> None:
        raise error

    assert problems.catch(step) is error
    answer = problems.attempt(step)
    assert isinstance(answer, Response)
    assert answer.status == (400 if isinstance(error, BadRequest) else 500)


def test_a_script_that_interrupts_has_failed_as_others_do() -> None:
    """In the model's thread nobody but a script raises this."""

    def step() -> None:
        raise KeyboardInterrupt

    with ThreadPoolExecutor(1) as pool:
        assert isinstance(pool.submit(problems.catch, step).result(), KeyboardInterrupt)


def test_a_person_who_interrupts_is_heard() -> None:
    def step() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        problems.catch(step)
