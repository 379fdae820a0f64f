"""A server of many models: those the platform registers, and those of a repository."""

import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import lru_cache, partial

from serving import archives, machine, oip, targets
from serving.budget import Budget
from serving.call import Handler, Reply
from serving.entry import Entry, State
from serving.errors import BadRequest, ModelNotFound, ModelNotReady
from serving.loader import Loader
from serving.management import PATH, Keep, Management
from serving.place import Place
from serving.registry import Fetched, Registry
from serving.repository import Repository
from serving.service import Tools
from serving.settings import Settings
from serving.values import Request

log = logging.getLogger("serving")

TARGET = "x-amzn-sagemaker-target-model"

SHARE = 0.8
"""Of the container's memory that models may take, where nobody says how much: requests need some
too."""

GPU_SHARE = 0.9
"""Of the GPUs' memory, likewise."""

MOST_PATHS = 4096
"""Models' paths whose routes are remembered; a client can make up any number."""


class MultiModel:
    """Many models under one registry."""

    def __init__(
        self,
        tools: Tools,
        loader: Loader,
        keep: Keep = lambda _: None,
        broken: Callable[[Entry], None] = lambda _: None,
    ) -> None:
        """Make it empty.

        Args:
            tools: What all models share.
            loader: Loads them.
            keep: Keeps what is registered for a process that comes after this.
            broken: Hears of a model that only a new process can mend.
        """
        settings = tools.settings
        budget = Budget(settings.model_memory or _all_there_is())
        gpu = Budget(settings.gpu_memory or int(loader.gpus.total * GPU_SHARE), guess=0.0)
        fetch = partial(_fetch, settings)
        self._registry = Registry(tools, loader, fetch, budget, broken, gpu)
        self._repository = Repository(settings.repository) if settings.repository else None
        self._management = Management(self._registry, keep)
        named = (name.strip() for name in settings.pinned.split(","))
        self._pinned = dict.fromkeys(name for name in named if name)
        self._reasons: dict[str, str] = {}  # why pinned models cannot answer
        self.routes: dict[str, dict[str, Handler]] = {PATH: self._management.routes}
        """What answers at its fixed paths but /invocations, by path and method."""
        self.routes_of = lru_cache(MOST_PATHS)(self._routes_of)
        """What answers at the path of a model, by method; empty if it is none."""
        log.info("models may take %d MiB of memory together", budget.limit >> 20)
        if loader.gpus.total:
            log.info("models may take %d MiB of the GPU's memory together", gpu.limit >> 20)

    def load(self, registered: Mapping[str, str], ready: Callable[[], None]) -> None:
        """Begin to load pinned models, and those that an earlier process had registered.

        ``ready`` is called when all that is pinned is loaded.

        Raises:
            SettingError: a pinned model is not there.
        """
        others = {name: url for name, url in registered.items() if name not in self._pinned}
        self._management.restore(others)
        self._reasons = {name: f"The model {name} is loading." for name in self._pinned}
        for name in self._pinned:
            self._open(name, partial(self._settled, name, ready), stays=True)
        if not self._pinned:
            ready()

    def invoke(self, request: Request, reply: Reply) -> None:
        """Ask the model that the client names. Raises ServingError, or what the model raises."""
        name = _target(request)
        if not name:
            raise BadRequest(
                "This server has many models; say in X-Amzn-SageMaker-Target-Model which is asked."
            )
        self._ask(name, request, reply)

    def named(self, request: Request) -> str | None:
        """The name of the model that a request asks, if it asks one."""
        target = targets.read(request.path)
        if target is not None:
            return target.model
        name = request.path.removeprefix(f"{PATH}/").removesuffix("/invoke")
        return _target(request) or None if name == request.path else name

    def check(self) -> None:
        """Return if what is pinned can answer. Raises ModelNotReady with the reason if not."""
        for reason in self._reasons.values():
            raise ModelNotReady(reason)

    def drain(self) -> None:
        """Nothing here hears that the server is about to stop."""

    def close(self) -> None:
        """End the threads."""
        self._registry.close()

    def index(self) -> list[tuple[str, str]]:
        """The models that are loaded or loading, and why those cannot answer that cannot."""
        return [(place.name, _reason(place)) for place in self._registry.places()]

    def _ask(self, name: str, request: Request, reply: Reply) -> None:
        if name not in self._registry:
            self._open(name)
        self._registry.ask(name, request, reply)

    def _check(self, name: str) -> None:
        """Return if a model can answer now. Raises ServingError with the reason if not."""
        if name in self._registry:
            reason = _reason(self._registry.find(name))
        elif self._repository is None:
            raise ModelNotFound(f"Model not found: {name}")
        else:
            self._repository.url(name)
            reason = f"The model {name} is not loaded; it is when it is first asked."
        if reason:
            raise ModelNotReady(reason)

    def _open(
        self,
        name: str,
        settled: Callable[[BaseException | None], None] = lambda _: None,
        *,
        stays: bool = False,
    ) -> None:
        if self._repository is None:
            raise ModelNotFound(f"Model not found: {name}")
        url = self._repository.url(name)
        self._registry.open(name, url, settled, stays=stays, follows=True)

    def _settled(self, name: str, ready: Callable[[], None], error: BaseException | None) -> None:
        if error is not None:
            self._reasons[name] = f"The model {name} failed to load: {error}"
            return
        self._reasons.pop(name, None)
        if not self._reasons:
            ready()

    def _routes_of(self, path: str) -> dict[str, Handler]:
        target = targets.read(path)
        if target is not None:
            check = partial(self._check, target.model)
            return oip.handlers(target, partial(self._ask, target.model), check)
        prefix, _, name = path.partition(f"{PATH}/")
        if prefix or not name:
            return {}
        routes = self._management.routes_of(name)
        if name.endswith("/invoke") and name != "/invoke":
            invoke = partial(self._registry.ask, name.removesuffix("/invoke"))
            return {"POST": invoke, **routes}  # a model's name may end so, too
        return routes


def _target(request: Request) -> str:
    """The name of the model that a client has put into the header, or an empty text."""
    name = request.headers.get(TARGET, "")
    if not name.isascii():  # some clients send UTF-8, others Latin-1, as which it was read
        with suppress(UnicodeError):
            return name.encode("latin-1").decode()
    return name


def _reason(place: Place) -> str:
    """Why a model cannot answer; empty: it can."""
    if place.failure is not None:
        return place.failure.message
    if place.entry is None:
        return f"The model {place.name} is loading."
    return "" if place.entry.state is State.READY else place.entry.reason


def _all_there_is() -> int:
    return max(1, int(machine.memory_limit() * SHARE) - machine.resident_bytes())


def _fetch(settings: Settings, url: str) -> Fetched:
    """The directory of a model. Raises ArchiveError."""
    lease = archives.borrow(url, settings.cache, limit=settings.max_unpacked)
    folder = lease.folder
    facts = [path.stat() for path in folder.rglob("*") if path.is_file()]
    size = sum(fact.st_size for fact in facts)
    return Fetched(folder, size, max((fact.st_mtime_ns for fact in facts), default=0), lease.end)
