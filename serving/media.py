"""Media types: Content-Type with its parameters, Accept with its q-values (RFC 9110, 8.3 and 12.5).

What reads them is pure and sees few distinct values, so its answers are cached.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from serving.errors import NotAcceptable, UnsupportedMediaType
from serving.values import Request

CACHE_SIZE = 256
MAX_LENGTH = 4096

BY_SUFFIX = {
    ".csv": "text/csv",
    ".json": "application/json",
    ".jsonl": "application/jsonlines",
    ".libsvm": "text/libsvm",
    ".npy": "application/x-npy",
    ".npz": "application/x-npz",
    ".pbr": "application/x-recordio-protobuf",
}
"""Media types that models read, by the suffixes of files."""

_NAME = r"[!#$%&'*+.^_`|~0-9a-z-]+"
_ESSENCE = re.compile(f"{_NAME}(/{_NAME})?")
_PARAMETER = re.compile(r'([^;="\s]+)\s*(?:=\s*("(?:[^"\\]|\\.)*"|[^;]*))?[^;]*', re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)

_SAGEMAKERS = {
    "contenttype": "content-type",
    "x-amzn-sagemaker-content-type": "content-type",
    "x-amzn-sagemaker-accept": "accept",
}


class MediaType(NamedTuple):
    """A parsed media type: ``text/csv; charset=utf-8``."""

    essence: str
    """Type and subtype in lower case, ``text/csv``."""
    parameters: tuple[tuple[str, str], ...] = ()
    """Names in lower case, values unquoted."""

    def parameter(self, name: str, default: str = "") -> str:
        """Value of the parameter ``name``, or ``default``."""
        return dict(self.parameters).get(name, default)


def settled(request: Request) -> Request:
    """The request with the Content-Type and Accept that the client of SageMaker's API meant.

    Where the plain fields of a call describe the API's own messages, as they do for streamed and
    asynchronous ones, the client's come under names that begin with X-Amzn-SageMaker. Which of the
    two reach a container is not documented. The toolkits also take ContentType, without a hyphen.
    """
    headers = request.headers
    if headers.keys().isdisjoint(_SAGEMAKERS):
        return request
    meant = {plain: headers[name] for name, plain in _SAGEMAKERS.items() if headers.get(name)}
    return request._replace(headers={**headers, **meant})


@lru_cache(CACHE_SIZE)
def parse(value: str) -> MediaType:
    """Read a Content-Type field's value.

    A bare word such as ``csv`` is returned as it is: SageMaker's XGBoost container takes some.

    Raises:
        UnsupportedMediaType: the value is no media type.
    """
    if len(value) > MAX_LENGTH:
        raise UnsupportedMediaType(f"The Content-Type is longer than {MAX_LENGTH} characters.")
    essence, _, parameters = value.partition(";")
    essence = essence.strip().lower()
    if not _ESSENCE.fullmatch(essence):
        raise UnsupportedMediaType(
            f"Content-Type {value!r} is not a media type; text/csv would be one."
        )
    return MediaType(essence, tuple(_parameters(parameters)))


def _parameters(text: str) -> Iterator[tuple[str, str]]:
    for name, value in _PARAMETER.findall(text):
        if name:
            quoted = len(value) > 1 and value.startswith('"') and value.endswith('"')
            yield name.lower(), _ESCAPED.sub(r"\1", value[1:-1]) if quoted else value.strip()


@lru_cache(CACHE_SIZE)
def choose(accept: str, offers: tuple[str, ...]) -> str:
    """The offer an Accept field prefers; the first of ``offers`` where it has no preference.

    Each offer is weighed by the most specific range that matches it and the highest weight wins.
    Among equals a named type precedes a wildcard and an earlier name a later one, as in the
    toolkits, which take the first name they know.

    Raises:
        NotAcceptable: no offer has a weight above 0.
    """
    ranges = _ranges(accept)
    if not ranges:
        return offers[0]
    ranked = [_rank(offer, ranges) for offer in offers]
    best = max(ranked)
    if best[0] <= 0:
        raise NotAcceptable(
            f"Accept {accept!r} names nothing this model can answer with; it can answer with "
            f"{', '.join(offers)}."
        )
    return offers[ranked.index(best)]


def _ranges(accept: str) -> list[tuple[str, float]]:
    if len(accept) > MAX_LENGTH:
        raise NotAcceptable(f"The Accept field is longer than {MAX_LENGTH} characters.")
    ranges = []
    for item in accept.split(","):
        name, *parameters = (part.strip().lower() for part in item.split(";"))
        if name:
            ranges.append((name, _quality(parameters, accept)))
    return ranges


def _quality(parameters: list[str], accept: str) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                quality = float(value)
            except ValueError:
                quality = -1.0
            if not 0 <= quality <= 1:
                raise NotAcceptable(
                    f"Accept {accept!r} has the weight q={value}; a weight is a number from 0 to 1."
                )
            return quality
    return 1.0


def _rank(offer: str, ranges: list[tuple[str, float]]) -> tuple[float, int, int]:
    """Weight of the most specific range that matches, then how specific and how early it is."""
    family = offer.partition("/")[0] + "/*"
    for specificity, pattern in ((2, offer), (1, family), (0, "*/*")):
        for position, (name, quality) in enumerate(ranges):
            if name == pattern:
                return quality, specificity, -position
    return 0.0, 0, 0
