"""Requests that wait: files in a folder that the workers of a server share.

A request that was accepted is a file until its answer is written, so it outlives the worker, and
the server if the folder does. Locks of the kernel say who works on what: they end with the process
that holds them, so nothing has to be cleaned up after one that died.
"""

import fcntl
import logging
import os
import time
import uuid
from pathlib import Path
from typing import NamedTuple

import orjson

log = logging.getLogger("serving")

MOST_WAITING = 10_000
"""Requests that may wait."""

MOST_ATTEMPTS = 3
"""Times a request is begun. One that ends its worker each time must not do so for ever."""

SLOTS = ".slots"
"""Folder of the locks that are the slots."""


class Job(NamedTuple):
    """A request that was accepted."""

    inference_id: str
    request_id: str
    headers: dict[str, str]
    """What the model gets."""
    input: str
    """Address of the body; empty: it is ``body``."""
    output: str
    """Address for the answer."""
    failure: str
    """Address for the error in its place."""
    expires: float
    """When it has waited too long, in seconds since 1970."""
    timeout: int
    """Seconds that the model may take."""
    body: bytes = b""


class Full(Exception):
    """As many requests wait as may wait."""


class Claim:
    """A job that this process works on, and nobody else."""

    def __init__(self, path: Path, file: int, attempts: int, job: Job) -> None:
        self.job = job
        self.attempts = attempts
        """How often it was begun, this time included."""
        self._path = path
        self._file = file

    def finish(self) -> None:
        """It is done with."""
        self._path.unlink(missing_ok=True)

    def forgive(self) -> None:
        """Do not count this attempt."""
        os.pwrite(self._file, _count(self.attempts - 1), 0)

    def release(self) -> None:
        """Let go of it; unless it is finished, it goes to whoever comes next."""
        os.close(self._file)


class Slot:
    """The right to work on one job."""

    def __init__(self, file: int) -> None:
        self._file = file

    def release(self) -> None:
        """Give it back."""
        os.close(self._file)


class Spool:
    """The folder. What fails in it raises OSError."""

    def __init__(self, folder: Path, slots: int) -> None:
        """Use a folder; ``slots`` is how many jobs all its processes work on at once."""
        self._folder = folder
        self._slots = slots

    def add(self, job: Job) -> None:
        """Keep a job. Raises Full."""
        if len(self._names()) >= MOST_WAITING:
            raise Full
        name = f"{time.time_ns():020d}-{uuid.uuid4().hex}"
        path, part = self._folder / name, self._folder / f".{name}"
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with part.open("xb") as file:
                file.write(_count(0) + _written(job))
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)

    def slot(self) -> Slot | None:
        """The right to work on a job, unless as many are worked on as may be."""
        folder = self._folder / SLOTS
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for number in range(self._slots):
            file = _locked(folder / str(number), os.O_CREAT)
            if file is not None:
                return Slot(file)
        return None

    def claim(self) -> Claim | None:
        """The job that has waited longest of those that nobody works on."""
        for name in self._names():
            path = self._folder / name
            file = _locked(path)
            if file is None:
                continue
            content = os.pread(file, os.fstat(file).st_size, 0)
            try:
                attempts, job = int(content[:1]) + 1, _read(content[1:])
            except (ValueError, TypeError):
                log.exception("%s is no request, and is removed", path)
                path.unlink()
                os.close(file)
            else:
                os.pwrite(file, _count(attempts), 0)
                return Claim(path, file, attempts, job)
        return None

    def _names(self) -> list[str]:
        """The jobs, in the order in which they came."""
        try:
            return sorted(path.name for path in self._folder.iterdir() if path.name[0] != ".")
        except FileNotFoundError:
            return []


def _locked(path: Path, flags: int = 0) -> int | None:
    """An open file that nobody else has locked; None: somebody has, or it is gone."""
    try:
        file = os.open(path, os.O_RDWR | flags, 0o600)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(file)
        return None
    if not os.fstat(file).st_nlink:  # whoever had locked it has finished it
        os.close(file)
        return None
    return file


def _count(attempts: int) -> bytes:
    """One byte, which can be written in place."""
    return b"%d" % min(attempts, 9)


def _written(job: Job) -> bytes:
    fields = job._asdict()
    body: bytes = fields.pop("body")
    return orjson.dumps(fields) + b"\n" + body


def _read(content: bytes) -> Job:
    fields, _, body = content.partition(b"\n")
    return Job(**orjson.loads(fields), body=body)
