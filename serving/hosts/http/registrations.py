"""What a multi-model server's worker has registered, kept for the worker that comes after it."""

import json
import os
from collections.abc import Mapping


class Registrations:
    """Addresses of models by name, in a file that has no path and ends with the server."""

    def __init__(self) -> None:
        """Make it. Called before the fork: a worker and its successor share it."""
        self._file = os.memfd_create("serving-registrations")

    def keep(self, registered: Mapping[str, str]) -> None:
        """Put down what is registered now."""
        content = json.dumps(dict(registered)).encode()
        # In one write: a worker may die at any time. What is left behind it is not read.
        os.pwrite(self._file, b"%020d" % len(content) + content, 0)

    def read(self) -> dict[str, str]:
        """What was put down last."""
        length = int(os.pread(self._file, 20, 0) or 0)
        found: dict[str, str] = json.loads(os.pread(self._file, length, 20) or b"{}")
        return found
