"""Framing that two servers could read in two ways is refused, and nothing after it interpreted."""

import random

import pytest

from tests.hosts.http.support import PING, Client, Host

HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n"
CHUNKS = b"3\r\nabc\r\n0\r\n\r\n"


def post(*fields: bytes, version: bytes = b"1.1") -> bytes:
    lines = [b"POST /echo HTTP/" + version, b"Host: a", *fields, b"", b""]
    return b"\r\n".join(lines)


def assert_refused(host: Host, stream: bytes, status: int = 400) -> None:
    """The stream gets one answer, which ends the connection, in one segment or many."""
    for pieces in [(stream,), tuple(bytes([byte]) for byte in stream)]:
        client = host.connect()
        client.send(*pieces)
        answer = client.answer()
        assert answer.status == status
        assert answer.error["code"] == status
        assert answer.fields["connection"] == "close"
        assert client.ended()
    assert not host.app.requests


@pytest.mark.parametrize(
    "fields",
    [
        [b"Content-Length: 3", b"Transfer-Encoding: chunked"],
        [b"Transfer-Encoding: chunked", b"Content-Length: 3"],
        [b"content-length:3", b"X: y", b"TRANSFER-ENCODING:chunked"],
        [b"Content-Length: 0", b"Transfer-Encoding: chunked"],
        [b"Content-Length: 3", b"Transfer-Encoding: identity"],
        [b"Content-Length: 3", b"Content-Length: 3"],
        [b"Content-Length: 3", b"Content-Length: 4"],
        [b"Content-Length: 3", b"content-length: 3"],
        [b"Content-Length: 0", b"Content-Length: 0"],
    ],
)
def test_conflicting_or_doubled_framing_is_refused(host: Host, fields: list[bytes]) -> None:
    assert_refused(host, post(*fields) + CHUNKS + HIDDEN)


@pytest.mark.parametrize(
    "value",
    [
        b"3, 3",
        b"3,4",
        b"3 3",
        b"+3",
        b"-1",
        b"-0",
        b"0x3",
        b"3.0",
        b"3e0",
        b"3_0",
        b"3;",
        b"'3'",
        b"three",
        b"\xb3",
        b"18446744073709551616",
        b"99999999999999999999999999",
        b"",
        b" ",
    ],
)
def test_a_length_that_is_no_plain_number_is_refused(host: Host, value: bytes) -> None:
    assert_refused(host, post(b"Content-Length: " + value) + b"abc" + HIDDEN)


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ([b"Transfer-Encoding: identity"], 501),
        ([b"Transfer-Encoding: gzip"], 501),
        ([b"Transfer-Encoding: xchunked"], 501),
        ([b"Transfer-Encoding: chunkedx"], 501),
        ([b'Transfer-Encoding: "chunked"'], 501),
        ([b"Transfer-Encoding: chunked;q=1"], 501),
        ([b"Transfer-Encoding: gzip, chunked"], 501),
        ([b"Transfer-Encoding: gzip", b"Transfer-Encoding: chunked"], 501),
        # The parser has its own word for these: chunks must come last, and once.
        ([b"Transfer-Encoding: chunked, gzip"], 400),
        ([b"Transfer-Encoding: chunked, identity"], 400),
        ([b"Transfer-Encoding: chunked, chunked"], 400),
        ([b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"], 400),
        ([b"Transfer-Encoding: chunked", b"Transfer-Encoding: gzip"], 400),
        ([b"Transfer-Encoding:"], 400),
        ([b"Transfer-Encoding: \x0bchunked"], 400),
        ([b"Transfer-Encoding: chunked\x00"], 400),
    ],
)
def test_a_coding_besides_the_chunks_is_refused(
    host: Host, fields: list[bytes], status: int
) -> None:
    assert_refused(host, post(*fields) + CHUNKS + HIDDEN, status)


def test_http_1_0_has_no_chunks(host: Host) -> None:
    head = post(b"Transfer-Encoding: chunked", b"Connection: keep-alive", version=b"1.0")

    assert_refused(host, head + CHUNKS + HIDDEN)


@pytest.mark.parametrize(
    "line",
    [
        b"Content-Length : 3",
        b"Content-Length\t: 3",
        b" Content-Length: 3",
        b"Transfer-Encoding : chunked",
        b"Transfer-Encoding: chunked\r\n ,gzip",
        b"X: a\r\n folded",
        b"X: a\r\n\tfolded",
        b"X: a\nContent-Length: 3",
        b"X: a\rContent-Length: 3",
        b"X: a\r\rb",
        b"X: a\x00b",
        b"X: a\x7fb",
        b"X: \x1b[2J",
        b"X\x00: a",
        b"X Y: a",
        b"X(: a",
        b'"X": a',
        b"X\xe9: a",
        b": a",
        b"X",
        b"\x00",
    ],
)
def test_a_malformed_field_is_refused(host: Host, line: bytes) -> None:
    assert_refused(host, post(line, b"Content-Length: 3") + b"abc" + HIDDEN)


@pytest.mark.parametrize(
    "head",
    [
        b"POST /echo HTTP/1.1\nHost: a\r\n\r\n",
        b"POST /echo HTTP/1.1\r\nHost: a\n\r\n",
        b"POST /echo HTTP/1.1\r\nHost: a\r\n\n",
        b"POST /echo HTTP/1.1\nHost: a\n\n",
        b"POST /echo HTTP/1.1\rHost: a\r\r",
        b"POST /echo HTTP/1.1\r\nHost: a\r\n\r",
    ],
)
def test_a_line_ends_with_carriage_return_and_line_feed(host: Host, head: bytes) -> None:
    assert_refused(host, head + HIDDEN)


@pytest.mark.parametrize(
    "chunks",
    [
        b"fffffffffffffffff\r\nabc",
        b"10000000000000003\r\nabc\r\n0\r\n\r\n",
        b"0x3\r\nabc\r\n0\r\n\r\n",
        b"+3\r\nabc\r\n0\r\n\r\n",
        b"-3\r\nabc\r\n0\r\n\r\n",
        b"3h\r\nabc\r\n0\r\n\r\n",
        b" 3\r\nabc\r\n0\r\n\r\n",
        b"3 \r\nabc\r\n0\r\n\r\n",
        b"\r\nabc\r\n0\r\n\r\n",
        b";x\r\nabc\r\n0\r\n\r\n",
        b"3\nabc\r\n0\r\n\r\n",
        b"3\r\nabc0\r\n\r\n",
        b"3\r\nabcd\r\n0\r\n\r\n",
        b"3\r\nabc\n0\r\n\r\n",
        b"3\r\nabc\r0\r\n\r\n",
        b"3;a\nb\r\nabc\r\n0\r\n\r\n",
        b'3;a="\r\n"\r\nabc\r\n0\r\n\r\n',
        b"3;\x00\r\nabc\r\n0\r\n\r\n",
        b"3\r\nabc\r\n0\n\r\n",
        b"3\r\nabc\r\n0\r\n\n",
        b"3\r\nabc\r\n0\r\nX : y\r\n\r\n",
        b"3\r\nabc\r\n0\r\nContent-Length: 5\r\n\r\n",
        b"3\r\nabc\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n",
    ],
)
def test_malformed_chunks_are_refused(host: Host, chunks: bytes) -> None:
    assert_refused(host, post(b"Transfer-Encoding: chunked") + chunks + HIDDEN)


def test_a_refusal_does_not_touch_other_connections(client: Client, host: Host) -> None:
    assert client.ask(PING).status == 200
    bad = host.connect()
    assert bad.ask(post(b"Content-Length: +3")).status == 400
    assert bad.ended()

    assert client.ask(PING).status == 200


# Whatever comes, the connection is answered or closed, and nothing escapes.

SEEDS = [
    PING,
    post(b"Content-Length: 3") + b"abc",
    post(b"Transfer-Encoding: chunked") + CHUNKS,
    post(b"Transfer-Encoding: chunked") + b"3;x=y\r\nabc\r\n0;z\r\nT: 1\r\n\r\n",
    post(b"Connection: Upgrade", b"Upgrade: h2c", b"Content-Length: 3") + b"abc",
    post(b"Expect: 100-continue", b"Content-Length: 3") + b"abc",
    b"GET /echo?a=b HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
]
SPLINTERS = [
    b"\r\n",
    b"\n",
    b"\r",
    b"\x00",
    b"\r\n\r\n",
    b" ",
    b":",
    b"0",
    b"Content-Length: 3\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Connection: close\r\n",
    b"Upgrade: h2c\r\nConnection: upgrade\r\n",
    b"Expect: 100-continue\r\n",
    b"HTTP/1.1",
    b"CONNECT",
    b"\xff",
]


def mutated(chance: random.Random) -> bytes:
    data = bytearray(b"".join(chance.choices(SEEDS, k=chance.randint(1, 3))))
    for _ in range(chance.randint(1, 4)):
        start = chance.randrange(len(data))
        stop = min(len(data), start + chance.choice([0, 1, 1, 2, 10]))
        data[start:stop] = chance.choice([b"", *SPLINTERS, bytes([chance.randrange(256)])])
        if not data:
            return b"\r\n"
    return bytes(data)


@pytest.mark.parametrize("seed", range(20))
def test_mutated_requests_end_in_answers_and_a_closed_connection(host: Host, seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(50):
        stream = mutated(chance)
        cut = chance.randrange(len(stream) + 1)
        client = host.connect()
        client.send(stream[:cut], stream[cut:])
        client.finish()

        rest = client.rest()
        while rest:
            assert rest.startswith(b"HTTP/1.1 "), stream
            head, _, rest = rest.partition(b"\r\n\r\n")
            fields = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:])
            rest = rest[int(fields.get(b"content-length", b"0")) :]
    assert host.connect().ask(PING).status == 200
