"""What an ASGI application sends."""

from collections.abc import Callable
from pathlib import Path

import pytest

from serving.errors import ServingError
from serving.hosts.asgi import Host, create_app
from serving.hosts.asgi_messages import Message
from serving.values import Response
from tests.hosts.asgi.support import BYTES, LEFT, WHOLE, Client, asked, http, until_loaded


class TestAnswers:
    async def test_the_answer_to_head_has_no_body_and_no_length(
        self, settle: Callable[..., Host]
    ) -> None:
        host = settle(lambda _, reply: reply.send(Response(200, b"much", "text/plain")))
        client = await asked(host, http(method="HEAD"), WHOLE)
        assert client.body == b""
        assert client.headers == {b"content-type": b"text/plain"}

    async def test_fields_keep_their_order_and_repeat(self, settle: Callable[..., Host]) -> None:
        response = Response(200, b"12", "text/plain", (("Set-Cookie", "a"), ("set-cookie", "ä")))

        host = settle(lambda _, reply: reply.send(response))
        assert (await asked(host, http(), WHOLE)).sent[0]["headers"] == [
            (b"content-type", b"text/plain"),
            (b"set-cookie", b"a"),
            (b"set-cookie", b"\xe4"),
            (b"content-length", b"2"),
        ]

    async def test_a_stream_is_sent_chunk_by_chunk(self, stream_folder: str) -> None:
        async with create_app(SERVING_MODEL=stream_folder) as host:
            await until_loaded(host)
            client = await Client({"type": "http.request", "body": b"x"}).ask(
                host, http(headers=BYTES)
            )
            assert b"content-length" not in client.headers
            assert [(message["body"], message.get("more_body")) for message in client.sent[1:]] == [
                (b"one ", True),
                (b"two", True),
                (b"", None),
            ]

    async def test_a_stream_that_fails_ends_without_its_last_message(
        self, stream_folder: str
    ) -> None:
        async with create_app(SERVING_MODEL=stream_folder) as host:
            await until_loaded(host)
            client = Client({"type": "http.request", "body": b"fail"})
            with pytest.raises(ServingError):
                await client.ask(host, http(headers=BYTES))
            assert [message.get("more_body") for message in client.sent[1:]] == [True]

    async def test_a_stream_ends_when_the_client_leaves(self, stream_folder: str) -> None:
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
