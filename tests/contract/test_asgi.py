"""The ASGI host, on real servers and mounted in a site, answers as the core does."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract import web
from tests.contract.cases import Case, get
from tests.contract.conftest import Ask
from tests.contract.web import Servers

APP = "serving.hosts.asgi:app"
SITE = "tests.contract.starlette_site:site"


@pytest.fixture(scope="module")
def alone(served: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """The application on uvicorn; each model has a server."""
    with web.one_each(
        web.uvicorn(APP), served, lambda: tmp_path_factory.mktemp("uvicorn")
    ) as servers:
        yield servers


@pytest.fixture(scope="module")
def mounted(served: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """A site on hypercorn that mounts an application for each model."""
    with web.site_of(web.hypercorn(SITE), served, tmp_path_factory.mktemp("hypercorn")) as servers:
        yield servers


@pytest.fixture(params=["alone", "mounted"])
def servers(request: pytest.FixtureRequest) -> Servers:
    found: Servers = request.getfixturevalue(request.param)
    return found


@web.EACH_CASE
def test_on_uvicorn_it_answers_as_the_core_does(case: Case, alone: Servers, core: Ask) -> None:
    assert alone[case.model].ask(case.request) == core(case.model, case.request)


@web.EACH_CASE
def test_mounted_on_hypercorn_it_answers_as_the_core_does(
    case: Case, mounted: Servers, core: Ask
) -> None:
    assert mounted[case.model].ask(case.request) == core(case.model, case.request)


def test_the_site_around_it_answers_what_is_its_own(mounted: Servers) -> None:
    assert mounted["stump"].below("").ask(get("/")).body == b"the site's own"


def test_chunks_leave_as_they_are_made(servers: Servers) -> None:
    web.sends_chunks_as_they_are_made(servers)


def test_a_stream_that_fails_looks_unfinished(servers: Servers) -> None:
    web.leaves_a_stream_that_fails_unfinished(servers)


def test_a_body_that_is_announced_too_large_is_refused_before_it_comes(servers: Servers) -> None:
    web.refuses_a_large_body_by_its_head(servers)
