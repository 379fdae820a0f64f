"""Charsets, and numbers in text."""

import math

import pytest

from serving.codecs.text import to_float, to_text, to_utf8
from serving.errors import DecodeError
from serving.media import parse


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("text/csv", "é".encode()),
        ("text/csv", b"\xef\xbb\xbf\xc3\xa9"),
        ("text/csv; charset=UTF-8", "é".encode()),
        ("text/csv; charset=latin1", b"\xe9"),
        ("text/csv; charset=ISO-8859-1", b"\xe9"),
        ("text/csv; charset=windows-1252", b"\xe9"),
        ("text/csv; charset=utf-16", "é".encode("utf-16")),
        ("text/csv; charset=utf-16be", "\ufeffé".encode("utf-16-be")),
    ],
)
def test_a_body_becomes_utf8_without_a_byte_order_mark(content_type: str, body: bytes) -> None:
    assert to_utf8(body, parse(content_type)) == "é".encode()
    assert to_text(body, parse(content_type)) == "é"


def test_a_body_that_is_not_in_its_charset_is_refused() -> None:
    with pytest.raises(DecodeError, match="not UTF-8: byte 2 is 0xe9"):
        to_text(b"a\xe9", parse("text/csv"))
    with pytest.raises(DecodeError, match="not windows-1252"):
        to_utf8(b"\x81", parse("text/csv; charset=windows-1252"))


@pytest.mark.parametrize("charset", ["klingon", "rot13", "unicode_escape", "idna", "x" * 99])
def test_a_charset_that_is_not_known_is_refused(charset: str) -> None:
    with pytest.raises(DecodeError, match=f"charset '{charset[:40]}' is not known"):
        to_utf8(b"", parse(f"text/csv; charset={charset}"))


@pytest.mark.parametrize(
    ("text", "number"), [("1", 1.0), (" -.5e1 ", -5.0), ("inf", math.inf), ("1e999", math.inf)]
)
def test_numbers_are_read_as_python_spells_them(text: str, number: float) -> None:
    assert to_float(text) == number


@pytest.mark.parametrize("text", ["", " ", "1_0", "0x1", "1,5", "one"])
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^$|could not convert"):
        to_float(text)
