"""Where asynchronous invocations find their inputs and leave their answers.

An address is a path on this machine, or ``file://``, ``s3://`` or whatever else fsspec knows;
inputs may come from the web too. All of this waits for disks and networks, and is called in
threads.
"""

import os
from pathlib import Path
from urllib.parse import unquote, urlsplit

from serving.archives import remote, staging
from serving.errors import ServingError, SettingError

FILE = "file:/"
"""With two more slashes, or without: what has them, the AWS CLI takes for a file of its own."""

WEB = ("http://", "https://")


class StoreError(ServingError):
    """What lies at an address cannot be read or written."""


def local(address: str) -> Path | None:
    """The path that an address is on this machine, if it is."""
    if address.startswith(FILE):
        return Path(unquote(urlsplit(address).path))
    return None if "://" in address else Path(address)


def absolute(address: str) -> str:
    """An address that a client can be given: a path becomes ``file://``, without a last slash."""
    path = local(address)
    return (address if path is None else path.absolute().as_uri()).rstrip("/")


def within(address: str, root: str) -> bool:
    """Whether an address lies in a folder, or under a prefix, and not hidden there.

    Links are followed to what they lead to.
    """
    path, folder = local(address), local(root)
    if path is not None and folder is not None:
        path, folder = path.resolve(), folder.resolve()
        if not path.is_relative_to(folder):
            return False
        return not any(step.startswith(".") for step in path.relative_to(folder).parts)
    if path is not None or folder is not None:
        return False
    upwards = {".", ".."} & set(unquote(address).split("/"))
    return address.startswith(root.rstrip("/") + "/") and not upwards


def check(address: str) -> None:
    """Return if objects can be written there, as far as that can be told beforehand.

    Raises:
        ConfigurationError: they cannot.
    """
    path = local(address)
    if path is None:
        if address.startswith(WEB):
            raise SettingError(f"Nothing can be written to {address}; name a folder, or s3://.")
        remote.place(address)
        return
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingError(f"The folder {path} cannot be made: {error.strerror}.") from error
    if not os.access(path, os.W_OK | os.X_OK):
        raise SettingError(f"The folder {path} cannot be written.")


def read(address: str, limit: int) -> bytes:
    """The content of an object.

    Raises:
        ServingError: it cannot be read, or has more than ``limit`` bytes.
    """
    path = local(address)
    if path is None:
        web = address.startswith(WEB)
        with remote.open_http(address) if web else remote.open_store(address) as source:
            content = _read(source.body, limit)
    else:
        try:
            with path.open("rb") as file:
                content = _read(file, limit)
        except OSError as error:
            raise StoreError(f"{address} cannot be read: {error.strerror}.") from error
    if len(content) > limit:
        raise StoreError(f"{remote.shown(address)} has more than {limit} bytes, the limit.")
    return content


def write(address: str, content: bytes) -> None:
    """Write an object, whole or not at all; one that is there is replaced.

    Raises:
        ServingError: that fails.
    """
    path = local(address)
    if path is not None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with staging.staged(path) as part:
                part.write_bytes(content)
                part.replace(path)
        except OSError as error:
            raise StoreError(f"{address} cannot be written: {error.strerror}.") from error
        return
    files, name = remote.place(address)
    try:
        files.pipe_file(name, content)
    except remote.store_errors() as error:
        raise StoreError(f"{remote.shown(address)} cannot be written: {error}.") from error


def _read(source: remote.Readable, limit: int) -> bytes:
    """What there is, but no more than tells that it is too much."""
    pieces, size = [], 0
    while size <= limit and (piece := source.read(min(limit + 1 - size, 1 << 20))):
        pieces.append(piece)
        size += len(piece)
    return b"".join(pieces)
