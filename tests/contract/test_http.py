"""The HTTP host, in a process of its own and over a real socket, answers as the core does."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from serving.values import Request
from tests.contract.cases import CASES, Case
from tests.contract.conftest import Ask
from tests.support import Answer, Server, serving


@pytest.fixture(scope="module")
def http(models: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ask]:
    """Answers a case over HTTP; each model has a server."""
    with ExitStack() as stack, ThreadPoolExecutor() as pool:

        def start(name: str) -> tuple[str, Server]:
            workspace = tmp_path_factory.mktemp(f"server_{name}")
            return name, stack.enter_context(serving(models[name], workspace))

        servers = dict(pool.map(start, models))

        def ask(model: str, request: Request) -> Answer:
            return servers[model].ask(request)

        yield ask


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.model}: {case.name}")
def test_http_answers_as_the_core_does(case: Case, http: Ask, core: Ask) -> None:
    assert http(case.model, case.request) == core(case.model, case.request)
