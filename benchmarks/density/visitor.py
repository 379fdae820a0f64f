"""A client of the soak: does one thing after the other at random, and checks every answer."""

import http.client
import json
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from itertools import accumulate
from random import Random
from threading import Event
from typing import NamedTuple
from urllib.parse import quote, urlencode

from benchmarks.density.zoo import Kind, Model

TIMEOUT = 90.0
"""Seconds; longer than the server takes to give up."""

OWN = 8
"""Models that a client has loaded by itself, at most."""

TARGET = "X-Amzn-SageMaker-Target-Model"


class Answer(NamedTuple):
    """What came back."""

    status: int
    body: bytes


class Tally:
    """What was done, and what was not as it should be."""

    def __init__(self) -> None:
        self.done: Counter[str] = Counter()
        """By the kind of request and its outcome."""
        self.surprises: list[str] = []

    def count(self, what: str, answer: Answer, status: int, part: bytes = b"") -> None:
        """Count an answer that should have that status, and this in its body."""
        self.judge(what, answer, (answer.status == status) and part in answer.body)

    def judge(self, what: str, answer: Answer, good: bool) -> None:
        """Count an answer that is as it should be, or is not."""
        self.done[f"{what}: {answer.status}"] += 1
        if not good:
            self.surprises.append(f"{what}: {answer.status} {answer.body[:200]!r}")

    def add(self, other: "Tally") -> None:
        """Take another's into this."""
        self.done += other.done
        self.surprises += other.surprises


class Visitor:
    """One client with one connection."""

    def __init__(self, port: int, models: Sequence[Model], number: int, seed: int) -> None:
        """Make it; the names under which it loads models begin with its number."""
        self.tally = Tally()
        self._models = models
        self._weights = list(accumulate(1 / (rank + 1) for rank in range(len(models))))
        self._random = Random(seed)
        self._connection = http.client.HTTPConnection("127.0.0.1", port, TIMEOUT)
        self._own: dict[str, Model | None] = {f"own/{number} {k}": None for k in range(OWN)}
        self._chances: list[tuple[float, Callable[[], None]]] = [
            (0.60, self._ask),
            (0.30, self._use_own),
            (0.04, self._ask_for_nothing),
            (0.03, self._list),
            (0.02, self._unload_any),
            (0.01, self._publish),
        ]

    def run(self, over: Event) -> Tally:
        """Go on until it is over."""
        weights = [chance for chance, _ in self._chances]
        steps = [step for _, step in self._chances]
        with closing(self):
            while not over.is_set():
                (step,) = self._random.choices(steps, weights)
                try:
                    step()
                except (OSError, http.client.HTTPException) as error:
                    self.tally.surprises.append(f"no answer: {error!r}")
                    self._connection.close()
        return self.tally

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    # Models of the repository, which all clients share.

    def _ask(self) -> None:
        (model,) = self._random.choices(self._models, cum_weights=self._weights)
        if model.kind is Kind.SCRIPT and self._random.random() < 0.1:
            answer = self._target(model.name, b"fail", "text/plain")
            self.tally.count("a script that fails at a request", answer, 500, b"as it was told")
            return
        answer = self._target(model.name, *model.question)
        if model.complaint:
            self.tally.count(f"{model.kind.value}, by its target", answer, 500, model.complaint)
        else:
            self._check(f"{model.kind.value}, by its target", answer, model)

    def _ask_for_nothing(self) -> None:
        name = self._random.choice(["none.tar.gz", "no/folder/model.tar.gz"])
        self.tally.count("what is not there", self._target(name, b"1", "text/csv"), 404)
        answer = self._target("../repository/0000.tar.gz", b"1", "text/csv")
        self.tally.count("what lies elsewhere", answer, 400)

    def _unload_any(self) -> None:
        answer = self._request("DELETE", f"/models/{self._random.choice(self._models).name}")
        self.tally.judge("unload what others use", answer, answer.status in (200, 404))

    def _publish(self) -> None:
        model = self._random.choice(self._models)
        model.publish()
        self.tally.done[f"new version of a {model.kind.value}"] += 1

    def _target(self, name: str, body: bytes, content_type: str) -> Answer:
        fields = {"Content-Type": content_type, "Accept": "text/csv", TARGET: name}
        return self._request("POST", "/invocations", body, fields)

    # Models that it has loaded by itself, of which it knows all.

    def _use_own(self) -> None:
        name = self._random.choice(list(self._own))
        model = self._own[name]
        step = self._random.choices(
            [self._load, self._invoke, self._describe, self._unload, self._end],
            [10, 60, 5, 20, 5] if model else [80, 5, 5, 5, 0],
        )[0]
        step(name, model)

    def _load(self, name: str, model: Model | None) -> None:
        wanted = self._random.choice(self._models)
        if wanted.kind is Kind.SCRIPT and any(
            own and own.kind is Kind.SCRIPT for own in self._own.values()
        ):
            return  # they take most of the memory, and what is loaded by name is never evicted
        order = json.dumps({"model_name": name, "url": str(wanted.path)}).encode()
        answer = self._request("POST", "/models", order)
        if model is not None:
            self.tally.count("load what is loaded", answer, 409, b"is already registered")
        elif wanted.complaint:
            self.tally.count(f"load a {wanted.kind.value}", answer, 500, wanted.complaint)
        else:
            self.tally.count(f"load a {wanted.kind.value}", answer, 200, b"Workers scaled")
            self._own[name] = wanted

    def _invoke(self, name: str, model: Model | None) -> None:
        body, content_type = model.question if model else (b"1", "text/csv")
        fields = {"Content-Type": content_type, "Accept": "text/csv"}
        answer = self._request("POST", f"/models/{quote(name)}/invoke", body, fields)
        if model is None:
            self.tally.count("invoke what is not loaded", answer, 404)
        else:
            self._check(f"{model.kind.value}, by its name", answer, model)

    def _end(self, name: str, model: Model | None) -> None:
        if model is not None and model.kind is Kind.SCRIPT:
            fields = {"Content-Type": "text/plain"}
            answer = self._request("POST", f"/models/{quote(name)}/invoke", b"exit", fields)
            self.tally.count("a script that ends its process", answer, 503, b"exit status 7")
            self._invoke(name, model)

    def _describe(self, name: str, model: Model | None) -> None:
        answer = self._request("GET", f"/models/{quote(name)}")
        self.tally.count("describe", answer, 200 if model else 404, name.encode())

    def _unload(self, name: str, model: Model | None) -> None:
        answer = self._request("DELETE", f"/models/{quote(name)}")
        self.tally.count("unload", answer, 200 if model else 404, name.encode())
        self._own[name] = None

    def _list(self) -> None:
        own = {name for name, model in self._own.items() if model}
        names = self.loaded()
        answer = Answer(200, b", ".join(name.encode() for name in sorted(own - names)))
        self.tally.judge("list", answer, own <= names)

    def loaded(self) -> set[str]:
        """The names of all loaded models."""
        names: set[str] = set()
        token = ""
        while True:
            query = urlencode({"next_page_token": token, "limit": 50})
            answer = self._request("GET", f"/models?{query}")
            page = json.loads(answer.body)
            names |= {model["modelName"] for model in page["models"]}
            token = page.get("nextPageToken", "")
            if not token:
                return names

    def unload_all(self) -> None:
        """Unload every model that the server has."""
        for name in self.loaded():
            answer = self._request("DELETE", f"/models/{quote(name)}")
            self.tally.count("unload all", answer, 200)

    def ask_for_newest(self) -> None:
        """Ask each good model of the repository, while none is loaded, for its newest version."""
        for model in self._models:
            if not model.complaint:
                answer = self._target(model.name, *model.question)
                self.tally.judge("newest version", answer, answer.body == model.answers[-1])

    def _check(self, what: str, answer: Answer, model: Model) -> None:
        """Count what a good model has answered, in whatever version."""
        self.tally.judge(what, answer, answer.status == 200 and answer.body in model.answers)

    def _request(
        self, method: str, path: str, body: bytes = b"", fields: dict[str, str] | None = None
    ) -> Answer:
        connection = self._connection
        connection.request(method, path, body, fields or {})
        response = connection.getresponse()
        return Answer(response.status, response.read())
