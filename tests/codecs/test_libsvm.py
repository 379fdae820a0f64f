"""text/libsvm: exact cases and round trips."""

import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from serving.codecs import libsvm
from serving.codecs.base import Sparse
from serving.errors import DecodeError, NotAcceptable
from serving.media import parse

LIBSVM = parse("text/libsvm")
Rows = list[dict[int, float]]


def rows_of(table: Sparse) -> Rows:
    bounds = zip(table.indptr[:-1], table.indptr[1:], strict=True)
    return [
        dict(zip(table.indices[a:b].tolist(), table.values[a:b].tolist(), strict=True))
        for a, b in bounds
    ]


@pytest.mark.parametrize(
    ("body", "rows", "columns"),
    [
        (b"0:1.5 3:2\n1:-1e2", [{0: 1.5, 3: 2}, {1: -100}], 4),
        (b"1:1.5 4:2\n2:-1", [{0: 1.5, 3: 2}, {1: -1}], 4),
        (b"1 2:5\n0 1:7\n", [{1: 5}, {0: 7}], 2),
        (b"-1.5 qid:3 1:2 # why\n", [{0: 2}], 1),
        (b"# nothing\n\n1:1\r\n  \n1:2", [{0: 1}, {0: 2}], 1),
        (b"0\n1 3:4", [{}, {2: 4}], 3),
        (b"0\n1\n", [{}, {}], 0),
        (b"3:1 1:2", [{2: 1, 0: 2}], 3),
        (b"1:inf\t2:1e39 3:.5", [{0: math.inf, 1: math.inf, 2: 0.5}], 3),
        (b"0:1 2147483646:1", [{0: 1, 2**31 - 2: 1}], 2**31 - 1),
        (b"\xef\xbb\xbf1:1", [{0: 1}], 1),
    ],
)
def test_decode_reads_sparse_rows(body: bytes, rows: Rows, columns: int) -> None:
    table = libsvm.decode(body, LIBSVM)
    assert rows_of(table) == rows
    assert (table.columns, table.rows) == (columns, len(rows))
    dtypes = [part.dtype.name for part in (table.indptr, table.indices, table.values)]
    assert dtypes == ["int64", "int64", "float32"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "no rows"),
        (b"\n# 1:1\n", "no rows"),
        (b"1:1\n2:x", "Line 2: '2:x' is not index:value"),
        (b"1:1 2", "Line 1: '2' is not index:value"),
        (b"cat 1:1", "Line 1: 'cat' is not index:value"),
        (b"-1:1", "Line 1: '-1:1' is not index:value with an index from 0 to 2147483646"),
        (b"2147483647:1", "'2147483647:1' is not index:value"),
        (b"9" * 5000 + b":1", "is not index:value"),
        (b"1.5:1", "'1.5:1' is not index:value"),
        (b"1:2:3", "'1:2:3' is not index:value"),
        (b":1", "':1' is not index:value"),
        (b"1:", "'1:' is not index:value"),
        (b"1:1_0", "'1:1_0' is not index:value"),
        ("\u0661:1".encode(), "is not index:value"),
        (b"1:1 1:2", "Line 1 has an index twice"),
        (b"\xff:1", "not UTF-8"),
    ],
)
def test_decode_names_the_line_that_is_malformed(body: bytes, message: str) -> None:
    with pytest.raises(DecodeError, match=message):
        libsvm.decode(body, LIBSVM)


def test_memory_does_not_depend_on_an_index() -> None:
    tracemalloc.start()
    libsvm.decode(b"0:1 2147483646:1", LIBSVM)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1_000_000


def test_there_is_no_output_in_libsvm() -> None:
    with pytest.raises(NotAcceptable, match="format of requests only"):
        libsvm.encode({"score": np.zeros(1)})


values = st.floats(width=32, allow_nan=False)
tables = st.lists(st.dictionaries(st.integers(0, 50), values, min_size=1), min_size=1)


@settings(deadline=None)
@given(tables, st.integers(0, 1), st.sampled_from(["", "1 ", "-0.5 qid:7 "]))
def test_rows_survive_a_round_trip(rows: Rows, first: int, label: str) -> None:
    rows[0].setdefault(0, 0.0)
    lines = (" ".join(f"{i + first}:{value!r}" for i, value in row.items()) for row in rows)
    table = libsvm.decode("\n".join(label + line for line in lines).encode(), LIBSVM)
    assert rows_of(table) == rows
    assert_array_equal(np.diff(table.indptr), [len(row) for row in rows])
