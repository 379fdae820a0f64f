"""Contract §1.5: stateful sessions are created, used, closed, and end by themselves."""

import re
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from serving.values import Request
from tests.contract.cases import JSON, post
from tests.contract.places import Place
from tests.contract.scripts import script_model
from tests.support import PATIENCE, Answer, Server

COUNTING = """
def model_fn(model_dir):
    return None

def transform_fn(model, data, content_type, accept, context):
    if context.session is None:
        return "no session"
    count = context.session.get("count", 0) + 1
    context.session.put("count", count)
    return f"request {count} of {context.session_id}"
"""
ENABLED = {"SAGEMAKER_ENABLE_STATEFUL_SESSIONS": "true"}
NEW = b'{"requestType": "NEW_SESSION"}'
CLOSE = b'{"requestType": "CLOSE"}'
CREATED = "x-amzn-sagemaker-new-session-id"
CLOSED = "x-amzn-sagemaker-closed-session-id"


@pytest.fixture(scope="module")
def counting(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return script_model(tmp_path_factory.mktemp("counting") / "model", COUNTING)


def within(session: str, body: bytes = b"x") -> Request:
    """A request that names a session."""
    return post(body, JSON, **{"x-amzn-sagemaker-session-id": session})


def identity(created: Answer) -> str:
    """The session that an answer says was created."""
    assert created.status == 200, created.body
    return created.headers[CREATED].partition(";")[0]


def refused(answer: Answer, status: int, reason: str) -> bool:
    return answer.status == status and reason.encode() in answer.body


def opened(server: Server) -> str:
    return identity(server.ask(within("NEW_SESSION")))


@pytest.mark.parametrize(
    "request_",
    [within("NEW_SESSION"), post(NEW, JSON), within("NEW_SESSION", NEW)],
    ids=["by its header", "by its body", "by both"],
)
def test_a_session_is_created(place: Place, counting: Path, request_: Request) -> None:
    earliest = int(time.time()) + 1200
    answer = place.serve(counting, **ENABLED).ask(request_)
    latest = int(time.time()) + 1200
    told = re.fullmatch(
        r"([0-9a-f-]{36});\sExpires=(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)", answer.headers[CREATED]
    )
    assert told
    assert (answer.status, answer.body) == (200, f"Session {told[1]} created".encode())
    end = datetime.strptime(told[2], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    assert earliest <= end.timestamp() <= latest


def test_a_session_is_used(place: Place, counting: Path) -> None:
    server = place.serve(counting, **ENABLED)
    one, other = opened(server), opened(server)
    answers = [server.ask(within(session)) for session in (one, one, other, one)]
    assert [answer.body.decode() for answer in answers] == [
        f"request 1 of {one}",
        f"request 2 of {one}",
        f"request 1 of {other}",
        f"request 3 of {one}",
    ]
    assert server.ask(post(b"x", "text/plain")).body == b"no session"


def test_a_session_reaches_every_worker(place: Place, counting: Path) -> None:
    server = place.serve(counting, **ENABLED, SAGEMAKER_MODEL_SERVER_WORKERS="2")
    session = opened(server)
    answers = [server.ask(within(session)) for _ in range(20)]
    assert [answer.body.decode() for answer in answers] == [
        f"request {number} of {session}" for number in range(1, 21)
    ]


def test_a_session_is_closed(place: Place, counting: Path) -> None:
    server = place.serve(counting, **ENABLED)
    session = opened(server)
    answer = server.ask(within(session, CLOSE))
    assert (answer.status, answer.headers[CLOSED]) == (200, session)
    assert answer.body == f"Session {session} closed".encode()
    assert refused(server.ask(within(session)), 400, "unknown, or has expired")
    assert refused(server.ask(within(session, CLOSE)), 400, "unknown, or has expired")


def test_an_unknown_session_is_a_400(place: Place, counting: Path) -> None:
    server = place.serve(counting, **ENABLED)
    unknown = within("7d0a4f5e-0000-4000-8000-000000000000")
    assert refused(server.ask(unknown), 400, "unknown, or has expired")


def test_a_session_ends_when_it_said_it_would(place: Place, counting: Path) -> None:
    server = place.serve(counting, **ENABLED, SAGEMAKER_SESSIONS_EXPIRATION="1")
    session, limit = opened(server), time.monotonic() + PATIENCE
    while (answer := server.ask(within(session))).status == 200:
        assert time.monotonic() < limit
    assert refused(answer, 400, "has expired")


def test_what_else_a_client_asks_of_sessions_is_a_400(place: Place, counting: Path) -> None:
    server = place.serve(counting, **ENABLED)
    reopened = post(b'{"requestType": "REOPEN"}', JSON)
    assert refused(server.ask(reopened), 400, "there are NEW_SESSION and CLOSE")
    nameless = post(CLOSE, JSON)
    assert refused(server.ask(nameless), 400, "name it in the header field")


def test_a_session_that_cannot_be_kept_is_a_424(place: Place, counting: Path) -> None:
    server = place.serve(counting, **ENABLED, SAGEMAKER_SESSIONS_PATH="/proc/sessions")
    assert refused(server.ask(within("NEW_SESSION")), 424, "cannot be created")


@pytest.mark.parametrize("body", [NEW, CLOSE])
def test_where_sessions_are_not_enabled_asking_for_one_is_a_400(
    place: Place, counting: Path, body: bytes
) -> None:
    answer = place.serve(counting).ask(post(body, JSON))
    assert refused(answer, 400, "sessions are not enabled")
