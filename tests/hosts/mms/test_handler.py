"""The handler, in a context that stands for multi-model-server's own (``mms.context.Context``)."""

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from serving.entry import State
from serving.errors import ModelLoadError
from serving.hosts.background import Background
from serving.hosts.messages import Whole
from serving.hosts.mms import handler as module
from serving.hosts.mms.handler import Handler
from serving.values import Request
from tests.models import SCRIPT, stump
from tests.support import PATIENCE

CSV = {"Content-Type": "text/csv"}


class FakeContext:
    """What the server makes for a model, and fills with the requests of a call."""

    def __init__(self, folder: Path, *headers: Mapping[str, Any], batch_size: int = 1) -> None:
        self.system_properties = {
            "model_dir": str(folder),
            "gpu_id": None,
            "batch_size": batch_size,
            "server_name": "MMS",
            "server_version": "1.1.11",
        }
        self.metrics: Any = None
        self.statuses: dict[int, tuple[int, str]] = {}
        self.responses: list[dict[str, str]] = [{} for _ in headers]
        self._headers = headers

    def get_all_request_header(self, idx: int) -> Mapping[str, Any]:
        return {"body": {"content-type": ""}, **self._headers[idx]}

    def set_response_status(self, code: int, phrase: str, idx: int) -> None:
        self.statuses[idx] = (code, phrase)

    def set_response_header(self, idx: int, key: str, value: str) -> None:
        self.responses[idx][key] = value


class FakeSite:
    """Answers in place of the core, and keeps what it was asked."""

    def __init__(self, answer: Callable[[Request], Whole]) -> None:
        self.asked: list[Request] = []
        self._answer = answer

    def ask_whole(self, request: Request) -> Whole:
        self.asked.append(request)
        return self._answer(request)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    model = tmp_path / "model"
    model.mkdir()
    stump().save_model(model / "model.json")
    return model


@pytest.fixture
def script(tmp_path: Path) -> Path:
    code = tmp_path / "script" / "code"
    code.mkdir(parents=True)
    (code / "inference.py").write_text(SCRIPT)
    return code.parent


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    model = tmp_path / "broken"
    model.mkdir()
    (model / "xgboost-model").write_bytes(b"no model")
    return model


MakeHandler = Callable[..., Handler]


@pytest.fixture
def make_handler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeHandler]:
    """Makes handlers, which are closed in the end."""
    opened: list[Background] = []

    class Closed(Background):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            opened.append(self)

    monkeypatch.setattr(module, "Background", Closed)
    # Both are for a process of the server alone.
    monkeypatch.setattr("serving.logs.configure", lambda *_: None)
    monkeypatch.setattr(module, "_keep_metrics", lambda: None)
    yield lambda **variables: Handler({"SERVING_CACHE": str(tmp_path / "cache"), **variables})
    for site in opened:
        site.close()


@pytest.fixture
def faked(
    make_handler: MakeHandler, folder: Path
) -> Callable[[Callable[[Request], Whole]], tuple[Handler, FakeSite]]:
    """A handler whose core is not the real one, for up to three requests a call."""

    def fake(answer: Callable[[Request], Whole]) -> tuple[Handler, FakeSite]:
        handler, site = make_handler(), FakeSite(answer)
        handler.load(FakeContext(folder, batch_size=3).system_properties)
        handler._site = site  # type: ignore[assignment]
        return handler, site

    return fake


def ask(
    handler: Handler, folder: Path, body: bytes, headers: Mapping[str, Any]
) -> tuple[tuple[int, str], dict[str, str], bytes]:
    context = FakeContext(folder, headers)
    (answer,) = handler.handle([{"body": bytearray(body)}], context)
    return context.statuses[0], context.responses[0], answer


def test_a_request_is_answered_by_the_core(make_handler: MakeHandler, folder: Path) -> None:
    handler = make_handler()
    handler.load(FakeContext(folder).system_properties)
    answer = ask(handler, folder, b"0,5\n2,5\n", CSV)
    assert answer == ((200, "OK"), {"Content-Type": "text/csv"}, b"1.0\n3.0\n")


def test_an_error_has_the_cores_status_and_body(make_handler: MakeHandler, folder: Path) -> None:
    handler = make_handler()
    handler.load(FakeContext(folder).system_properties)
    status, headers, body = ask(handler, folder, b"x", {"content-type": "image/png"})
    assert status == (415, "Unsupported Media Type")
    assert headers == {"Content-Type": "application/json"}
    assert b'"type":"UnsupportedMediaType"' in body


def test_a_stream_is_collected(make_handler: MakeHandler, script: Path) -> None:
    handler = make_handler()
    handler.load(FakeContext(script).system_properties)
    headers = {"Content-Type": "text/x-numbers", "ACCEPT": "text/event-stream"}
    answer = ask(handler, script, b"1 2", headers)
    assert answer == (
        (200, "OK"),
        {"Content-Type": "text/event-stream"},
        b"data: 3\n\ndata: 6\n\n",
    )


def test_header_fields_are_told_by_lower_case_names_and_types_of_inputs_are_none(
    faked: Callable[..., tuple[Handler, FakeSite]], folder: Path
) -> None:
    handler, site = faked(lambda _: Whole(200, (), b""))
    context = FakeContext(folder, {"Accept": "a/b", "ACCEPT": "c/d", "q": {"content-type": ""}})
    handler.handle([{"q": b"1", "body": b"12"}], context)
    (request,) = site.asked
    assert request.headers == {"accept": "a/b, c/d"}
    assert (request.method, request.path, request.body) == ("POST", "/invocations", b"12")


def test_the_deadline_is_the_request_timeout_from_now(
    make_handler: MakeHandler, folder: Path
) -> None:
    handler = make_handler(SAGEMAKER_MODEL_SERVER_TIMEOUT_SECONDS="7")
    handler.load(FakeContext(folder).system_properties)
    handler._site = site = FakeSite(lambda _: Whole(200, (), b""))  # type: ignore[assignment]
    before = time.monotonic()
    ask(handler, folder, b"", {})
    assert before + 7 <= site.asked[0].deadline <= time.monotonic() + 7


def test_response_fields_are_one_each(
    faked: Callable[..., tuple[Handler, FakeSite]], folder: Path
) -> None:
    fields = (("content-type", "text/x; a=é"), ("x-own", "1"), ("x-own", "2"))
    handler, _ = faked(lambda _: Whole(299, fields, b"yes"))
    answer = ask(handler, folder, b"", {})
    assert answer == ((299, ""), {"Content-Type": "text/x; a=é", "X-Own": "1, 2"}, b"yes")


def test_requests_of_one_call_are_asked_at_once_and_answered_in_order(
    faked: Callable[..., tuple[Handler, FakeSite]], folder: Path
) -> None:
    together = threading.Barrier(3)

    def answer(request: Request) -> Whole:
        together.wait(PATIENCE)
        return Whole(200 + int(request.body), (), request.body)

    handler, _ = faked(answer)
    data: Sequence[dict[str, bytes]] = [{"body": str(number).encode()} for number in range(3)]
    context = FakeContext(folder, {}, {}, {})
    assert handler.handle(data, context) == [b"0", b"1", b"2"]
    assert context.statuses == {0: (200, "OK"), 1: (201, "Created"), 2: (202, "Accepted")}


@pytest.mark.parametrize(
    "kind", ["multipart/form-data; boundary=x", "Application/X-WWW-form-urlencoded"]
)
def test_what_the_server_takes_apart_is_refused(
    faked: Callable[..., tuple[Handler, FakeSite]], folder: Path, kind: str
) -> None:
    handler, site = faked(lambda _: Whole(200, (), b""))
    status, _, body = ask(handler, folder, b"", {"content-type": kind})
    assert status[0] == 415
    assert kind.partition(";")[0].lower().encode() in body
    assert site.asked == []


def test_a_body_larger_than_the_limit_is_refused(make_handler: MakeHandler, folder: Path) -> None:
    handler = make_handler(MAX_CONTENT_LENGTH="4")
    handler.load(FakeContext(folder).system_properties)
    assert ask(handler, folder, b"0,55", CSV)[0] == (200, "OK")
    status, _, body = ask(handler, folder, b"0,555", CSV)
    assert status[0] == 413
    assert b"larger than 4 bytes" in body


def test_the_one_model_of_a_server_answers_why_it_cannot_be_loaded(
    make_handler: MakeHandler, broken: Path
) -> None:
    handler = make_handler()
    handler.load(FakeContext(broken).system_properties)
    status, _, body = ask(handler, broken, b"1,2", CSV)
    assert status == (503, "Service Unavailable")
    assert b"xgboost-model" in body


def test_one_of_many_models_that_cannot_be_loaded_is_not_registered(
    make_handler: MakeHandler, broken: Path
) -> None:
    handler = make_handler(SAGEMAKER_MULTI_MODEL="true")
    with pytest.raises(ModelLoadError, match="xgboost-model"):
        handler.load(FakeContext(broken).system_properties)


def test_one_of_many_models_is_served_alone(make_handler: MakeHandler, folder: Path) -> None:
    handler = make_handler(SAGEMAKER_MULTI_MODEL="true")
    handler.load(FakeContext(folder).system_properties)
    assert ask(handler, folder, b"2,5", CSV)[2] == b"3.0\n"


def test_a_fork_of_the_process_that_loaded_the_model_loads_it_itself(
    make_handler: MakeHandler, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    handler = make_handler()
    handler.load(FakeContext(folder).system_properties)
    first, here = handler._site, os.getpid()
    ask(handler, folder, b"0,5", CSV)
    assert handler._site is first
    monkeypatch.setattr(os, "getpid", lambda: here + 1)
    assert ask(handler, folder, b"0,5", CSV)[2] == b"1.0\n"
    assert handler._site is not first


def test_a_process_that_has_to_be_replaced_ends_once_its_answers_are_sent(
    make_handler: MakeHandler, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Ended(BaseException):
        pass

    def end(status: int) -> None:
        raise Ended(status)

    monkeypatch.setattr(os, "_exit", end)
    handler, context = make_handler(), FakeContext(folder, CSV)
    handler.load(context.system_properties)
    handler._hear(State.BROKEN, "The GPU is lost.")
    handler._hear(State.READY, "")
    assert handler.handle([{"body": b"0,5"}], context) == [b"1.0\n"]
    with pytest.raises(Ended):
        _ = context.metrics.store


def test_the_module_is_a_handler_service(
    make_handler: MakeHandler, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_handler", make_handler())
    context = FakeContext(folder, CSV)
    assert module.handle(None, context) is None
    assert module.handle([{"body": b"0,5"}], context) == [b"1.0\n"]
