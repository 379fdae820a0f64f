"""Tensors of the Open Inference Protocol: values as JSON and as bytes, and arrays."""

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from tritonclient.utils import (
    np_to_triton_dtype,
    serialize_bf16_tensor,
    serialize_byte_tensor,
    triton_to_np_dtype,
)

from serving.errors import DecodeError, NotAcceptable
from serving.model import Tensor
from serving.oip import datatypes
from serving.oip.datatypes import NUMBERS

Array = NDArray[Any]


def numbers() -> st.SearchStrategy[Array]:
    """Arrays of numbers and booleans of any shape that has values."""
    shapes = hnp.array_shapes(min_dims=0, max_dims=4, min_side=1, max_side=4)
    return hnp.arrays(st.sampled_from(list(NUMBERS.values())), shapes)


def elements() -> st.SearchStrategy[Array]:
    """Arrays of bytes."""
    shapes = hnp.array_shapes(min_dims=0, max_dims=3, min_side=1, max_side=3)
    return hnp.arrays(np.dtype(object), shapes, elements=st.binary(max_size=9))


def test_the_datatypes_are_those_of_the_client() -> None:
    for name, dtype in NUMBERS.items():
        assert triton_to_np_dtype(name) == dtype
        assert np_to_triton_dtype(dtype) == name


@given(numbers())
def test_numbers_survive_as_bytes(array: Array) -> None:
    datatype, data = datatypes.name_of("x", array), datatypes.to_bytes("x", array)
    assert data == array.tobytes()
    read = datatypes.from_bytes("x", datatype, array.shape, data)
    assert read.tobytes() == array.tobytes()
    assert (read.dtype, read.shape) == (array.dtype, array.shape)
    assert read.flags.writeable
    assert read.flags.aligned


@given(elements())
def test_bytes_survive_and_are_as_the_client_has_them(array: Array) -> None:
    data = datatypes.to_bytes("x", array)
    assert data == serialize_byte_tensor(array).item()
    read = datatypes.from_bytes("x", "BYTES", array.shape, data)
    assert read.shape == array.shape
    assert read.tolist() == array.tolist()


@given(numbers().filter(lambda array: not np.isinf(array.astype(np.float64)).any()), st.booleans())
def test_numbers_survive_as_json_flat_and_nested(array: Array, nested: bool) -> None:
    plain = (array if nested else array.ravel()).tolist()
    data = json.loads(json.dumps(plain).replace("NaN", "null"))
    read = datatypes.from_json("x", datatypes.name_of("x", array), array.shape, data)
    assert read.dtype == array.dtype
    np.testing.assert_array_equal(read, array)


@given(hnp.arrays(np.float32, 5, elements=st.floats(-(2.0**99), 2.0**99, width=32)))
def test_bf16_becomes_float32(array: Array) -> None:
    data = serialize_bf16_tensor(array).item()
    read = datatypes.from_bytes("x", "BF16", [5], data)
    assert read.dtype == np.float32
    assert serialize_bf16_tensor(read).item() == data
    np.testing.assert_allclose(read, array, rtol=2**-7, atol=1e-37)


@given(st.binary(max_size=40), st.lists(st.integers(1, 5), max_size=3))
def test_whatever_the_bytes_are_they_are_read_or_refused(data: bytes, shape: list[int]) -> None:
    for datatype in (*NUMBERS, "BF16", "BYTES"):
        try:
            read = datatypes.from_bytes("x", datatype, shape, data)
        except DecodeError:
            continue
        assert read.shape == tuple(shape)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner),
)


@given(JSON, st.lists(st.integers(1, 3), max_size=3))
def test_whatever_the_json_is_it_is_read_or_refused(data: object, shape: list[int]) -> None:
    for datatype in (*NUMBERS, "BF16", "BYTES"):
        try:
            read = datatypes.from_json("x", datatype, shape, data)
        except DecodeError:
            continue
        assert read.shape == tuple(shape)


@pytest.mark.parametrize(
    ("datatype", "shape", "data", "told"),
    [
        ("INT8", [1], [300], "out of bounds"),
        ("UINT8", [1], [-1], "out of bounds"),
        ("INT64", [1], [1.5], "takes whole numbers; its data have a fraction"),
        ("INT64", [1], [True], "takes whole numbers; its data have true or false"),
        ("FP32", [1], ["1"], "takes numbers; its data have text"),
        ("FP32", [1], [{}], "takes numbers; its data have an object"),
        ("BOOL", [1], [1], "takes true or false; its data have a number"),
        ("BYTES", [1], [1], "takes text; its data have a number"),
        ("FP32", [2], [1], "has 1 values; its shape [2] has 2"),
        ("FP32", [10**12], [1], "has 1 values; its shape [1000000000000] has 1000000000000"),
        ("FP32", [2, 2], [[1, 2], [3]], "not nested as the shape [2, 2]"),
        ("FP32", [2, 2], [[1, 2], 3], "not nested as the shape [2, 2]"),
        ("FP32", [4], [[1, 2], [3, 4]], "not nested as the shape [4]"),
        ("FP32", [], [[1]], "not nested as the shape []"),
        ("FP32", [1], [[1]], "takes numbers; its data have a list"),
    ],
)
def test_values_that_are_not_as_declared_are_refused(
    datatype: str, shape: list[int], data: object, told: str
) -> None:
    with pytest.raises(DecodeError) as caught:
        datatypes.from_json("x", datatype, shape, data)
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("datatype", "shape", "data", "told"),
    [
        ("FP32", [2], b"1234", "has 4 bytes; FP32 of shape [2] has 8"),
        ("FP32", [2**62, 2**62], b"", f"has {2**126}"),
        ("BYTES", [1], b"\xff\xff\xff\xff", "not the 1 elements"),
        ("BYTES", [2], b"\1\0\0\0a", "not the 2 elements"),
        ("BYTES", [1], b"\1\0\0\0ab", "not the 1 elements"),
        ("BYTES", [1], b"\1\0", "not the 1 elements"),
    ],
)
def test_bytes_that_are_not_as_many_as_declared_are_refused(
    datatype: str, shape: list[int], data: bytes, told: str
) -> None:
    with pytest.raises(DecodeError) as caught:
        datatypes.from_bytes("x", datatype, shape, data)
    assert told in str(caught.value)


def test_a_boolean_is_true_whatever_its_byte() -> None:
    assert datatypes.from_bytes("x", "BOOL", [3], b"\0\1\2").tolist() == [False, True, True]


def test_a_number_too_large_for_its_type_is_infinite_as_elsewhere() -> None:
    assert math.isinf(datatypes.from_json("x", "FP16", [1], [1e9]).item())


def test_an_output_of_a_type_that_the_protocol_does_not_have_is_refused() -> None:
    with pytest.raises(NotAcceptable, match="complex"):
        datatypes.name_of("x", np.zeros(1, complex))
    with pytest.raises(NotAcceptable, match="has a dict"):
        datatypes.to_bytes("x", np.array([{}], object))


def test_text_is_utf8() -> None:
    array = np.array([["é".encode()]], object)
    assert datatypes.text("x", array).tolist() == [["é"]]
    with pytest.raises(DecodeError, match="not UTF-8"):
        datatypes.text("x", np.array([b"\xff"], object))


def test_an_output_of_another_byte_order_is_written_in_the_protocols() -> None:
    assert datatypes.to_bytes("x", np.array([1], ">i4")) == b"\1\0\0\0"
    assert datatypes.name_of("x", np.array([1], ">i4")) == "INT32"


@pytest.mark.parametrize(
    ("tensor", "datatype", "shape"),
    [
        (Tensor("x", "float32", (None, 4)), "FP32", [-1, 4]),
        (Tensor("x", "str", (None,)), "BYTES", [-1]),
        (Tensor("x", "bool", (2,)), "BOOL", [2]),
        (Tensor("x", "", ()), "FP32", [-1]),
    ],
)
def test_metadata_have_minus_one_for_a_free_length(
    tensor: Tensor, datatype: str, shape: list[int]
) -> None:
    assert datatypes.declared(tensor) == {"name": "x", "datatype": datatype, "shape": shape}
