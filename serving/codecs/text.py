"""Text bodies: their charset, and the numbers written in them."""

from serving.errors import DecodeError
from serving.media import MediaType

BYTE_ORDER_MARK = b"\xef\xbb\xbf"

# A list of our own: Python's registry also holds transformations that are slow on hostile input.
_CHARSETS = {
    "iso-8859-1": "latin-1",
    "latin1": "latin-1",
    "windows-1252": "cp1252",
    "utf-16": "utf-16",
    "utf-16le": "utf-16-le",
    "utf-16be": "utf-16-be",
}
_UTF8 = ("", "utf-8", "utf8", "us-ascii", "ascii")


def to_utf8(body: bytes, media: MediaType) -> bytes:
    """The body in UTF-8, without a byte order mark.

    A body that is UTF-8 already is not looked at: its reader finds what is no UTF-8.

    Raises:
        DecodeError: the ``charset`` parameter names no charset known here, or the body is not
            in it.
    """
    charset = media.parameter("charset").lower() if media.parameters else ""
    if charset not in _UTF8:
        if charset not in _CHARSETS:
            raise DecodeError(
                f"charset {charset[:40]!r} is not known; utf-8, us-ascii, {', '.join(_CHARSETS)} "
                "are."
            )
        try:
            body = body.decode(_CHARSETS[charset]).removeprefix("\ufeff").encode()
        except UnicodeDecodeError as error:
            raise DecodeError(f"The body is not {charset}: {error.reason}.") from error
    return body.removeprefix(BYTE_ORDER_MARK)


def to_text(body: bytes, media: MediaType) -> str:
    """The body as text, without a byte order mark.

    Raises:
        DecodeError: the body is not in the charset that ``media`` names, UTF-8 if it names none.
    """
    try:
        return to_utf8(body, media).decode()
    except UnicodeDecodeError as error:
        raise DecodeError(
            f"The body is not UTF-8: byte {error.start + 1} is 0x{error.object[error.start]:02x}. "
            "The charset parameter of the Content-Type names another charset."
        ) from error


def to_float(text: str) -> float:
    """The number ``text`` spells, as ``float`` reads it; ``nan`` and ``inf`` are numbers.

    A number beyond the largest double is infinity.

    Raises:
        ValueError: ``text`` is no number. ``1_000``, which Python takes, is none.
    """
    if "_" in text:
        raise ValueError
    return float(text)
