"""A package for Lambda@Edge, unzipped beside an interpreter that has nothing else, answers as the
core does.
"""

import json
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from serving import configuration
from serving.bundle import archive, bytecode, edge, libraries, trial
from serving.errors import ArchiveError, ModelLoadError
from serving.values import Request
from tests.contract.cases import CASES, Case
from tests.contract.conftest import Ask
from tests.edge_events import answer, event
from tests.support import Answer

NO_PACKAGE = {"broken"}
"""Models of which no package can be made: it would never answer."""

STRIPPED = {"x-amzn-errortype", "x-amzn-requestid"}
"""Header fields that CloudFront refuses."""

ADDED = {"cache-control": "no-store"}
"""Header fields that keep CloudFront from caching."""

AT_THE_EDGE = [case for case in CASES if case.model not in NO_PACKAGE]


class Function:
    """A package at work."""

    def __init__(self, folder: Path, python: Path) -> None:
        self.process = subprocess.Popen(
            trial.command(folder, str(python)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd="/",
            env={},
        )

    def __call__(self, event: Any) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(event) + "\n")
        self.process.stdin.flush()
        made: dict[str, Any] = json.loads(self.process.stdout.readline())
        return made

    def close(self) -> None:
        self.process.communicate()


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter without a single package, not even pip."""
    folder = tmp_path_factory.mktemp("plain") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    return folder / "bin" / "python"


@pytest.fixture(autouse=True)
def for_this_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libraries, "OLDEST_PYTHON", (3, 11))


@pytest.fixture(scope="module")
def packages(models: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A package of each model, zipped fast."""
    folder = tmp_path_factory.mktemp("packages")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(archive, "LEVEL", 1)
        patch.setattr(libraries, "OLDEST_PYTHON", (3, 11))  # whatever runs this
        patch.setattr(bytecode, "interpreter", lambda _: None)  # as most are made, and faster
        patch.setattr(trial, "run", lambda *_: None)  # it is run here
        made = {name: folder / f"{name}.zip" for name in models.keys() - NO_PACKAGE}
        for name, path in made.items():
            edge.build(models[name], configuration.read({}), {}, path)
    return made


@pytest.fixture(scope="module")
def functions(
    packages: dict[str, Path], python: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Function]]:
    with ExitStack() as stack:
        started = {}
        for name, path in packages.items():
            folder = tmp_path_factory.mktemp(name)
            with zipfile.ZipFile(path) as packed:
                packed.extractall(folder)
            started[name] = Function(folder, python)
            stack.callback(started[name].close)
        yield started


def expected(found: Answer) -> Answer:
    """An answer of the core with the differences that there are at the edge."""
    kept = {name: value for name, value in found.headers.items() if name not in STRIPPED}
    return found._replace(headers={**ADDED, **kept})


@pytest.mark.parametrize("case", AT_THE_EDGE, ids=lambda case: f"{case.model}: {case.name}")
def test_a_package_answers_as_the_core_does(
    case: Case, functions: dict[str, Function], core: Ask
) -> None:
    made = functions[case.model](event(case.request))
    assert answer(made) == expected(core(case.model, case.request))


def test_the_runtime_api_is_there_without_the_fields_that_cloudfront_refuses(
    functions: dict[str, Function],
) -> None:
    request = Request("POST", "/endpoints/any/invocations", {"content-type": "image/png"}, b"x")
    made = functions["stump"](event(request))
    assert made["status"] == "424"
    assert STRIPPED.isdisjoint(made["headers"])
    assert json.loads(made["body"])["OriginalStatusCode"] == 415


def test_what_is_no_event_is_answered_and_the_next_event_too(
    functions: dict[str, Function],
) -> None:
    wrong: tuple[Any, ...] = (None, [], {"Records": []}, {"Records": [{"cf": {"config": {}}}]})
    for nonsense in wrong:
        made = functions["stump"](nonsense)
        assert made["status"] == "400"
        assert "no event of CloudFront" in made["body"]
    assert functions["stump"](trial.PING)["status"] == "200"


def test_a_script_alone_needs_no_runtime_for_models(packages: dict[str, Path]) -> None:
    with zipfile.ZipFile(packages["script"]) as packed:
        libraries = {name.partition("/")[0] for name in packed.namelist()}
    assert "numpy" in libraries
    assert "onnxruntime" not in libraries


def test_no_package_has_a_server_or_a_library_for_one(packages: dict[str, Path]) -> None:
    with zipfile.ZipFile(packages["stump"]) as packed:
        names = packed.namelist()
    folders = {name.partition("/")[0] for name in names}
    assert not folders & {"uvloop", "httptools", "gunicorn", "prometheus_client", "xgboost"}
    assert not [name for name in names if name.startswith(("serving/hosts/http", "serving/cli"))]


def test_a_model_that_is_damaged_makes_no_package(models: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(ModelLoadError, match="xgboost-model is damaged"):
        edge.build(models["broken"], configuration.read({}), {}, tmp_path / "edge.zip")
    assert list(tmp_path.iterdir()) == []


def test_a_package_that_does_not_work_is_not_written(tmp_path: Path) -> None:
    code = tmp_path / "model" / "code"
    code.mkdir(parents=True)
    (code / "inference.py").write_text("import torch\ndef model_fn(model_dir): return print\n")
    with pytest.raises(ArchiveError, match=r"does not work .* No module named 'torch'"):
        edge.build(code.parent, configuration.read({}), {}, tmp_path / "edge.zip")
    assert not (tmp_path / "edge.zip").exists()
