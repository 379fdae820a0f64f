"""Sessions are created and closed before the model is asked."""

from pathlib import Path

from serving.values import Request
from tests.application.support import Opened, ask, at_once, problem
from tests.support import Fake, post

NEW_SESSION, CLOSE = b'{"requestType":"NEW_SESSION"}', b'{"requestType":"CLOSE"}'


async def test_a_session_is_created_used_and_closed_before_the_model(
    opened: Opened, tmp_path: Path
) -> None:
    fake = Fake()
    async with opened(fake.model(), sessions=True, sessions_path=tmp_path) as application:
        created = await ask(application, post(NEW_SESSION))
        ((name, value),) = created.headers
        assert (created.status, name) == (200, "x-amzn-sagemaker-new-session-id")
        identity = value.partition(";")[0]

        def naming(body: bytes) -> Request:
            return post(body, x_amzn_sagemaker_session_id=identity)

        assert fake.calls == []
        assert (await ask(application, naming(b"4"))).body == b"8\n"
        closed = await ask(application, naming(CLOSE))
        assert closed.headers == (("x-amzn-sagemaker-closed-session-id", identity),)
        status, kind, message = problem(at_once(application, naming(b"4")))
        assert (status, kind) == (400, "BadRequest")
        assert "unknown, or has expired" in message
        assert fake.calls == [[4.0]]
        assert application.metrics.requests == {200: 3, 400: 1}


async def test_a_session_that_cannot_be_created_is_a_failed_dependency(
    opened: Opened, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    folder = tmp_path / "file" / "sessions"
    async with opened(Fake().model(), sessions=True, sessions_path=folder) as application:
        status, kind, _ = problem(await ask(application, post(NEW_SESSION)))
        assert (status, kind) == (424, "FailedDependency")


async def test_no_session_is_created_without_the_setting(opened: Opened) -> None:
    async with opened(Fake().model()) as application:
        for body in (NEW_SESSION, CLOSE):
            status, _, message = problem(at_once(application, post(body)))
            assert status == 400
            assert "not enabled" in message
        named = post(b"4", x_amzn_sagemaker_session_id="NEW_SESSION")
        assert (await ask(application, named)).body == b"8\n"
