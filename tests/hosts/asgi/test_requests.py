"""What an ASGI application makes of scopes and bodies."""

from collections.abc import Callable

import pytest

from serving.call import Reply
from serving.hosts.asgi import Host, create_app
from serving.hosts.asgi_messages import Message, Scope
from serving.values import Request, Response
from tests.hosts.asgi.support import LEFT, WHOLE, Client, asked, http, never
from tests.support import Run


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
