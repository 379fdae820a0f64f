"""Turn what a person gave, a directory, an archive or an address, into a directory to load."""

import hashlib
from pathlib import Path
from urllib.parse import unquote, urlsplit

from serving.archives import leases
from serving.archives.extract import extract
from serving.archives.leases import Lease
from serving.archives.remote import Remote, open_http, open_store, shown
from serving.archives.staging import staged
from serving.errors import ArchiveError, ArchiveNotFound
from serving.progress import Progress, silent

CHUNK = 1 << 20


def fetch(source: str, cache: Path, *, limit: int, progress: Progress = silent) -> Path:
    """The directory of the model at ``source``, as `borrow` gives it, until this process ends."""
    return borrow(source, cache, limit=limit, progress=progress).folder


def borrow(source: str, cache: Path, *, limit: int, progress: Progress = silent) -> Lease:
    """The directory of the model at ``source``, downloaded and unpacked where that is needed.

    What was unpacked stays in ``cache`` and is used again while the source is the same. For a file
    that means its path, size and time of change: to hash gigabytes takes as long as to unpack them.
    For an address it means the version the server names or, where it names none, the content.
    Other versions of the same source are removed, but for those that a process still uses.

    Processes may share a cache. A folder appears in it whole; who comes second takes the first's.

    Args:
        source: a directory, which is returned as it is; an archive; or an address, such as
            ``https://host/model.tar.gz`` or ``s3://bucket/model.tar.gz``.
        cache: folder for what is unpacked; where it is missing it is made, for this user only.
        limit: most bytes to download, and most bytes to unpack to.
        progress: called with the bytes of the download, then with those of the archive unpacked.

    Returns:
        The use of the directory, which is not removed before that has ended.

    Raises:
        ArchiveError: the source does not exist, or cannot be downloaded, or is refused; or the
            cache cannot be written.
    """
    scheme, is_address, _ = source.partition("://")
    try:
        if not is_address or scheme.lower() == "file":
            return _from_file(_path(source), cache, limit, progress)
        _make(cache)
        with staged(cache / "download") as archive:
            open_remote = open_http if scheme.lower() in ("http", "https") else open_store
            with open_remote(source) as remote:
                folder = _folder(cache, source, remote.version)
                if remote.version and (lease := _existing(folder)):
                    return lease
                digest = _save(remote, archive, source, limit, progress)
            if not remote.version:
                folder = _folder(cache, source, digest)
            return _unpacked(archive, folder, limit, progress, shown(source))
    except OSError as error:
        raise ArchiveError(f"{shown(source)} cannot be fetched: {error}.") from error


def _path(source: str) -> Path:
    """The path in a ``file://`` address, or the one that ``source`` itself is."""
    if not source:
        raise ArchiveError("No model is named; name a directory, an archive or an address.")
    if "://" not in source:
        return Path(source)
    address = urlsplit(source)
    if address.netloc not in ("", "localhost"):
        raise ArchiveError(
            f"{source} names the host {address.netloc!r}; a path on this one has three slashes, "
            "as in file:///models/model.tar.gz."
        )
    return Path(unquote(address.path))


def _from_file(path: Path, cache: Path, limit: int, progress: Progress) -> Lease:
    if path.is_dir():
        return Lease(path)
    if not path.exists():
        raise ArchiveNotFound(
            f"{path} does not exist; a model is a directory, an archive or an address."
        )
    status = path.stat()
    _make(cache)
    version = f"{status.st_size} {status.st_mtime_ns}"
    folder = _folder(cache, str(path.resolve()), version)
    return _unpacked(path, folder, limit, progress, str(path))


def _make(cache: Path) -> None:
    cache.mkdir(mode=0o700, parents=True, exist_ok=True)


def _folder(cache: Path, source: str, version: str) -> Path:
    """Where one version of one source is unpacked, beside its others."""
    return cache / _key(source) / _key(version)


def _key(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:32]


def _save(remote: Remote, path: Path, source: str, limit: int, progress: Progress) -> str:
    """Write the body to ``path``; return its hash."""
    too_large = f"{shown(source)} has more than {limit:,} bytes, which is the limit."
    if remote.size is not None and remote.size > limit:
        raise ArchiveError(too_large)
    digest = hashlib.sha256()
    done = 0
    with path.open("xb") as file:
        while chunk := remote.body.read(CHUNK):
            done += len(chunk)
            if done > limit:
                raise ArchiveError(too_large)
            digest.update(chunk)
            file.write(chunk)
            progress(done, remote.size)
    if remote.size is not None and done < remote.size:
        raise ArchiveError(
            f"{shown(source)} cannot be downloaded: it ended after {done:,} of "
            f"{remote.size:,} bytes."
        )
    return digest.hexdigest()


def _existing(folder: Path) -> Lease | None:
    """The use of what is unpacked already, if it is."""
    if not folder.is_dir():
        return None
    lease = leases.hold(folder)
    if folder.is_dir():
        leases.remove_others(folder)
        return lease
    lease.end()  # it was removed just now
    return None


def _unpacked(archive: Path, folder: Path, limit: int, progress: Progress, name: str) -> Lease:
    lease = leases.hold(folder)
    try:
        if not folder.is_dir():
            extract(archive, folder, limit=limit, progress=progress, name=name)
    except ArchiveError:
        if not folder.is_dir():  # else another process was first, with the same content
            lease.end()
            leases.remove(folder)
            raise
    leases.remove_others(folder)
    return lease
