"""The endpoints of a server, read from a small TOML or JSON file.

::

    [fraud.variants.stable]            # endpoint "fraud", production variant "stable"
    model = "fraud/7.tar.gz"           # of the model repository; left out: the server's one model
    weight = 9                         # of the requests, relative to the other variants; 1

    [fraud.variants.next]
    model = "fraud/8.tar.gz"

    [fraud.shadow]                     # answers too, but is only recorded
    name = "candidate"
    model = "fraud/9.tar.gz"
    share = 0.1                        # of the requests; 1
    folder = "/var/lib/shadow"         # where its answers are written

    [fraud.containers]                 # models by the TargetContainerHostname of a request
    prepare = "fraud/prepare.tar.gz"

    [fraud.components]                 # models by its InferenceComponentName
    explain = "fraud/explain.tar.gz"

    [churn]                            # an endpoint with the one model
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import orjson

from serving.errors import SettingError
from serving.runtime import members
from serving.runtime.faults import ValidationError
from serving.settings import Settings

DEFAULT_VARIANT = "AllTraffic"
"""What SageMaker's SDK calls the variant of an endpoint that has only one."""


@dataclass(frozen=True, slots=True)
class Variant:
    """A production variant."""

    name: str
    model: str = ""
    """In the model repository; empty: the server's one model, or the one a request names."""
    weight: float = 1.0


SINGLE = (Variant(DEFAULT_VARIANT),)
"""The variants of an endpoint that names none."""


@dataclass(frozen=True, slots=True)
class Shadow:
    """A variant whose answers are recorded and not returned."""

    name: str
    model: str
    share: float
    """Of the requests, from 0 to 1."""
    folder: Path
    """Where the answers are written."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A named endpoint."""

    name: str
    variants: tuple[Variant, ...] = SINGLE
    shadow: Shadow | None = None
    containers: Mapping[str, str] = field(default_factory=dict)
    """Models by the host name of a container."""
    components: Mapping[str, str] = field(default_factory=dict)
    """Models by the name of an inference component."""
    open: bool = False
    """It has whatever variant, container or component a request names: all are the one model."""

    @property
    def models(self) -> set[str]:
        """The models that it names."""
        named = {variant.model for variant in self.variants}
        shadow = {self.shadow.model} if self.shadow else set()
        return (named | shadow | {*self.containers.values(), *self.components.values()}) - {""}


def of(settings: Settings) -> dict[str, Endpoint]:
    """The endpoints that the settings name, if they name a file of them.

    Raises:
        SettingError: the file cannot be read, or is wrong, or is not for a server of this kind.
    """
    if not settings.endpoints:
        return {}
    found = read(Path(settings.endpoints))
    for endpoint in found.values():
        if endpoint.models and not settings.many:
            raise SettingError(
                f"Endpoint {endpoint.name} names models ({', '.join(sorted(endpoint.models))}), "
                "but this server has one only; SERVING_REPOSITORY would make it one of many."
            )
        if endpoint.shadow and settings.many and not endpoint.shadow.model:
            raise SettingError(f"The shadow variant of endpoint {endpoint.name} names no model.")
    return found


def read(path: Path) -> dict[str, Endpoint]:
    """The endpoints in a file, by name.

    Raises:
        SettingError: the file cannot be read, or something in it is not as above.
    """
    import tomllib  # few servers have such a file, and all start sooner without

    try:
        text = path.read_text()
        content = orjson.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except OSError as error:
        raise SettingError(f"SERVING_ENDPOINTS: {path} cannot be read: {error.strerror}.") from None
    except ValueError as error:
        form = "JSON" if path.suffix == ".json" else "TOML"
        raise SettingError(f"SERVING_ENDPOINTS: {path} is not {form}: {error}.") from None
    top = _Table(path, "", content)
    if not top.content:
        top.refuse("it has no endpoint")
    return {name: _endpoint(name, table) for name, table in top.tables()}


def _endpoint(name: str, table: "_Table") -> Endpoint:
    table.known("variants", "shadow", "containers", "components")
    variants = tuple(_variant(*each) for each in table.table("variants").tables())
    if variants and not any(variant.weight for variant in variants):
        table.refuse("no variant has a weight above 0")
    shadow = _shadow(table.table("shadow")) if "shadow" in table.content else None
    if shadow and shadow.name in {variant.name for variant in variants}:
        table.refuse(f"{shadow.name!r} is a production variant and the shadow variant")
    return Endpoint(
        name,
        variants or SINGLE,
        shadow,
        table.table("containers").models(),
        table.table("components").models(),
    )


def _variant(name: str, table: "_Table") -> Variant:
    table.known("model", "weight")
    weight = table.number("weight", 1.0, math.inf)
    return Variant(name, table.text("model", ""), weight)


def _shadow(table: "_Table") -> Shadow:
    table.known("name", "model", "share", "folder")
    name = table.named(table.text("name"))
    share = table.number("share", 1.0, 1.0)
    folder = table.file.parent / table.text("folder")
    return Shadow(name, table.text("model", ""), share, folder)


class _Table:
    """A table of the file, and where it is."""

    def __init__(self, file: Path, place: str, content: Any) -> None:
        self.file = file
        self._place = place
        if not isinstance(content, dict):
            self.refuse("it has to be a table")
        self.content: dict[str, Any] = content

    def refuse(self, problem: str) -> NoReturn:
        place = f" at {self._place}" if self._place else ""
        raise SettingError(f"SERVING_ENDPOINTS: {self.file} is wrong{place}: {problem}.")

    def known(self, *names: str) -> None:
        for name in self.content:
            if name not in names:
                self.refuse(f"{name!r} is unknown; there are {', '.join(names)}")

    def table(self, name: str) -> "_Table":
        """The table of that name, or an empty one."""
        place = f"{self._place}.{name}" if self._place else name
        return _Table(self.file, place, self.content.get(name, {}))

    def tables(self) -> list[tuple[str, "_Table"]]:
        """All there is, by names that are fit for the API."""
        return [(self.named(name), self.table(name)) for name in self.content]

    def models(self) -> dict[str, str]:
        """Names of models, by names that are fit for the API."""
        return {self.named(name): self.text(name) for name in self.content}

    def named(self, name: str) -> str:
        try:
            members.check("a name", name)
        except ValidationError as error:
            self.refuse(str(error).rstrip("."))
        return name

    def text(self, name: str, default: str | None = None) -> str:
        value = self.content.get(name, default)
        if value is None:
            self.refuse(f"{name!r} is missing")
        if not isinstance(value, str):
            self.refuse(f"{name!r} is {value!r}; it has to be text")
        return value

    def number(self, name: str, default: float, most: float) -> float:
        value = self.content.get(name, default)
        numeric = isinstance(value, int | float) and not isinstance(value, bool)
        if not numeric or not 0 <= value <= most or value == math.inf:
            limit = f" to {most:g}" if most < math.inf else ", or more"
            self.refuse(f"{name!r} is {value!r}; it has to be a number from 0{limit}")
        return float(value)
