"""A server of many models, asked as SageMaker's platform and as clients ask it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from serving.values import Request
from tests.contract.cases import CSV, JSON, get
from tests.contract.places import MODELS, Place
from tests.support import Answer, Server, settled

TARGET = "x-amzn-sagemaker-target-model"

LOW, HIGH = b"0,5\n", b"2,5\n"
"""Rows for which the stump answers 1 and 3."""

TREE = """
import os, signal, sys
from pathlib import Path

server = sys.argv[1]

def children(pid):
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()

def tree(pid):
    yield pid
    for child in children(pid):
        yield from tree(child)

def anonymous(pid):
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss_Anon:"))

"""
"""Begins a program that looks at a server's processes."""

PROCESSES = TREE + "print(*tree(server))"
MEMORY = TREE + "print(sum(map(anonymous, tree(server))) * 1024)"
KILL = TREE + "(worker,) = children(server); os.kill(int(worker), signal.SIGKILL)"


class Many:
    """A server, and the folder of its models as it sees that."""

    def __init__(self, server: Server, models: Path) -> None:
        self.server = server
        self._models = models

    # What the platform does.

    def url(self, name: str) -> str:
        """Where the platform puts the files of a model."""
        return str(self._models / name / "model")

    def load(self, name: str, url: str | None = None) -> Answer:
        wish = {"model_name": name, "url": self.url(name) if url is None else url}
        return self.server.ask(Request("POST", "/models", {}, json.dumps(wish).encode()))

    def loads(self, name: str, url: str | None = None) -> None:
        """Load a model that can be loaded."""
        answer = self.load(name, url)
        assert answer.status == 200, answer.body

    def listed(self, **query: str | int) -> Answer:
        return self.server.ask(get("/models", urlencode(query)))

    def describe(self, name: str) -> Answer:
        return self.server.ask(get(path(name)))

    def unload(self, name: str) -> Answer:
        return self.server.ask(get(path(name), method="DELETE"))

    def invoke(
        self, name: str, body: bytes = LOW, content_type: str = CSV, **headers: str
    ) -> Answer:
        fields = {"content-type": content_type, **headers}
        return self.server.ask(Request("POST", f"{path(name)}/invoke", fields, body))

    # What clients do on premises.

    def target(self, name: str, body: bytes = LOW, content_type: str = CSV) -> Answer:
        fields = {"content-type": content_type, TARGET: name}
        return self.server.ask(Request("POST", "/invocations", fields, body))

    # What a test looks at.

    @property
    def names(self) -> list[str]:
        """The names of the loaded models, of all pages."""
        names: list[str] = []
        query: dict[str, str | int] = {}
        while True:
            page = told(self.listed(**query))
            names += [model["modelName"] for model in page["models"]]
            if "nextPageToken" not in page:
                return names
            query = {"next_page_token": page["nextPageToken"]}

    def count(self, series: str) -> float:
        """What /metrics says of a series."""
        lines = self.server.ask(get("/metrics")).body.decode().splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(series))

    def memory(self) -> int:
        """Proportional set size of the server's processes, in bytes, without pages of files.

        Those are shared with other servers, and count as more when one of them ends.
        """
        return int(self.server.beside(MEMORY))

    def processes(self) -> list[str]:
        """The ids of all the server's processes."""
        return self.server.beside(PROCESSES).split()

    def kill_worker(self) -> None:
        self.server.beside(KILL)


def path(name: str) -> str:
    """A model's own path."""
    return f"/models/{quote(name, safe='/')}"


def told(answer: Answer) -> Any:
    """What a good answer tells in JSON."""
    assert (answer.status, answer.headers["content-type"]) == (200, JSON), answer.body
    return json.loads(answer.body)


def refused(answer: Answer) -> tuple[int, str, str]:
    """The status, the type and the message of an error, which has these keys and no others."""
    body = json.loads(answer.body)
    assert answer.headers["content-type"] == JSON
    assert list(body) == ["code", "type", "message"]
    assert body["code"] == answer.status
    return answer.status, body["type"], body["message"]


def platform(place: Place, models: Path, **environment: str) -> Many:
    """A server as SageMaker runs one of many models; tests share it, and leave it empty."""
    given = {"SAGEMAKER_MULTI_MODEL": "true", **environment}
    return Many(place.serve(models, at=MODELS, **given), place.seen(models, at=MODELS))


@contextmanager
def own_platform(place: Place, models: Path, **environment: str) -> Iterator[Many]:
    """A server as SageMaker runs one of many models, of a test's own."""
    given = {"SAGEMAKER_MULTI_MODEL": "true", **environment}
    with place.start(models, at=MODELS, **given) as server:
        server.wait_until(settled)
        yield Many(server, place.seen(models, at=MODELS))


@contextmanager
def own_repository(place: Place, models: Path, **environment: str) -> Iterator[Many]:
    """A server of a model repository, as one runs on premises, of a test's own."""
    seen = place.seen(models, at=MODELS)
    with place.start(models, at=MODELS, SERVING_REPOSITORY=str(seen), **environment) as server:
        server.wait_until(settled)
        yield Many(server, seen)
