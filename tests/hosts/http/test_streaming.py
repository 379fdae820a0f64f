"""Bodies that are made bit by bit: when their bytes are sent, and how they end."""

from collections.abc import AsyncIterator

import pytest

from serving.errors import DecodeError
from serving.hosts.http.connection import LINGER_SECONDS
from serving.values import Response
from tests.hosts.http.support import DATE, HOLD, LIMITS, PING, Client, Host

STREAM = b"GET /stream HTTP/1.1\r\nHost: a\r\n\r\n"
OLD = b"GET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
PLAIN = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n" + DATE
CHUNKED = PLAIN + b"transfer-encoding: chunked\r\n\r\n"
REQUEST = LIMITS.request_timeout


def test_a_stream_is_sent_in_chunks(client: Client, host: Host) -> None:
    host.source("/stream").put(b"abc", b"0123456789abcdef", None)

    assert client.ask(STREAM).raw == (CHUNKED + b"3\r\nabc\r\n10\r\n0123456789abcdef\r\n0\r\n\r\n")
    assert client.ask(PING).status == 200


def test_chunks_are_sent_as_they_are_made(client: Client, host: Host) -> None:
    source = host.source("/stream")
    client.send(STREAM)
    for data in (b"first", b"second", b"third"):
        source.put(data)
        if data == b"first":
            assert client.head() == CHUNKED
        assert client.chunk() == (b"%x" % len(data), data)

    source.put(None)
    assert client.chunk() == (b"0", b"")
    assert source.closed.is_set()
    assert client.ask(PING).status == 200


def test_http_1_0_gets_a_stream_up_to_the_end_of_the_connection(client: Client, host: Host) -> None:
    source = host.source("/stream")
    source.put(b"abc", b"", b"def", None)
    client.send(OLD + PING + PING)

    assert client.rest() == PLAIN + b"connection: close\r\n\r\nabcdef"
    assert source.closed.is_set()


def test_the_requests_behind_a_stream_that_ends_the_connection_are_not_answered(
    client: Client, host: Host
) -> None:
    source = host.source("/stream")
    client.send(OLD + HOLD + b"nonsense")
    held = host.held()
    source.put(b"abc", None)
    assert client.rest().endswith(b"abc")

    held.answer(b"nobody asked for it on this connection")
    assert host.connect().ask(PING).status == 200


def test_empty_chunks_do_not_end_a_stream(client: Client, host: Host) -> None:
    host.source("/stream").put(b"", b"a", b"", b"", b"b", b"", None)

    assert client.ask(STREAM).raw == CHUNKED + b"1\r\na\r\n1\r\nb\r\n0\r\n\r\n"


def test_a_stream_may_be_empty(client: Client, host: Host) -> None:
    host.source("/stream").put(None)

    assert client.ask(STREAM).raw == CHUNKED + b"0\r\n\r\n"


def test_head_gets_the_head_of_a_stream_that_is_not_made(client: Client, host: Host) -> None:
    source = host.source("/stream")
    client.send(STREAM.replace(b"GET", b"HEAD") + PING)

    assert client.answer(head_only=True).raw == CHUNKED
    assert client.answer().status == 200
    assert source.taken == 0


def test_a_status_without_a_body_has_none_of_a_stream(client: Client, host: Host) -> None:
    source = host.source("/stream", status=204)
    client.send(STREAM + PING)

    assert client.answer().raw == (
        b"HTTP/1.1 204 No Content\r\ncontent-type: text/plain\r\n" + DATE + b"\r\n"
    )
    assert client.answer().status == 200
    assert source.taken == 0


def test_requests_behind_a_stream_are_answered_after_it(client: Client, host: Host) -> None:
    source = host.source("/stream")
    client.send(STREAM + HOLD + PING)
    host.held().answer(b"held")
    source.put(b"abc")
    assert client.head() == CHUNKED
    assert client.chunk() == (b"3", b"abc")
    client.send(PING)
    source.put(None)

    assert client.chunk() == (b"0", b"")
    assert [client.answer().body for _ in range(3)] == [b"held", b"", b""]


def test_a_stream_waits_for_its_turn(client: Client, host: Host) -> None:
    source = host.source("/stream")
    source.put(b"abc", None)
    client.send(HOLD + STREAM + STREAM)
    held = host.held()
    assert source.taken == 0
    held.answer(b"held")
    source.put(b"def", None)

    bodies = [client.answer().body for _ in range(3)]
    assert bodies == [b"held", b"abc", b"def"]


def test_connection_close_holds_for_streams(client: Client, host: Host) -> None:
    host.source("/stream").put(b"abc", None)
    client.send(STREAM.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n") + PING)

    assert client.rest() == (
        PLAIN + b"transfer-encoding: chunked\r\nconnection: close\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    )


# Streams that fail.


@pytest.mark.parametrize("version", [STREAM, OLD])
def test_an_error_before_the_first_chunk_is_a_clean_error(
    client: Client, host: Host, version: bytes
) -> None:
    source = host.source("/stream")
    source.put(DecodeError("The third row has 4 columns."), ValueError("secret"), SystemExit(3))

    answers = [client.ask(version) for _ in range(3)]
    assert [(answer.status, answer.error["type"]) for answer in answers] == [
        (400, "DecodeError"),
        (500, "PredictionError"),
        (500, "PredictionError"),
    ]
    assert answers[0].error["message"] == "The third row has 4 columns."
    assert "secret" not in answers[1].error["message"]
    assert client.ask(PING).status == 200


@pytest.mark.parametrize("error", [ValueError("late"), DecodeError("late"), SystemExit(3)])
def test_an_error_after_the_first_chunk_ends_the_stream_visibly(
    client: Client, host: Host, error: BaseException
) -> None:
    source = host.source("/stream")
    source.put(b"abc", b"def", error)
    client.send(STREAM + PING + HOLD)

    # Without its last chunk no client takes it for whole.
    assert client.rest() == CHUNKED + b"3\r\nabc\r\n3\r\ndef\r\n"
    assert source.closed.is_set()
    host.held().answer(b"nobody waits for it")
    assert host.connect().ask(PING).status == 200


def test_a_broken_stream_is_all_that_a_connection_has_left(client: Client, host: Host) -> None:
    source = host.source("/stream")
    client.send(STREAM + b"POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n")
    client.send(b"Content-Length: 3\r\n\r\n")
    source.put(b"abc", ValueError("late"))
    assert client.rest() == CHUNKED + b"3\r\nabc\r\n"

    client.send(b"abc" + PING)
    host.sweep(LINGER_SECONDS + 1)  # it has not closed its side
    host.until(lambda: not host.shared.connections)
    assert not [request for request in host.app.requests if request.path != "/stream"]


def test_an_error_resets_a_stream_that_has_no_other_end(client: Client, host: Host) -> None:
    source = host.source("/stream")
    client.send(OLD)
    source.put(b"abc")
    head = PLAIN + b"connection: close\r\n\r\n"
    assert client.exactly(len(head) + 3) == head + b"abc"
    source.put(ValueError("late"))

    with pytest.raises(ConnectionResetError):
        client.rest()


@pytest.mark.parametrize("item", ["text", 3, [b"list"]], ids=["text", "a number", "a list"])
def test_a_chunk_that_is_not_bytes_is_an_error(client: Client, host: Host, item: object) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield item  # type: ignore[misc]

    host.app.makers["/stream"] = lambda: Response(200, chunks())
    client.send(STREAM)

    assert client.rest().partition(b"\r\n\r\n")[2] == b""


def test_a_body_that_is_neither_bytes_nor_a_stream_is_a_clean_error(
    client: Client, host: Host
) -> None:
    for body in ("text", bytearray(b"bytes"), None, [b"list"]):
        host.app.makers["/stream"] = lambda body=body: Response(200, body)  # type: ignore[misc]
        assert client.ask(STREAM).error["code"] == 500
    assert client.ask(PING).status == 200


def test_a_bad_header_of_a_stream_is_a_clean_error(client: Client, host: Host) -> None:
    source = host.source("/stream")
    host.app.makers["/bad"] = lambda: Response(200, source.chunks(), "a\r\nb: c")
    source.put(b"abc")

    assert client.ask(STREAM.replace(b"stream", b"bad")).error["code"] == 500
    assert source.closed.wait(20)
    assert client.ask(PING).status == 200


def test_an_error_while_a_stream_cleans_up_breaks_it_off(client: Client, host: Host) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        try:
            yield b"abc"
        finally:
            raise ValueError("cannot clean up")

    host.app.makers["/stream"] = lambda: Response(200, chunks(), "text/plain")
    client.send(STREAM)

    assert client.rest() == CHUNKED + b"3\r\nabc\r\n"


class Counter:
    """An asynchronous iterator that is no generator: nothing can close it."""

    def __init__(self, stop: int) -> None:
        self._numbers = iter(range(stop))

    def __aiter__(self) -> "Counter":
        return self

    async def __anext__(self) -> bytes:
        for number in self._numbers:
            return b"%d" % number
        raise StopAsyncIteration


def test_any_asynchronous_iterator_is_a_stream(client: Client, host: Host) -> None:
    host.app.makers["/stream"] = lambda: Response(200, Counter(12), "text/plain")

    assert client.ask(STREAM).body == b"01234567891011"


# Clients that leave, or do not read.


@pytest.mark.parametrize("first", [[], [b"abc"]], ids=["before the first chunk", "after it"])
def test_a_client_that_leaves_stops_the_stream(host: Host, first: list[bytes]) -> None:
    source = host.source("/stream")
    leaver = host.connect()
    leaver.send(STREAM + STREAM)
    source.put(*first)
    host.until(lambda: source.taken == 1 + len(first))
    leaver.reset()

    assert source.closed.wait(20)
    assert host.connect().ask(PING).status == 200


def test_a_client_that_closes_is_noticed_when_the_next_chunks_are_sent(host: Host) -> None:
    source = host.source("/stream")
    leaver = host.connect()
    leaver.send(STREAM)
    source.put(b"abc")
    assert leaver.head() == CHUNKED
    leaver.sock.close()
    while not source.closed.is_set():
        source.put(b"abc")
        host.until(lambda: source._queue.empty() or source.closed.is_set())


def test_a_stream_that_ignores_that_its_client_has_left_ends_all_the_same(host: Host) -> None:
    ignored = 0

    async def chunks() -> AsyncIterator[bytes]:
        nonlocal ignored
        source = host.source("/inner").chunks()
        while True:
            try:
                await anext(source)
            except BaseException:  # noqa: BLE001 - as careless code does
                ignored += 1
            yield b"more"

    host.app.makers["/stream"] = lambda: Response(200, chunks())
    leaver = host.connect()
    leaver.send(STREAM)
    connection = host.connection
    host.until(lambda: connection.busy)
    leaver.reset()
    host.until(lambda: connection.lost and ignored > 0)

    assert host.connect().ask(PING).status == 200


def test_a_stream_waits_for_a_client_that_does_not_read(host: Host) -> None:
    source = host.source("/stream")
    client = host.connect(receive_buffer=4096)
    client.send(STREAM)
    chunk = b"x" * (1 << 20)
    source.put(*[chunk] * 50, None)
    connection = host.connection
    host.until(lambda: bool(connection._blocked_since))
    assert source.taken < 20

    assert client.answer().body == chunk * 50
    assert client.ask(PING).status == 200


def test_a_stream_ends_when_its_client_does_not_read_for_long(host: Host) -> None:
    source = host.source("/stream")
    client = host.connect(receive_buffer=4096)
    client.send(STREAM)
    source.put(*[b"x" * (1 << 20)] * 50, None)
    connection = host.connection
    host.until(lambda: bool(connection._blocked_since))
    host.sweep(REQUEST + 1)

    assert source.closed.wait(20)
    assert client.cut()


def test_a_slow_stream_is_not_idleness(client: Client, host: Host) -> None:
    source = host.source("/stream")
    client.send(STREAM)
    source.put(b"abc")
    assert client.head() == CHUNKED
    host.sweep(1000)
    source.put(None)

    assert client.chunk() == (b"3", b"abc")
    assert client.chunk() == (b"0", b"")
