"""Every form in which rows and inputs may be sent."""

import json

import numpy as np
import pytest

from serving.engines import tensors
from serving.errors import DecodeError
from serving.model import Tensor
from tests.engines.tensors.support import IMAGE, MIXED, ROWS, TABLE, UNKNOWN, decode, npy, npz


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
