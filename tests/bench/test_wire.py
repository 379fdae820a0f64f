"""Responses are read whole, in whatever pieces they come."""

import pytest

from serving.bench.wire import UNTIL_END, Head, Malformed, Reader, request

LENGTH = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"
CHUNKS = b"HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n3\r\nabc\r\n1;x=y\r\nd\r\n0\r\n\r\n"
TRAILED = CHUNKS[:-2] + b"x-a: 1\r\n\r\n"
CONTINUED = b"HTTP/1.1 100 Continue\r\n\r\n" + LENGTH
EMPTY = b"HTTP/1.1 204 No Content\r\n\r\n"


@pytest.mark.parametrize("response", [LENGTH, CHUNKS, TRAILED, CONTINUED, EMPTY])
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_response_is_whole_with_its_last_byte(response: bytes, size: int) -> None:
    reader = Reader({})
    pieces = [response[start : start + size] for start in range(0, len(response), size)]
    assert [reader.feed(piece) for piece in pieces] == [*[False] * (len(pieces) - 1), True]
    assert reader.head is not None
    assert reader.head.status in (200, 204)


def test_one_response_follows_another() -> None:
    reader = Reader({})
    for response in (LENGTH, CHUNKS, LENGTH):
        reader.reset()
        assert reader.feed(response)


def test_a_body_without_a_length_ends_with_the_connection() -> None:
    reader = Reader({})
    assert not reader.feed(b"HTTP/1.0 200 OK\r\n\r\nabc")
    assert reader.end()
    assert reader.head == Head(200, UNTIL_END, True)


def test_a_body_with_a_length_does_not() -> None:
    reader = Reader({})
    assert not reader.feed(LENGTH[:-1])
    assert not reader.end()


@pytest.mark.parametrize(
    "response",
    [
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        LENGTH + b"more",
        b"a" * 70_000,
    ],
)
def test_what_is_no_response_is_malformed(response: bytes) -> None:
    with pytest.raises(Malformed):
        Reader({}).feed(response)


@pytest.mark.parametrize(
    ("head", "closes"),
    [
        (b"HTTP/1.1 200 OK", False),
        (b"HTTP/1.1 200 OK\r\nconnection: close", True),
        (b"HTTP/1.0 200 OK", True),
        (b"HTTP/1.0 200 OK\r\nConnection: Keep-Alive", False),
    ],
)
def test_a_head_says_whether_the_connection_ends(head: bytes, closes: bool) -> None:
    reader = Reader({})
    assert reader.feed(head + b"\r\ncontent-length: 0\r\n\r\n")
    assert reader.head == Head(200, 0, closes)


def test_a_request_is_written_with_its_length() -> None:
    assert request("POST", "/a?b", "h:1", {"x-a": "1"}, b"body") == (
        b"POST /a?b HTTP/1.1\r\nhost: h:1\r\nx-a: 1\r\ncontent-length: 4\r\n\r\nbody"
    )
    assert b"content-length" not in request("GET", "/", "h", {})
