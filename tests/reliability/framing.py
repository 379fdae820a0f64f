"""Requests that are no HTTP, that two servers could read in two ways, or whose head is a bomb."""

from tests.reliability.bench import TENSORS, Site
from tests.reliability.fault import Fault, Section
from tests.reliability.talk import CLOSED, head, heard_to_the_end, raw

GOOD = raw(TENSORS.good)
CHUNKS = b"5\r\n[[1,2\r\n0\r\n\r\n"
REFUSED = f"400 BadRequest, {CLOSED}"
TOO_LARGE = f"431 HeaderFieldsTooLarge, {CLOSED}"
MIB = 2**20


def stream(name: str, done: str, data: bytes, outcome: str = REFUSED) -> Fault:
    """Bytes that end the connection."""

    def attempt(site: Site) -> str:
        with site.client() as client:
            client.send(data)
            return heard_to_the_end(client)

    return Fault(name, done, outcome, TENSORS, attempt)


def smuggled(name: str, done: str, *fields: str, outcome: str = REFUSED) -> Fault:
    """A head of two meanings, a body in chunks, and a request that must not be answered."""
    return stream(name, done, head(*fields) + CHUNKS + GOOD, outcome)


def chunked(name: str, done: str, chunks: bytes, outcome: str = REFUSED) -> Fault:
    """Chunks that are none, and a request that must not be answered."""
    return stream(name, done, head("Transfer-Encoding: chunked") + chunks + GOOD, outcome)


HEADS = Section(
    "Heads",
    "",
    (
        stream("many header fields", "10,000 fields", head(*(f"X{n}: 1" for n in range(10_000))),
               TOO_LARGE),
        stream("a field many times", "the same field 100,000 times", head(*["X: 1"] * 100_000),
               TOO_LARGE),
        stream("a huge field", "a value of 1 MiB", head("X: " + "x" * MIB), TOO_LARGE),
        stream("a huge name", "a field's name of 1 MiB", head("x" * MIB + ": 1"), TOO_LARGE),
        stream("a huge path", "a path of 1 MiB", head(start=f"GET /{'x' * MIB} HTTP/1.1"),
               TOO_LARGE),
        stream("a head without end", "1 MiB of a value, and no line end",
               head()[:-2] + b"X: " + b"x" * MIB, TOO_LARGE),
        stream("two hosts", "a second `Host`", head("Host: b")),
        stream("no host", "HTTP/1.1 without `Host`", b"GET /ping HTTP/1.1\r\n\r\n"),
        stream("another protocol: TLS", "a ClientHello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc"),
        stream("another protocol: HTTP/2", "its preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
               f"505 HttpVersionNotSupported, {CLOSED}"),
        stream("a proxy's request", "`CONNECT a:443`", head(start="CONNECT a:443 HTTP/1.1"),
               f"501 NotImplementedByServer, {CLOSED}"),
        stream("rubbish", "1 MiB of the byte 0xff", b"\xff" * MIB),
    ),
)  # fmt: skip

LENGTHS = Section(
    "Lengths",
    "",
    (
        stream("a length that is too short", "`Content-Length: 5` and `[[1,2]]`",
               head("Content-Type: application/json", "Content-Length: 5") + b"[[1,2]]",
               f"400 DecodeError, {REFUSED}"),
        stream("a negative length", "`Content-Length: -1`", head("Content-Length: -1") + GOOD),
        stream("a length twice", "`Content-Length: 5` twice",
               head("Content-Length: 5", "Content-Length: 5") + b"[1,2]" + GOOD),
        stream("two lengths", "`Content-Length: 5` and `6`",
               head("Content-Length: 5", "Content-Length: 6") + b"[1,2]" + GOOD),
        stream("a length with a sign", "`Content-Length: +5`", head("Content-Length: +5") + GOOD),
        stream("a length beyond 64 bits", "`Content-Length: 18446744073709551621`",
               head("Content-Length: 18446744073709551621") + GOOD),
        stream("a length beyond the limit", "`Content-Length: 1000000000000`",
               head("Content-Length: 1000000000000"), f"413 PayloadTooLarge, {CLOSED}"),
        stream("chunks beyond the limit", "26 MiB in chunks of 1 MiB",
               head("Transfer-Encoding: chunked") + (b"100000\r\n" + bytes(MIB) + b"\r\n") * 26,
               f"413 PayloadTooLarge, {CLOSED}"),
    ),
)  # fmt: skip

SMUGGLING = Section(
    "Request smuggling",
    "Behind each stands a good request, which a server that reads the framing otherwise would "
    "answer; it must not be. `tests/hosts/http/test_smuggling.py` has many more.",
    (
        smuggled("CL.TE", "`Content-Length` before `Transfer-Encoding`", "Content-Length: 5",
                 "Transfer-Encoding: chunked"),
        smuggled("TE.CL", "`Transfer-Encoding` before `Content-Length`",
                 "Transfer-Encoding: chunked", "Content-Length: 5"),
        smuggled("TE.TE", "`Transfer-Encoding: chunked` and `identity`",
                 "Transfer-Encoding: chunked", "Transfer-Encoding: identity"),
        smuggled("TE with a blank before the colon", "`Transfer-Encoding : chunked`",
                 "Transfer-Encoding : chunked"),
        smuggled("TE with a vertical tab", "`Transfer-Encoding: \\x0bchunked`",
                 "Transfer-Encoding: \x0bchunked"),
        smuggled("TE that is nearly chunked", "`Transfer-Encoding: xchunked`",
                 "Transfer-Encoding: xchunked", outcome=f"501 NotImplementedByServer, {CLOSED}"),
        smuggled("a folded TE", "`Transfer-Encoding:`, a line end, ` chunked`",
                 "Transfer-Encoding:\r\n chunked"),
        smuggled("a bare line feed", "a field after `\\n` alone",
                 "X: 1\nTransfer-Encoding: chunked"),
        smuggled("a bare carriage return", "a field after `\\r` alone",
                 "X: 1\rTransfer-Encoding: chunked"),
        smuggled("a null byte", "`X: a\\x00b`", "X: a\x00b", "Transfer-Encoding: chunked"),
        stream("chunks in HTTP/1.0", "`Transfer-Encoding: chunked`",
               head("Transfer-Encoding: chunked", start="POST /invocations HTTP/1.0") + CHUNKS
               + GOOD),
        chunked("a chunk size beyond 64 bits", "`10000000000000005`",
                b"10000000000000005\r\n[[1,2\r\n0\r\n\r\n"),
        chunked("a chunk size with 0x", "`0x5`", b"0x5\r\n[[1,2\r\n0\r\n\r\n"),
        chunked("a chunk that is too long", "`5` and 6 bytes", b"5\r\n[[1,2]\r\n0\r\n\r\n"),
        chunked("a chunk that ends with a bare line feed", "`5\\n`", b"5\n[[1,2\r\n0\r\n\r\n"),
        chunked("a length among the trailers", "`Content-Length: 5` after the last chunk",
                b"5\r\n[[1,2\r\n0\r\nContent-Length: 5\r\n\r\n"),
    ),
)  # fmt: skip
