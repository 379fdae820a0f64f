"""application/jsonlines: exact cases and round trips."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_array_equal
from numpy.typing import NDArray

from serving.codecs import jsonlines
from serving.errors import DecodeError, NotAcceptable
from serving.media import parse

JSONLINES = parse("application/jsonlines")


@pytest.mark.parametrize(
    ("body", "values"),
    [
        (b'{"a": 1}\n[2, 3]\n"x"\n', [{"a": 1}, [2, 3], "x"]),
        (b"1\r\n\r\n \n2", [1, 2]),
        (b"\xef\xbb\xbf[1]", [[1]]),
        (b'"a\xe2\x80\xa8b"\n', ["a\u2028b"]),
    ],
)
def test_decode_parses_every_line_that_is_not_blank(body: bytes, values: list[Any]) -> None:
    assert jsonlines.decode(body, JSONLINES) == values


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "no lines"),
        (b"\n \r\n", "no lines"),
        (b"1\n\n{]\n", "Line 3 is not JSON"),
        (b"1 2", "Line 1 is not JSON"),
        (b"1,2", "Line 1 is not JSON"),
        (b"[NaN]", "Line 1 is not JSON"),
        (b"1\n\xff", "Line 2 is not JSON"),
        (b"1\n" + b"[" * 100_000, "Line 2 is not JSON"),
    ],
)
def test_decode_names_the_line_that_is_malformed(body: bytes, message: str) -> None:
    with pytest.raises(DecodeError, match=message):
        jsonlines.decode(body, JSONLINES)


@pytest.mark.parametrize(
    ("outputs", "body"),
    [
        ({"y": np.array([0.1, math.nan], np.float32)}, b"0.10000000149011612\nnull\n"),
        ({"y": np.array([[1, 2], [3, 4]])}, b"[1,2]\n[3,4]\n"),
        ({"a": np.array([1]), "b": np.array(["x"])}, b'{"a":1,"b":"x"}\n'),
        ({"y": np.array(7)}, b"7\n"),
        ({"y": np.array([b"x", None], object)}, b'"x"\nnull\n'),
        ({"y": np.zeros((0, 2))}, b""),
        ({}, b""),
    ],
)
def test_encode_writes_a_line_a_row(outputs: dict[str, NDArray[Any]], body: bytes) -> None:
    assert jsonlines.encode(outputs) == body


def test_encode_refuses_outputs_that_differ_in_rows() -> None:
    with pytest.raises(NotAcceptable, match="a has 2, b has 1"):
        jsonlines.encode({"a": np.zeros(2), "b": np.zeros(1)})


shapes = hnp.array_shapes(max_dims=3, max_side=4)
finite = st.floats(width=32, allow_nan=False, allow_infinity=False)


@settings(deadline=None)
@given(hnp.arrays(np.float32, shapes, elements=finite))
def test_float32_survives_a_round_trip(values: NDArray[np.float32]) -> None:
    rows = jsonlines.decode(jsonlines.encode({"y": values}), JSONLINES)
    assert_array_equal(np.array(rows, np.float32), values)


@settings(deadline=None)
@given(
    st.integers(1, 4).flatmap(
        lambda rows: st.tuples(
            hnp.arrays(np.int64, (rows, 2)),
            hnp.arrays(object, rows, elements=st.text(st.characters(codec="utf-8"))),
        )
    )
)
def test_several_outputs_survive_a_round_trip(columns: tuple[NDArray[Any], NDArray[Any]]) -> None:
    numbers, texts = columns
    rows = jsonlines.decode(jsonlines.encode({"n": numbers, "t": texts}), JSONLINES)
    assert [row["n"] for row in rows] == numbers.tolist()
    assert [row["t"] for row in rows] == texts.tolist()
