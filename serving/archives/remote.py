"""Open what lies at an address: ``http://`` and ``https://`` by `web`, other schemes by fsspec."""

import importlib
import re
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, NamedTuple, Protocol

from serving.errors import ArchiveError, ArchiveNotFound

BLOCK_SIZE = 16 << 20
"""Bytes that fsspec asks an object store for at once; each request costs tens of milliseconds."""


class Readable(Protocol):
    """The part of a file object that a download needs."""

    def read(self, size: int, /) -> bytes:
        """At most ``size`` bytes, none at the end."""


class Remote(NamedTuple):
    """An archive at an address, opened."""

    body: Readable
    size: int | None
    """Bytes of the body, None where the server does not say."""
    version: str
    """Differs when the content does; empty where the server gives nothing of the kind."""


def shown(url: str) -> str:
    """``url`` as a message may show it: without a password, or the query that signs an address."""
    return re.sub(r"://[^/]*@", "://", url.partition("?")[0])


def open_http(url: str) -> AbstractContextManager[Remote]:
    """Open an ``http://`` or ``https://`` address; proxies are taken from the environment.

    Raises:
        ArchiveError: no connection, or an answer other than 200; also for what goes wrong while
            the body is read.
    """
    from serving.archives import web  # most models are there already, and start sooner without

    return web.open_http(url)


@contextmanager
def open_store(url: str) -> Iterator[Remote]:
    """Open an address by fsspec: ``s3://`` and all it knows else.

    Raises:
        ArchiveError: the package for the scheme is missing, or nothing knows the scheme, or there
            is no such object; also for what goes wrong while the body is read.
    """
    files, path = place(url)
    try:
        facts = files.info(path)
        if facts["type"] != "file":
            raise ArchiveError(f"{shown(url)} is a folder; name an archive in it.")
        with files.open(path, "rb", block_size=BLOCK_SIZE) as body:
            yield Remote(body, facts["size"], files.ukey(path))
    except FileNotFoundError as error:
        raise ArchiveNotFound(f"{shown(url)} does not exist.") from error
    except store_errors() as error:
        raise ArchiveError(f"{shown(url)} cannot be downloaded: {error}.") from error


def place(url: str) -> tuple[Any, str]:
    """The file system of fsspec that an address is in, and the path in it.

    Raises:
        ArchiveError: the package for the scheme is missing, or nothing knows the scheme.
    """
    scheme = url.partition("://")[0]
    try:
        files, path = importlib.import_module("fsspec.core").url_to_fs(url)
    except ImportError as error:
        extra = "hybrid-serving[aws]" if scheme == "s3" else f"fsspec[{scheme}]"
        raise ArchiveError(
            f"Addresses of {scheme}:// need a package that is not installed: pip install '{extra}'"
        ) from error
    except ValueError as error:
        raise ArchiveError(
            f"{shown(url)} has a scheme that is not supported ({error}); known are file, http, "
            "https, s3 and what fsspec has a package for."
        ) from error
    return files, path


def store_errors() -> tuple[type[Exception], ...]:
    """What stores raise: OSError, as fsspec asks; S3's also others, as for missing credentials."""
    botocore = sys.modules.get("botocore.exceptions")
    return (OSError, botocore.BotoCoreError) if botocore else (OSError,)
