"""Bodies by length and by chunks, in whatever segments they come, and what may not be split."""

import json
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.hosts.http.support import LIMITS, PING, Client, Host

ECHO = b"POST /echo HTTP/1.1\r\nHost: a\r\n"
CHUNKED = ECHO + b"Transfer-Encoding: chunked\r\n"
EXPECT = b"Expect: 100-continue\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
LIMIT = LIMITS.max_body


def with_length(body: bytes, *fields: bytes) -> bytes:
    return ECHO + b"".join(fields) + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)


def bytewise(data: bytes) -> Iterator[bytes]:
    return (bytes([byte]) for byte in data)


def body(echo: bytes) -> str:
    return str(json.loads(echo)[-1])


# Content-Length and chunks.


@pytest.mark.parametrize("size", [0, 1, 2, 1000, LIMIT])
def test_a_body_has_the_length_that_its_head_says(client: Client, size: int) -> None:
    content = bytes(index % 251 for index in range(size))

    for _ in range(2):
        client.send(with_length(content) + PING)
        assert body(client.answer().body).encode("latin-1") == content
        assert client.answer().body == b""


@pytest.mark.parametrize("value", [b"3", b"03", b"0000000003", b"3 ", b" \t 3\t "])
def test_a_length_may_have_leading_zeros_and_space_around_it(client: Client, value: bytes) -> None:
    client.send(ECHO + b"Content-Length:" + value + b"\r\n\r\nabc" + PING)

    assert body(client.answer().body) == "abc"
    assert client.answer().body == b""


@pytest.mark.parametrize(
    ("chunks", "content"),
    [
        (b"0\r\n\r\n", ""),
        (b"3\r\nabc\r\n0\r\n\r\n", "abc"),
        (b"1\r\na\r\n2\r\nbc\r\n0\r\n\r\n", "abc"),
        (b"A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n", "0123456789" * 2),
        (b"0003\r\nabc\r\n000\r\n\r\n", "abc"),
        (b"3;name\r\nabc\r\n0;last\r\n\r\n", "abc"),
        (b'3;name=value;other="quoted; \\" text"\r\nabc\r\n0\r\n\r\n', "abc"),
        (b"2\r\n\r\n\r\n0\r\n\r\n", "\r\n"),
        (b"5\r\n0\r\n\r\n\r\n0\r\n\r\n", "0\r\n\r\n"),
    ],
)
def test_a_body_comes_in_chunks(client: Client, chunks: bytes, content: str) -> None:
    request = CHUNKED + b"\r\n" + chunks

    client.send(request + request, PING)
    assert [body(client.answer().body) for _ in range(2)] == [content] * 2
    assert client.answer().body == b""


@pytest.mark.parametrize("coding", [b"chunked", b"Chunked", b"CHUNKED", b"\tchunked", b"chunked "])
def test_chunked_is_found_in_any_spelling(client: Client, coding: bytes) -> None:
    request = ECHO + b"Transfer-Encoding:" + coding + b"\r\n\r\n3\r\nabc\r\n0\r\n\r\n"

    assert body(client.ask(request).body) == "abc"


def test_trailers_are_ignored(client: Client) -> None:
    trailers = b"Accept: text/csv\r\nHost: b\r\nX-Last: 1\r\nExpect: nonsense\r\n"

    echo = json.loads(client.ask(CHUNKED + b"\r\n3\r\nabc\r\n0\r\n" + trailers + b"\r\n").body)
    assert echo[3:] == [[["host", "a"], ["transfer-encoding", "chunked"]], "abc"]
    assert client.ask(PING).status == 200


def test_a_get_may_have_a_body(client: Client) -> None:
    client.send(b"GET /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc" + PING)

    assert body(client.answer().body) == "abc"
    assert client.answer().status == 200


# Segments do not matter.

SHORT = [
    PING,
    with_length(b"abc"),
    CHUNKED + b"\r\n1;x\r\na\r\n2\r\nbc\r\n0\r\nT: 1\r\n\r\n",
    b"\r\nGET /echo?a HTTP/1.0\r\nConnection: keep-alive\r\nX:\r\n\r\n",
]


@pytest.mark.parametrize("request_", SHORT)
def test_every_split_of_a_request_gives_the_same_answer(client: Client, request_: bytes) -> None:
    whole = client.ask(request_).raw

    for index in range(1, len(request_)):
        assert client.ask(request_[:index], request_[index:]).raw == whole
    assert client.ask(*bytewise(request_)).raw == whole


@pytest.mark.parametrize("request_", SHORT)
def test_every_split_of_two_requests_gives_the_same_answers(
    client: Client, request_: bytes
) -> None:
    pair = request_ + PING
    client.send(pair)
    whole = [client.answer().raw, client.answer().raw]

    for index in range(1, len(pair)):
        client.send(pair[:index], pair[index:])
        assert [client.answer().raw, client.answer().raw] == whole


FIELD = st.sampled_from([b"Accept: a\r\n", b"accept: b\r\n", b"X-Empty:\r\n", b"X-Obs: \xe9\r\n"])


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """A valid request that keeps its connection open."""
    method = draw(st.sampled_from([b"GET", b"POST", b"PUT"]))
    query = draw(st.sampled_from([b"", b"?", b"?a=b"]))
    version = draw(st.sampled_from([b"1.1", b"1.1", b"1.1", b"1.0"]))
    fields = [b"Host: a\r\n", *draw(st.lists(FIELD, max_size=4))]
    if version == b"1.0":
        fields.append(b"Connection: keep-alive\r\n")
    content = draw(st.binary(max_size=60) | st.just(PING))
    if version == b"1.1" and draw(st.booleans()):
        fields.append(b"Connection: Upgrade\r\nUpgrade: h2c\r\n")
    framing = draw(st.sampled_from(["none", "length"] + ["chunked"] * (version == b"1.1")))
    rest = b""
    if framing == "length":
        fields.append(b"Content-Length: %d\r\n" % len(content))
        rest = content
    elif framing == "chunked":
        fields.append(b"Transfer-Encoding: chunked\r\n")
        while content:
            size = draw(st.integers(1, len(content)))
            extension = draw(st.sampled_from([b"", b";x", b";x=y"]))
            rest += b"%x%b\r\n%b\r\n" % (size, extension, content[:size])
            content = content[size:]
        rest += b"0\r\n" + draw(st.sampled_from([b"", b"T: 1\r\n"])) + b"\r\n"
    fields = draw(st.permutations(fields))
    return b"%b /echo%b HTTP/%b\r\n%b\r\n%b" % (method, query, version, b"".join(fields), rest)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.data(), st.lists(requests(), min_size=1, max_size=6))
def test_requests_in_any_segments_are_answered_as_they_are_one_by_one(
    host: Host, data: st.DataObject, several: list[bytes]
) -> None:
    stream = b"".join(several)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    pieces = [stream[i:j] for i, j in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    client, together = host.connect(), host.connect()

    one_by_one = [client.ask(each).raw for each in several]
    together.send(*pieces)
    assert [together.answer().raw for _ in several] == one_by_one
    client.finish()
    together.finish()
    assert client.ended()
    assert together.ended()


# Expect: 100-continue.


def test_a_client_that_waits_for_it_is_told_once_to_continue(client: Client) -> None:
    for _ in range(2):
        client.send(ECHO + EXPECT + b"Content-Length: 3\r\n\r\n")
        assert client.answer().raw == CONTINUE
        client.send(b"a", b"bc")
        assert body(client.answer().body) == "abc"


def test_continue_is_said_before_chunks_too(client: Client) -> None:
    client.send(CHUNKED + EXPECT + b"\r\n")
    assert client.answer().raw == CONTINUE
    assert body(client.ask(b"3\r\nabc\r\n0\r\n\r\n").body) == "abc"


def test_continue_is_said_once_for_an_upgrade(client: Client) -> None:
    offer = b"Connection: Upgrade\r\nUpgrade: h2c\r\n"

    client.send(ECHO + offer + EXPECT + b"Content-Length: 3\r\n\r\n")
    assert client.answer().raw == CONTINUE
    assert body(client.ask(b"abc").body) == "abc"


def test_continue_comes_after_the_responses_before_it(client: Client, host: Host) -> None:
    client.send(PING.replace(b"ping", b"hold") * 2 + ECHO + EXPECT + b"Content-Length: 3\r\n\r\n")
    first, second = host.held(), host.held()
    second.answer(b"second")
    first.answer(b"first")

    assert [client.answer().body for _ in range(2)] == [b"first", b"second"]
    assert client.answer().raw == CONTINUE
    assert body(client.ask(b"abc").body) == "abc"


def test_a_body_that_comes_unasked_needs_no_continue(client: Client, host: Host) -> None:
    client.send(PING.replace(b"ping", b"hold") + with_length(b"abc", EXPECT) + PING)
    host.held().answer(b"first")

    assert client.answer().body == b"first"
    assert body(client.answer().body) == "abc"
    assert client.answer().body == b""
    client.finish()
    assert client.ended()


def test_http_1_0_is_not_told_to_continue(client: Client) -> None:
    client.send(b"POST /echo HTTP/1.0\r\n" + EXPECT + b"Content-Length: 3\r\n\r\n", b"abc")

    assert body(client.answer().body) == "abc"


@pytest.mark.parametrize("expectation", [b"200-ok", b"100-continue, x", b"", b"100"])
def test_an_unknown_expectation_fails(client: Client, expectation: bytes) -> None:
    answer = client.ask(ECHO + b"Expect: " + expectation + b"\r\nContent-Length: 3\r\n\r\n")

    assert answer.error["code"] == 417
    assert "only 100-continue" in answer.error["message"]
    assert client.ended()


def test_a_body_that_is_too_large_is_refused_instead_of_asked_for(client: Client) -> None:
    answer = client.ask(ECHO + EXPECT + b"Content-Length: %d\r\n\r\n" % (LIMIT + 1))

    assert answer.error["code"] == 413
    assert client.ended()


def test_a_client_that_is_refused_before_its_turn_is_not_told_to_continue(
    client: Client, host: Host
) -> None:
    client.send(PING.replace(b"ping", b"hold") + CHUNKED + EXPECT + b"\r\n", b"nonsense")
    connection = host.connection
    host.until(lambda: connection._receiver._stopped)
    host.held().answer(b"first")

    assert client.answer().body == b"first"
    assert client.answer().error["code"] == 400
    assert client.ended()


@example(b"")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.binary(max_size=2000))
def test_any_body_arrives_as_it_was_sent(host: Host, content: bytes) -> None:
    client = host.connect()

    assert body(client.ask(with_length(content)).body).encode("latin-1") == content
    client.finish()
    assert client.ended()
