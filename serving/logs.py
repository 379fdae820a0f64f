"""Logging: one format for the server, gunicorn and scripts, on standard error."""

import json
import logging
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

FORMAT = "%(asctime)s %(process)d %(levelname)s %(name)s: %(message)s"

STANDARD = {*vars(logging.makeLogRecord({})), "asctime", "message"}
"""Attributes of every record; what else one has came as ``extra``."""


class TextFormatter(logging.Formatter):
    """Lines for people; extra fields come after the message."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the base's name
        """The line, without a traceback."""
        fields = (f" {name}={_plain(value)}" for name, value in _extra(record).items())
        return super().formatMessage(record) + "".join(fields)


class JsonFormatter(logging.Formatter):
    """One JSON object a line, in ASCII; a traceback is one of its strings."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        fields = {
            "time": time.replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "pid": record.process,
        }
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return json.dumps({**_extra(record), **fields}, default=str)


FORMATTERS: dict[str, Callable[[], logging.Formatter]] = {
    "text": lambda: TextFormatter(FORMAT),
    "json": JsonFormatter,
}


def configure(level: int, form: str = "text") -> None:
    """Send records of at least ``level`` to standard error, as ``text`` or ``json``."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(FORMATTERS[form]())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.captureWarnings(True)


def _extra(record: logging.LogRecord) -> dict[str, Any]:
    return {name: value for name, value in vars(record).items() if name not in STANDARD}


def _plain(value: object) -> str:
    """A value as one word, or in quotes: a client cannot write lines of its own."""
    text = str(value)
    return text if text.isascii() and text.isprintable() and " " not in text else json.dumps(text)
