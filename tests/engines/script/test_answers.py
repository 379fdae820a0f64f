"""What a script answers: its bodies, their types, and its failures."""

import asyncio
import json
from pathlib import Path

import pytest

from serving import problems
from serving.errors import PredictionError, ServingError
from serving.model import Model
from serving.settings import Settings
from serving.streaming import Stream
from tests.engines.script.support import JSON, ask, serve

ECHO = """
def model_fn(model_dir): return None
def predict_fn(data, model): return data
def output_fn(prediction, accept): {}
"""


def echo(tmp_path: Path, body: str, settings: Settings | None = None) -> Model:
    return serve(tmp_path, ECHO.format(body), settings=settings)


@pytest.mark.parametrize(
    ("returned", "body", "content_type"),
    [
        ("'text ü'", "text ü".encode(), "text/csv"),
        ("b'bytes'", b"bytes", "text/csv"),
        ("bytearray(b'bytes')", b"bytes", "text/csv"),
        ("memoryview(b'bytes')", b"bytes", "text/csv"),
        ("''", b"", "text/csv"),
        ("('text', 'text/plain')", b"text", "text/plain"),
        ("[b'bytes', 'image/png'] and (b'bytes', 'image/png')", b"bytes", "image/png"),
    ],
)
def test_output_fn_returns_a_body_or_a_pair_with_its_type(
    tmp_path: Path, returned: str, body: bytes, content_type: str
) -> None:
    response = ask(echo(tmp_path, f"return {returned}"), headers=JSON | {"accept": "text/csv"})
    assert (response.status, response.body, response.content_type) == (200, body, content_type)


@pytest.mark.parametrize("returned", ["3", "None", "{'a': 1}", "['a']", "('a', 'b', 'c')"])
def test_another_body_is_refused_by_its_type(tmp_path: Path, returned: str) -> None:
    with pytest.raises(PredictionError, match=r"output_fn returned \w+; it must return text or b"):
        ask(echo(tmp_path, f"return {returned}"))


@pytest.mark.parametrize(
    ("accept", "seen"),
    [
        (None, "application/json"),
        ("", "application/json"),
        ("*/*", "application/json"),
        ("text/csv", "text/csv"),
        ("text/csv, */*;q=0.1", "text/csv, */*;q=0.1"),
        ("image/png", "image/png"),
    ],
)
def test_output_fn_gets_what_the_client_accepts_or_the_default(
    tmp_path: Path, accept: str | None, seen: str
) -> None:
    headers = JSON if accept is None else JSON | {"accept": accept}
    response = ask(echo(tmp_path, "return accept"), headers=headers)
    assert response.body == seen.encode()
    assert response.content_type == seen


def test_the_default_accept_may_be_one_that_only_the_script_can_write(tmp_path: Path) -> None:
    model = echo(tmp_path, "return accept", Settings(default_accept="image/webp"))
    assert ask(model).body == b"image/webp"


def test_a_generator_is_a_body_made_while_it_is_sent(tmp_path: Path) -> None:
    body = ask(echo(tmp_path, "return (str(n) for n in range(3))")).body
    assert isinstance(body, Stream)
    assert asyncio.run(joined(body)) == b"012"


async def joined(body: Stream) -> bytes:
    return b"".join([chunk async for chunk in body])


def failing(tmp_path: Path, definition: str) -> Model:
    return serve(
        tmp_path,
        definition
        + "\ndef model_fn(model_dir): return len\ndef predict_fn(data, model): raise Failure()\n",
    )


def test_an_exception_names_the_function_and_the_error_without_a_traceback(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = serve(
        tmp_path, "def model_fn(d): return len\ndef predict_fn(d, m): raise ValueError('no')"
    )
    with pytest.raises(PredictionError) as caught:
        ask(model)
    response = problems.response(caught.value)
    assert response.status == 500
    assert json.loads(response.body) == {  # type: ignore[arg-type]
        "code": 500,
        "type": "PredictionError",
        "message": "predict_fn failed: ValueError: no",
    }
    assert "inference.py" in caplog.text


@pytest.mark.parametrize(
    ("definition", "status", "name", "message"),
    [
        (
            "class Failure(Exception):\n    status_code, message, phrase = 422, 'bad pixel', 'P'\n",
            422,
            "Failure",
            "bad pixel",
        ),
        (
            "class Failure(Exception):\n    status = 404\n    def __str__(self): return 'none'\n",
            404,
            "Failure",
            "none",
        ),
        (
            "class Failure(Exception):\n    status_code, detail = 503, 'later'\n",
            503,
            "Failure",
            "later",
        ),
        ("class Failure(Exception):\n    status_code = 200\n", 500, "PredictionError", None),
        ("class Failure(Exception):\n    status_code = '422'\n", 500, "PredictionError", None),
        (
            "from serving.errors import NotFound\ndef Failure(): return NotFound('no such row')\n",
            404,
            "NotFound",
            "no such row",
        ),
        ("def Failure(): return SystemExit(3)\n", 500, "PredictionError", None),
    ],
)
def test_an_exception_with_a_status_becomes_that_status(
    tmp_path: Path, definition: str, status: int, name: str, message: str | None
) -> None:
    model = failing(tmp_path, definition)
    with pytest.raises(ServingError) as caught:
        ask(model)
    response = problems.response(caught.value)
    body = json.loads(response.body)  # type: ignore[arg-type]
    assert (response.status, body["code"], body["type"]) == (status, status, name)
    assert body["message"] == message if message else body["message"].startswith("predict_fn fai")
