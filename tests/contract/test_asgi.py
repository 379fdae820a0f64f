"""The ASGI host, on real servers and mounted in a site, answers as the core does."""

from collections.abc import Iterator
from http.client import IncompleteRead
from pathlib import Path

import pytest

from tests.contract.cases import CASES, Case, get, post
from tests.contract.conftest import Ask
from tests.contract.web import Web, hypercorn, one_each, site_of, uvicorn
from tests.hosts.web import stream_in

APP = "serving.hosts.asgi:app"
SITE = "tests.contract.starlette_site:site"

ids = [f"{case.model}: {case.name}" for case in CASES]

Servers = dict[str, Web]


@pytest.fixture(scope="module")
def served(models: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The models of the cases, and one whose answers are streams."""
    return {**models, "streams": Path(stream_in(tmp_path_factory.mktemp("streams")))}


@pytest.fixture(scope="module")
def alone(served: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """The application on uvicorn; each model has a server."""
    with one_each(uvicorn(APP), served, lambda: tmp_path_factory.mktemp("uvicorn")) as servers:
        yield servers


@pytest.fixture(scope="module")
def mounted(served: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """A site on hypercorn that mounts an application for each model."""
    with site_of(hypercorn(SITE), served, tmp_path_factory.mktemp("hypercorn")) as servers:
        yield servers


@pytest.fixture(params=["alone", "mounted"])
def servers(request: pytest.FixtureRequest) -> Servers:
    found: Servers = request.getfixturevalue(request.param)
    return found


@pytest.mark.parametrize("case", CASES, ids=ids)
def test_on_uvicorn_it_answers_as_the_core_does(case: Case, alone: Servers, core: Ask) -> None:
    assert alone[case.model].ask(case.request) == core(case.model, case.request)


@pytest.mark.parametrize("case", CASES, ids=ids)
def test_mounted_on_hypercorn_it_answers_as_the_core_does(
    case: Case, mounted: Servers, core: Ask
) -> None:
    assert mounted[case.model].ask(case.request) == core(case.model, case.request)


def test_the_site_around_it_answers_what_is_its_own(mounted: Servers) -> None:
    assert mounted["stump"].below("").ask(get("/")).body == b"the site's own"


def test_chunks_leave_as_they_are_made(servers: Servers) -> None:
    request = post(b"for ever", "application/octet-stream")
    with servers["streams"].begun(request) as response:
        assert response.read(9) == b"one more "


def test_a_stream_that_fails_looks_unfinished(servers: Servers) -> None:
    request = post(b"fail", "application/octet-stream")
    with servers["streams"].begun(request) as response, pytest.raises(IncompleteRead) as failure:
        response.read()
    assert failure.value.partial == b"one "


def test_a_body_that_is_announced_too_large_is_refused_before_it_comes(servers: Servers) -> None:
    head = "POST {path} HTTP/1.1\nHost: any\nContent-Length: 99999999\n"
    assert servers["stump"].told(head).startswith(b"HTTP/1.1 413")
