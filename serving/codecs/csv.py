"""``text/csv``: rows of numbers or of text (RFC 4180).

Numbers with commas between, which is what nearly every client sends, are read by the JSON parser,
several times faster than by ``float`` cell by cell. Whatever that does not take is read by the
standard library's reader: other delimiters, quotes, ``inf``, ``.5``. It also finds what is wrong
with a malformed body, and where.
"""

import csv
import io
import math
import re
from array import array
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from serving.codecs.base import Codec, Outputs, row_count
from serving.codecs.numbers import PACKABLE, pack
from serving.codecs.text import to_float, to_text, to_utf8
from serving.errors import DecodeError, NotAcceptable
from serving.media import MediaType

MEDIA_TYPE = "text/csv"
FLOAT32: np.dtype[Any] = np.dtype(np.float32)

# ord() of these: a test for a number in bytes takes a tenth of the time of one for bytes.
_NEWLINE, _RETURN, _TAB, _L, _N, _R = b"\n\r\tlnr"
_IN_NUMBERS = b"0123456789+-.eE naN"
_DELIMITERS = (",", "\t", ";", "|")
_QUOTED = re.compile('"[^"]*"?')
_NEEDS_QUOTES = re.compile(r'[",;|\t\r\n]|^\s|\s$|^$')


def decode(body: bytes, media: MediaType, dtype: np.dtype[Any] = FLOAT32) -> NDArray[Any]:
    """Read a table of numbers, without a header.

    The delimiter is the first of comma, tab, semicolon, bar and blank that the first line has.
    An empty cell is NaN, blank lines are skipped, and a number too large for ``dtype``, a float
    type, is infinity.

    Args:
        body: The table, a row a line.
        media: May have a ``charset``, UTF-8 by default, and a ``label_size`` of 1, which
            SageMaker's XGBoost clients send and which has no effect.
        dtype: A float or integer type. Integers are exact, beyond 2**53 as well.

    Returns:
        An array of shape (rows, columns).

    Raises:
        DecodeError: the rows differ in width, or a cell is no number of that type.
    """
    if media.parameters:
        label_size = media.parameter("label_size", "1")
        if label_size != "1":
            raise DecodeError(f"label_size is {label_size[:40]!r}; it must be 1 where it is given.")
        body = to_utf8(body, media)
    table = _read_plain(body, dtype)
    return _read_cells(body, dtype) if table is None else table


def decode_cells(body: bytes, media: MediaType) -> list[list[str]]:
    """Read a table of text, for models that have columns of text.

    As for ``decode``, except that a blank delimits no cells: it is part of the text.

    Raises:
        DecodeError: the rows differ in width, or quotes are not closed.
    """
    return list(_rows(to_text(body, media), numeric=False))


def encode(outputs: Outputs) -> bytes:
    """Write a line for each row, the columns of all outputs side by side, in their order.

    A float is written in the fewest digits that read back to the same float of its type. An array
    of more than two axes is written as its rows, flattened.

    Raises:
        NotAcceptable: the outputs differ in their number of rows, or have bytes that are no text.
    """
    if len(outputs) == 1:
        ((name, values),) = outputs.items()
        numbers = _numbers(values)
        if numbers is not None:
            return numbers + b"\n"
        lines = _lines(name, values)
    else:
        row_count(outputs, MEDIA_TYPE)
        columns = (_lines(name, values) for name, values in outputs.items())
        lines = [b",".join(cells) for cells in zip(*columns, strict=True)]
    return b"\n".join(lines) + b"\n" if lines else b""


def _read_plain(body: bytes, dtype: np.dtype[Any]) -> NDArray[Any] | None:
    """The table, if it has nothing but JSON's numbers, gaps, ``nan`` and commas; else None."""
    body = body.strip(b" \r\n")
    rows = 1
    if _NEWLINE in body:
        body = body.replace(b"\r\n", b"\n")
        # What is left without the numbers tells the shape, and whether each row has it.
        separators = body.translate(None, _IN_NUMBERS)
        width = separators.find(b"\n") + 1
        rows = len(separators) // width + 1
        if (b"," * (width - 1) + b"\n") * rows != separators + b"\n" or b"\n\n" in body:
            return None
        body = body.replace(b"\n", b",")
    elif not body or _R in body or _L in body or _TAB in body or _RETURN in body:
        # JSON allows these; pack takes true and false for numbers and refuses all else.
        return None
    try:
        try:
            values = orjson.loads(b"[" + body + b"]")
        except orjson.JSONDecodeError:
            values = _parse_with_gaps(b"[" + body + b"]")
    except orjson.JSONDecodeError:
        return None
    return pack(values, (rows, len(values) // rows), dtype)


def _parse_with_gaps(numbers: bytes) -> list[float]:
    """The values of a JSON array that may lack some, or have ``nan``, which JSON does not know."""
    filled = numbers.replace(b"nan", b"null").replace(b"NaN", b"null")
    # Twice, because neighbours share a comma.
    filled = filled.replace(b",,", b",null,").replace(b",,", b",null,")
    filled = filled.replace(b"[,", b"[null,").replace(b",]", b",null]")
    return [math.nan if value is None else value for value in orjson.loads(filled)]


def _read_cells(body: bytes, dtype: np.dtype[Any]) -> NDArray[Any]:
    text = to_text(body, MediaType(MEDIA_TYPE))
    number = _float if dtype.kind == "f" else _integer(dtype)
    values: array[Any] = array("d" if dtype.kind == "f" else dtype.char)
    width = 0
    for row, cells in enumerate(_rows(text, numeric=True), 1):
        width = len(cells)
        for column, cell in enumerate(cells, 1):
            try:
                values.append(number(cell))
            except ValueError as error:
                expected = "number" if dtype.kind == "f" else f"number of type {dtype}"
                raise DecodeError(
                    f"Row {row}, column {column}: {cell[:40]!r} is no {expected}."
                ) from error
    with np.errstate(over="ignore"):
        return np.frombuffer(values, values.typecode).astype(dtype).reshape(-1, width)


def _float(cell: str) -> float:
    return to_float(cell) if cell and not cell.isspace() else math.nan


def _integer(dtype: np.dtype[Any]) -> Callable[[str], int]:
    limits = np.iinfo(dtype)

    def integer(cell: str) -> int:
        try:
            value = int(cell)
        except ValueError:
            number = to_float(cell)
            if not number.is_integer():
                raise
            value = int(number)
        if "_" in cell or not limits.min <= value <= limits.max:
            raise ValueError
        return value

    return integer


def _rows(text: str, *, numeric: bool) -> Iterator[list[str]]:
    """The rows of a table, all of one width."""
    lines: Iterator[str] = io.StringIO(text, newline="")
    delimiter = _sniff(text, (*_DELIMITERS, " ") if numeric else _DELIMITERS)
    if delimiter == " ":
        lines = (line.strip() for line in lines)
    number = width = 0
    try:
        for cells in csv.reader(lines, delimiter=delimiter, strict=True):
            if not cells or (numeric and len(cells) == 1 and cells[0].isspace()):
                continue
            number += 1
            width = width or len(cells)
            if len(cells) != width:
                raise DecodeError(
                    f"Row {number} has the width {len(cells)}, but row 1 has {width}."
                )
            yield cells
    except csv.Error as error:
        raise DecodeError(f"Row {number + 1} is not CSV: {error}.") from error
    if not number:
        raise DecodeError("The body has no rows.")


def _sniff(text: str, delimiters: tuple[str, ...]) -> str:
    """The first of ``delimiters`` outside quotes in the first line; a comma if there is none."""
    unquoted = io.StringIO(_QUOTED.sub('""', text), newline="")
    first = next(filter(str.strip, unquoted), "").strip(" \r\n")
    return next((delimiter for delimiter in delimiters if delimiter in first), ",")


def _numbers(values: NDArray[Any]) -> bytes | None:
    """The rows of numbers, a line each but for the last one's end; None: see `_lines`."""
    if values.dtype.char not in PACKABLE or not values.size:
        return None
    try:
        text = orjson.dumps(values, None, orjson.OPT_SERIALIZE_NUMPY)
    except TypeError:  # neither contiguous nor of this machine's byte order
        return _numbers(np.ascontiguousarray(values, values.dtype.newbyteorder("=")))
    if _N in text:  # null stands for NaN and for both infinities
        return None
    if values.ndim == 1:
        return text[1:-1].replace(b",", b"\n")
    return text[2:-2].replace(b"],[", b"\n") if values.ndim == 2 else None


def _lines(name: str, values: NDArray[Any]) -> list[bytes]:
    """One line, without its end, for each row of an output."""
    numbers = _numbers(values)
    if numbers is not None:
        return numbers.split(b"\n")
    rows = row_count({name: values}, MEDIA_TYPE)
    table = values.reshape(rows, values.size // rows if rows else 0)
    return [b",".join(_cell(name, value) for value in row) for row in table]


def _cell(name: str, value: object) -> bytes:
    text = "" if value is None else value if isinstance(value, bytes) else str(value)
    try:
        text = text.decode() if isinstance(text, bytes) else text
        quoted = '"' + text.replace('"', '""') + '"' if _NEEDS_QUOTES.search(text) else text
        return quoted.encode()
    except UnicodeError as error:
        raise NotAcceptable(
            f"Output {name!r} has text that is not UTF-8, which {MEDIA_TYPE} cannot carry."
        ) from error


CODEC = Codec(MEDIA_TYPE, ("csv", "application/csv"), decode, encode)
