"""Sessions in a folder: each is a folder there, and a value a file in it.

Whichever worker a request reaches finds them; the folder lies in memory where there is some to lie
in.
"""

import os
import re
import secrets
import shutil
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson

from serving.errors import BadRequest, FailedDependency
from serving.sessions import CLOSE, HEADER, NEW, wish
from serving.values import Headers, Request, Response

NEW_HEADER = "x-amzn-sagemaker-new-session-id"
CLOSED_HEADER = "x-amzn-sagemaker-closed-session-id"

EXPIRES = "expires"
"""File in a session's folder whose modification time is when the session ends. No key of a script
has this name: theirs are digests."""

_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_BYTES, _JSON = b"b", b"j"


class Session:
    """The values of one session, by key.

    Each is written whole or not at all. Of two requests that write a key at the same time the
    later wins.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def id(self) -> str:
        """What the client knows the session by."""
        return self._folder.name

    def get(self, key: str, default: Any = None) -> Any:
        """The value that was put there: bytes, or what JSON makes of it; else ``default``."""
        try:
            content = self._path(key).read_bytes()
        except FileNotFoundError:
            return default
        return content[1:] if content[:1] == _BYTES else orjson.loads(content[1:])

    def put(self, key: str, value: Any) -> None:
        """Keep bytes, or anything that JSON can carry; NumPy's arrays become lists.

        Raises:
            TypeError: JSON cannot carry it.
            BadRequest: the session was closed meanwhile.
        """
        if isinstance(value, bytes | bytearray | memoryview):
            content = _BYTES + bytes(value)
        else:
            content = _JSON + orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY)
        path = self._path(key)
        part = path.with_suffix(f".{secrets.token_hex(6)}")
        try:
            part.write_bytes(content)
            part.replace(path)
        except FileNotFoundError:
            raise _unknown(self.id) from None
        finally:
            part.unlink(missing_ok=True)

    def delete(self, key: str) -> None:
        """Forget a value, if there is one."""
        self._path(key).unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        # A key may come from a client, and be anything.
        return self._folder / sha256(key.encode(errors="surrogatepass")).hexdigest()


class Sessions:
    """All sessions in a folder, which processes share."""

    def __init__(
        self, folder: Path, seconds: float, clock: Callable[[], float] = time.time
    ) -> None:
        """Keep sessions in ``folder``, each for so many seconds from its creation."""
        self._folder = folder
        self._seconds = seconds
        self._clock = clock

    def action(self, request: Request) -> Callable[[], Response] | None:
        """What to do, in a thread, instead of a prediction; None: the request is for the model.

        Raises:
            BadRequest: the request names a session that is unknown or has expired.
        """
        asked, name = wish(request.body), request.headers.get(HEADER)
        if name and name != NEW:
            session = self.find(name)
            if asked == CLOSE:
                return partial(self.close, session)
        elif asked == CLOSE:
            raise BadRequest(f"To close a session, name it in the header field {HEADER}.")
        return self.create if NEW in (asked, name) else None

    def of(self, headers: Headers) -> Session | None:
        """The session that a request names, if it names one. Raises as :meth:`find` does."""
        name = headers.get(HEADER)
        return self.find(name) if name and name != NEW else None

    def find(self, name: str) -> Session:
        """The session of that name. Raises BadRequest where it is unknown or has expired."""
        # What is no id of ours never becomes a path.
        if not _ID.fullmatch(name) or self._expired(self._folder / name):
            raise _unknown(name)
        return Session(self._folder / name)

    def create(self) -> Response:
        """Open a session, and remove those that have expired.

        Raises:
            FailedDependency: the folder cannot be written.
        """
        name, end = str(uuid.uuid4()), int(self._clock() + self._seconds)
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._purge()
            # It gets its name when it is complete: without an end it would count as expired.
            part = Path(tempfile.mkdtemp(prefix=".", dir=self._folder))
            (part / EXPIRES).touch()
            os.utime(part / EXPIRES, (end, end))
            part.rename(self._folder / name)
        except OSError as error:
            raise FailedDependency(f"The session cannot be created: {error.strerror}.") from error
        expires = datetime.fromtimestamp(end, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return _response(f"Session {name} created", NEW_HEADER, f"{name}; Expires={expires}")

    def close(self, session: Session) -> Response:
        """End a session and remove its values.

        Raises:
            FailedDependency: that fails, or another request was faster.
        """
        try:
            self._remove(self._folder / session.id)
        except OSError as error:
            raise FailedDependency(
                f"Session {session.id} cannot be closed: {error.strerror}."
            ) from error
        return _response(f"Session {session.id} closed", CLOSED_HEADER, session.id)

    def _expired(self, folder: Path) -> bool:
        try:
            return (folder / EXPIRES).stat().st_mtime <= self._clock()
        except OSError:
            return True

    def _purge(self) -> None:
        for folder in self._all():
            if self._expired(folder):
                with suppress(OSError):  # another worker was faster
                    self._remove(folder)

    def _all(self) -> Iterator[Path]:
        return (path for path in self._folder.iterdir() if _ID.fullmatch(path.name))

    def _remove(self, folder: Path) -> None:
        # Without its name it is gone at once: nothing can be put into it while it is emptied.
        nameless = folder.with_name(f".{secrets.token_hex(6)}")
        folder.rename(nameless)
        shutil.rmtree(nameless)


def _response(text: str, name: str, value: str) -> Response:
    return Response(200, text.encode(), "text/plain", ((name, value),))


def _unknown(name: str) -> BadRequest:
    return BadRequest(f"Session {name[:64]!r} is unknown, or has expired; open another.")
