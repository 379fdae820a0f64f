"""Scripts that do as a test tells them, and the gates at which they wait for it."""

import errno
import os
import time
from pathlib import Path

from tests.support import Server

MIRROR = """
import json
import os
from pathlib import Path


def model_fn(model_dir):
    return model_dir


def transform_fn(model, data, content_type, accept, context):
    told = json.loads(data) if content_type == "application/json" else {}
    for name, value in told.get("set", {}).items():
        context.set_response_header(0, name, value)
    if "status" in told:
        context.set_response_status(told["status"])
    seen = {
        "headers": dict(context.get_all_request_header(0)),
        "content_type": content_type,
        "accept": accept,
        "length": len(data),
        "environment": dict(os.environ),
        "ports": listening() if "ports" in told else [],
    }
    return json.dumps(seen), "application/json"


def listening():
    folders = [Path(f"/proc/{pid}/fd") for pid in (os.getpid(), os.getppid())]
    paths = [os.path.realpath(entry) for folder in folders for entry in folder.iterdir()]
    links = {path.rpartition("/")[2] for path in paths}
    tables = [Path("/proc/net/tcp"), Path("/proc/net/tcp6")]
    lines = [line.split() for table in tables for line in table.read_text().splitlines()[1:]]
    ours = [line for line in lines if line[3] == "0A" and f"socket:[{line[9]}]" in links]
    return sorted({int(line[1].rpartition(":")[2], 16) for line in ours})
"""
"""Tells what it was given, and sets what JSON tells it to."""

FRAGILE = """
import os
from pathlib import Path


def model_fn(model_dir):
    gate = Path(model_dir) / "loading"
    if gate.exists():
        gate.read_text()
    return Path(model_dir)


def transform_fn(folder, data, content_type, accept):
    if data == b"wait":
        return (folder / "gate").read_text()
    if data == b"exit":
        os._exit(1)
    if data == b"lose the GPU":
        raise RuntimeError("CUDA error: device-side assert triggered")
    if (folder / "ill").exists():
        raise RuntimeError("I am ill")
    return str(os.getpid())
"""
"""Waits at its gates, breaks in each of several ways, and else answers with its process's id."""

STREAMING = """
import logging
import time
from pathlib import Path


def model_fn(model_dir):
    return Path(model_dir)


def transform_fn(folder, data, content_type, accept):
    return chunks(folder, data.decode()), "text/plain"


def chunks(folder, how):
    try:
        yield "first "
        if how == "wait":
            yield (folder / "gate").read_text()
        if how == "fail":
            raise ValueError("there is no second")
        for _ in range(5 if how == "be slow" else 0):
            time.sleep(0.3)
            yield "later "
        while how == "never end":
            yield "again " * 10_000
        yield "last"
    finally:
        logging.warning("the generator has ended")
"""
"""Answers with a stream, whose way is told."""

STACKABLE = """
import logging
from pathlib import Path

stack_rows = True


def model_fn(model_dir):
    return Path(model_dir)


def predict_fn(rows, folder):
    logging.warning("called with %d rows", len(rows))
    if (rows < 0).any():
        (folder / "gate").read_text()
    return rows * 2
"""
"""Doubles the rows of any number of requests; a negative one makes it wait."""


def script_model(folder: Path, source: str) -> Path:
    """A model directory of a script alone."""
    (folder / "code").mkdir(parents=True)
    (folder / "code" / "inference.py").write_text(source)
    return folder


class Gate:
    """A pipe in a model directory: a script that reads it waits until the test opens it."""

    def __init__(self, folder: Path, name: str = "gate") -> None:
        self._path = folder / name
        self._end: int | None = None
        os.mkfifo(self._path)

    def reached(self) -> None:
        """Wait until a script stands before it."""
        limit = time.monotonic() + Server.patience
        while self._end is None:
            try:
                self._end = os.open(self._path, os.O_WRONLY | os.O_NONBLOCK)
            except OSError as error:
                if error.errno != errno.ENXIO:
                    raise
                assert time.monotonic() < limit, "no script came to the gate"
                time.sleep(0.01)

    def open(self, text: str = "") -> None:
        """Let the script that comes, or has come, go on with this text."""
        self.reached()
        assert self._end is not None
        os.write(self._end, text.encode())
        os.close(self._end)
        self._end = None
