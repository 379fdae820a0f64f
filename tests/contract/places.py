"""Where the contract is kept: in a process of this machine, and in a container.

What a test costs is the start of its server. So tests that serve the same model in the same
environment share one; few are alive at once, those used last.
"""

from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.containers.docker import Docker, Starter
from tests.support import Server, bound_port, launched, settled

ALIVE = 6
"""Most servers that are kept for the tests that come."""

MODEL, MODELS = "/opt/ml/model", "/opt/ml/models"
"""Where SageMaker puts the model of a container, and the models of one that has many."""

Key = tuple[Path, str, tuple[tuple[str, str], ...]]


class Ended(NamedTuple):
    """A server that has ended by itself."""

    status: int
    log: str


class Place(ABC):
    """Runs servers as SageMaker does: a model, and settings in the environment.

    A server has one worker and a port that is free, unless its environment says otherwise.
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[Key, tuple[Server, ExitStack]] = OrderedDict()

    @abstractmethod
    def start(
        self, model: Path, *, at: str = MODEL, **environment: str
    ) -> AbstractContextManager[Server]:
        """A server of one's own, from its start on; a test may stop it or break it.

        A container has the model's folder, or that of the models, where ``at`` says.
        """

    @abstractmethod
    def seen(self, model: Path, *, at: str = MODEL) -> Path:
        """Where a server has that folder."""

    def serve(self, model: Path, *, at: str = MODEL, **environment: str) -> Server:
        """A server whose model is loaded, or has failed to load; others may use it too."""
        key = model, at, tuple(sorted(environment.items()))
        if key not in self._kept:
            while len(self._kept) >= ALIVE:
                self._close_one()
            with ExitStack() as stack:
                server = stack.enter_context(self.start(model, at=at, **environment))
                server.wait_until(settled)
                self._kept[key] = server, stack.pop_all()
        self._kept.move_to_end(key)
        return self._kept[key][0]

    def fails(self, model: Path, *, at: str = MODEL, **environment: str) -> Ended:
        """The end of a server that cannot start."""
        with self.start(model, at=at, **environment) as server:
            return Ended(server.wait(), server.log)

    def close(self) -> None:
        """Stop all."""
        while self._kept:
            self._close_one()

    def _close_one(self) -> None:
        _, (_, stack) = self._kept.popitem(last=False)
        stack.close()


class ProcessPlace(Place):
    """Servers are processes."""

    def __init__(self, make_workspace: Callable[[], Path]) -> None:
        super().__init__()
        self._make_workspace = make_workspace

    @contextmanager
    def start(self, model: Path, *, at: str = MODEL, **environment: str) -> Iterator[Server]:
        workspace = self._make_workspace()
        sessions = {"SAGEMAKER_SESSIONS_PATH": str(workspace / "sessions")}
        with launched(model, workspace, **sessions | environment) as server:
            yield server

    def seen(self, model: Path, *, at: str = MODEL) -> Path:
        return model


class ContainerPlace(Place):
    """Servers are containers, run as SageMaker runs them."""

    def __init__(self, docker: Docker, image: str) -> None:
        super().__init__()
        self._docker = docker
        self._image = image

    @contextmanager
    def start(self, model: Path, *, at: str = MODEL, **environment: str) -> Iterator[Server]:
        given = {"SAGEMAKER_MODEL_SERVER_WORKERS": "1", **environment}
        options = [f"--env={name}={value}" for name, value in given.items()]
        with closing(Starter(self._docker)) as starter:
            yield starter(self._image, model, *options, port=bound_port(given), at=at)

    def seen(self, model: Path, *, at: str = MODEL) -> Path:
        return Path(at)
