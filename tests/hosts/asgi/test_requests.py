"""What an ASGI application makes of scopes and bodies."""

from collections.abc import Callable

import pytest

from serving.call import Reply
from serving.hosts.asgi import Host, create_app
from serving.hosts.asgi_messages import Message, Scope
from serving.values import Request, Response
from tests.hosts.asgi.support import LEFT, WHOLE, Client, asked, http, never


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
    async def test_the_path_is_the_one_below_the_mount_and_the_target_is_as_sent(
        self, settle: Callable[..., Host], scope: Scope, path: str, target: str
    ) -> None:
        seen: list[Request] = []

        def handle(request: Request, reply: Reply) -> None:
            seen.append(request)
            reply.send(Response(200))

        fields = [(b"x-a", b"1"), (b"X-A", b" \xe4 ")]
        more = {"headers": fields, "query_string": b"q=%41"}
        await asked(settle(handle), {**scope, **more}, WHOLE)
        (request,) = seen
        assert (request.path, request.target, request.query) == (path, target, "q=%41")
        assert request.headers == {"x-a": "1, ä"}

    async def test_the_pieces_of_a_body_are_one_body(self, settle: Callable[..., Host]) -> None:
        def handle(request: Request, reply: Reply) -> None:
            reply.send(Response(200, request.body))

        pieces: list[Message] = [
            {"type": "http.request", "body": b"ab", "more_body": True},
            {"type": "http.request", "more_body": True},
            {"type": "http.request", "body": b"c"},
        ]
        assert (await asked(settle(handle), http(), *pieces)).body == b"abc"

    async def test_a_body_that_is_announced_too_large_is_not_received(
        self, settle: Callable[..., Host]
    ) -> None:
        scope = http(headers=[(b"content-length", b"11")])
        assert (await asked(settle(never, max_body=10), scope)).problem[0] == 413

    async def test_a_body_with_another_coding_is_refused(self, settle: Callable[..., Host]) -> None:
        scope = http(headers=[(b"transfer-encoding", b"gzip, chunked")])
        assert (await asked(settle(never), scope)).problem[:2] == (
            501,
            "NotImplementedByServer",
        )

    async def test_a_body_that_grows_too_large_is_received_no_further(
        self, settle: Callable[..., Host]
    ) -> None:
        piece = {"type": "http.request", "body": b"123456", "more_body": True}
        client = await asked(settle(never, max_body=10), http(), piece, piece, piece)
        assert client.problem[:2] == (413, "PayloadTooLarge")
        assert client.coming.qsize() == 1

    async def test_a_body_that_stays_away_is_answered_408(
        self, settle: Callable[..., Host]
    ) -> None:
        piece = {"type": "http.request", "body": b"1", "more_body": True}
        client = await asked(settle(never, receive_timeout=0.1), http(), piece)
        assert client.problem[:2] == (408, "RequestTimeout")

    async def test_a_client_that_leaves_within_its_body_is_answered_nothing(
        self, settle: Callable[..., Host]
    ) -> None:
        piece = {"type": "http.request", "body": b"1", "more_body": True}
        assert (await asked(settle(never), http(), piece, LEFT)).sent == []

    async def test_the_request_has_the_time_of_the_settings(
        self, settle: Callable[..., Host], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        seen: list[float] = []

        def handle(request: Request, reply: Reply) -> None:
            seen.append(request.deadline)
            reply.send(Response(200))

        monkeypatch.setattr("serving.hosts.asgi_messages.time.monotonic", lambda: 1000.0)
        await asked(settle(handle, request_timeout=7.0), http(), WHOLE)

        assert seen == [1007.0]

    async def test_a_client_that_leaves_abandons_its_request(
        self, settle: Callable[..., Host]
    ) -> None:
        replies: list[Reply] = []

        host = settle(lambda _, reply: replies.append(reply))
        assert (await asked(host, http(), WHOLE, LEFT)).sent == []
        assert replies[0].gone

    @pytest.mark.parametrize("kind", ["pubsub", "http2"])
    async def test_a_scope_of_an_unknown_type_is_refused_as_asgi_wants_it(self, kind: str) -> None:
        with pytest.raises(NotImplementedError, match=kind):
            await Client().ask(create_app(), {"type": kind})

    async def test_a_websocket_is_closed_before_it_is_open(self) -> None:
        client = Client({"type": "websocket.connect"})
        await client.ask(create_app(), {"type": "websocket"})
        (closed,) = client.sent
        assert closed["type"] == "websocket.close"
