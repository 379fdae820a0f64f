"""The function, in this process: settings from the package, limits, deadlines, failures."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from serving.errors import SettingError
from serving.hosts.edge.handler import Edge, load
from tests.edge_events import answer, event
from tests.support import Answer, get, post

BINARY = "application/octet-stream"

TOKEN = "a.token.of.the.tests"
KEYS = f"""
[[tokens]]
name = "tests"
token = "{TOKEN}"
scopes = ["invoke"]
"""

MakeEdge = Callable[..., Edge]

SCRIPT = """
def model_fn(model_dir):
    return None

def transform_fn(model, body, content_type, accept, context):
    if body == b"long":
        return b"a" * 2_000_000, "text/plain"
    if body == b"stream":
        return (b"a" * 1000 for _ in range(2000)), "text/plain"
    if body == b"breaks":
        return broken(), "text/plain"
    if body == b"slow":
        import threading
        threading.Event().wait(30)
    if body == b"exit":
        raise SystemExit(3)
    return b"\\xff" + body, "application/octet-stream"

def broken():
    yield b"a"
    raise ValueError("no more")
"""


class Context:
    """What Lambda gives to a function besides the event."""

    def __init__(self, milliseconds: int) -> None:
        self._left = milliseconds

    def get_remaining_time_in_millis(self) -> int:
        return self._left


@pytest.fixture
def package(tmp_path: Path) -> Path:
    code = tmp_path / "model" / "code"
    code.mkdir(parents=True)
    (code / "inference.py").write_text(SCRIPT)
    return tmp_path


@pytest.fixture
def make(package: Path) -> Iterator[MakeEdge]:
    """Makes what answers for a package with these settings."""
    with ExitStack() as stack:

        def make(**variables: str) -> Edge:
            (package / "settings.json").write_text(json.dumps(variables))
            made = load(package)
            stack.callback(made.close)
            return made

        yield make


def ask(edge: Edge, body: bytes, kind: str = "origin-request", context: Any = None) -> Answer:
    return answer(edge.answer(event(post(body, content_type=BINARY), kind), context))


def ping(edge: Edge) -> Answer:
    return answer(edge.answer(event(get("/ping")), None))


def message(found: Answer) -> str:
    return str(json.loads(found.body)["message"])


def test_an_answer_too_large_for_cloudfront_is_413(make: MakeEdge) -> None:
    found = ask(make(), b"long")
    assert found.status == 413
    assert "2000" in message(found)
    assert "1048576" in message(found)


def test_a_viewers_event_takes_less(make: MakeEdge) -> None:
    edge = make()
    assert ask(edge, b"a" * 35_000).status == 200
    assert ask(edge, b"a" * 35_000, "viewer-request").status == 413
    assert ask(edge, b"a", "viewer-request").body == b"\xffa"


def test_a_stream_is_collected_and_has_the_same_limit(make: MakeEdge) -> None:
    assert ask(make(), b"stream").status == 413


def test_a_stream_that_breaks_off_is_an_error(make: MakeEdge) -> None:
    assert ask(make(), b"breaks").status == 500


def test_a_truncated_body_is_413(make: MakeEdge) -> None:
    found = answer(make().answer(event(post(b"1"), inputTruncated=True), None))
    assert found.status == 413
    assert "CloudFront hands over no more" in message(found)


def test_the_limit_for_bodies_holds(make: MakeEdge) -> None:
    edge = make(SAGEMAKER_MAX_PAYLOAD_IN_MB="0.001")
    assert ask(edge, b"a" * 1048).status == 200
    found = ask(edge, b"a" * 1050)
    assert found.status == 413
    assert "SAGEMAKER_MAX_PAYLOAD_IN_MB" in message(found)


def test_an_answer_comes_before_lambda_ends_the_call(make: MakeEdge) -> None:
    edge = make()
    assert ask(edge, b"slow", context=Context(400)).status == 504
    assert ask(edge, b"a", context=Context(0)).status == 504


def test_nothing_that_a_script_raises_leaves_the_function(make: MakeEdge) -> None:
    edge = make()
    assert ask(edge, b"exit").status == 500
    assert ask(edge, b"a").status == 200


def test_a_model_that_does_not_load_is_the_answer(package: Path, make: MakeEdge) -> None:
    (package / "model" / "code" / "inference.py").write_text("import nowhere\n")
    found = ping(make())
    assert found.status == 503
    assert "nowhere" in message(found)


def test_ping_is_not_cached(make: MakeEdge) -> None:
    found = ping(make())
    assert (found.status, found.headers) == (200, {"cache-control": "no-store"})


def test_there_are_no_metrics(make: MakeEdge) -> None:
    found = answer(make().answer(event(get("/metrics")), None))
    assert found.status == 404
    assert "CloudWatch" in message(found)


def test_the_keys_in_the_package_guard_it(package: Path, make: MakeEdge) -> None:
    (package / "keys.toml").write_text(KEYS)
    edge = make(SERVING_KEYS="keys.toml")
    assert ask(edge, b"a").status == 401
    authorized = post(b"a", content_type=BINARY, authorization=f"Bearer {TOKEN}")
    assert answer(edge.answer(event(authorized), None)).status == 200


def test_a_setting_that_is_not_allowed_ends_the_start(make: MakeEdge) -> None:
    with pytest.raises(SettingError, match="SAGEMAKER_MAX_PAYLOAD_IN_MB"):
        make(SAGEMAKER_MAX_PAYLOAD_IN_MB="much")
