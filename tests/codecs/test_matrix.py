"""SciPy's sparse matrices of their parts: which cells they fill, and parts that do not fit."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from serving.codecs import matrix
from serving.codecs.base import MAX_COLUMNS, Sparse
from serving.errors import DecodeError, PayloadTooLarge

Parts = dict[str, NDArray[Any]]


def parts(form: str, shape: Any, data: Any, **others: Any) -> Parts:
    values = np.array(data, None if isinstance(data, np.ndarray) else np.float32)
    named = {name: np.array(value) for name, value in others.items()}
    return {"format": np.array(form.encode()), "shape": np.array(shape), "data": values, **named}


CSR = parts("csr", [2, 3], [5, 6, 7], indices=[0, 2, 1], indptr=[0, 2, 3])
BSR = parts("bsr", [2, 4], np.ones((1, 2, 2)), indices=[1], indptr=[0, 1])
COO = parts("coo", [2, 3], [5, 6], row=[1, 0], col=[0, 2])
DIA = parts("dia", [2, 3], [[1, 2, 3]], offsets=[0])


def cells(table: Sparse) -> list[dict[int, float]]:
    """The values of each row by their columns."""
    bounds = zip(table.indptr[:-1], table.indptr[1:], strict=True)
    return [
        dict(zip(table.indices[a:b].tolist(), table.values[a:b].tolist(), strict=True))
        for a, b in bounds
    ]


@pytest.mark.parametrize(
    ("given", "filled"),
    [
        (CSR, [{0: 5, 2: 6}, {1: 7}]),
        (CSR | {"indices": np.array([2, 0, 1])}, [{0: 6, 2: 5}, {1: 7}]),
        (CSR | {"indptr": np.array([0, 0, 2])}, [{}, {0: 5, 2: 6}]),
        (CSR | {"format": np.array("csr")}, [{0: 5, 2: 6}, {1: 7}]),
        (CSR | {"indices": np.array([0, 2, 1], np.uint8)}, [{0: 5, 2: 6}, {1: 7}]),
        (
            parts("csc", [3, 2], [5, 6, 7], indices=[0, 2, 1], indptr=[0, 2, 3]),
            [{0: 5}, {1: 7}, {0: 6}],
        ),
        (BSR, [{2: 1, 3: 1}, {2: 1, 3: 1}]),
        (COO, [{2: 6}, {0: 5}]),
        (parts("coo", [2, 3], [5, 6], coords=[[1, 0], [0, 2]]), [{2: 6}, {0: 5}]),
        (parts("coo", [3, 1], [], row=np.zeros(0, int), col=np.zeros(0, int)), [{}, {}, {}]),
        (DIA, [{0: 1}, {1: 2}]),
        (parts("dia", [2, 3], [[1, 2, 3, 9]], offsets=[1]), [{1: 2}, {2: 3}]),
        (parts("dia", [2, 3], [[1, 2]], offsets=[-1]), [{}, {0: 1}]),
        (parts("dia", [2, 3], [[1, 2]], offsets=[-(2**63)]), [{}, {}]),
    ],
)
def test_each_format_fills_its_cells(given: Parts, filled: list[dict[int, float]]) -> None:
    table = matrix.table(given)
    assert cells(table) == filled
    assert table.columns == given["shape"][1]
    assert [table.indptr.dtype, table.indices.dtype] == [np.int64, np.int64]


def test_values_for_the_same_cell_are_added_up() -> None:
    twice = parts("coo", [2, 2], [1, 2, 4, 8], row=[1, 0, 1, 1], col=[0, 1, 0, 1])
    assert cells(matrix.table(twice)) == [{1: 2}, {0: 5, 1: 8}]
    small = twice | {"data": np.array([1, 2, 4, 8], np.int8)}
    assert matrix.table(small).values.dtype == np.int8


def test_a_zero_that_was_saved_is_there_but_for_diagonals() -> None:
    assert cells(matrix.table(CSR | {"data": np.zeros(3)})) == [{0: 0, 2: 0}, {1: 0}]
    assert cells(matrix.table(DIA | {"data": np.array([[1.0, 0, 3]])})) == [{0: 1}, {}]


def test_values_keep_their_type() -> None:
    exact = parts("csr", [1, 1], np.array([2**53 + 1]), indices=[0], indptr=[0, 1])
    assert matrix.table(exact).values.tolist() == [2**53 + 1]


def without(given: Parts, name: str) -> Parts:
    return {known: part for known, part in given.items() if known != name}


def changed(given: Parts, **others: Any) -> Parts:
    return given | {name: np.array(value) for name, value in others.items()}


@pytest.mark.parametrize(
    ("unsound", "message"),
    [
        (changed(CSR, format=b"lil"), "is in 'lil' format; csr, csc, bsr, coo, dia can be read"),
        (changed(CSR, format=7), "is in '7' format"),
        (changed(CSR, format=[]), "is in '' format"),
        (changed(CSR, format=b"\xff"), "is in 'ÿ' format"),
        (changed(CSR, shape=[2]), r"has the shape \[2\]; it takes at least one row"),
        (changed(CSR, shape=[0, 3]), r"has the shape \[0 3\]"),
        (changed(CSR, shape=[2, 0]), r"has the shape \[2 0\]"),
        (changed(CSR, shape=[2, MAX_COLUMNS + 1]), r"from 1 to 2147483647 columns"),
        (changed(CSR, shape=[2.0, 3.0]), "has the shape"),
        (changed(CSR, data=["a", "b", "c"]), "values of type <U1, which are no numbers"),
        (changed(CSR, data=[1j, 1j, 1j]), "values of type complex128"),
        (without(CSR, "indptr"), "in csr format lacks its array 'indptr'"),
        (without(COO, "row"), "in coo format lacks its array 'row'"),
        (without(DIA, "offsets"), "in dia format lacks its array 'offsets'"),
        (changed(CSR, indices=[0, 3, 1]), "'indices' has others than 0 to 2"),
        (changed(CSR, indices=[0, -1, 1]), "'indices' has others than 0 to 2"),
        (changed(CSR, indices=[0.0, 2.0, 1.0]), "'indices' is no list of whole numbers"),
        (changed(CSR, indices=[[0, 2, 1]]), "'indices' is no list of whole numbers"),
        (changed(CSR, indices=[0, 2]), "indptr does not divide its 2 indices"),
        (changed(CSR, indptr=[0, 2]), "indptr does not divide its 3 indices .* into 2 parts"),
        (changed(CSR, indptr=[1, 2, 3]), "indptr does not divide"),
        (changed(CSR, indptr=[0, 3, 2]), "indptr does not divide"),
        (changed(CSR, indptr=[0, 2, 4]), "indptr does not divide"),
        (changed(CSR, indptr=[0.0, 2.0, 3.0]), "indptr does not divide"),
        (changed(CSR, data=[[5], [6], [7]]), "indptr does not divide"),
        (changed(CSR, data=5), "indptr does not divide"),
        (changed(BSR, shape=[3, 4]), r"blocks of shape \(2, 2\), of which 3 rows and 4 columns"),
        (changed(BSR, data=np.ones((1, 2, 0))), r"blocks of shape \(2, 0\)"),
        (changed(BSR, data=[1.0]), r"blocks of shape \(\), of which"),
        (changed(BSR, indices=[2]), "'indices' has others than 0 to 1"),
        (changed(COO, row=[1, 2]), "'row' has others than 0 to 1"),
        (changed(COO, col=[2**62, 0]), "'col' has others than 0 to 2"),
        (changed(COO, data=[1.0]), "row, col and data differ in their lengths"),
        (changed(without(COO, "row"), coords=[1, 0, 1]), "lacks its array 'row'"),
        (changed(DIA, offsets=[0, 1]), "one of its offsets for each diagonal"),
        (changed(DIA, offsets=[0.0]), "one of its offsets for each diagonal"),
        (changed(DIA, data=[1.0]), "one of its offsets for each diagonal"),
    ],
)
def test_parts_that_make_no_matrix_are_refused(unsound: Parts, message: str) -> None:
    with pytest.raises(DecodeError, match=message):
        matrix.table(unsound)


def test_rows_that_cost_the_client_nothing_are_few() -> None:
    nothing = parts("coo", [matrix.FREE_ROWS, 1], [], row=np.zeros(0, int), col=np.zeros(0, int))
    assert matrix.table(nothing).rows == matrix.FREE_ROWS
    for rows in (matrix.FREE_ROWS + 1, 2**62):
        with pytest.raises(PayloadTooLarge, match=f"The matrix has {rows} rows and 0 entries"):
            matrix.table(changed(nothing, shape=[rows, 1]))


def test_rows_with_entries_may_be_more() -> None:
    rows = matrix.FREE_ROWS + 1
    ends, places = np.arange(rows + 1, dtype=np.int32), np.zeros(rows, np.int32)
    full = parts("csr", [rows, 1], np.ones(rows, np.uint8), indices=places, indptr=ends)
    assert matrix.table(full).rows == rows


def test_the_number_of_entries_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matrix, "MAX_ENTRIES", 2)
    with pytest.raises(PayloadTooLarge, match=r"2 rows and 3 entries\. It may have 2"):
        matrix.table(CSR)
