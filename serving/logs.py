"""Logging: one format for the server, gunicorn and scripts, on standard error."""

import logging
import sys

FORMAT = "%(asctime)s %(process)d %(levelname)s %(name)s: %(message)s"


def configure(level: int) -> None:
    """Send records of at least ``level`` to standard error."""
    logging.basicConfig(level=level, format=FORMAT, stream=sys.stderr, force=True)
    logging.captureWarnings(True)
