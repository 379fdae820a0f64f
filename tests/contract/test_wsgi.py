"""The WSGI host, on real servers and in a site, answers as the core does."""

from collections.abc import Iterator
from http.client import IncompleteRead
from pathlib import Path

import pytest

from tests.contract.cases import CASES, CSV, Case, get, post
from tests.contract.conftest import Ask
from tests.contract.web import Web, gunicorn, one_each, site_of, waitress, web
from tests.hosts.web import stream_in
from tests.support import healthy

APP = "serving.hosts.wsgi:app"
HOOKS = ("--config", "python:serving.hosts.gunicorn_hooks")
SITE = "tests.contract.flask_site:site"

ids = [f"{case.model}: {case.name}" for case in CASES]

Servers = dict[str, Web]


@pytest.fixture(scope="module")
def served(models: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The models of the cases, and one whose answers are streams."""
    return {**models, "streams": Path(stream_in(tmp_path_factory.mktemp("streams")))}


@pytest.fixture(scope="module")
def alone(served: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """The application on gunicorn; each model has a server."""
    with one_each(
        gunicorn(APP, *HOOKS), served, lambda: tmp_path_factory.mktemp("gunicorn")
    ) as servers:
        yield servers


@pytest.fixture(scope="module")
def beside(served: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """A site on waitress that has a blueprint for each model."""
    with site_of(waitress(SITE), served, tmp_path_factory.mktemp("waitress")) as servers:
        yield servers


@pytest.fixture(params=["alone", "beside"])
def servers(request: pytest.FixtureRequest) -> Servers:
    found: Servers = request.getfixturevalue(request.param)
    return found


@pytest.mark.parametrize("case", CASES, ids=ids)
def test_on_gunicorn_it_answers_as_the_core_does(case: Case, alone: Servers, core: Ask) -> None:
    assert alone[case.model].ask(case.request) == core(case.model, case.request)


@pytest.mark.parametrize("case", CASES, ids=ids)
def test_in_a_site_on_waitress_it_answers_as_the_core_does(
    case: Case, beside: Servers, core: Ask
) -> None:
    assert beside[case.model].ask(case.request) == core(case.model, case.request)


def test_the_site_around_it_answers_what_is_its_own(beside: Servers) -> None:
    assert beside["stump"].below("").ask(get("/")).body == b"the site's own"


def test_chunks_leave_as_they_are_made(servers: Servers) -> None:
    request = post(b"for ever", "application/octet-stream")
    with servers["streams"].begun(request) as response:
        assert response.read(9) == b"one more "


def test_a_stream_that_fails_looks_unfinished(servers: Servers) -> None:
    request = post(b"fail", "application/octet-stream")
    with servers["streams"].begun(request) as response, pytest.raises(IncompleteRead) as failure:
        response.read()
    assert failure.value.partial == b"one "


def test_a_body_that_is_announced_too_large_is_refused_before_it_comes(alone: Servers) -> None:
    head = "POST {path} HTTP/1.1\nHost: any\nContent-Length: 99999999\n"
    assert alone["stump"].told(head).startswith(b"HTTP/1.1 413")


@pytest.mark.parametrize("hooks", [(), HOOKS], ids=["at a request", "by hooks"])
def test_each_worker_has_a_site_of_its_own_after_a_fork(
    models: dict[str, Path], tmp_path: Path, hooks: tuple[str, ...]
) -> None:
    arguments = gunicorn(APP, "--preload", "--workers", "2", *hooks)
    with web(*arguments, workspace=tmp_path, SERVING_MODEL=str(models["stump"])) as server:
        server.wait_until(lambda ping: healthy(ping) and len(started(server)) == 2)
        assert server.ask(post(b"0,5\n", CSV)).body == b"1.0\n"
        assert started(server).isdisjoint({server.beside("import sys; print(sys.argv[1])").strip()})
        assert server.stop() == 0


def test_many_models_on_several_processes_end_gunicorn_with_the_reason(tmp_path: Path) -> None:
    arguments = gunicorn(APP, "--workers", "2", *HOOKS)
    with web(*arguments, workspace=tmp_path, SAGEMAKER_MULTI_MODEL="true") as server:
        assert server.wait() != 0
        assert "A server of many models is one process" in server.log


def started(server: Web) -> set[str]:
    """The processes that have begun to load the model."""
    lines = [line for line in server.log.splitlines() if " INFO serving: serving " in line]
    return {line.split()[2] for line in lines}
