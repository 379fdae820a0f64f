"""Bodies to named tensors and back."""

import io
import json
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.codecs import Sparse
from serving.codecs.base import MAX_DENSE
from serving.engines import fitting, tensors
from serving.errors import (
    DecodeError,
    PayloadTooLarge,
    SettingError,
    UnsupportedMediaType,
)
from serving.model import Tensor
from serving.settings import Settings
from serving.values import Payload, Prediction, Request

TABLE = (Tensor("x", "float32", (None, 4)),)
IMAGE = (Tensor("image", "float32", (None, 1, 2, 2)),)
MIXED = (
    Tensor("age", "float32", (None, 1)),
    Tensor("id", "int64", (None, 1)),
    Tensor("town", "str", (None, 1)),
)
UNKNOWN = (Tensor("x", "", ()),)


def decode(
    body: bytes | str,
    inputs: tuple[Tensor, ...],
    content_type: str | None = "application/json",
    *,
    stacks: bool = True,
) -> Payload:
    headers = {} if content_type is None else {"content-type": content_type}
    raw = body.encode() if isinstance(body, str) else body
    request = Request("POST", "/invocations", headers, raw)
    return tensors.decode(request, inputs, lambda _: stacks)


def npy(array: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.asarray(array))
    return buffer.getvalue()


def npz(**arrays: Any) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


ROWS = [[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]]


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (json.dumps(ROWS), "application/json"),
        (json.dumps(ROWS), "application/json; charset=utf-8"),
        (json.dumps(ROWS), None),
        (json.dumps({"instances": ROWS}), "application/json"),
        (json.dumps({"inputs": ROWS}), "application/json"),
        (json.dumps({"inputs": {"x": ROWS}}), "application/json"),
        (json.dumps({"x": ROWS}), "application/json"),
        (json.dumps({"instances": [{"x": row} for row in ROWS]}), "application/json"),
        (json.dumps({"instances": [{"features": row} for row in ROWS]}), "application/json"),
        (json.dumps([{"x": row} for row in ROWS]), "application/json"),
        ("\n".join(map(json.dumps, ROWS)), "application/jsonlines"),
        ("\n".join(json.dumps({"x": row}) for row in ROWS), "application/jsonlines"),
        ("\n".join(json.dumps({"features": row}) for row in ROWS), "application/jsonlines"),
        ("1,2,3,4\n5,6,7,8\n", "text/csv"),
        ("1:1 2:2 3:3 4:4\n1:5 2:6 3:7 4:8\n", "text/libsvm"),
        (npy(np.array(ROWS, np.float32)), "application/x-npy"),
        (npy(np.array(ROWS, np.float64)), "application/x-npy"),
        (npy(np.array(ROWS, np.int16)), "application/x-npy"),
        (npz(any_name=np.array(ROWS)), "application/x-npz"),
    ],
)
def test_every_form_of_a_table_is_the_same_payload(
    body: bytes | str, content_type: str | None
) -> None:
    payload = decode(body, TABLE, content_type)
    assert payload.rows == 2
    assert payload.data["x"].dtype == np.float32
    assert payload.data["x"].tolist() == ROWS


@pytest.mark.parametrize(
    "body",
    [
        "[1, 2, 3, 4]",
        '{"x": [1, 2, 3, 4]}',
        '{"inputs": [1, 2, 3, 4]}',
        '{"features": [1, 2, 3, 4]}',
        '{"inputs": {"x": [[1, 2, 3, 4]]}}',
    ],
)
def test_one_record_may_stand_without_the_list_around_it(body: str) -> None:
    payload = decode(body, TABLE)
    assert payload.rows == 1
    assert payload.data["x"].tolist() == [[1, 2, 3, 4]]


def test_a_list_for_an_input_of_one_column_is_its_rows() -> None:
    inputs = (Tensor("x", "float32", (None, 1)),)
    assert decode("[1, 2, 3]", inputs).data["x"].tolist() == [[1], [2], [3]]


def test_instances_are_always_rows() -> None:
    with pytest.raises(DecodeError, match=r"'x' takes float32 of shape \(rows, 4\).*\(4,\)"):
        decode('{"instances": [1, 2, 3, 4]}', TABLE)


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        ("1,2,3,4\n", "text/csv"),
        ("[[1, 2, 3, 4]]", "application/json"),
        ("[1, 2, 3, 4]", "application/json"),
        ("[[[[1, 2], [3, 4]]]]", "application/json"),
        ("[[[1, 2], [3, 4]]]", "application/json"),
    ],
)
def test_a_table_fits_an_input_of_more_axes_with_as_many_elements_a_row(
    body: str, content_type: str
) -> None:
    payload = decode(body, IMAGE, content_type)
    assert payload.data["image"].tolist() == [[[[1, 2], [3, 4]]]]


def test_axes_are_never_rearranged() -> None:
    with pytest.raises(DecodeError, match=r"shape \(1, 2, 2, 1\)"):
        decode("[[[[1], [2]], [[3], [4]]]]", IMAGE)


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        ("1.5,9007199254740993,Oslo\n2,-1,\n", "text/csv"),
        ('[[1.5, 9007199254740993, "Oslo"], [2, -1, ""]]', "application/json"),
        (
            '{"inputs": {"age": [1.5, 2], "id": [9007199254740993, -1], "town": ["Oslo", ""]}}',
            "application/json",
        ),
        (
            '[{"age":1.5,"id":9007199254740993,"town":"Oslo"},{"age":2,"id":-1,"town":""}]',
            "application/json",
        ),
        ('[1.5, 9007199254740993, "Oslo"]\n[2, -1, ""]\n', "application/jsonlines"),
    ],
)
def test_several_inputs_get_their_columns_or_their_names(body: str, content_type: str) -> None:
    payload = decode(body, MIXED, content_type)
    assert payload.rows == 2
    assert payload.data["age"].tolist() == [[1.5], [2.0]]
    assert payload.data["id"].tolist() == [[9007199254740993], [-1]]
    assert payload.data["id"].dtype == np.int64
    assert payload.data["town"].tolist() == [["Oslo"], [""]]


def test_one_record_of_several_inputs_by_name() -> None:
    payload = decode('{"age": 3, "id": 4, "town": "Rome"}', MIXED)
    assert payload.rows == 1
    assert payload.data["town"].tolist() == [["Rome"]]


def test_wide_inputs_share_a_table_in_the_order_of_their_declaration() -> None:
    inputs = (Tensor("a", "float32", (None, 2)), Tensor("b", "float32", (None,)))
    payload = decode("1,2,3\n4,5,6", inputs, "text/csv")
    assert payload.data["a"].tolist() == [[1, 2], [4, 5]]
    assert payload.data["b"].tolist() == [3, 6]


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


def test_absent_cells_of_a_sparse_row_are_zeros() -> None:
    payload = decode("0 2:7\n0 1:5\n", TABLE, "text/libsvm")
    assert payload.data["x"].tolist() == [[0, 7, 0, 0], [5, 0, 0, 0]]


def test_a_matrix_keeps_large_integers() -> None:
    parts = {"format": b"coo", "shape": [2, 2], "row": [1], "col": [0], "data": [2**53 + 1]}
    payload = decode(npz(**parts), (Tensor("x", "int64", (None, 2)),), "application/x-npz")
    assert payload.data["x"].tolist() == [[0, 0], [2**53 + 1, 0]]


def test_arrays_of_an_npz_body_are_the_inputs_by_their_names() -> None:
    town = np.array([["Aix"], ["Ulm"]])
    columns = {"id": np.array([[7], [8]]), "town": town, "age": np.array([[1.5], [2]])}
    payload = decode(npz(**columns), MIXED, "application/x-npz")
    assert payload.rows == 2
    assert payload.data["id"].tolist() == [[7], [8]]
    assert payload.data["town"].tolist() == [["Aix"], ["Ulm"]]
    del columns["id"]
    with pytest.raises(DecodeError, match=r"names age, town; the model takes age: .*; id: int64"):
        decode(npz(**columns), MIXED, "application/x-npz")


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


def test_long_text_does_not_widen_its_neighbours() -> None:
    cells = ["a" * 1_000_000] + [""] * 1000
    array = decode(json.dumps(cells), (Tensor("x", "str", (None,)),)).data["x"]
    assert array.nbytes == 1001 * struct.calcsize("P")


def test_unknown_inputs_take_numbers_as_float32_and_arrays_as_they_are() -> None:
    assert decode("[[1, 2]]", UNKNOWN).data["x"].dtype == np.float32
    assert decode("1,2\n", UNKNOWN, "text/csv").data["x"].shape == (1, 2)
    array = decode(npy(np.array([[1, 2]])), UNKNOWN, "application/x-npy").data["x"]
    assert array.dtype == np.int64


def test_the_merge_key_tells_types_and_shapes_apart_but_not_rows() -> None:
    inputs = (Tensor("x", "float32", (None, None)),)
    one, two = decode("[[1, 2]]", inputs), decode("[[1, 2], [3, 4]]", inputs)
    wider = decode("[[1, 2, 3]]", inputs)
    assert one.merge_key == two.merge_key is not None
    assert one.merge_key != wider.merge_key
    assert decode("[[1, 2]]", inputs, stacks=False).merge_key is None


def test_a_scripts_value_is_fitted_like_a_body() -> None:
    payload = tensors.from_value(np.array(ROWS), TABLE, lambda _: True)
    assert payload.rows == 2
    assert payload.data["x"].dtype == np.float32
    with pytest.raises(DecodeError, match=r"names y"):
        tensors.from_value({"y": 1}, TABLE, lambda _: True)


def test_outputs_are_encoded_in_the_accepted_type() -> None:
    request = Request("POST", "/invocations", {}, b"")
    prediction = Prediction({"y": np.array([[0.5], [0.25]], np.float32)})
    response = tensors.encode(prediction, "application/json", request)
    assert json.loads(bytes(response.body)) == [[0.5], [0.25]]  # type: ignore[arg-type]
    assert response.content_type == "application/json"
    several = Prediction({"a": np.array([1]), "b": np.array(["x"], object)})
    response = tensors.encode(several, "application/json", request)
    assert json.loads(bytes(response.body)) == {"a": [1], "b": ["x"]}  # type: ignore[arg-type]


def test_the_default_accept_comes_first() -> None:
    assert tensors.writes(Settings())[0] == "application/json"
    assert tensors.writes(Settings(default_accept="text/csv; header=absent"))[0] == "text/csv"


def test_a_default_accept_that_cannot_be_written_is_refused() -> None:
    with pytest.raises(SettingError, match=r"text/html.*application/json, text/csv"):
        tensors.writes(Settings(default_accept="text/html"))


def test_types_that_cannot_carry_the_outputs_are_not_offered() -> None:
    several = {"a": np.zeros(2), "b": np.zeros(2)}
    assert "application/x-npy" in tensors.writes(Settings(), {"a": np.zeros(2)})
    assert "application/x-npy" not in tensors.writes(Settings(), several)


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
