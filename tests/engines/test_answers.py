"""Objects that scripts return as responses; bodies and pairs are in script/test_answers."""

import asyncio
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import flask
import pytest

from serving.engines import answers
from serving.engines.context import Context
from serving.errors import PredictionError
from serving.hosts.http import wire
from serving.streaming import Stream
from serving.values import Response
from tests.support import post

PLAIN = {"status": 200, "data": b"x"}


def response(answer: Any, context: Context | None = None) -> Response:
    context = context or Context(post(), Path("model"))
    return answers.response("output_fn", answer, "application/json", context)


class Deferred:
    """A response whose body is made when it is asked for."""

    status_code = 200

    def get_data(self) -> bytes:
        raise RuntimeError("no body today")


def test_a_response_of_flasks_is_one() -> None:
    made = response(flask.Response("1,2\n", 201, {"X-Model": "a"}, mimetype="text/csv"))
    assert made == Response(201, b"1,2\n", "text/csv; charset=utf-8", (("x-model", "a"),))


def test_a_field_may_be_there_twice() -> None:
    answer = flask.Response("x")
    answer.set_cookie("a", "1")
    answer.set_cookie("b", "2")
    assert response(answer).headers == (
        ("set-cookie", "a=1; Path=/"),
        ("set-cookie", "b=2; Path=/"),
    )


def test_what_frames_a_message_is_the_servers() -> None:
    fields = {"Content-Length": "7", "Date": "today", "Transfer-Encoding": "chunked", "X-A": "b"}
    made = response(SimpleNamespace(**PLAIN, headers=fields))
    assert made.headers == (("x-a", "b"),)
    assert wire.head(made.status, made.content_type, made.headers)


@pytest.mark.parametrize(
    "answer",
    [
        SimpleNamespace(status_code=404, get_data=lambda: b"gone", content_type="text/plain"),
        SimpleNamespace(status=404, data="gone", mimetype="text/plain"),
        SimpleNamespace(status="404 NOT FOUND", response=b"gone", content_type="text/plain"),
        SimpleNamespace(status="404", response="gone", mimetype="text/plain", content_type=None),
        SimpleNamespace(status=HTTPStatus.NOT_FOUND, data=b"gone", content_type="text/plain"),
    ],
)
def test_any_object_of_the_shape_is_one(answer: Any) -> None:
    assert response(answer) == Response(404, b"gone", "text/plain")


def test_without_a_content_type_it_has_that_of_the_accept_field() -> None:
    assert response(SimpleNamespace(**PLAIN)).content_type == "application/json"


def test_fields_may_be_a_list_of_pairs() -> None:
    made = response(SimpleNamespace(**PLAIN, headers=[("X-A", 1), ("x-a", 2)]))
    assert made.headers == (("x-a", "1"), ("x-a", "2"))


def test_what_the_context_was_given_holds_but_for_the_content_type() -> None:
    context = Context(post(), Path("model"))
    context.set_response_status(202)
    context.set_response_header(0, "X-A", "1")
    context.set_response_content_type(0, "text/html")
    made = response(SimpleNamespace(**PLAIN, mimetype="text/csv"), context)
    assert made == Response(202, b"x", "text/csv", (("x-a", "1"),))


def test_a_streamed_one_is_a_stream() -> None:
    left = []

    def chunks() -> Iterator[str]:
        for text in ("a", "b"):
            left.append(text)
            yield text

    made = response(flask.Response(chunks(), mimetype="text/event-stream"))
    assert made.content_type == "text/event-stream; charset=utf-8"
    assert left == []

    async def read(stream: Stream) -> list[bytes]:
        return [chunk async for chunk in stream]

    assert isinstance(made.body, Stream)
    assert asyncio.run(read(made.body)) == [b"a", b"b"]


def test_a_stream_that_breaks_says_whose_it_was() -> None:
    def chunks() -> Iterator[str]:
        yield "a"
        raise ValueError("no more")

    context = Context(post(x_request_id="order-7"), Path("model"))
    made = response(chunks(), context)

    async def read(stream: Stream) -> None:
        async for _ in stream:
            pass

    assert isinstance(made.body, Stream)
    with pytest.raises(PredictionError, match="output_fn failed: ValueError: no more") as caught:
        asyncio.run(read(made.body))
    assert caught.value.request_id == "order-7"


@pytest.mark.parametrize("status", [99, 600, True, "fine", "1000 OK", ""])
def test_a_status_that_is_none_is_an_error(status: object) -> None:
    with pytest.raises(PredictionError, match=r"returned .* whose status is not from 200"):
        response(SimpleNamespace(status=status, data=b"x"))


def test_a_body_that_fails_is_an_error_of_the_function() -> None:
    with pytest.raises(PredictionError, match="output_fn failed: RuntimeError: no body today"):
        response(Deferred())


@pytest.mark.parametrize(
    "answer", [SimpleNamespace(status=200), SimpleNamespace(data=b"x"), SimpleNamespace(status=[])]
)
def test_what_lacks_a_status_or_a_body_is_no_response(answer: Any) -> None:
    with pytest.raises(PredictionError, match="returned SimpleNamespace; it must return text or b"):
        response(answer)


def test_its_body_must_be_text_or_bytes() -> None:
    with pytest.raises(PredictionError, match="output_fn returned dict; it must return text"):
        response(SimpleNamespace(status=200, data={"a": 1}))
