"""application/x-recordio-protobuf: exact cases and round trips."""

import math
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_array_equal
from numpy.typing import NDArray

from serving.codecs import record, recordio
from serving.codecs.base import Sparse
from serving.codecs.record import Tensor
from serving.errors import DecodeError, NotAcceptable
from serving.media import parse

RECORDIO = parse("application/x-recordio-protobuf")
F32 = np.float32


def frame(message: bytes, magic: int = 0xCED7230A) -> bytes:
    return struct.pack("<II", magic, len(message)) + message + bytes(-len(message) % 4)


def tensor(
    values: Sequence[float], keys: Sequence[int] = (), shape: Sequence[int] = (), dtype: Any = F32
) -> bytes:
    row = Tensor(np.array(values, dtype), keys, shape)
    return frame(record.write({"values": row, "other": row}, {"values": row}))


def sparse(body: bytes) -> Sparse:
    table = recordio.decode(body, RECORDIO)
    assert isinstance(table, Sparse)
    return table


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32])
def test_dense_records_become_rows_of_their_type(dtype: Any) -> None:
    body = tensor([1, 2, 3], dtype=dtype) + tensor([4, 5, -6], shape=[3], dtype=dtype)
    table = recordio.decode(body, RECORDIO)
    assert isinstance(table, np.ndarray)
    assert_array_equal(table, np.array([[1, 2, 3], [4, 5, -6]], dtype), strict=True)
    assert table.flags.writeable


def test_a_tensor_of_several_axes_is_flattened() -> None:
    table = recordio.decode(tensor([1, 2, 3, 4], shape=[2, 2]), RECORDIO)
    assert_array_equal(table, np.array([[1, 2, 3, 4]], F32))


def test_sparse_records_become_a_table() -> None:
    body = tensor([5, 6], [7, 0], [10]) + tensor([], [], [10]) + tensor([1], [9], [10], np.int32)
    table = sparse(body)
    assert table.indptr.tolist() == [0, 2, 2, 3]
    assert table.indices.tolist() == [7, 0, 9]
    assert_array_equal(table.values, np.array([5, 6, 1], F32), strict=True)
    assert table.columns == 10


def test_without_a_shape_the_highest_key_tells_the_width() -> None:
    assert sparse(tensor([1], [4]) + tensor([1], [2])).columns == 5


def test_a_sparse_value_too_large_for_float32_is_infinity() -> None:
    assert sparse(tensor([1e39], [0], [1], np.float64)).values.tolist() == [math.inf]


GOOD = tensor([1, 2])


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "no records"),
        (GOOD[:7], "Record 1: the body ends within its frame"),
        (GOOD + GOOD[:-1], r"Record 2: its frame declares \d+ bytes; \d+ are there"),
        (frame(b"", 0xCED7230B), "Record 1: its frame begins with 0xCED7230B"),
        (GOOD + struct.pack("<II", recordio.MAGIC, 1 << 29), "Record 2: it is split into several"),
        (struct.pack("<II", recordio.MAGIC, 2**29 - 1), "declares 536870911 bytes; 0 are there"),
        (GOOD + frame(b""), "Record 2: it has no feature 'values'"),
        (GOOD + frame(b"\xff"), "Record 2: it is no protobuf message"),
        (GOOD + tensor([1]), "Record 2: it has float32 x 1, but record 1 has float32 x 2"),
        (GOOD + tensor([1, 2], dtype=np.int32), "Record 2: it has int32 x 2"),
        (GOOD + tensor([1, 2], [0, 1]), "Record 2: it is sparse"),
        (tensor([1], [0]) + GOOD, "Record 2: it is dense"),
        (tensor([]), "Record 1: it has no values"),
        (tensor([], shape=[0]), "Record 1: it has no values"),
        (tensor([1], [0], [0]), r"it has the key 0 beyond its shape \[0\]"),
        (tensor([1, 2], shape=[3]), r"it has 2 values, but the shape \[3\]"),
        (tensor([1, 2], [1]), "it has 2 values, but 1 keys"),
        (tensor([1, 2], [1, 1]), "it has a key twice"),
        (tensor([1], [3], [3]), r"it has the key 3 beyond its shape \[3\]"),
        (tensor([1], [2**31 - 1]), "it has more than 2147483647 columns"),
        (tensor([1], [2**64 - 1]), "it has more than 2147483647 columns"),
        (tensor([], [], [2**32, 2**32]), "it has more than 2147483647 columns"),
        (tensor([1], [], [1] * 33), "it has 33 axes; at most 32"),
    ],
)
def test_decode_names_the_record_that_is_malformed(body: bytes, message: str) -> None:
    with pytest.raises(DecodeError, match=message):
        recordio.decode(body, RECORDIO)


def test_encode_writes_a_label_map_of_tensors_by_output() -> None:
    outputs: dict[str, NDArray[Any]] = {
        "score": np.array([0.5, 0.25], F32),
        "probabilities": np.array([[0.25, 0.75], [0.5, 0.5]]),
        "image": np.arange(8, dtype=np.int64).reshape(2, 2, 2),
        "predicted_label": np.array([True, False]),
    }
    rows = [
        {
            "score": Tensor(np.array([score], F32), [], []),
            "probabilities": Tensor(np.array(probabilities), [], []),
            "image": Tensor(np.array(image, np.int32), [], [2, 2]),
            "predicted_label": Tensor(np.array([label], np.int32), [], []),
        }
        for score, probabilities, image, label in (
            (0.5, [0.25, 0.75], [0, 1, 2, 3], 1),
            (0.25, [0.5, 0.5], [4, 5, 6, 7], 0),
        )
    ]
    assert recordio.encode(outputs) == b"".join(frame(record.write({}, row)) for row in rows)


@pytest.mark.parametrize(
    "values", [np.array([2**31]), np.array(["x"]), np.array([1j]), np.array([2**63], np.uint64)]
)
def test_encode_refuses_what_no_tensor_holds_exactly(values: NDArray[Any]) -> None:
    with pytest.raises(NotAcceptable, match="Output 'y' has values of type"):
        recordio.encode({"y": values})


def test_encode_refuses_outputs_that_differ_in_rows() -> None:
    with pytest.raises(NotAcceptable, match="a has 2, b has 1"):
        recordio.encode({"a": np.zeros(2), "b": np.zeros(1)})


dtypes = st.sampled_from([np.float32, np.float64, np.int32])


@settings(deadline=None)
@given(hnp.arrays(dtypes, hnp.array_shapes(min_dims=2, max_dims=2, max_side=5)))
def test_dense_rows_survive_a_round_trip(table: NDArray[Any]) -> None:
    body = b"".join(tensor(row, dtype=table.dtype) for row in table)
    decoded = recordio.decode(body, RECORDIO)
    assert isinstance(decoded, np.ndarray)
    assert decoded.dtype == table.dtype
    assert decoded.tobytes() == table.tobytes()


@settings(deadline=None)
@given(st.lists(st.dictionaries(st.integers(0, 2**31 - 2), st.floats(width=32)), min_size=1))
def test_sparse_rows_survive_a_round_trip(rows: list[dict[int, float]]) -> None:
    width = [2**31 - 1]
    table = sparse(b"".join(tensor(list(row.values()), list(row), width) for row in rows))
    assert np.diff(table.indptr).tolist() == [len(row) for row in rows]
    assert table.indices.tolist() == [key for row in rows for key in row]
    assert_array_equal(table.values, np.array([v for row in rows for v in row.values()], F32))
    assert table.columns == width[0]
