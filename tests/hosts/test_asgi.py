"""The ASGI host, spoken to in ASGI's own messages."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import orjson
import pytest

from serving.call import Reply
from serving.errors import ServingError, SettingError
from serving.hosts.asgi import Host, app, create_app
from serving.hosts.asgi_messages import Message, Scope
from serving.hosts.site import Site
from serving.values import Request, Response
from tests.conftest import MakeSettings
from tests.hosts.web import stream_in, stump_in
from tests.support import PATIENCE, Run

WHOLE: Message = {"type": "http.request", "body": b"", "more_body": False}
LEFT: Message = {"type": "http.disconnect"}


BYTES = [(b"content-type", b"application/octet-stream")]


def http(path: str = "/invocations", method: str = "POST", **more: Any) -> Scope:
    scope = {"type": "http", "method": method, "path": path, "raw_path": path.encode()}
    return {**scope, "query_string": b"", "headers": [], **more}


class Client:
    """A web server with one request: its messages, then silence; what it is sent."""

    def __init__(self, *messages: Message) -> None:
        self.coming: asyncio.Queue[Message] = asyncio.Queue()
        for message in messages:
            self.coming.put_nowait(message)
        self.sent: list[Message] = []
        self.on_send: Callable[[Message], None] = lambda _: None

    async def receive(self) -> Message:
        return await self.coming.get()

    async def send(self, message: Message) -> None:
        self.sent.append(message)
        self.on_send(message)
        await asyncio.sleep(0)

    async def ask(self, host: Host, scope: Scope) -> "Client":
        await asyncio.wait_for(host(scope, self.receive, self.send), PATIENCE)
        return self

    @property
    def status(self) -> int:
        status: int = self.sent[0]["status"]
        return status

    @property
    def headers(self) -> dict[bytes, bytes]:
        return dict(self.sent[0]["headers"])

    @property
    def body(self) -> bytes:
        assert not self.sent[-1].get("more_body")
        return b"".join(message["body"] for message in self.sent[1:])

    @property
    def problem(self) -> tuple[int, str, str]:
        told = orjson.loads(self.body)
        assert told["code"] == self.status
        return told["code"], told["type"], told["message"]


async def until_loaded(host: Host) -> None:
    async with asyncio.timeout(PATIENCE):
        while (await Client(WHOLE).ask(host, http("/ping", "GET"))).status != 200:
            await asyncio.sleep(0.01)


@pytest.fixture
def stump_folder(tmp_path: Path) -> str:
    return stump_in(tmp_path)


@pytest.fixture
def stream_folder(tmp_path: Path) -> str:
    return stream_in(tmp_path)


@pytest.fixture
def settle(make_settings: MakeSettings) -> Callable[..., Host]:
    """Makes a host whose site is the given handler; called on the loop."""

    def settle(handle: Callable[[Request, Reply], None], **given: Any) -> Host:
        async def begun() -> tuple[Site, Any]:
            site: Any = SimpleNamespace(handle=handle)
            return site, make_settings(**given)

        host = create_app()
        host._beginning = asyncio.get_running_loop().create_task(begun())
        return host

    return settle


async def asked(host: Host, scope: Scope, *messages: Message) -> Client:
    assert host._beginning is not None
    await host._beginning
    return await Client(*messages).ask(host, scope)


def never(_request: Request, _reply: Reply) -> None:
    """Handles no request."""
    raise AssertionError


class TestLife:
    @staticmethod
    @asynccontextmanager
    async def lifespan(host: Host) -> AsyncIterator[Client]:
        client = Client({"type": "lifespan.startup"})
        life = asyncio.create_task(host({"type": "lifespan"}, client.receive, client.send))
        async with asyncio.timeout(PATIENCE):
            while not client.sent:
                await asyncio.sleep(0)
        yield client
        client.coming.put_nowait({"type": "lifespan.shutdown"})
        await asyncio.wait_for(life, PATIENCE)

    def test_it_loads_from_startup_to_shutdown(self, run: Run, stump_folder: str) -> None:
        async def go() -> None:
            host = create_app(SERVING_MODEL=stump_folder)
            async with self.lifespan(host) as client:
                assert client.sent == [{"type": "lifespan.startup.complete"}]
                await until_loaded(host)
                body = {"type": "http.request", "body": b"0,5\n"}
                fields = [(b"content-type", b"text/csv")]
                answer = await Client(body).ask(host, http(headers=fields))
                assert answer.body == b"1.0\n"
            assert client.sent[-1] == {"type": "lifespan.shutdown.complete"}

        run(go())

    def test_it_can_be_started_again_after_its_end(self, run: Run, stump_folder: str) -> None:
        async def go() -> None:
            host = create_app(SERVING_MODEL=stump_folder)
            for _ in range(2):
                async with host:
                    await until_loaded(host)

        run(go())

    @pytest.mark.parametrize(
        ("variables", "message"),
        [
            ({"SAGEMAKER_MAX_PAYLOAD_IN_MB": "much"}, "SAGEMAKER_MAX_PAYLOAD_IN_MB='much' is not"),
            ({"SERVING_MODEL": "/none"}, "/none"),
            ({"SERVING_KEYS": "/none"}, "SERVING_KEYS"),
        ],
    )
    def test_what_is_wrong_fails_the_startup_with_its_message(
        self, run: Run, stump_folder: str, variables: dict[str, str], message: str
    ) -> None:
        async def go() -> None:
            host = create_app(**{"SERVING_MODEL": stump_folder, **variables})
            client = await Client({"type": "lifespan.startup"}).ask(host, {"type": "lifespan"})
            (failed,) = client.sent
            assert failed["type"] == "lifespan.startup.failed"
            assert message in failed["message"]

        run(go())

    def test_without_a_lifespan_the_first_request_starts_it(
        self, run: Run, stump_folder: str
    ) -> None:
        async def go() -> None:
            host = create_app(SERVING_MODEL=stump_folder)
            first = await Client(WHOLE).ask(host, http("/ping", "GET"))
            assert first.problem[:2] == (503, "ModelNotReady")
            await until_loaded(host)
            await host.close()

        run(go())

    def test_a_start_that_fails_is_told_to_who_asks_and_to_the_log(
        self, run: Run, caplog: pytest.LogCaptureFixture
    ) -> None:
        async def go() -> None:
            host = create_app(SERVING_MODEL="/none")
            with pytest.raises(ServingError, match="/none"):
                await host.start()
            status, _, message = (await Client(WHOLE).ask(host, http())).problem
            assert status == 503
            assert message.startswith("The server could not start: ")
            assert "/none" in message
            await host.close()

        run(go())
        assert "the server could not start" in caplog.text

    def test_the_environment_is_read_when_it_starts(
        self, run: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def go() -> None:
            with pytest.raises(SettingError, match="SERVING_MAX_HEAD_BYTES='tiny'"):
                await app.start()
            await app.close()

        root = logging.getLogger()
        monkeypatch.setattr(root, "handlers", [])
        monkeypatch.setenv("SERVING_MAX_HEAD_BYTES", "tiny")
        run(go())

    def test_what_is_given_wins_over_other_names_in_the_environment(
        self, run: Run, monkeypatch: pytest.MonkeyPatch, stump_folder: str
    ) -> None:
        async def go() -> None:
            async with create_app(SM_MODEL_DIR=stump_folder) as host:
                await until_loaded(host)

        monkeypatch.setenv("SERVING_MODEL", "/none")
        run(go())

    def test_a_variable_that_there_is_not_is_refused(self) -> None:
        with pytest.raises(SettingError, match="SERVING_MODLE is no variable of a setting"):
            create_app(SERVING_MODLE="/srv/model")

    def test_the_log_of_a_site_around_it_is_left_as_it_was(
        self, run: Run, stump_folder: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def go() -> None:
            async with create_app(SERVING_MODEL=stump_folder):
                pass

        root, mine = logging.getLogger(), logging.NullHandler()
        monkeypatch.setattr(root, "handlers", [mine])
        monkeypatch.setattr(root, "level", 17)
        run(go())
        assert root.handlers == [mine]
        assert root.level == 17

    def test_another_event_loop_is_told_so(self, stump_folder: str) -> None:
        async def start() -> None:
            await host.start()

        async def ask() -> Client:
            return await Client(WHOLE).ask(host, http("/ping", "GET"))

        host = create_app(SERVING_MODEL=stump_folder)
        with asyncio.Runner() as first, asyncio.Runner() as second:
            first.run(start())
            status, _, message = second.run(ask()).problem
            first.run(host.close())
        assert status == 503
        assert "another event loop" in message

    def test_one_process_serves_many_models(self, run: Run, stump_folder: str) -> None:
        async def go() -> None:
            async with create_app(SAGEMAKER_MULTI_MODEL="true") as host:
                await until_loaded(host)
                wish = orjson.dumps({"model_name": "stump", "url": stump_folder})
                loaded = await Client({"type": "http.request", "body": wish}).ask(
                    host, http("/models")
                )
                assert loaded.status == 200, loaded.body
                row = {"type": "http.request", "body": b"2,5\n"}
                fields = [(b"content-type", b"text/csv")]
                scope = http("/models/stump/invoke", headers=fields)
                assert (await Client(row).ask(host, scope)).body == b"3.0\n"

        run(go())


class TestRequests:
    @pytest.mark.parametrize(
        ("scope", "path", "target"),
        [
            (http("/ping"), "/ping", "/ping"),
            (http("/site/ping", root_path="/site"), "/ping", "/site/ping"),
            (http("/site/ping", root_path="/site/"), "/ping", "/site/ping"),
            (http("/ping", root_path="/site"), "/ping", "/ping"),
            (http("/sites/ping", root_path="/site"), "/sites/ping", "/sites/ping"),
            (http("/site", root_path="/site"), "/", "/site"),
            (http("/ä b", raw_path=b"/%C3%A4%20b"), "/ä b", "/%C3%A4%20b"),
            (http("/ä b", raw_path=None), "/ä b", "/%C3%A4%20b"),
        ],
    )
    def test_the_path_is_the_one_below_the_mount_and_the_target_is_as_sent(
        self, run: Run, settle: Callable[..., Host], scope: Scope, path: str, target: str
    ) -> None:
        seen: list[Request] = []

        def handle(request: Request, reply: Reply) -> None:
            seen.append(request)
            reply.send(Response(200))

        async def go() -> None:
            fields = [(b"x-a", b"1"), (b"X-A", b" \xe4 ")]
            more = {"headers": fields, "query_string": b"q=%41"}
            await asked(settle(handle), {**scope, **more}, WHOLE)
            (request,) = seen
            assert (request.path, request.target, request.query) == (path, target, "q=%41")
            assert request.headers == {"x-a": "1, ä"}

        run(go())

    def test_the_pieces_of_a_body_are_one_body(self, run: Run, settle: Callable[..., Host]) -> None:
        def handle(request: Request, reply: Reply) -> None:
            reply.send(Response(200, request.body))

        async def go() -> None:
            pieces: list[Message] = [
                {"type": "http.request", "body": b"ab", "more_body": True},
                {"type": "http.request", "more_body": True},
                {"type": "http.request", "body": b"c"},
            ]
            assert (await asked(settle(handle), http(), *pieces)).body == b"abc"

        run(go())

    def test_a_body_that_is_announced_too_large_is_not_received(
        self, run: Run, settle: Callable[..., Host]
    ) -> None:
        async def go() -> None:
            scope = http(headers=[(b"content-length", b"11")])
            assert (await asked(settle(never, max_body=10), scope)).problem[0] == 413

        run(go())

    def test_a_body_with_another_coding_is_refused(
        self, run: Run, settle: Callable[..., Host]
    ) -> None:
        async def go() -> None:
            scope = http(headers=[(b"transfer-encoding", b"gzip, chunked")])
            assert (await asked(settle(never), scope)).problem[:2] == (
                501,
                "NotImplementedByServer",
            )

        run(go())

    def test_a_body_that_grows_too_large_is_received_no_further(
        self, run: Run, settle: Callable[..., Host]
    ) -> None:
        async def go() -> None:
            piece = {"type": "http.request", "body": b"123456", "more_body": True}
            client = await asked(settle(never, max_body=10), http(), piece, piece, piece)
            assert client.problem[:2] == (413, "PayloadTooLarge")
            assert client.coming.qsize() == 1

        run(go())

    def test_a_body_that_stays_away_is_answered_408(
        self, run: Run, settle: Callable[..., Host]
    ) -> None:
        async def go() -> None:
            piece = {"type": "http.request", "body": b"1", "more_body": True}
            client = await asked(settle(never, receive_timeout=0.1), http(), piece)
            assert client.problem[:2] == (408, "RequestTimeout")

        run(go())

    def test_a_client_that_leaves_within_its_body_is_answered_nothing(
        self, run: Run, settle: Callable[..., Host]
    ) -> None:
        async def go() -> None:
            piece = {"type": "http.request", "body": b"1", "more_body": True}
            assert (await asked(settle(never), http(), piece, LEFT)).sent == []

        run(go())

    def test_the_request_has_the_time_of_the_settings(
        self, run: Run, settle: Callable[..., Host], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        seen: list[float] = []

        def handle(request: Request, reply: Reply) -> None:
            seen.append(request.deadline)
            reply.send(Response(200))

        async def go() -> None:
            monkeypatch.setattr("serving.hosts.asgi_messages.time.monotonic", lambda: 1000.0)
            await asked(settle(handle, request_timeout=7.0), http(), WHOLE)

        run(go())
        assert seen == [1007.0]

    def test_a_client_that_leaves_abandons_its_request(
        self, run: Run, settle: Callable[..., Host]
    ) -> None:
        replies: list[Reply] = []

        async def go() -> None:
            host = settle(lambda _, reply: replies.append(reply))
            assert (await asked(host, http(), WHOLE, LEFT)).sent == []
            assert replies[0].gone

        run(go())

    @pytest.mark.parametrize("kind", ["pubsub", "http2"])
    def test_a_scope_of_an_unknown_type_is_refused_as_asgi_wants_it(
        self, run: Run, kind: str
    ) -> None:
        async def go() -> None:
            with pytest.raises(NotImplementedError, match=kind):
                await Client().ask(create_app(), {"type": kind})

        run(go())

    def test_a_websocket_is_closed_before_it_is_open(self, run: Run) -> None:
        async def go() -> None:
            client = Client({"type": "websocket.connect"})
            await client.ask(create_app(), {"type": "websocket"})
            (closed,) = client.sent
            assert closed["type"] == "websocket.close"

        run(go())


class TestAnswers:
    def test_the_answer_to_head_has_no_body_and_no_length(
        self, run: Run, settle: Callable[..., Host]
    ) -> None:
        async def go() -> None:
            host = settle(lambda _, reply: reply.send(Response(200, b"much", "text/plain")))
            client = await asked(host, http(method="HEAD"), WHOLE)
            assert client.body == b""
            assert client.headers == {b"content-type": b"text/plain"}

        run(go())

    def test_fields_keep_their_order_and_repeat(
        self, run: Run, settle: Callable[..., Host]
    ) -> None:
        response = Response(200, b"12", "text/plain", (("Set-Cookie", "a"), ("set-cookie", "ä")))

        async def go() -> None:
            host = settle(lambda _, reply: reply.send(response))
            assert (await asked(host, http(), WHOLE)).sent[0]["headers"] == [
                (b"content-type", b"text/plain"),
                (b"set-cookie", b"a"),
                (b"set-cookie", b"\xe4"),
                (b"content-length", b"2"),
            ]

        run(go())

    def test_a_stream_is_sent_chunk_by_chunk(self, run: Run, stream_folder: str) -> None:
        async def go() -> None:
            async with create_app(SERVING_MODEL=stream_folder) as host:
                await until_loaded(host)
                client = await Client({"type": "http.request", "body": b"x"}).ask(
                    host, http(headers=BYTES)
                )
                assert b"content-length" not in client.headers
                assert [
                    (message["body"], message.get("more_body")) for message in client.sent[1:]
                ] == [
                    (b"one ", True),
                    (b"two", True),
                    (b"", None),
                ]

        run(go())

    def test_a_stream_that_fails_ends_without_its_last_message(
        self, run: Run, stream_folder: str
    ) -> None:
        async def go() -> None:
            async with create_app(SERVING_MODEL=stream_folder) as host:
                await until_loaded(host)
                client = Client({"type": "http.request", "body": b"fail"})
                with pytest.raises(ServingError):
                    await client.ask(host, http(headers=BYTES))
                assert [message.get("more_body") for message in client.sent[1:]] == [True]

        run(go())

    def test_a_stream_ends_when_the_client_leaves(self, run: Run, stream_folder: str) -> None:
        async def go() -> None:
            async with create_app(SERVING_MODEL=stream_folder) as host:
                await until_loaded(host)
                client = Client({"type": "http.request", "body": b"for ever"})
                sent = client.sent

                def leave(_: Message) -> None:
                    if len(sent) == 10:
                        client.coming.put_nowait(LEFT)

                client.on_send = leave
                await client.ask(host, http(headers=BYTES))
                assert sent[-1]["more_body"]
            assert Path(stream_folder, "ended").exists()

        run(go())
