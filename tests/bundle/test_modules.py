"""Which modules of the toolkit a package has."""

import ast
from pathlib import Path

import pytest

from serving.bundle import modules

LIBRARIES = ("numpy", "onnxruntime", "orjson")


@pytest.fixture(scope="module")
def names() -> set[str]:
    found = modules.needed("serving.hosts.edge.handler", LIBRARIES)
    return {path.relative_to(modules.ROOT).as_posix() for path in found}


def test_the_module_and_the_packages_around_it_are_there(names: set[str]) -> None:
    own = {"serving/hosts/edge/handler.py", "serving/hosts/edge/__init__.py"}
    assert own | {"serving/hosts/__init__.py", "serving/__init__.py"} <= names


def test_what_is_imported_only_when_it_is_needed_is_there(names: set[str]) -> None:
    assert "serving/engines/converted.py" in names


def test_what_needs_another_library_is_not(names: set[str]) -> None:
    assert not {"serving/engines/torch_formats.py", "serving/engines/torch_runner.py"} & names


def test_servers_commands_and_compilers_are_not(names: set[str]) -> None:
    folders = ("serving/hosts/http/", "serving/cli/", "serving/compilation/", "serving/bundle/")
    assert not [name for name in names if name.startswith(folders)]


def test_no_module_there_needs_a_library_to_be_imported_that_is_not(names: set[str]) -> None:
    for name in names:
        for node in ast.parse(Path(modules.ROOT, name).read_text()).body:
            if isinstance(node, ast.Import):
                assert not {"xgboost", "torch", "gunicorn"} & {each.name for each in node.names}
