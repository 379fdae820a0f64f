"""Small helpers, as ``sagemaker_inference.utils`` has them."""

import re
from collections.abc import Mapping
from pathlib import Path

CONTENT_TYPE_REGEX = re.compile("^[Cc]ontent-?[Tt]ype")


def read_file(path: str, mode: str = "r") -> str | bytes:
    """The content of a file: text, or bytes in a binary mode."""
    return Path(path).read_bytes() if "b" in mode else Path(path).read_text()


def retrieve_content_type_header(request_property: Mapping[str, str]) -> str | None:
    """The Content-Type among header fields, in any of the spellings that clients use."""
    matches = (value for name, value in request_property.items() if CONTENT_TYPE_REGEX.match(name))
    return next(matches, None)


def parse_accept(accept: str) -> list[str]:
    """The media types that an Accept field names, in its order."""
    return accept.replace(" ", "").split(",")


def remove_crlf(illegal_string: str) -> str:
    """The text with blanks for what ends a line of a header section."""
    return illegal_string.replace("\r", " ").replace("\n", " ")
