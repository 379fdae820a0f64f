"""Stateful sessions: created, used, expired, closed."""

import re
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serving import machine, sessions
from serving.errors import BadRequest, FailedDependency
from serving.sessions import MAX_WISH, NONE, wish
from serving.sessions.store import Session, Sessions
from serving.settings import Settings
from serving.values import Request, Response
from tests.support import post

SECONDS = 1200.0
NEW = b'{"requestType":"NEW_SESSION"}'
CLOSE = b'{"requestType":"CLOSE"}'
SOMEBODY_ELSES = "7d0a4f5e-0000-4000-8000-000000000000"


class Clock:
    """A time that moves when it is told to."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC).timestamp()

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Sessions:
    return Sessions(tmp_path / "sessions", SECONDS, clock)


def naming(name: str, body: bytes = b"1,2") -> Request:
    """A request of a session."""
    return post(body, x_amzn_sagemaker_session_id=name)


def act(store: Sessions, request: Request) -> Response:
    """The answer to a request that is about its session."""
    action = store.action(request)
    assert action is not None
    return action()


def opened(store: Sessions) -> Session:
    """A session that a client has just opened."""
    ((_, value),) = act(store, post(NEW)).headers
    return store.find(value.partition(";")[0])


@pytest.mark.parametrize("request_", [post(NEW), naming("NEW_SESSION"), naming("NEW_SESSION", NEW)])
def test_a_session_is_created_by_header_or_body_or_both(store: Sessions, request_: Request) -> None:
    answer = act(store, request_)
    ((name, value),) = answer.headers
    assert name == "x-amzn-sagemaker-new-session-id"
    identity = value.partition(";")[0]
    assert str(uuid.UUID(identity)) == identity
    assert value == f"{identity}; Expires=2026-03-01T12:20:00Z"
    assert re.fullmatch(r"[\w-]+;\sExpires=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", value)
    assert (answer.status, answer.body) == (200, f"Session {identity} created".encode())
    assert store.action(naming(identity)) is None


def test_each_session_has_an_id_of_its_own(store: Sessions) -> None:
    assert opened(store).id != opened(store).id


def test_a_session_is_closed_by_a_body_and_its_header(store: Sessions, tmp_path: Path) -> None:
    session = opened(store)
    session.put("turn", 1)
    answer = act(store, naming(session.id, CLOSE))
    assert answer == Response(
        200,
        f"Session {session.id} closed".encode(),
        "text/plain",
        (("x-amzn-sagemaker-closed-session-id", session.id),),
    )
    assert list((tmp_path / "sessions").iterdir()) == []
    with pytest.raises(BadRequest, match="unknown, or has expired"):
        store.action(naming(session.id))


def test_closing_needs_the_header(store: Sessions) -> None:
    for request in (post(CLOSE), naming("NEW_SESSION", CLOSE)):
        with pytest.raises(BadRequest, match="name it in the header field x-amzn-sagemaker-sess"):
            store.action(request)


@pytest.mark.parametrize("body", [b"1,2", NEW, CLOSE])
def test_an_unknown_session_is_refused_whatever_is_asked_of_it(
    store: Sessions, body: bytes
) -> None:
    with pytest.raises(BadRequest, match=rf"^Session '{SOMEBODY_ELSES}' is unknown") as refusal:
        store.action(naming(SOMEBODY_ELSES, body))
    assert refusal.value.status == 400


@pytest.mark.parametrize(
    "name",
    ["..", ".", "/", "../sessions", "new_session", "a" * 36, "\0", SOMEBODY_ELSES.upper() + "/.."],
)
def test_what_is_no_uuid_never_becomes_a_path(
    store: Sessions, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened(store)
    monkeypatch.setattr(Path, "stat", lambda *_, **__: pytest.fail("a path was looked at"))
    with pytest.raises(BadRequest, match="unknown"):
        store.action(naming(name))


def test_a_long_name_is_not_repeated_whole(store: Sessions) -> None:
    with pytest.raises(BadRequest) as refusal:
        store.find("x" * 10_000)
    assert len(str(refusal.value)) < 200


def test_a_session_expires_so_long_after_its_creation(store: Sessions, clock: Clock) -> None:
    session = opened(store)
    clock.now += SECONDS - 1
    session.put("used", "late")
    assert store.action(naming(session.id)) is None
    clock.now += 1
    for body in (b"1,2", CLOSE):
        with pytest.raises(BadRequest, match="has expired"):
            store.action(naming(session.id, body))


def test_what_has_expired_is_removed_when_a_session_is_created(
    store: Sessions, clock: Clock, tmp_path: Path
) -> None:
    opened(store).put("weights", bytes(1000))
    clock.now += SECONDS / 2
    younger = opened(store)
    clock.now += SECONDS / 2
    youngest = opened(store)
    names = {path.name for path in (tmp_path / "sessions").iterdir()}
    assert names == {younger.id, youngest.id}


def test_every_worker_finds_a_session(store: Sessions, clock: Clock, tmp_path: Path) -> None:
    other = Sessions(tmp_path / "sessions", SECONDS, clock)
    session = opened(store)
    session.put("turn", {"count": 2})
    assert other.find(session.id).get("turn") == {"count": 2}
    act(other, naming(session.id, CLOSE))
    with pytest.raises(BadRequest, match="unknown"):
        store.find(session.id)


def test_a_session_that_two_requests_close_is_closed_once(store: Sessions) -> None:
    session = opened(store)
    first, second = (store.action(naming(session.id, CLOSE)) for _ in range(2))
    assert first is not None
    assert second is not None
    assert first().status == 200
    with pytest.raises(FailedDependency, match=r"cannot be closed: No such file") as refusal:
        second()
    assert refusal.value.status == 424


def test_a_session_that_cannot_be_stored_is_a_failed_dependency(
    tmp_path: Path, clock: Clock
) -> None:
    (tmp_path / "file").touch()
    store = Sessions(tmp_path / "file" / "sessions", SECONDS, clock)
    with pytest.raises(FailedDependency, match=r"^The session cannot be created: Not a directory"):
        act(store, post(NEW))


def test_others_on_the_machine_cannot_read_a_session(store: Sessions, tmp_path: Path) -> None:
    folder = tmp_path / "sessions" / opened(store).id
    assert folder.stat().st_mode & 0o777 == 0o700
    assert folder.parent.stat().st_mode & 0o777 == 0o700


# Values


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        ("", ""),
        ("text ☃", "text ☃"),
        ({"turns": [1, 2.5, True, None]}, {"turns": [1, 2.5, True, None]}),
        (np.array([[1, 2]]), [[1, 2]]),
        (b"", b""),
        (b"\0j{raw", b"\0j{raw"),
        (bytearray(b"ab"), b"ab"),
        (memoryview(b"ab"), b"ab"),
    ],
)
def test_json_and_bytes_come_back(store: Sessions, value: Any, expected: Any) -> None:
    session = opened(store)
    session.put("key", "before")
    session.put("key", value)
    found = session.get("key", "missing")
    assert found == expected
    assert type(found) is type(expected)


def test_what_is_not_there_is_the_default(store: Sessions) -> None:
    session = opened(store)
    assert session.get("key") is None
    assert session.get("key", 0) == 0
    session.put("key", 1)
    session.delete("key")
    session.delete("key")
    assert session.get("key", "gone") == "gone"


@pytest.mark.parametrize("key", ["", ".", "..", "../x", "/etc/passwd", "expires", "a" * 999, "\0"])
def test_a_key_may_be_any_text(store: Sessions, tmp_path: Path, key: str) -> None:
    session = opened(store)
    session.put(key, "mine")
    assert session.get(key) == "mine"
    assert store.action(naming(session.id)) is None
    assert {path.name for path in tmp_path.iterdir()} == {"sessions"}


def test_sessions_do_not_see_each_others_values(store: Sessions) -> None:
    one, other = opened(store), opened(store)
    one.put("key", 1)
    assert other.get("key") is None


def test_a_value_that_cannot_be_kept_leaves_the_old_one(
    store: Sessions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = opened(store)
    session.put("key", "old")
    with pytest.raises(TypeError):
        session.put("key", object())

    def full(path: Path, content: bytes) -> int:
        path.touch()
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        with pytest.raises(OSError, match="No space left"):
            session.put("key", "new")
    assert session.get("key") == "old"
    assert len(list((tmp_path / "sessions" / session.id).iterdir())) == 2


def test_nothing_is_put_into_a_session_that_was_closed(store: Sessions) -> None:
    session = opened(store)
    store.close(session)
    with pytest.raises(BadRequest, match="unknown, or has expired"):
        session.put("key", 1)
    assert session.get("key") is None


# What is asked


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (NEW, "NEW_SESSION"),
        (CLOSE, "CLOSE"),
        (b'\n{\n    "requestType": "NEW_SESSION"\n}\n', "NEW_SESSION"),
        (b"", ""),
        (b"1,2", ""),
        (b'["requestType"]', ""),
        (b'{"requestType":"CLOSE"', ""),
        (b'{"requestType":"CLOSE","x":1}', ""),
        (b'{"text":"\\"requestType\\""}', ""),
        (CLOSE + b" " * (MAX_WISH - len(CLOSE)), "CLOSE"),
    ],
)
def test_a_body_is_about_its_session_if_request_type_is_its_only_key(
    body: bytes, expected: str
) -> None:
    assert wish(body) == expected


@pytest.mark.parametrize("value", [b'"close"', b'"OPEN"', b"1", b"null", b"[]"])
def test_an_unknown_request_type_is_refused(value: bytes) -> None:
    with pytest.raises(BadRequest, match=r"is unknown; there are NEW_SESSION and CLOSE\.$"):
        wish(b'{"requestType":%b}' % value)


def test_a_request_without_a_session_is_for_the_model(store: Sessions, tmp_path: Path) -> None:
    assert store.action(post(b"1,2")) is None
    assert store.action(post(b"1,2", x_amzn_sagemaker_session_id="")) is None
    assert store.of(post(b"1,2").headers) is None
    assert store.of(naming("NEW_SESSION").headers) is None
    assert list(tmp_path.iterdir()) == []


# Where they are off, which they are unless they are turned on


@pytest.mark.parametrize("body", [NEW, CLOSE])
def test_a_server_without_sessions_says_how_to_get_them(body: bytes) -> None:
    with pytest.raises(BadRequest, match="SAGEMAKER_ENABLE_STATEFUL_SESSIONS=true") as refusal:
        NONE.action(post(body))
    assert "not enabled" in str(refusal.value)


def test_a_server_without_sessions_leaves_their_header_to_the_script() -> None:
    assert NONE.action(naming("NEW_SESSION")) is None
    assert NONE.action(naming("anything")) is None
    assert NONE.of(naming("anything").headers) is None


def test_the_settings_turn_them_on(tmp_path: Path) -> None:
    assert sessions.of(Settings()) is NONE
    store = sessions.of(Settings(sessions=True, sessions_path=tmp_path, sessions_expiration=60))
    assert isinstance(store, Sessions)
    assert opened(store).id in {path.name for path in tmp_path.iterdir()}


@pytest.mark.parametrize("writable", [True, False])
def test_they_lie_in_shared_memory_where_that_can_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writable: bool
) -> None:
    memory, temporary = tmp_path / "shm", tmp_path / "tmp"
    if writable:
        memory.mkdir()
    monkeypatch.setattr(machine, "SHARED_MEMORY", memory)
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    folder = memory if writable else temporary
    assert machine.default_sessions() == folder / "sagemaker_sessions"
