"""A model answers on a server of many as it does alone: byte for byte as the core does."""

from pathlib import Path

import pytest

from tests.contract.cases import CASES, Case
from tests.contract.conftest import Ask
from tests.contract.many import TARGET, Many, platform
from tests.contract.places import MODELS, Place
from tests.support import Server

# What cannot be loaded has no answers here, and which paths there are is not the model's to say.
CASES_OF_MODELS = [
    case for case in CASES if case.request.path == "/invocations" and case.model != "broken"
]
INVOCATIONS = [case for case in CASES_OF_MODELS if case.request.method == "POST"]


def name(case: Case) -> str:
    return f"{case.model}: {case.name}"


@pytest.fixture(scope="module")
def folder(models: dict[str, Path]) -> Path:
    """The folder that has the folders of all models."""
    (folder,) = {model.parent for model in models.values()}
    return folder


@pytest.fixture(scope="module")
def repository(place: Place, folder: Path) -> Server:
    """A server that has them for its repository."""
    seen = str(place.seen(folder, at=MODELS))
    return place.serve(folder, at=MODELS, SERVING_REPOSITORY=seen)


@pytest.fixture(scope="module")
def hosted(place: Place, folder: Path, models: dict[str, Path]) -> Many:
    """A server that the platform has told to load them."""
    many = platform(place, folder)
    for model in models.keys() - {"broken"}:
        many.loads(model, str(place.seen(folder, at=MODELS) / model))
    return many


@pytest.mark.parametrize("case", CASES_OF_MODELS, ids=name)
def test_a_model_of_a_repository_answers_as_alone(
    case: Case, repository: Server, core: Ask
) -> None:
    request = case.request
    targeted = request._replace(headers={**request.headers, TARGET: case.model})
    assert repository.ask(targeted) == core(case.model, request)


@pytest.mark.parametrize("case", INVOCATIONS, ids=name)
def test_a_model_that_the_platform_invokes_answers_as_alone(
    case: Case, hosted: Many, core: Ask
) -> None:
    invocation = case.request._replace(path=f"/models/{case.model}/invoke")
    assert hosted.server.ask(invocation) == core(case.model, case.request)
