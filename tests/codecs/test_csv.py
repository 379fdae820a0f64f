"""text/csv: exact cases, and round trips to the last bit."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_array_equal
from numpy.typing import NDArray

from serving.codecs import csv
from serving.codecs.numbers import PACKABLE
from serving.errors import DecodeError, NotAcceptable
from serving.media import parse

CSV = parse("text/csv")
NAN, INF = math.nan, math.inf

NUMBERS = [
    pytest.param(b"1,2.5,-3e2", [[1, 2.5, -300]], id="one row without a newline"),
    pytest.param(b"1,2\n3,4\n", [[1, 2], [3, 4]], id="trailing newline"),
    pytest.param(b"1,2\r\n3,4\r\n", [[1, 2], [3, 4]], id="CRLF"),
    pytest.param(b"1,2\r3,4", [[1, 2], [3, 4]], id="CR"),
    pytest.param(b"7", [[7]], id="one cell"),
    pytest.param(b"1\n2\n3", [[1], [2], [3]], id="one column"),
    pytest.param(b"\n1,2\n\n \r\n3,4\n\n", [[1, 2], [3, 4]], id="blank lines are ignored"),
    pytest.param(b"1\n\n2", [[1], [2]], id="blank lines in one column are ignored"),
    pytest.param(b"1,,3", [[1, NAN, 3]], id="empty cell"),
    pytest.param(b",2\n3,\n,\n", [[NAN, 2], [3, NAN], [NAN, NAN]], id="empty cells at the edges"),
    pytest.param(b"1, ,3", [[1, NAN, 3]], id="blank cell"),
    pytest.param(b"nan,NaN,-inf,Infinity", [[NAN, NAN, -INF, INF]], id="nan and inf spelled out"),
    pytest.param(b"+1,.5,1.,007", [[1, 0.5, 1, 7]], id="numbers JSON does not know"),
    pytest.param(b" 1 ,\t2 \n 3, 4", [[1, 2], [3, 4]], id="blanks around numbers"),
    pytest.param(b'"1","2"\n3,"4"', [[1, 2], [3, 4]], id="quoted numbers"),
    pytest.param(b"1;2\n3;4", [[1, 2], [3, 4]], id="semicolons"),
    pytest.param(b"\t2\t\n3\t4\t5", [[NAN, 2, NAN], [3, 4, 5]], id="tabs, with empty cells"),
    pytest.param(b"1|2\n3|4", [[1, 2], [3, 4]], id="bars"),
    pytest.param(b" 1 2\n3 4 \n", [[1, 2], [3, 4]], id="blanks"),
    pytest.param(b"\xef\xbb\xbf1,2", [[1, 2]], id="byte order mark"),
    pytest.param(b"1e39,-1e39,1e999", [[INF, -INF, INF]], id="overflow is infinity"),
    pytest.param(b"16777217,18446744073709551617", [[16777216, 2.0**64]], id="large integers"),
]

MALFORMED = [
    pytest.param(b"", "no rows", id="nothing"),
    pytest.param(b" \r\n \n", "no rows", id="blank lines only"),
    pytest.param(b"1,2\n3\n", "Row 2 has the width 1, but row 1 has 2", id="short row"),
    pytest.param(b"1,2\n\n3,4,5", "Row 2 has the width 3, but row 1 has 2", id="long row"),
    pytest.param(b"1;2\n3;4;5", "Row 2 has the width 3", id="long row of semicolons"),
    pytest.param(b"1,2\n3,abc", "Row 2, column 2: 'abc' is no number", id="text"),
    pytest.param(b"age,sex\n1,2", "Row 1, column 1: 'age' is no number", id="header"),
    pytest.param(b"1," + b"x" * 99, "'" + "x" * 40 + "' is no", id="long text is cut"),
    pytest.param(b"true,1", "'true' is no number", id="true"),
    pytest.param(b"1,false", "'false' is no number", id="false"),
    pytest.param(b"1\ntrue", "'true' is no number", id="true in a later row"),
    pytest.param(b"null", "'null' is no number", id="null"),
    pytest.param(b"[1]", r"'\[1\]' is no number", id="list"),
    pytest.param(b"1],[2", r"'1\]' is no number", id="two lists"),
    pytest.param(b'{"a":1}', "is no number", id="object"),
    pytest.param(b"1_000,2", "'1_000' is no number", id="underscore"),
    pytest.param(b"0x10,2", "'0x10' is no number", id="hexadecimal"),
    pytest.param(b"1,\x00", r"'\\x00' is no number", id="NUL"),
    pytest.param(b"\xff,1", "not UTF-8: byte 1 is 0xff", id="not UTF-8"),
    pytest.param(b'1,"2', "Row 1 is not CSV", id="quote that is not closed"),
    pytest.param(b'"1"2,3', "Row 1 is not CSV", id="text behind a quote"),
]


@pytest.mark.parametrize(("body", "rows"), NUMBERS)
def test_decode_reads_rows_of_float32(body: bytes, rows: list[list[float]]) -> None:
    table = csv.decode(body, CSV)
    assert table.dtype == np.float32
    assert_array_equal(table, np.array(rows, np.float32))
    assert table.flags.writeable


@pytest.mark.parametrize(("body", "message"), MALFORMED)
def test_decode_says_what_is_malformed_and_where(body: bytes, message: str) -> None:
    with pytest.raises(DecodeError, match=message):
        csv.decode(body, CSV)


def test_delimiters_within_quotes_do_not_count() -> None:
    assert csv.decode_cells(b'"a;b"|c', CSV) == [["a;b", "c"]]


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("text/csv; charset=utf-8", b"1,2"),
        ("text/csv; charset=US-ASCII", b"1,2"),
        ("text/csv; charset=iso-8859-1", b"1,2"),
        ("text/csv; charset=utf-16", "1,2".encode("utf-16")),
        ("text/csv; charset=utf-16le", "1,2".encode("utf-16-le")),
        ("text/csv; label_size=1", b"1,2"),
        ('text/csv; header="absent"; label_size=1; charset="utf-8"', b"1,2"),
    ],
)
def test_parameters_of_the_content_type_are_honoured(content_type: str, body: bytes) -> None:
    assert csv.decode(body, parse(content_type)).tolist() == [[1, 2]]


@pytest.mark.parametrize(
    ("content_type", "message"),
    [
        ("text/csv; charset=klingon", "charset 'klingon' is not known; utf-8, us-ascii"),
        ("text/csv; charset=base64", "charset 'base64' is not known"),
        ("text/csv; charset=utf-16", "The body is not utf-16: truncated data"),
        ("text/csv; label_size=2", "label_size is '2'; it must be 1"),
    ],
)
def test_other_parameters_are_refused(content_type: str, message: str) -> None:
    with pytest.raises(DecodeError, match=message):
        csv.decode(b"1,2", parse(content_type))


@pytest.mark.parametrize(
    ("body", "dtype", "rows"),
    [
        (b"9007199254740993,-9223372036854775808", np.int64, [[2**53 + 1, -(2**63)]]),
        (b"+9007199254740993,3.0,2e3", np.int64, [[2**53 + 1, 3, 2000]]),
        (b"18446744073709551615", np.uint64, [[2**64 - 1]]),
        (b'"9007199254740993"', np.int64, [[2**53 + 1]]),
        (b"0.1,1e300", np.float64, [[0.1, 1e300]]),
        (b"0.1,70000", np.float16, [[0.0999755859375, INF]]),
    ],
)
def test_other_types_are_read_exactly(body: bytes, dtype: Any, rows: list[list[Any]]) -> None:
    table = csv.decode(body, CSV, np.dtype(dtype))
    assert table.dtype == dtype
    assert table.tolist() == rows


@pytest.mark.parametrize(
    ("body", "dtype"),
    [
        (b"1,2.5", np.int64),
        (b"1,", np.int64),
        (b"nan", np.int64),
        (b"1e400", np.int64),
        (b"1_000", np.int64),
        (b"1" * 5000, np.int64),
        (b"9223372036854775808", np.int64),
        (b"256", np.uint8),
        (b"-1", np.uint8),
    ],
)
def test_what_an_integer_type_does_not_hold_is_refused(body: bytes, dtype: Any) -> None:
    with pytest.raises(DecodeError, match=f"is no number of type {np.dtype(dtype)}"):
        csv.decode(body, CSV, np.dtype(dtype))


def test_cells_are_kept_as_they_are_sent() -> None:
    body = 'a b,"c,d" ;\n"x ""y""\nz",é\n\n,\n'.replace(" ;", "").encode()
    assert csv.decode_cells(body, CSV) == [["a b", "c,d"], ['x "y"\nz', "é"], ["", ""]]
    assert csv.decode_cells(b"a\tb c", CSV) == [["a", "b c"]]
    assert csv.decode_cells(b" a", CSV) == [[" a"]]
    with pytest.raises(DecodeError, match="Row 2 has the width 1"):
        csv.decode_cells(b"a,b\nc", CSV)


F32 = np.float32


@pytest.mark.parametrize(
    ("outputs", "body"),
    [
        ({"score": np.array([0.1], F32)}, b"0.1\n"),
        ({"score": np.array([[0.1, 2], [1e20, -0.0]], F32)}, b"0.1,2.0\n1e+20,-0.0\n"),
        ({"score": np.array([0.1, 1e22])}, b"0.1\n1e+22\n"),
        ({"score": np.array([0.1], np.float16)}, b"0.1\n"),
        ({"score": np.array([NAN, INF, -INF], F32)}, b"nan\ninf\n-inf\n"),
        ({"label": np.array([2**53 + 1, -1])}, b"9007199254740993\n-1\n"),
        ({"label": np.array([True, False])}, b"True\nFalse\n"),
        ({"a": np.array([1, 2]), "b": np.array([[3, 4], [5, 6]])}, b"1,3,4\n2,5,6\n"),
        ({"a": np.arange(8).reshape(2, 2, 2)}, b"0,1,2,3\n4,5,6,7\n"),
        ({"a": np.array(1.5)}, b"1.5\n"),
        ({"a": np.zeros((0, 3))}, b""),
        ({}, b""),
        ({"a": np.arange(4.0).reshape(2, 2).T}, b"0.0,2.0\n1.0,3.0\n"),
        ({"a": np.array([0.1, 2], ">f4")}, b"0.1\n2.0\n"),
        ({"a": np.ma.masked_array([[1.5, 2.5]])}, b"1.5,2.5\n"),
        ({"a": np.array(["x", "y,z", 'q"', "", "é", "l\nm", " "])}, None),
        ({"a": np.array([b"x", b"y"])}, b"x\ny\n"),
        ({"a": np.array([None, [0.4, 0.6]], object)}, b'""\n"[0.4, 0.6]"\n'),
    ],
)
def test_encode_writes_a_line_a_row(outputs: dict[str, NDArray[Any]], body: bytes | None) -> None:
    expected = 'x\n"y,z"\n"q"""\n""\né\n"l\nm"\n" "\n'.encode() if body is None else body
    assert csv.encode(outputs) == expected


@pytest.mark.parametrize("char", PACKABLE)
def test_encode_writes_every_type_of_number(char: str) -> None:
    number = b"7.0" if char in "fd" else b"7"
    assert csv.encode({"a": np.array([[7, 7]], char)}) == number + b"," + number + b"\n"


def test_encode_refuses_outputs_that_are_no_table() -> None:
    with pytest.raises(NotAcceptable, match=r"a has 2, b has 1.*application/json"):
        csv.encode({"a": np.zeros(2), "b": np.zeros(1)})


@pytest.mark.parametrize("value", [np.array([b"\xff"]), np.array(["\ud800"], object)])
def test_encode_refuses_text_that_is_not_utf8(value: NDArray[Any]) -> None:
    with pytest.raises(NotAcceptable, match="Output 'a' has text that is not UTF-8"):
        csv.encode({"a": value})


tables = hnp.array_shapes(min_dims=2, max_dims=2, max_side=5)


@settings(deadline=None)
@given(hnp.arrays(np.float32, tables))
def test_float32_survives_a_round_trip(table: NDArray[np.float32]) -> None:
    assert_array_equal(csv.decode(csv.encode({"a": table}), CSV), table)


@settings(deadline=None)
@given(hnp.arrays(np.float64, tables))
def test_float64_survives_a_round_trip(table: NDArray[np.float64]) -> None:
    assert_array_equal(csv.decode(csv.encode({"a": table}), CSV, np.dtype(np.float64)), table)


@settings(deadline=None)
@given(hnp.arrays(st.sampled_from([np.int64, np.uint64, np.int8]), tables))
def test_integers_survive_a_round_trip(table: NDArray[Any]) -> None:
    assert_array_equal(csv.decode(csv.encode({"a": table}), CSV, table.dtype), table)


@settings(deadline=None)
@given(
    hnp.arrays(
        object, tables, elements=st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
    )
)
@example(np.array([["a;b"], ["c"]], object))
@example(np.array([[" "], [""]], object))
@example(np.array([["\t\r", "\t\r"]], object))
def test_text_survives_a_round_trip(table: NDArray[Any]) -> None:
    assert csv.decode_cells(csv.encode({"a": table}), CSV) == table.tolist()


def read(body: bytes, dtype: np.dtype[Any]) -> NDArray[Any] | None:
    try:
        return csv._read_cells(body, dtype)
    except DecodeError:
        return None


@settings(deadline=None, max_examples=500)
@given(
    st.text("0123456789.-+eE,,,,\n\n \t\rnaN", max_size=30).map(str.encode),
    st.sampled_from([np.dtype(np.float32), np.dtype(np.float64), np.dtype(np.int64)]),
)
@example(b"1\r,2", np.dtype(np.float32))
@example(b"1,2\r\n\r\n3,4", np.dtype(np.float32))
@example(b"1\n\n2", np.dtype(np.float32))
@example(b"1\t", np.dtype(np.float32))
def test_the_fast_reader_agrees_with_the_other(body: bytes, dtype: np.dtype[Any]) -> None:
    table = csv._read_plain(body, dtype)
    if table is not None:
        other = read(body, dtype)
        assert other is not None
        assert_array_equal(table, other)
