"""application/x-npz: what NumPy and SciPy save, damaged archives, and hidden sizes."""

import importlib
import io
import sys
import tracemalloc
import zipfile
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_array_equal
from numpy.typing import NDArray

from serving.codecs import npy, npz
from serving.codecs.base import Sparse
from serving.errors import DecodeError, NotAcceptable, PayloadTooLarge
from serving.media import parse

NPZ = parse("application/x-npz")
FORMATS = ("csr", "csc", "bsr", "coo", "dia")
X = np.arange(6, dtype=np.float32).reshape(2, 3)

sparse: Any = importlib.import_module("scipy.sparse")


def saved(*arrays: NDArray[Any], compressed: bool = False, **named: NDArray[Any]) -> bytes:
    buffer = io.BytesIO()
    save = np.savez_compressed if compressed else np.savez
    save(buffer, *arrays, allow_pickle=False, **named)
    return buffer.getvalue()


def saved_matrix(matrix: Any, *, compressed: bool = True) -> bytes:
    buffer = io.BytesIO()
    sparse.save_npz(buffer, matrix, compressed)
    return buffer.getvalue()


def zipped(*members: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return buffer.getvalue()


def as_npy(array: Any) -> bytes:
    return npy.encode({"x": np.asarray(array)})


@pytest.mark.parametrize("compressed", [False, True])
def test_one_array_is_itself_whatever_its_name(compressed: bool) -> None:
    for body in (saved(X, compressed=compressed), saved(compressed=compressed, rows=X)):
        assert_array_equal(npz.decode(body, NPZ), X, strict=True)


def test_several_arrays_have_their_names() -> None:
    arrays = npz.decode(saved(X, town=np.array(["Aix", "Örebro"])), NPZ)
    assert isinstance(arrays, dict)
    assert arrays.keys() == {"arr_0", "town"}
    assert_array_equal(arrays["arr_0"], X, strict=True)
    assert arrays["town"].tolist() == ["Aix", "Örebro"]


@pytest.mark.parametrize("kind", ["matrix", "array"])
@pytest.mark.parametrize("form", FORMATS)
@settings(max_examples=25)
@given(
    hnp.arrays(
        st.sampled_from([np.float32, np.float64, np.int64, np.int8, np.bool_]),
        hnp.array_shapes(min_dims=2, max_dims=2, max_side=5),
        elements=st.integers(0, 1),
    ),
    st.booleans(),
)
def test_what_scipy_saved_is_a_table(
    form: str, kind: str, values: NDArray[Any], compressed: bool
) -> None:
    matrix = getattr(sparse, f"{form}_{kind}")(values)
    table = npz.decode(saved_matrix(matrix, compressed=compressed), NPZ)
    assert isinstance(table, Sparse)
    assert (table.rows, table.columns) == values.shape
    assert table.values.dtype == matrix.dtype
    assert_array_equal(table.dense(table.columns, 0, values.dtype), values, strict=True)


@pytest.mark.parametrize(
    ("malformed", "message"),
    [
        (b"", "does not begin with"),
        (as_npy(X), "does not begin with"),
        (b"PK\x03\x04" + bytes(100), "not in the npz format, a zip archive of arrays"),
        (saved(X)[:-30], "not in the npz format, a zip archive of arrays"),
        (saved(X).replace(X.tobytes(), bytes(24)), "Bad CRC-32"),
        (
            zipped(("x.npy", b"1,2,3")),
            "array 'x' cannot be read. The body is not in the npy format",
        ),
        (zipped(("a" * 99 + ".npy", b"")), f"array '{'a' * 40}' cannot be read"),
        (saved(x=np.zeros((0, 3))), r"array 'x' of shape \(0, 3\) has no values"),
        (saved(x=X, y=np.zeros(0)), r"array 'y' of shape \(0,\) has no values"),
        (zipped(("x.npy", as_npy(X)), ("x", as_npy(X))), "array 'x' is there twice"),
        (
            zipped(("x.npy", as_npy(X)), method=zipfile.ZIP_LZMA),
            "array 'x' is compressed by method 14 of zip archives; only method 8",
        ),
    ],
)
def test_what_is_no_archive_of_arrays_is_refused(malformed: bytes, message: str) -> None:
    with pytest.raises(DecodeError, match=message):
        npz.decode(malformed, NPZ)


def test_an_archive_without_arrays_is_refused() -> None:
    empty = zipped(("x.npy", b""))
    directory = empty.index(b"PK\x01\x02")
    end = empty.index(b"PK\x05\x06")
    none = b"PK\x05\x06" + bytes(8) + bytes(4) + directory.to_bytes(4, "little") + bytes(2)
    assert len(none) == len(empty) - end
    with pytest.raises(DecodeError, match="The body has no arrays"):
        npz.decode(empty[:directory] + none, NPZ)


def test_an_encrypted_archive_is_refused() -> None:
    body = bytearray(saved(X))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        body[body.index(signature) + offset] |= 1
    with pytest.raises(DecodeError, match="encrypted"):
        npz.decode(bytes(body), NPZ)


def test_nothing_is_unpickled() -> None:
    buffer = io.BytesIO()
    np.savez(buffer, x=np.array([{"a": 1}], object), allow_pickle=True)
    with pytest.raises(DecodeError, match=r"'x' cannot be read\. The header is not that"):
        npz.decode(buffer.getvalue(), NPZ)
    with pytest.raises(DecodeError, match="'x' cannot be read"):
        npz.decode_for_script(buffer.getvalue(), NPZ)


def test_what_unpacks_to_too_much_is_413_before_it_is_unpacked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(npz, "MAX_UNPACKED", 1 << 20)
    bomb = saved(np.zeros(1 << 20), compressed=True)
    assert len(bomb) < 10_000
    tracemalloc.start()
    with pytest.raises(PayloadTooLarge, match="The body unpacks to more than 1 MiB"):
        npz.decode(bomb, NPZ)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100_000


def test_an_archive_that_declares_less_than_it_holds_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bomb = saved(np.zeros(1 << 20), compressed=True)
    size = (8 << 20) + 128
    lying = bomb.replace(size.to_bytes(4, "little"), (200).to_bytes(4, "little"))
    assert lying != bomb
    tracemalloc.start()
    with pytest.raises(DecodeError):
        npz.decode(lying, NPZ)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 200_000


def test_a_body_may_be_as_large_as_the_server_takes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(npz, "MAX_UNPACKED", 16)
    assert_array_equal(npz.decode(saved(X), NPZ), X)


def test_more_arrays_than_any_model_takes_are_413(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(npz, "MAX_ARRAYS", 2)
    assert len(npz.decode(saved(X, X), NPZ)) == 2
    with pytest.raises(PayloadTooLarge, match="more than 2 arrays"):
        npz.decode(saved(X, X, X), NPZ)


@pytest.mark.parametrize("kind", ["matrix", "array"])
@pytest.mark.parametrize("form", FORMATS)
def test_a_script_gets_the_matrix_that_was_saved(form: str, kind: str) -> None:
    matrix = getattr(sparse, f"{form}_{kind}")(X)
    given = npz.decode_for_script(saved_matrix(matrix), NPZ)
    assert type(given) is type(matrix)
    assert_array_equal(given.toarray(), X, strict=True)


def test_without_scipy_it_gets_an_array(monkeypatch: pytest.MonkeyPatch) -> None:
    body = saved_matrix(sparse.csc_matrix(X))
    monkeypatch.setitem(sys.modules, "scipy.sparse", None)
    assert_array_equal(npz.decode_for_script(body, NPZ), X, strict=True)


def test_it_gets_other_arrays_as_they_are() -> None:
    assert_array_equal(npz.decode_for_script(saved(X), NPZ), X, strict=True)
    assert npz.decode_for_script(saved(X, X), NPZ).keys() == {"arr_0", "arr_1"}


def test_a_matrix_that_scipy_does_not_take_is_the_clients_error() -> None:
    parts: dict[str, Any] = {
        "format": np.array("dia"),
        "shape": np.array([2, 3]),
        "data": X,
        "offsets": np.array([1, 1]),
    }
    with pytest.raises(DecodeError, match=r"SciPy does not take this matrix: .*duplicate"):
        npz.decode_for_script(saved(**parts), NPZ)


def test_it_is_no_format_for_answers() -> None:
    with pytest.raises(NotAcceptable, match=r"format of requests only; .* can carry label, score"):
        npz.encode({"label": np.zeros(1), "score": np.zeros(1)})
