"""A peer: a server that is compared, as its ``peer.toml`` describes it.

    title = "FastAPI on uvicorn"
    role = "peer"               # or "ours", or "limit": shown, but no bar is set by it
    constant = false            # true: it answers the same to everything, which is not checked
    python = true               # it has an environment of its own, made from requirements.txt
    shares = "flask_gthread"    # another peer, whose environment and folder it uses
    programs = ["nginx"]        # executables that it needs
    processes = 2               # that hold the model
    templates = ["nginx.conf"]  # files beside peer.toml, written into {work} with all filled in
    prepare = ["{python}", "{here}/prepare.py"]   # once before its first start with a model
    command = ["{python}", "-m", "uvicorn", "app:app", "--port", "{port}"]   # in the foreground
    variables = { MODEL = "{model}" }             # of its environment
    warm_up = 8                 # seconds of load before it is measured, for a compiler at run time
    ready = "/ping"             # answers 200 when the model is loaded
    note = "what was tried"

    [requests.xgboost]          # a workload's name; also mlp-json and mlp-binary
    path = "/invocations"
    encoding = "csv"            # one of encodings.py
    answer = "json"             # how the answer is read, where that differs
    headers = { Accept = "application/json" }

    [mixed]                     # what differs when it serves all models at once
    [[tried]]                   # other configurations, each with a name
    name = "4 workers"

In command, prepare, variables and templates these are filled in: ``{python}`` and ``{bin}`` (of its
environment), ``{repository}`` (the root of this one), ``{here}`` (its folder), ``{shared}`` (that
of the peer it shares with), ``{models}`` (their folder), ``{work}`` (where all of it runs),
``{port}``, ``{port2}`` and ``{port3}``, ``{model}`` (the folder of the one that is asked) and
``{names}`` (of the models to serve, with commas). A peer that uses one of the last two is started
for one model at a time.
"""

import dataclasses
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.peers.encodings import ENCODINGS
from benchmarks.peers.workloads import WORKLOADS
from benchmarks.throughput import BenchmarkError

FOLDER = Path(__file__).parent
ROLES = ("ours", "peer", "limit")
"""In the order in which they are shown."""
PLACEHOLDERS = (
    *("python", "bin", "repository", "here", "shared", "models", "work"),
    *("port", "port2", "port3"),
)
OF_ONE_MODEL = ("model", "names")

_PLACEHOLDER = re.compile(r"\{([a-z][a-z0-9_]*)\}")


class Request(NamedTuple):
    """How a peer is asked for one workload."""

    path: str
    encoding: str
    answer: str
    """The encoding that reads what it answers."""
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Peer:
    """A server that is compared, in one configuration."""

    name: str
    folder: Path
    title: str
    command: tuple[str, ...]
    requests: Mapping[str, Request]
    """By the names of workloads."""
    role: str = "peer"
    constant: bool = False
    python: bool = True
    shares: str = ""
    programs: tuple[str, ...] = ()
    processes: int = 1
    templates: tuple[str, ...] = ()
    prepare: tuple[str, ...] = ()
    variables: Mapping[str, str] = dataclasses.field(default_factory=dict)
    warm_up: int = 0
    ready: str = "/ping"
    note: str = ""
    tried: tuple["Peer", ...] = ()
    """Other configurations of it."""
    mixed: "Peer | None" = None
    """Its configuration for several models at once, where that is another."""

    @property
    def one_model(self) -> bool:
        """Whether what it serves depends on the model that is asked."""
        return self._uses("model") or self._uses("names")

    @property
    def only_one(self) -> bool:
        """Whether it cannot serve several models at once."""
        return self._uses("model")

    def _uses(self, placeholder: str) -> bool:
        texts = [*self.command, *self.prepare, *self.variables.values()]
        texts += [(self.folder / name).read_text() for name in self.templates]
        return any(f"{{{placeholder}}}" in text for text in texts)


def names() -> list[str]:
    """Those that there are."""
    return sorted(path.parent.name for path in FOLDER.glob("*/peer.toml"))


def read(name: str) -> Peer:
    """Read a peer's file.

    Raises:
        BenchmarkError: there is none, or it is not as it has to be; says what is wrong.
    """
    folder = FOLDER / name
    try:
        return parse(folder, (folder / "peer.toml").read_text())
    except FileNotFoundError as error:
        raise BenchmarkError(f"There is no peer {name}; {', '.join(names())} are.") from error
    except tomllib.TOMLDecodeError as error:
        raise BenchmarkError(f"{name}/peer.toml: {error}") from error


def parse(folder: Path, text: str) -> Peer:
    """The peer of a folder from the text of its file. Raises BenchmarkError, TOMLDecodeError."""
    given = tomllib.loads(text)
    about = f"{folder.name}/peer.toml"
    base = {key: value for key, value in given.items() if key not in ("tried", "mixed")}
    tried = tuple(
        _peer(folder, _over(base, _titled(base, each, about)), f"{about}, tried")
        for each in given.get("tried", ())
    )
    mixed = given.get("mixed")
    return dataclasses.replace(
        _peer(folder, base, about),
        tried=tried,
        mixed=_peer(folder, _over(base, mixed), f"{about}, mixed") if mixed else None,
    )


def fill(text: str, values: Mapping[str, object]) -> str:
    """The text with the placeholders that have a value filled in."""
    return _PLACEHOLDER.sub(lambda found: str(values.get(found[1], found[0])), text)


def _titled(base: Mapping[str, Any], each: Mapping[str, Any], about: str) -> dict[str, Any]:
    if "name" not in each:
        raise BenchmarkError(f"{about}: one of [[tried]] has no name.")
    others = {key: value for key, value in each.items() if key != "name"}
    return {"title": f"{base.get('title')}: {each['name']}", **others}


def _over(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """The base with changes; tables are changed within."""
    inner = {
        key: _over(base[key], value)
        for key, value in changes.items()
        if isinstance(value, dict) and isinstance(base.get(key), dict)
    }
    return {**base, **changes, **inner}


_TYPES: dict[str, type] = {
    "title": str,
    "role": str,
    "constant": bool,
    "python": bool,
    "shares": str,
    "programs": list,
    "processes": int,
    "templates": list,
    "prepare": list,
    "command": list,
    "variables": dict,
    "warm_up": int,
    "ready": str,
    "note": str,
    "requests": dict,
}
_REQUEST_TYPES: dict[str, type] = {"path": str, "encoding": str, "answer": str, "headers": dict}


def _peer(folder: Path, given: Mapping[str, Any], about: str) -> Peer:
    _check(given, _TYPES, ("title", "command", "requests"), about)
    role = given.get("role", "peer")
    if role not in ROLES:
        raise BenchmarkError(f"{about}: role is {role!r}; it may be {', '.join(ROLES)}.")
    requests = {
        name: _request(name, request, f"{about}, requests.{name}")
        for name, request in given["requests"].items()
    }
    lists = {key: tuple(map(str, value)) for key, value in given.items() if isinstance(value, list)}
    missing = [name for name in lists.get("templates", ()) if not (folder / name).is_file()]
    if missing:
        raise BenchmarkError(f"{about}: the template {missing[0]} is not beside it.")
    variables = {name: str(value) for name, value in given.get("variables", {}).items()}
    for name in _unknown([*lists["command"], *lists.get("prepare", ()), *variables.values()]):
        known = ", ".join((*PLACEHOLDERS, *OF_ONE_MODEL))
        raise BenchmarkError(f"{about}: {{{name}}} is no placeholder; {known} are.")
    fields = {**given, **lists, "variables": variables, "requests": requests}
    return Peer(name=folder.name, folder=folder, **fields)


def _request(workload: str, given: Mapping[str, Any], about: str) -> Request:
    if workload not in WORKLOADS:
        raise BenchmarkError(f"{about}: there is no such workload; {', '.join(WORKLOADS)} are.")
    _check(given, _REQUEST_TYPES, ("path", "encoding"), about)
    answer = given.get("answer", given["encoding"])
    for name in (given["encoding"], answer):
        if name not in ENCODINGS:
            known = ", ".join(ENCODINGS)
            raise BenchmarkError(f"{about}: there is no encoding {name!r}; {known} are.")
    headers = tuple((name, str(value)) for name, value in given.get("headers", {}).items())
    return Request(given["path"], given["encoding"], answer, headers)


def _check(
    given: Mapping[str, Any], types: Mapping[str, type], needed: tuple[str, ...], about: str
) -> None:
    for key in needed:
        if key not in given:
            raise BenchmarkError(f"{about}: {key} is missing.")
    for key, value in given.items():
        if key not in types:
            raise BenchmarkError(f"{about}: {key} means nothing; {', '.join(types)} do.")
        if not isinstance(value, types[key]):
            kind = {list: "a list", dict: "a table", int: "a number", bool: "true or false"}
            raise BenchmarkError(f"{about}: {key} has to be {kind.get(types[key], 'a text')}.")


def _unknown(texts: list[str]) -> Iterator[str]:
    for text in texts:
        for found in _PLACEHOLDER.findall(text):
            if found not in (*PLACEHOLDERS, *OF_ONE_MODEL):
                yield found
