"""Bodies that do not fit are refused with what is wrong."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.codecs import Sparse
from serving.codecs.base import MAX_DENSE
from serving.engines import fitting
from serving.errors import DecodeError, PayloadTooLarge, UnsupportedMediaType
from serving.model import Tensor
from tests.engines.tensors.support import IMAGE, MIXED, TABLE, UNKNOWN, decode, npy


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("[[1, 2, 3, 4], [5, 6, 7]]", "not all of one length"),
        ("[[1, 2, 3], [4, 5, 6]]", r"\(rows, 4\); the body has shape \(2, 3\)"),
        ('[[1, 2, 3, "a"]]', "text where input 'x'"),
        ('{"y": [[1, 2, 3, 4]]}', "names y; the model takes x: float32"),
        ('{"inputs": {"x": [[1, 2, 3, 4]], "y": 1}}', "names x, y"),
        ('{"instances": []}', "at least one record"),
        ('{"instances": 3}', "takes a list"),
        ('{"instances": [{"x": [1, 2, 3, 4]}, {"z": 1}]}', "Record 2 has z"),
        ('{"instances": [{"x": [1, 2, 3, 4]}, 7]}', "Record 2 has no object"),
        ("3", "single value"),
        ('"text"', "single value"),
        ("null", "single value"),
        ("[]", "no rows"),
        ("[[]]", "shape"),
        ("{}", "names nothing"),
        ("[" * 500 + "1" + "]" * 500, "length|shape"),
    ],
)
def test_a_misfit_is_named(body: str, message: str) -> None:
    with pytest.raises(DecodeError, match=message):
        decode(body, TABLE)


def test_a_table_of_another_width_than_several_inputs_says_how_to_name_them() -> None:
    with pytest.raises(DecodeError, match=r'3 inputs.*"inputs": {"age": \[…\], "id"'):
        decode("1,2\n", MIXED, "text/csv")


def test_a_cell_that_is_no_number_is_named() -> None:
    with pytest.raises(DecodeError, match=r"Row 2, column 1: 'old' is no number"):
        decode("1,2,Oslo\nold,3,Rome\n", MIXED, "text/csv")


def test_inputs_must_agree_in_their_rows() -> None:
    inputs = (Tensor("a", "float32", (None,)), Tensor("b", "float32", (None,)))
    with pytest.raises(DecodeError, match=r"a has 2, b has 1"):
        decode('{"a": [1, 2], "b": [1]}', inputs)


def test_a_table_without_rows_is_refused() -> None:
    with pytest.raises(DecodeError):
        decode(npy(np.zeros((0, 4), np.float32)), TABLE, "application/x-npy")


def test_an_unknown_content_type_is_415() -> None:
    with pytest.raises(UnsupportedMediaType, match=r"image/png is not an accepted"):
        decode(b"\x89PNG", TABLE, "image/png")


def test_a_sparse_row_wider_than_the_model_is_refused() -> None:
    with pytest.raises(DecodeError, match=r"sparse table of 9 columns"):
        decode("0 9:7\n", TABLE, "text/libsvm")


def test_a_sparse_table_needs_a_declared_width() -> None:
    with pytest.raises(DecodeError, match=r"sparse"):
        decode("0 1:7\n", UNKNOWN, "text/libsvm")


def test_a_sparse_table_too_large_as_a_dense_one_is_413() -> None:
    rows = 1 + MAX_DENSE // (4 * 1_000_000)
    sparse = Sparse(np.zeros(rows + 1, np.int64), np.zeros(0, np.int64), np.zeros(0, "f4"), 1)
    with pytest.raises(PayloadTooLarge, match=r"send fewer rows"):
        fitting.dense(sparse, (Tensor("x", "float32", (None, 1_000_000)),))


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["x", "inputs", "instances", "features", "age", "id", "town", "z"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=12,
)


@given(
    body=_json,
    inputs=st.sampled_from([TABLE, IMAGE, MIXED, UNKNOWN, (Tensor("x", "bool", (None, None)),)]),
    content_type=st.sampled_from(["application/json", "application/jsonlines"]),
)
def test_any_json_is_arrays_that_fit_or_is_refused(
    body: Any, inputs: tuple[Tensor, ...], content_type: str
) -> None:
    try:
        payload = decode(json.dumps(body), inputs, content_type)
    except DecodeError:
        return
    assert set(payload.data) == {tensor.name for tensor in inputs}
    for tensor in inputs:
        array = payload.data[tensor.name]
        if tensor.shape:
            assert array.shape[0] == payload.rows
            assert len(array.shape) == len(tensor.shape)
            assert array.dtype == (object if tensor.dtype == "str" else tensor.dtype)


@given(st.lists(st.lists(st.text(max_size=5), min_size=1, max_size=4), min_size=1, max_size=4))
def test_any_csv_is_arrays_that_fit_or_is_refused(rows: list[list[str]]) -> None:
    body = "\n".join(",".join(row) for row in rows)
    try:
        payload = decode(body, MIXED, "text/csv")
    except DecodeError:
        return
    assert payload.data["town"].shape == (payload.rows, 1)
