"""Bodies that are not what they say, or more than anybody can want."""

from tests.contract.cases import npy
from tests.reliability.bench import TENSORS, Site
from tests.reliability.fault import Fault, Section
from tests.reliability.talk import raw, told
from tests.support import post

JSON, CSV, LINES = "application/json", "text/csv", "application/jsonlines"
NPY, RECORDIO, LIBSVM = "application/x-npy", "application/x-recordio-protobuf", "text/libsvm"

MANY = 1_000_000
ARRAY = npy(2, 2, 0, 5, 2, 5)
HUGE_ARRAY = ARRAY.replace(b"(2, 2), }          ", b"(2000000000, 2), } ")


def body(
    name: str, done: str, data: bytes, content_type: str = JSON, outcome: str = "400 DecodeError"
) -> Fault:
    """A body that the connection survives."""
    bad = raw(post(data, content_type=content_type))

    def attempt(site: Site) -> str:
        with site.client() as client:
            answer = client.ask(bad)
            assert client.ask(raw(site.kind.good)).body == site.kind.answer
            return told(answer)

    return Fault(name, done, outcome, TENSORS, attempt)


BODIES = Section(
    "Bodies",
    "The same connection answers a good request afterwards, and so does a new one.",
    (
        body("truncated JSON", "`[[1, 2], [3`", b"[[1, 2], [3"),
        body("truncated npy", "an array without its last 3 bytes", ARRAY[:-3], NPY),
        body("truncated npy header", "the first 40 bytes of an array", ARRAY[:40], NPY),
        body("npy of a wrong length", "a header for 16 GB, and 16 bytes", HUGE_ARRAY, NPY),
        body("npy of objects", "a header for pickled objects", ARRAY.replace(b"<f4", b"|O "), NPY),
        body("RecordIO of a wrong length", "a record for 512 MiB, and 3 bytes",
             b"\x0a\x23\xd7\xce\xff\xff\xff\x1fabc", RECORDIO),
        body("a million columns in CSV", "one row of 1,000,000 numbers", b"1," * MANY + b"1", CSV),
        body("a million columns in JSON", "one list of 1,000,000 numbers",
             b"[[" + b"1," * MANY + b"1]]"),
        body("a column far out in LibSVM", "`0 2147483646:1`", b"0 2147483646:1", LIBSVM),
        body("a million narrow rows", "1,000,000 lines of one number", b"1\n" * MANY, CSV),
        body("a million empty lines", "1,000,000 line ends", b"\n" * MANY, CSV),
        body("a million quotes", "1,000,000 times `\"`", b'"' * MANY, CSV),
        body("ragged CSV", "rows of 2 and 3 numbers", b"1,2\n3,4,5", CSV),
        body("ragged JSON", "`[[1, 2], [3]]`", b"[[1, 2], [3]]"),
        body("ragged JSON Lines", "`[1, 2]` and `[3]`", b"[1, 2]\n[3]", LINES),
        body("CSV that is not UTF-8", "the byte 0xff in a cell", b"1,\xff", CSV),
        body("JSON that is not UTF-8", "the byte 0xff in a key", b'{"\xff": 1}'),
        body("half a UTF-16 character", "one byte, and `charset=utf-16`", b"1",
             f"{CSV}; charset=utf-16"),
        body("an unknown charset", "`charset=klingon`", b"1,2", f"{CSV}; charset=klingon"),
        body("deep JSON arrays", "100,000 times `[`", b"[" * 100_000),
        body("deep JSON objects", '100,000 times `{"a":`', b'{"a":' * 100_000),
        body("JSON as deep as is read", "1,000 arrays in one another", b"[" * 1000 + b"]" * 1000),
        body("NaN in JSON", "`[[NaN, 1]]`", b"[[NaN, 1]]"),
        body("Infinity in JSON", "`[[1, -Infinity]]`", b"[[1, -Infinity]]"),
        body("NaN and infinity in CSV", "`nan,-inf`, which CSV allows", b"nan,-inf", CSV, "200"),
        body("1e400 in JSON", "`[[1e400, 1]]`", b"[[1e400, 1]]"),
        body("1e400 in CSV", "`1e400,1`, read as infinity", b"1e400,1", CSV, "200"),
        body("an integer of 400 digits in JSON", "`[[999…, 1]]`", b"[[" + b"9" * 400 + b", 1]]"),
        body("an integer of 400 digits in CSV", "`999…,1`, read as infinity", b"9" * 400 + b",1",
             CSV, "200"),
        body("an integer of a million digits", "`999…,1`", b"9" * MANY + b",1", CSV),
        body("binary rubbish", "1,000 bytes of 0", bytes(1000)),
        body("a pickle", "`Content-Type: application/python-pickle`", b"\x80\x04.",
             "application/python-pickle", "415 UnsupportedMediaType"),
        body("no body", "`Content-Length: 0`", b"", outcome="204"),
    ),
)  # fmt: skip
