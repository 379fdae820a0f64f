"""AWS's multi-model-server with many models, each with the core in processes of its own."""

import json
import os
import select
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from serving.values import Request
from tests.contract.cases import CSV, SCRIPT, STUMP, Case
from tests.contract.conftest import Ask, MakeModel
from tests.contract.javaserver import (
    FIELDS,
    ITS_OWN,
    STUCK,
    name,
    registered,
    row,
    serving,
    up,
    without_its_own,
)
from tests.support import PATIENCE, Answer, Process, cli, get

pytestmark = pytest.mark.container  # it needs Java, a package of Debian's

POSTS = [
    case
    for case in (*STUMP, *SCRIPT)
    if (case.request.method, case.request.path) == ("POST", "/invocations")
]


@pytest.fixture(scope="module")
def store(
    models: dict[str, Path], make_model: MakeModel, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Models as SageMaker lays them out; two of them were archives."""
    root = tmp_path_factory.mktemp("store")
    for model in ("stump", "script"):
        archive = root / f"{model}.tar.gz"
        subprocess.run(
            cli("pack", models[model], "-o", archive), check=True, stdout=subprocess.PIPE
        )
        with tarfile.open(archive) as members:
            members.extractall(root / model / "model", filter="data")
    folders = {
        "broken": models["broken"],
        "several": models["stump"],
        "fields": make_model({"code/inference.py": FIELDS}),
        "process": make_model({"code/inference.py": STUCK}),
    }
    for model, folder in folders.items():
        shutil.copytree(folder, root / model / "model")
    return root


@pytest.fixture(scope="module")
def many(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """A server that has loaded some of them."""
    workspace = tmp_path_factory.mktemp("server")
    with serving(workspace, SAGEMAKER_MULTI_MODEL="true") as server:
        server.wait_until(up)
        for model in ("stump", "script", "fields", "process"):
            assert registered(server, model, store).status == 200, server.log
        yield server


def invoke(server: Process, model: str, body: bytes, content_type: str = "text/plain") -> Answer:
    headers = {"content-type": content_type}
    return server.ask(Request("POST", f"/models/{model}/invoke", headers, body))


@pytest.mark.parametrize("case", POSTS, ids=name)
def test_each_of_many_models_answers_as_the_core_does(case: Case, many: Process, core: Ask) -> None:
    request = case.request._replace(path=f"/models/{case.model}/invoke")
    assert without_its_own(many.ask(request)) == core(case.model, case.request)


@row("Response fields")
def test_some_fields_are_its_own_in_place_of_a_scripts(many: Process) -> None:
    answer = invoke(many, "fields", b"x")
    assert answer.headers.keys() == {*ITS_OWN, "content-type", "x-own"}
    assert answer.headers["cache-control"] != "max-age=5"
    assert (answer.headers["x-own"], answer.headers["content-type"]) == ("é", "text/plain; a=é")


def test_many_models_are_listed_by_name(many: Process, store: Path) -> None:
    listed = json.loads(many.ask(get("/models")).body)["models"]
    assert {"modelName": "stump", "modelUrl": str(store / "stump" / "model")} in listed
    assert registered(many, "stump", store).status == 409


@row("A model among many that cannot be loaded")
def test_a_model_that_cannot_be_loaded_is_not_registered(many: Process, store: Path) -> None:
    answer = registered(many, "broken", store)
    assert answer.status == 500
    assert json.loads(answer.body)["message"] == "Failed to start workers"
    assert "xgboost-model is damaged" in many.log
    assert many.ask(get("/models/broken")).status == 404


def test_requests_of_one_batch_get_each_its_own_answer(many: Process, store: Path) -> None:
    assert registered(many, "several", store, batch_size=4, max_batch_delay=5000).status == 200

    def ask(number: int) -> Answer:
        row = f"{number % 2 * 2},5\n".encode() * (number + 1)
        return invoke(many, "several", row, CSV)

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(ask, range(4)))
    assert [answer.body for answer in answers] == [
        (b"3.0\n" if number % 2 else b"1.0\n") * (number + 1) for number in range(4)
    ]


def test_an_unloaded_model_is_gone_with_its_processes(many: Process, store: Path) -> None:
    process = os.pidfd_open(int(invoke(many, "process", b"go").body))
    assert many.ask(Request("DELETE", "/models/process", {}, b"")).status == 200
    assert invoke(many, "process", b"go").status == 404
    ended, _, _ = select.select([process], [], [], PATIENCE)
    os.close(process)
    assert ended
