"""Mutated bodies: every decoder returns, or raises an error of ours and nothing else."""

import io
from array import array
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.codecs import BY_NAME, csv, npy, record, recordio
from serving.codecs.base import Sparse
from serving.codecs.record import Tensor
from serving.errors import RequestError
from serving.media import parse


def frames(*rows: Tensor) -> bytes:
    messages = (record.write({"values": row, "id": row}, {"values": row}) for row in rows)
    return b"".join(
        recordio._FRAME.pack(recordio.MAGIC, len(message)) + message + bytes(-len(message) % 4)
        for message in messages
    )


def tensor(values: Any, dtype: Any, keys: list[int], shape: list[int]) -> Tensor:
    return Tensor(np.array(values, dtype), array("Q", keys), array("Q", shape))


def npz(**arrays: Any) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


MATRIX = {"shape": np.array([2, 3]), "data": np.array([1.0, 2.0])}

BODIES = {
    "text/csv": [
        b"1,2.5,-3e2\n4,,nan\n",
        b'"1";+2\r\n.5;1e400\r\n',
        b"1\t2\n\n3\t4",
        b"\xef\xbb\xbf1 2 3",
    ],
    "text/csv; charset=utf-16": ["1,2\n3,4".encode("utf-16")],
    "application/json": [
        b'{"instances": [[1, 2.5, null], ["a\\u00e9", true, {}]], "n": -1e-7}',
        b"[[[[[[1]]]]]]",
    ],
    "application/jsonlines": [b'{"a": [1, 2]}\n\n[3]\n"x"\n', b"1\r\n2\r\n"],
    "text/libsvm": [b"1 1:0.5 3:2 # c\n0 qid:1 2:-1e3\n", b"0:1 7:2\n3:nan\n"],
    "application/x-npy": [
        npy.encode({"y": values})
        for values in (
            np.arange(6, dtype=np.float32).reshape(2, 3),
            np.asfortranarray(np.arange(4.0).reshape(2, 2)),
            np.array(["é", "abc"]),
            np.array(3, ">i2"),
        )
    ],
    "application/x-npz": [
        npz(x=np.arange(6, dtype=np.float32).reshape(2, 3)),
        npz(format=b"csr", indices=np.array([0, 2]), indptr=np.array([0, 1, 2]), **MATRIX),
        npz(format=b"coo", row=np.array([0, 1]), col=np.array([1, 1]), **MATRIX),
    ],
    "application/x-recordio-protobuf": [
        frames(*[tensor([1.5, 2], np.float32, [], [2])] * 2),
        frames(tensor([1, -2], np.int32, [], [])),
        frames(
            tensor([1.0, 2.0], np.float64, [0, 300], [1000]),
            tensor([], np.float64, [], [1000]),
        ),
    ],
}
SEEDS = [(content_type, body) for content_type, bodies in BODIES.items() for body in bodies]

# Bytes that mean something to a format: delimiters, digits, brackets, limits of numbers.
TOKENS = st.sampled_from(
    [bytes([byte]) for byte in b" \t\r\n\0,;|\"'#:.+-_0123456789eEnNrux[]{}()<>\x80\xff"]
    + [b"nan", b"Infinity", b"true", b"null", b"1e999", b"2147483647", b"9" * 20, b"\\ud800"]
    + [b"\xff" * 9 + b"\x01", b"|O", b"qid:", b"\xef\xbb\xbf", b"[" * 50]
)


@st.composite
def mutated(draw: st.DrawFn) -> tuple[str, bytes]:
    content_type, body = draw(st.sampled_from(SEEDS))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(body)))
        end = draw(st.integers(start, min(len(body), start + 16)))
        match draw(st.sampled_from(("flip", "cut", "insert", "repeat", "truncate"))):
            case "flip" if start < len(body):
                flipped = body[start] ^ 1 << draw(st.integers(0, 7))
                body = body[:start] + bytes([flipped]) + body[start + 1 :]
            case "cut":
                body = body[:start] + body[end:]
            case "insert":
                body = body[:start] + draw(TOKENS) + body[end:]
            case "repeat":
                body = body[:end] + body[start:end] * draw(st.integers(1, 3)) + body[end:]
            case "truncate":
                body = body[:start]
    return content_type, body


def is_sound(value: Any) -> bool:
    """Whether an engine can rely on ``value``: a table has rows, and nothing lies outside."""
    if isinstance(value, Sparse):
        inside = ((value.indices >= 0) & (value.indices < value.columns)).all()
        ends = value.indptr[0] == 0 and value.indptr[-1] == len(value.indices) == len(value.values)
        return bool(inside and ends and (np.diff(value.indptr) >= 0).all() and value.rows > 0)
    if isinstance(value, np.ndarray):
        return value.size > 0 and value.dtype.isnative and value.dtype.kind in "biufcSU"
    return True


@pytest.mark.parametrize(("content_type", "body"), SEEDS)
def test_the_bodies_that_are_mutated_are_valid(content_type: str, body: bytes) -> None:
    media = parse(content_type)
    assert is_sound(BY_NAME[media.essence].decode(body, media))


def decoded_or_refused(decode: Callable[[], Any]) -> bool:
    try:
        return is_sound(decode())
    except RequestError as error:
        return len(str(error).encode()) > 0


@settings(deadline=None, max_examples=2000)
@given(mutated())
def test_a_mutated_body_is_decoded_or_refused(case: tuple[str, bytes]) -> None:
    content_type, body = case
    media = parse(content_type)
    assert decoded_or_refused(lambda: BY_NAME[media.essence].decode(body, media))


@settings(deadline=None, max_examples=500)
@given(mutated(), st.sampled_from([np.float16, np.float64, np.int64, np.uint8]))
def test_a_mutated_body_is_read_as_csv_of_any_type_or_refused(
    case: tuple[str, bytes], dtype: Any
) -> None:
    media = parse("text/csv")
    assert decoded_or_refused(lambda: csv.decode(case[1], media, np.dtype(dtype)))
    assert decoded_or_refused(lambda: csv.decode_cells(case[1], media))


@settings(deadline=None, max_examples=500)
@given(st.sampled_from(sorted(BODIES)), st.binary(max_size=64))
def test_bytes_at_random_are_decoded_or_refused(content_type: str, body: bytes) -> None:
    media = parse(content_type)
    assert decoded_or_refused(lambda: BY_NAME[media.essence].decode(body, media))
