"""application/json: exact cases and round trips."""

import json as standard
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_array_equal
from numpy.typing import NDArray

from serving.codecs import json
from serving.errors import DecodeError, NotAcceptable
from serving.media import parse

JSON = parse("application/json")


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b'{"instances": [[1, 2.5], [null, true]]}', {"instances": [[1, 2.5], [None, True]]}),
        (b'\xef\xbb\xbf"\\u00e9"', "é"),
        (b"[9223372036854775807]", [2**63 - 1]),
        (b"[[[[[1]]]]]", [[[[[1]]]]]),
    ],
)
def test_decode_parses_the_body(body: bytes, value: Any) -> None:
    assert json.decode(body, JSON) == value


def test_decode_honours_the_charset() -> None:
    assert json.decode('"é"'.encode("latin-1"), parse("application/json; charset=latin1")) == "é"
    assert json.decode('"é"'.encode(), parse("application/json; charset=utf-8")) == "é"
    with pytest.raises(DecodeError, match="charset 'utf-7' is not known"):
        json.decode(b"1", parse("application/json; charset=utf-7"))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[1,",
        b"[NaN]",
        b"[-Infinity]",
        b"[1e999]",
        b"{'a': 1}",
        b"[1] [2]",
        b'"\\ud800"',
        b'"\xff"',
        pytest.param(b"[" * 100_000, id="depth bomb"),
        pytest.param(b'{"a":' * 100_000 + b"1" + b"}" * 100_000, id="depth bomb of objects"),
    ],
)
def test_decode_refuses_what_is_not_json(body: bytes) -> None:
    with pytest.raises(DecodeError, match="The body is not JSON: "):
        json.decode(body, JSON)


@pytest.mark.parametrize(
    ("outputs", "body"),
    [
        ({"y": np.array([[1.5, 2], [3, 4]])}, b"[[1.5,2.0],[3.0,4.0]]"),
        ({"y": np.array([0.1], np.float32)}, b"[0.10000000149011612]"),
        ({"y": np.array([0.1], np.float16)}, b"[0.0999755859375]"),
        ({"y": np.array([0.1], ">f4")}, b"[0.10000000149011612]"),
        ({"y": np.array([7], ">i8")}, b"[7]"),
        ({"y": np.array([math.nan, math.inf, -math.inf])}, b"[null,null,null]"),
        ({"y": np.array([math.nan, 1], object)}, b"[null,1]"),
        (
            {"a": np.array([2**53 + 1]), "b": np.array([True])},
            b'{"a":[9007199254740993],"b":[true]}',
        ),
        ({"y": np.array(["x", "é"])}, '["x","é"]'.encode()),
        ({"y": np.array([b"x"])}, b'["x"]'),
        ({"y": np.array(["x", None, {0: np.float64(0.5)}], object)}, b'["x",null,{"0":0.5}]'),
        ({"y": np.array(1.5)}, b"1.5"),
        ({"y": np.zeros((0, 2))}, b"[]"),
        ({"y": np.arange(4).reshape(2, 2).T}, b"[[0,2],[1,3]]"),
        ({}, b"{}"),
    ],
)
def test_encode_writes_one_output_bare_and_several_by_name(
    outputs: dict[str, NDArray[Any]], body: bytes
) -> None:
    assert json.encode(outputs) == body


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.array([1 + 2j]), "complex has no form in JSON"),
        (np.array([b"\xff"]), "bytes that are not UTF-8"),
        (np.array(["\ud800"], object), "surrogates"),
        (np.array([2**70], object), "64-bit"),
        (np.array([{1, 2}], object), "set has no form in JSON"),
    ],
)
def test_encode_refuses_what_has_no_form_in_json(value: NDArray[Any], message: str) -> None:
    with pytest.raises(NotAcceptable, match=message):
        json.encode({"y": value})


shapes = hnp.array_shapes(max_dims=3, max_side=4)


@settings(deadline=None)
@given(
    hnp.arrays(
        np.float32, shapes, elements=st.floats(width=32, allow_nan=False, allow_infinity=False)
    )
)
def test_float32_survives_a_round_trip(values: NDArray[np.float32]) -> None:
    body = json.encode({"y": values})
    assert_array_equal(np.array(json.decode(body, JSON), np.float32), values)
    assert standard.loads(body) == values.tolist()


@settings(deadline=None)
@given(hnp.arrays(st.sampled_from([np.int64, np.uint64, np.bool_]), shapes))
def test_integers_and_booleans_survive_a_round_trip(values: NDArray[Any]) -> None:
    assert json.decode(json.encode({"y": values}), JSON) == values.tolist()


@settings(deadline=None)
@given(hnp.arrays(np.float64, shapes))
def test_no_bare_nan_or_infinity_is_ever_written(values: NDArray[np.float64]) -> None:
    def refuse(token: str) -> None:
        raise AssertionError(token)

    body = json.encode({"a": values, "b": values.astype(object)})
    assert standard.loads(body, parse_constant=refuse).keys() == {"a", "b"}


@settings(deadline=None)
@given(
    st.dictionaries(
        st.text(st.characters(codec="utf-8"), min_size=1),
        hnp.arrays(object, 2, elements=st.text(st.characters(codec="utf-8"))),
        min_size=2,
        max_size=3,
    )
)
def test_text_survives_a_round_trip(outputs: dict[str, NDArray[Any]]) -> None:
    expected = {name: values.tolist() for name, values in outputs.items()}
    assert json.decode(json.encode(outputs), JSON) == expected
