"""Which variant of an endpoint answers a request, and with which model."""

from bisect import bisect
from collections.abc import Callable, Mapping
from hashlib import sha256
from itertools import accumulate
from typing import NamedTuple

from serving.runtime.endpoints import Endpoint, Variant
from serving.runtime.faults import ValidationError

NEW_SESSION = "NEW_SESSION"


TARGET_MODEL = "x-amzn-sagemaker-target-model"


class Route(NamedTuple):
    """Where a request goes."""

    variant: str
    model: str
    """In the model repository; empty: the server's one model."""

    @property
    def headers(self) -> dict[str, str]:
        """What the core knows the model by."""
        return choosing(self.model)


def choosing(model: str) -> dict[str, str]:
    """The header fields that choose a model of the core."""
    return {TARGET_MODEL: model} if model else {}


class Router:
    """Chooses for one endpoint.

    The choice among variants is random. To take them in turn would be fairer in a count, but
    clients have rhythms of their own: of one that asks about two kinds of things in turn, one
    variant would see only the one kind.
    """

    def __init__(
        self, endpoint: Endpoint, chance: Callable[[], float], *, multi_model: bool
    ) -> None:
        """Make it.

        Args:
            endpoint: What it chooses from.
            chance: A random number from 0 to 1, less than 1.
            multi_model: Whether this server has models that a request can name.
        """
        self.endpoint = endpoint
        self._chance = chance
        self._multi_model = multi_model
        self._variants = {variant.name: variant for variant in endpoint.variants}
        self._weighted = [variant for variant in endpoint.variants if variant.weight]
        self._bounds = list(accumulate(variant.weight for variant in self._weighted))

    def route(self, members: Mapping[str, str]) -> Route:
        """Where a request with these members goes.

        Raises:
            ValidationError: it names a variant, container, component or model that is not there.
        """
        variant = self._variant(members)
        named = self._named(members)
        asked = members.get("TargetModel", "")
        if named is None and not variant.model:
            if asked and not self._multi_model:
                raise ValidationError(
                    f"Endpoint {self.endpoint.name} has one model and takes no TargetModel."
                )
            if self._multi_model and not asked:
                raise ValidationError(
                    f"Endpoint {self.endpoint.name} has several models; name one as TargetModel."
                )
            return Route(variant.name, asked)
        if asked:
            raise ValidationError(
                f"Endpoint {self.endpoint.name} chooses the model itself and takes no TargetModel."
            )
        return Route(variant.name, variant.model if named is None else named)

    def _variant(self, members: Mapping[str, str]) -> Variant:
        name = members.get("TargetVariant")
        if name is None:
            if len(self._weighted) == 1:
                return self._weighted[0]
            point = self._point(members.get("SessionId", NEW_SESSION)) * self._bounds[-1]
            return self._weighted[bisect(self._bounds, point, 0, len(self._bounds) - 1)]
        if self.endpoint.open:
            return Variant(name)
        if name not in self._variants:
            raise self._unknown("variant", name, self._variants)
        return self._variants[name]

    def _point(self, session: str) -> float:
        """A number from 0 to 1; a session's is always the same, so that it keeps its variant."""
        if session == NEW_SESSION:
            return self._chance()
        return int.from_bytes(sha256(session.encode()).digest()[:6]) / (1 << 48)

    def _named(self, members: Mapping[str, str]) -> str | None:
        """The model of the container or component that a request names; None: it names none."""
        endpoint = self.endpoint
        model = None
        for member, kind, models in (
            ("TargetContainerHostname", "container", endpoint.containers),
            ("InferenceComponentName", "inference component", endpoint.components),
        ):
            name = members.get(member)
            if name is None or endpoint.open:
                continue
            if name not in models:
                raise self._unknown(kind, name, models)
            model = models[name]
        return model

    def _unknown(self, kind: str, name: str, known: Mapping[str, object]) -> ValidationError:
        there = ", ".join(known) or "none"
        return ValidationError(
            f"Endpoint {self.endpoint.name} has no {kind} {name!r}; there is {there}."
        )
