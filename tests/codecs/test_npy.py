"""application/x-npy: exact cases, hostile headers and round trips."""

import io
import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_array_equal
from numpy.typing import NDArray

from serving.codecs import npy
from serving.errors import DecodeError, NotAcceptable
from serving.media import parse

NPY = parse("application/x-npy")
GOOD = "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }"


def saved(values: NDArray[Any], version: tuple[int, int] = (1, 0)) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, values, version)
    return buffer.getvalue()


def body(header: str | bytes, data: bytes = bytes(8), version: bytes = b"\x01\x00") -> bytes:
    text = header.encode() if isinstance(header, str) else header
    size = 2 if version == b"\x01\x00" else 4
    return b"\x93NUMPY" + version + len(text).to_bytes(size, "little") + text + data


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
@pytest.mark.parametrize(
    "values",
    [
        np.arange(6, dtype=np.float32).reshape(2, 3),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.arange(3, dtype=">i8"),
        np.array([True, False]),
        np.array(5, np.uint8),
        np.array(["é", "ab"]),
        np.array(["é", "ab"]).astype(">U2"),
        np.array([b"a", b"bc"]),
        np.array([1 + 2j], np.complex64),
        np.array([0.5], np.float16),
    ],
)
def test_decode_reads_what_numpy_saves(values: NDArray[Any], version: tuple[int, int]) -> None:
    array = npy.decode(saved(values, version), NPY)
    assert_array_equal(array, values, strict=False)
    assert array.shape == values.shape
    assert array.dtype == values.dtype.newbyteorder("=")
    assert array.dtype.isnative
    assert array.flags.c_contiguous
    assert array.flags.aligned
    assert array.flags.writeable


@pytest.mark.parametrize(
    "header",
    [
        GOOD,
        '{"shape":(2,),"fortran_order":False,"descr":"<f4"}',
        " {'shape': (1, 2L), 'descr': '=f4', 'fortran_order': True} \n",
    ],
)
def test_the_order_of_a_headers_keys_does_not_matter(header: str) -> None:
    assert npy.decode(body(header), NPY).ravel().tolist() == [0, 0]


def test_data_need_not_be_aligned() -> None:
    data = np.array([1.5, 2.5], np.float32).tobytes()
    assert npy.decode(body(GOOD + " ", data), NPY).tolist() == [1.5, 2.5]


def swapped(old: str, new: str) -> bytes:
    assert old in GOOD
    return body(GOOD.replace(old, new))


@pytest.mark.parametrize(
    ("malformed", "message"),
    [
        (b"", "does not begin with"),
        (b"PK\x03\x04" + bytes(100), "does not begin with"),
        (b"\x93NUMPY", r"Version {2}of|Version  of"),
        (body(GOOD, version=b"\x04\x00"), r"Version 04\.00 of the npy format"),
        (b"\x93NUMPY\x01\x00\xff\x00{", "ends within its header of 255 bytes"),
        (b"\x93NUMPY\x02\x00\xff\xff\xff\xff{", "The header has 4294967295 bytes; at most 10000"),
        (body(GOOD + " " * 10_000), "at most 10000"),
        (body(GOOD, bytes(7)), r"declares 8 bytes of data \(float32, shape \(2,\)\); .* has 7"),
        (body(GOOD, bytes(9)), "has 9"),
        (swapped("(2,)", "(1000000000000,)"), "declares 4000000000000 bytes"),
        (swapped("(2,)", f"({'9' * 18}, {'9' * 18})"), "declares 3999999999999999992"),
        (swapped("(2,)", f"({'9' * 20},)"), "The header is not that of"),
        (swapped("(2,)", "(-2,)"), "The header is not that of"),
        (swapped("(2,)", "(2)"), "The header is not that of"),
        (swapped("(2,)", "2"), "The header is not that of"),
        (swapped("(2,)", "(2,),'x':(2,)"), "The header is not that of"),
        (swapped("(2,)", f"({'1,' * 31}2,1,1)"), "has 34 axes; at most 32"),
        (body(GOOD.replace("(2,)", "(0,)"), b""), r"shape \(0,\) has no values"),
        (body(GOOD.replace("(2,)", "(0, 999999999999)"), b""), "has no values"),
        (body(GOOD.replace("<f4", "|S0").replace("2,", "9" * 18 + ","), b""), "has no values"),
        (swapped("'<f4'", "'|O'"), "The header is not that of"),
        (swapped("'<f4'", "'<f3'"), "descr '<f3' is no element type"),
        (swapped("'<f4'", "'<U999999999'"), "is no element type"),
        (swapped("'<f4'", "[('a', '<f4')]"), "The header is not that of"),
        (swapped("'<f4'", "('<f4', (1000000, 1000000))"), "The header is not that of"),
        (swapped("False", "0"), "The header is not that of"),
        (swapped("'descr': '<f4',", ""), "The header is not that of"),
        (body("{" * 5000), "The header is not that of"),
        (body("(" * 9000 + ")" * 900), "The header is not that of"),
        (body("__import__('os').abort()"), "The header is not that of"),
        (body(b"\xff\xfe\x00"), "The header is not that of"),
        (body(b"\xff" + GOOD.encode(), version=b"\x03\x00"), "The header is not that of"),
        (body(""), "The header is not that of"),
        (saved(np.array([(1, 2.0)], "i4,f8")), "The header is not that of"),
        (saved(np.array(["NaT"], "M8[s]")), "The header is not that of"),
        (body(GOOD.replace("<f4", "<U1"), b"\xff" * 8), "that Unicode does not have"),
        (body(GOOD.replace("<f4", "<U1"), b"\x00\xd8\x00\x00" * 2), "that Unicode does not have"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_decode_refuses_hostile_bodies(malformed: bytes, message: str) -> None:
    with pytest.raises(DecodeError, match=message):
        npy.decode(malformed, NPY)


def test_decode_never_unpickles() -> None:
    buffer = io.BytesIO()
    np.save(buffer, np.array([{"a": 1}], object), allow_pickle=True)
    with pytest.raises(DecodeError, match="The header is not that of"):
        npy.decode(buffer.getvalue(), NPY)


def test_nothing_is_allocated_for_a_declared_shape() -> None:
    tracemalloc.start()
    with pytest.raises(DecodeError, match="declares 4000000000 bytes"):
        npy.decode(swapped("(2,)", "(1000000000,)"), NPY)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1_000_000


def test_encode_writes_what_numpy_loads() -> None:
    values = np.arange(6, dtype=np.float32).reshape(2, 3)
    loaded = np.load(io.BytesIO(npy.encode({"y": values})), allow_pickle=False)
    assert_array_equal(loaded, values, strict=True)


def test_encode_writes_text_at_a_fixed_width() -> None:
    body = npy.encode({"y": np.array(["é", "abc"], object)})
    assert npy.decode(body, NPY).tolist() == ["é", "abc"]


def test_encode_refuses_several_outputs_and_says_what_carries_them() -> None:
    with pytest.raises(NotAcceptable, match=r"outputs label, score; application/json.* several"):
        npy.encode({"label": np.zeros(1), "score": np.zeros(1)})


def test_encode_refuses_objects() -> None:
    with pytest.raises(NotAcceptable, match="Output 'y' has objects that are not text"):
        npy.encode({"y": np.array(["x", None], object)})


dtypes = st.one_of(
    hnp.boolean_dtypes(),
    hnp.integer_dtypes(endianness="?"),
    hnp.unsigned_integer_dtypes(endianness="?"),
    hnp.floating_dtypes(endianness="?", sizes=(16, 32, 64)),
    hnp.complex_number_dtypes(endianness="?", sizes=(64, 128)),
    hnp.unicode_string_dtypes(endianness="?", max_len=4),
    hnp.byte_string_dtypes(max_len=4),
)


@settings(deadline=None)
@given(hnp.arrays(dtypes, hnp.array_shapes(min_dims=0, max_side=4)), st.booleans())
def test_arrays_survive_a_round_trip(values: NDArray[Any], fortran: bool) -> None:
    values = np.asfortranarray(values) if fortran else values
    array = npy.decode(npy.encode({"y": values}), NPY)
    assert array.shape == values.shape
    assert array.dtype == values.dtype.newbyteorder("=")
    assert array.astype(values.dtype).tobytes("C") == values.tobytes("C")
