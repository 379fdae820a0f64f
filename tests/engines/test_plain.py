"""What a script without an input_fn gets of an npz body; other defaults: script/test_model_fn."""

import importlib
import io
from typing import Any

import numpy as np
import pytest

from serving.engines import plain
from serving.errors import DecodeError
from serving.values import Payload
from tests.support import post

X = np.array([[0.0, 1.5], [2.0, 0.0], [0.0, 0.0]])

sparse: Any = importlib.import_module("scipy.sparse")


def decode(body: io.BytesIO) -> Payload:
    return plain.decode(post(body.getvalue(), content_type="application/x-npz"))


def test_a_matrix_is_one_of_scipys_and_has_its_rows() -> None:
    body = io.BytesIO()
    sparse.save_npz(body, sparse.csc_matrix(X))
    payload = decode(body)
    assert isinstance(payload.data, sparse.csc_matrix)
    assert payload.data.toarray().tolist() == X.tolist()
    assert payload.rows == 3


def test_an_array_is_itself_and_several_have_their_names() -> None:
    body = io.BytesIO()
    np.savez(body, X)
    payload = decode(body)
    assert payload.data.tolist() == X.tolist()
    assert payload.rows == 3
    body = io.BytesIO()
    np.savez(body, x=X, y=X[0])
    payload = decode(body)
    assert {name: array.tolist() for name, array in payload.data.items()} == {
        "x": X.tolist(),
        "y": X[0].tolist(),
    }
    assert payload.rows == 1


def test_an_array_without_axes_is_one_row() -> None:
    body = io.BytesIO()
    np.savez(body, np.array(7))
    assert decode(body).rows == 1


def test_a_damaged_body_is_refused() -> None:
    with pytest.raises(DecodeError, match="not in the npz format"):
        decode(io.BytesIO(b"PK"))
