"""The WSGI host, on real servers and in a site, answers as the core does."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract import web
from tests.contract.cases import CSV, Case, get, post
from tests.contract.conftest import Ask
from tests.contract.web import Servers
from tests.support import Process, healthy

APP = "serving.hosts.wsgi:app"
HOOKS = ("--config", "python:serving.hosts.gunicorn_hooks")
SITE = "tests.contract.flask_site:site"


@pytest.fixture(scope="module")
def alone(served: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """The application on gunicorn; each model has a server."""
    with web.one_each(
        web.gunicorn(APP, *HOOKS), served, lambda: tmp_path_factory.mktemp("gunicorn")
    ) as servers:
        yield servers


@pytest.fixture(scope="module")
def beside(served: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """A site on waitress that has a blueprint for each model."""
    with web.site_of(web.waitress(SITE), served, tmp_path_factory.mktemp("waitress")) as servers:
        yield servers


@pytest.fixture(params=["alone", "beside"])
def servers(request: pytest.FixtureRequest) -> Servers:
    found: Servers = request.getfixturevalue(request.param)
    return found


@web.EACH_CASE
def test_on_gunicorn_it_answers_as_the_core_does(case: Case, alone: Servers, core: Ask) -> None:
    assert alone[case.model].ask(case.request) == core(case.model, case.request)


@web.EACH_CASE
def test_in_a_site_on_waitress_it_answers_as_the_core_does(
    case: Case, beside: Servers, core: Ask
) -> None:
    assert beside[case.model].ask(case.request) == core(case.model, case.request)


def test_the_site_around_it_answers_what_is_its_own(beside: Servers) -> None:
    assert beside["stump"].below("").ask(get("/")).body == b"the site's own"


def test_chunks_leave_as_they_are_made(servers: Servers) -> None:
    web.sends_chunks_as_they_are_made(servers)


def test_a_stream_that_fails_looks_unfinished(servers: Servers) -> None:
    web.leaves_a_stream_that_fails_unfinished(servers)


def test_a_body_that_is_announced_too_large_is_refused_before_it_comes(alone: Servers) -> None:
    web.refuses_a_large_body_by_its_head(alone)


@pytest.mark.parametrize("hooks", [(), HOOKS], ids=["at a request", "by hooks"])
def test_each_worker_has_a_site_of_its_own_after_a_fork(
    models: dict[str, Path], tmp_path: Path, hooks: tuple[str, ...]
) -> None:
    arguments = web.gunicorn(APP, "--preload", "--workers", "2", *hooks)
    with web.running(*arguments, workspace=tmp_path, SERVING_MODEL=str(models["stump"])) as server:
        server.wait_until(lambda ping: healthy(ping) and len(ready(server)) == 2)
        assert len(started(server)) == 2
        assert server.ask(post(b"0,5\n", CSV)).body == b"1.0\n"
        assert started(server).isdisjoint({server.beside("import sys; print(sys.argv[1])").strip()})
        assert server.stop() == 0


def test_many_models_on_several_processes_end_gunicorn_with_the_reason(tmp_path: Path) -> None:
    arguments = web.gunicorn(APP, "--workers", "2", *HOOKS)
    with web.running(*arguments, workspace=tmp_path, SAGEMAKER_MULTI_MODEL="true") as server:
        assert server.wait() != 0
        assert "A server of many models is one process" in server.log


def started(server: Process) -> set[str]:
    """The processes that have begun to load the model."""
    lines = [line for line in server.log.splitlines() if " INFO serving: serving " in line]
    return {line.split()[2] for line in lines}


def ready(server: Process) -> set[str]:
    """The processes that have loaded it."""
    return set(re.findall(r"(\d+) INFO serving: model .* ready", server.log))
