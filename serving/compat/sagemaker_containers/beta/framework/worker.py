"""The response that a script's ``output_fn`` or ``transform_fn`` may return."""

from collections.abc import Mapping
from http import HTTPStatus


class Response:
    """A body with its media type, status and header fields."""

    def __init__(
        self,
        response: str | bytes = b"",
        accept: str | None = None,  # the original ignores it
        status: int = HTTPStatus.OK,
        headers: Mapping[str, str] | None = None,
        mimetype: str | None = None,
    ) -> None:
        self.status_code = int(status)
        self.headers = dict(headers or {})
        self.mimetype = mimetype or "application/json"
        self.content_type = self.mimetype
        self._body = response.encode() if isinstance(response, str) else bytes(response)

    def get_data(self) -> bytes:
        """The body."""
        return self._body
