"""What a script's functions get as ``context``: the request it answers, and what it sets in return.

The attributes and methods are those of the servers that SageMaker's toolkits run in, so that
scripts written for them find what they ask for. A context belongs to one request; where a method
takes an index, that of the request within a batch, it is always 0.
"""

import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from serving import __version__, identity, sessions
from serving.values import Headers, Request, Response

if TYPE_CHECKING:
    from serving.sessions import NoSessions
    from serving.sessions.store import Session, Sessions

SERVERS_OWN = frozenset(
    {"connection", "content-length", "date", "keep-alive", "trailer", "transfer-encoding"}
    | {"upgrade"}
)
"""Fields that frame or date the message. The server writes them; what a script sets is ignored."""

GPU = Path("/dev/nvidia0")

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")


class Fields(Mapping[str, str]):
    """Header fields, found by their names in any case."""

    def __init__(self, fields: Headers) -> None:
        self._fields = fields

    def __getitem__(self, name: str) -> str:
        return self._fields[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)


class Metrics:
    """Takes the measurements that scripts report."""

    def add_metric(self, *_args: Any, **_kwargs: Any) -> None:
        """Take a measurement of any kind."""

    add_counter = add_error = add_percent = add_size = add_time = add_metric


class Processor:
    """A request's header fields, as handlers for Multi Model Server read them."""

    def __init__(self, context: "Context") -> None:
        self._context = context

    def get_request_properties(self) -> Mapping[str, str]:
        """All header fields of the request."""
        return self._context.get_all_request_header(0)

    def get_request_property(self, key: str) -> str | None:
        """One header field of the request."""
        return self._context.get_request_header(0, key)

    def report_status(self, code: int, reason_phrase: str | None = None) -> None:
        """Answer with this status."""
        self._context.set_response_status(code, reason_phrase)

    def add_response_property(self, key: str, value: str) -> None:
        """Add a header field to the response."""
        self._context.set_response_header(0, key, value)


class Context:
    """One request, and the status and header fields a script sets for its response."""

    def __init__(
        self,
        request: Request | None,
        folder: Path,
        store: "Sessions | NoSessions" = sessions.NONE,
    ) -> None:
        """Make the context of a request, or, without one, of loading the model in ``folder``."""
        self._headers = Fields(request.headers if request else {})
        self._store = store
        self._id = ""
        self._status = 0
        self._content_type = ""
        self._fields: dict[str, str] = {}
        self.model_name = folder.name
        self.manifest: dict[str, Any] = {}
        self.metrics = Metrics()
        self.request_processor = (Processor(self),)
        self.system_properties: dict[str, Any] = {
            "model_dir": str(folder),
            "gpu_id": 0 if GPU.exists() else None,
            "batch_size": 1,
            "server_name": "hybrid-serving",
            "server_version": __version__,
        }

    @property
    def request_ids(self) -> dict[int, str]:
        """The request's id by its index."""
        return {0: self.get_request_id()}

    @property
    def session_id(self) -> str | None:
        """What the client's session is named; None outside of one."""
        return self.session.id if self.session else None

    @cached_property
    def session(self) -> "Session | None":
        """What is kept for the client's session; None outside of one.

        Raises:
            BadRequest: it was closed, or has expired, since the request came.
        """
        return self._store.of(self._headers)

    def get_request_id(self, idx: int = 0) -> str:
        """What the client named the request, or a random name."""
        _only(idx)
        self._id = self._id or identity.of(self._headers)
        return self._id

    def get_request_header(self, idx: int, key: str) -> str | None:
        """A header field of the request, by its name in any case; None if it is not there."""
        _only(idx)
        return self._headers.get(key)

    def get_all_request_header(self, idx: int) -> Mapping[str, str]:
        """All header fields of the request."""
        _only(idx)
        return self._headers

    def set_response_status(
        self,
        code: int = 200,
        phrase: str | None = None,  # noqa: ARG002 - HTTP's own phrase is sent
        idx: int = 0,
    ) -> None:
        """Answer with this status.

        Raises:
            ValueError: it is no status from 200 to 599.
        """
        _only(idx)
        if not 200 <= int(code) <= 599:
            raise ValueError(f"{code} is no status of a response; it takes 200 to 599")
        self._status = int(code)

    def set_all_response_status(self, code: int = 200, phrase: str | None = None) -> None:
        """Answer with this status."""
        self.set_response_status(code, phrase)

    def set_response_content_type(self, idx: int, value: str) -> None:
        """Answer with this Content-Type."""
        self.set_response_header(idx, "content-type", value)

    def set_response_header(self, idx: int, key: str, value: str) -> None:
        """Answer with this header field, in place of one of the same name.

        Raises:
            ValueError: the name or the value is nothing HTTP can carry, such as a line break.
        """
        _only(idx)
        name, text = key.lower(), str(value)
        if not _NAME.fullmatch(name) or not _VALUE.fullmatch(text):
            raise ValueError(f"{key!r}: {text!r} is no header field")
        if name == "content-type":
            self._content_type = text
        elif name not in SERVERS_OWN:
            self._fields[name] = text

    def apply(self, response: Response) -> Response:
        """The response with what the script set."""
        return Response(
            self._status or response.status,
            response.body,
            self._content_type or response.content_type,
            (*response.headers, *self._fields.items()),
        )


def _only(idx: int) -> None:
    if idx != 0:
        raise IndexError(f"a context has one request, with index 0, not {idx}")
