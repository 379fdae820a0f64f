"""SageMaker's interface to a multi-model container: load, list, describe, unload.

Paths, keys and sentences are those of AWS's Multi Model Server, which the platform and its users'
tests know.
"""

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any
from urllib.parse import parse_qs

import orjson

from serving.call import Handler, Reply
from serving.entry import State
from serving.errors import BadRequest
from serving.place import Place
from serving.problems import response
from serving.registry import Registry
from serving.values import Request, Response

PATH = "/models"

MOST_LISTED = 100
"""Models on a page, and their number where the client names none."""

Keep = Callable[[Mapping[str, str]], None]
"""Takes the registered models' addresses by their names, for a process that comes after this."""


class Management:
    """The routes under /models but that for predictions."""

    def __init__(self, registry: Registry, keep: Keep) -> None:
        self._registry = registry
        self._keep = keep
        self._registered: dict[str, str] = {}
        self.routes: dict[str, Handler] = {"GET": self._list, "POST": self._load}
        """What answers at /models, by method."""

    def routes_of(self, name: str) -> dict[str, Handler]:
        """What answers at a model's own path, by method."""
        return {"GET": partial(self._describe, name), "DELETE": partial(self._unload, name)}

    def restore(self, registered: Mapping[str, str]) -> None:
        """Load the models again that an earlier process had."""
        for name, url in registered.items():
            self._registered[name] = url
            self._registry.open(name, url, stays=True, returns=True)

    def _load(self, request: Request, reply: Reply) -> None:
        name, url = _wanted(request)

        def settled(error: BaseException | None) -> None:
            if error is None and not self._registry.find(name).leaves:
                self._registered[name] = url
                self._keep(self._registered)
            _send(reply, {"status": "Workers scaled"}, error)

        self._registry.open(name, url, settled, stays=True)  # the platform says what leaves

    def _unload(self, name: str, _request: Request, reply: Reply) -> None:
        self._registry.unload(
            name, partial(_send, reply, {"status": f'Model "{name}" unregistered'}, None)
        )
        if self._registered.pop(name, None) is not None:
            self._keep(self._registered)

    def _list(self, request: Request, reply: Reply) -> None:
        limit, after = _page(request)
        listed = sorted(place.name for place in self._registry.places() if _is_listed(place))
        page = [name for name in listed if name > after][: limit + 1]
        models = [_named(self._registry.find(name)) for name in page[:limit]]
        answer: dict[str, Any] = {"models": models}
        if len(page) > limit:
            answer["nextPageToken"] = _token(page[limit - 1])
        _send(reply, answer, None)

    def _describe(self, name: str, _request: Request, reply: Reply) -> None:
        place = self._registry.find(name)
        entry = place.entry
        waiting = State.FAILED if place.failure is not None else State.LOADING
        state = entry.state if entry is not None else waiting
        since = time.gmtime(entry.since if entry is not None else None)
        worker = {
            "id": "1",
            "startTime": time.strftime("%Y-%m-%dT%H:%M:%SZ", since),
            "status": state.name,
            "gpu": entry is not None and entry.on_gpu,
            "memoryUsage": place.bytes,
        }
        facts = {
            "engine": entry.engine if entry is not None else "",
            "runtime": "python",
            "minWorkers": 1,
            "maxWorkers": 1,
            "loadedAtStartup": place.stays and place.follows,
            "workers": [worker],
        }
        _send(reply, {**_named(place), **facts}, None)


def _is_listed(place: Place) -> bool:
    """Whether a model is loaded, or was and is to be again."""
    return place.entry is not None or place.returns


def _named(place: Place) -> dict[str, str]:
    return {"modelName": place.name, "modelUrl": place.url}


def _send(reply: Reply, answer: Mapping[str, Any], error: BaseException | None) -> None:
    content = orjson.dumps(answer, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    reply.send(response(error) if error else Response(200, content, "application/json"))


def _wanted(request: Request) -> tuple[str, str]:
    """The name and the address of the model that is to be loaded. Raises BadRequest."""
    try:
        content = orjson.loads(request.body)
    except orjson.JSONDecodeError:
        content = None
    if not isinstance(content, dict):
        raise BadRequest(
            'The body has to be JSON: {"model_name": NAME, "url": "/opt/ml/models/NAME/model"}.'
        )
    found = [content.get(key) for key in ("model_name", "url")]
    for key, value in zip(("model_name", "url"), found, strict=True):
        if not isinstance(value, str) or not value:
            raise BadRequest(f"Parameter {key} is required.")
    return str(found[0]), str(found[1])


def _page(request: Request) -> tuple[int, str]:
    """How many models to list, and after which name. Raises BadRequest."""
    query = {key: values[-1] for key, values in parse_qs(request.query).items()}
    limit = query.get("limit", str(MOST_LISTED))
    if not limit.isdecimal() or int(limit) == 0:
        raise BadRequest(f"limit is {limit!r}, which is not a whole number from 1 up.")
    return min(int(limit), MOST_LISTED), _name(query.get("next_page_token", ""))


def _token(name: str) -> str:
    """A name in letters that need no escaping in a URL, which not every client does."""
    return name.encode().hex()


def _name(token: str) -> str:
    """The name in a token. Raises BadRequest."""
    try:
        return bytes.fromhex(token).decode()
    except ValueError:
        raise BadRequest(
            f"next_page_token is {token[:100]!r}, which is none that this server has given."
        ) from None
