"""Values keep their meaning in the type of their input, or are refused."""

import json
import struct
from typing import Any

import numpy as np
import pytest

from serving.errors import DecodeError
from serving.model import Tensor
from tests.engines.tensors.support import TABLE, decode, npy, npz


@pytest.mark.parametrize(
    ("dtype", "body", "expected"),
    [
        ("int64", "[9007199254740993]", [9007199254740993]),
        ("int64", "[3.0]", [3]),
        ("uint64", "[18446744073709551615]", [18446744073709551615]),
        ("int8", "[-128, 127]", [-128, 127]),
        ("bool", "[true, false]", [True, False]),
        ("bool", "[1, 0]", [True, False]),
        ("float16", "[0.5, 1]", [0.5, 1.0]),
        ("float64", "[0.1]", [0.1]),
        ("float32", "[1e300]", [float("inf")]),
        ("float16", "[1e6]", [float("inf")]),
        ("str", '["a", "ü"]', ["a", "ü"]),
    ],
)
def test_json_values_keep_their_meaning_in_every_type(
    dtype: str, body: str, expected: list[Any]
) -> None:
    array = decode(body, (Tensor("x", dtype, (None,)),)).data["x"]
    assert array.dtype == (object if dtype == "str" else dtype)
    assert array.tolist() == expected


def test_csv_integers_are_exact() -> None:
    payload = decode("9007199254740993\n", (Tensor("x", "int64", (None, 1)),), "text/csv")
    assert payload.data["x"].tolist() == [[9007199254740993]]


def test_null_is_nan_among_floats() -> None:
    array = decode("[[1, null, 3, 4]]", TABLE).data["x"]
    assert np.isnan(array).tolist() == [[False, True, False, False]]


@pytest.mark.parametrize(
    ("dtype", "body"),
    [
        ("int64", "[2.5]"),
        ("int64", "[null]"),
        ("int64", "[1e300]"),
        ("int8", "[128]"),
        ("int8", "[128.0]"),
        ("uint8", "[-1]"),
        ("bool", "[2]"),
        ("float32", '["1.5"]'),
        ("float32", '[{"a": 1}]'),
        ("str", "[1]"),
        ("str", "[null]"),
    ],
)
def test_a_value_the_type_cannot_hold_is_refused_by_the_inputs_name(dtype: str, body: str) -> None:
    with pytest.raises(DecodeError, match=r"'?x'?|features"):
        decode(body, (Tensor("x", dtype, (None,)),))


@pytest.mark.parametrize(
    ("array", "dtype"),
    [
        (np.array([2**40]), "int32"),
        (np.array([1.5]), "int64"),
        (np.array([np.nan]), "int64"),
        (np.array([1 + 1j]), "float32"),
        (np.array(["a"]), "float32"),
        (np.array([1]), "str"),
        (np.array([2]), "bool"),
    ],
)
def test_an_npy_array_the_type_cannot_hold_is_refused(array: Any, dtype: str) -> None:
    with pytest.raises(DecodeError, match=r"Input 'x' takes"):
        decode(npy(array), (Tensor("x", dtype, (None,)),), "application/x-npy")


def test_npy_text_becomes_objects() -> None:
    array = decode(npy(["a", "ü"]), (Tensor("x", "str", (None,)),), "application/x-npy").data["x"]
    assert array.dtype == object
    assert array.tolist() == ["a", "ü"]


def test_absent_cells_of_a_sparse_row_are_zeros() -> None:
    payload = decode("0 2:7\n0 1:5\n", TABLE, "text/libsvm")
    assert payload.data["x"].tolist() == [[0, 7, 0, 0], [5, 0, 0, 0]]


def test_a_matrix_keeps_large_integers() -> None:
    parts = {"format": b"coo", "shape": [2, 2], "row": [1], "col": [0], "data": [2**53 + 1]}
    payload = decode(npz(**parts), (Tensor("x", "int64", (None, 2)),), "application/x-npz")
    assert payload.data["x"].tolist() == [[0, 0], [2**53 + 1, 0]]


def test_long_text_does_not_widen_its_neighbours() -> None:
    cells = ["a" * 1_000_000] + [""] * 1000
    array = decode(json.dumps(cells), (Tensor("x", "str", (None,)),)).data["x"]
    assert array.nbytes == 1001 * struct.calcsize("P")
