"""``application/x-npz``: several arrays as NumPy's ``savez`` writes them. For requests only.

It is a zip archive of arrays in the npy format. SciPy's ``sparse.save_npz`` writes the parts of a
matrix so, see matrix.py.
"""

import importlib
import io
import struct
import zlib
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from serving.codecs import matrix, npy
from serving.codecs.base import Codec, Outputs, Sparse
from serving.errors import DecodeError, NotAcceptable, PayloadTooLarge
from serving.media import MediaType

if TYPE_CHECKING:
    from zipfile import ZipFile, ZipInfo

MEDIA_TYPE = "application/x-npz"

MAX_ARRAYS = 1000

MAX_UNPACKED = 512 * 1024 * 1024
"""Most bytes that a body may unpack to, unless it is larger itself."""

MAGIC = b"PK\x03\x04"

_ENTRY = b"PK\x01\x02"
"""What each entry of a zip archive's directory begins with."""

STORED, DEFLATED = 0, 8
"""Methods of compression, by their numbers in a zip archive."""

_UNREADABLE = (zlib.error, struct.error, EOFError, OSError, OverflowError, RuntimeError, ValueError)
"""What the standard library raises, besides its own error, for archives that are damaged, or beyond
it."""


def decode(body: bytes, media: MediaType) -> NDArray[Any] | dict[str, NDArray[Any]] | Sparse:  # noqa: ARG001
    """Read the arrays of a body.

    Returns:
        A table where SciPy saved a matrix; else the one array, or several by their names.

    Raises:
        DecodeError: the body is no such archive, or what it holds is no array or no matrix.
        PayloadTooLarge: it holds too much.
    """
    arrays = _arrays(body)
    if matrix.is_one(arrays):
        return matrix.table(arrays)
    for name, array in arrays.items():
        if not array.size:
            raise DecodeError(f"{_named(name)} of shape {array.shape} has no values.")
    if len(arrays) == 1:
        return next(iter(arrays.values()))
    return arrays


def decode_for_script(body: bytes, media: MediaType) -> Any:
    """What AWS's toolkit gives a script: SciPy's matrix, of the kind that was saved.

    Where SciPy is not installed a matrix becomes an array. Other arrays are as ``decode`` has them.

    Raises:
        DecodeError: as ``decode`` does.
        PayloadTooLarge: as ``decode`` does, or the array of a matrix would be too large.
    """
    value = decode(body, media)
    if not isinstance(value, Sparse):
        return value
    try:
        sparse = importlib.import_module("scipy.sparse")
    except ImportError:
        return value.dense(value.columns, 0, value.values.dtype)
    try:
        return sparse.load_npz(io.BytesIO(body))  # it unpickles nothing, and the sizes are known
    except (TypeError, ValueError) as error:
        raise DecodeError(f"SciPy does not take this matrix: {error}.") from error


def encode(outputs: Outputs) -> bytes:
    """Refuse: it is a format of requests.

    Raises:
        NotAcceptable: always.
    """
    raise NotAcceptable(
        f"{MEDIA_TYPE} is a format of requests only; application/json and "
        f"application/x-recordio-protobuf can carry {', '.join(outputs)}."
    )


def _arrays(body: bytes) -> dict[str, NDArray[Any]]:
    if not body.startswith(MAGIC):
        raise DecodeError(f"The body is not in the npz format: it does not begin with {MAGIC!r}.")
    if body.count(_ENTRY) > MAX_ARRAYS:
        raise PayloadTooLarge(f"The body has more than {MAX_ARRAYS} arrays.")
    import zipfile  # with which nothing should begin that has no such body

    arrays: dict[str, NDArray[Any]] = {}
    try:
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            members = archive.infolist()
            limit = max(MAX_UNPACKED, len(body))
            if sum(member.file_size for member in members) > limit:
                raise PayloadTooLarge(f"The body unpacks to more than {limit >> 20} MiB.")
            for member in members:
                name = member.filename.removesuffix(".npy")
                if name in arrays:
                    raise DecodeError(f"{_named(name)} is there twice.")
                arrays[name] = _array(archive, member, name)
    except (zipfile.BadZipFile, *_UNREADABLE) as error:
        raise DecodeError(
            f"The body is not in the npz format, a zip archive of arrays: {error}."
        ) from error
    if not arrays:
        raise DecodeError("The body has no arrays.")
    return arrays


def _array(archive: "ZipFile", member: "ZipInfo", name: str) -> NDArray[Any]:
    if member.compress_type not in (STORED, DEFLATED):
        raise DecodeError(
            f"{_named(name)} is compressed by method {member.compress_type} of zip archives; only "
            f"method {DEFLATED}, which savez_compressed uses, is read."
        )
    with archive.open(member) as file:
        data = file.read(member.file_size)
    try:
        return npy.read(data)
    except DecodeError as error:
        raise DecodeError(f"{_named(name)} cannot be read. {error}") from error


def _named(name: str) -> str:
    return f"The array {name[:40]!r}"


CODEC = Codec(MEDIA_TYPE, ("application/npz",), decode, encode)
