"""The picture in docs/architecture.md, as far as imports can tell."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import serving

PACKAGE = Path(serving.__file__).parent

LAYERS = (
    "values errors kinds machine lane lasting logs progress environment identity budget targets",
    "admission call footprint gpu media model metrics problems renewal requirements settings",
    "neuroncores stacking",
    "access archives auth canary codecs collecting configuration decoding",
    "emf execution sessions streaming",
    "workforce",
    "compat",
    "engines",
    "batching compilation oip",
    "warmup service",
    "entry loading repository",
    "loader place",
    "room",
    "opening",
    "registry",
    "management",
    "multi single",
    "application",
    "processes runtime",
    "front preparing",
    "bench hosts",
    "recommend",
    "bundle",
    "cli",
)
"""Modules and packages, the lowest first. Each imports from below, or from its own package."""

LEVELS = {name: level for level, names in enumerate(LAYERS) for name in names.split()}

SERVERS = {
    *("socket", "socketserver", "selectors", "ssl", "http.server"),
    *("uvloop", "httptools", "gunicorn", "uvicorn", "starlette", "flask", "werkzeug"),
    *("awslambdaric",),
}
"""What hosts are made with."""

HOSTS = {"bench", "hosts", "cli", "processes", "recommend"}
"""What speaks to the world outside of the process."""

ENVIRONMENT_READERS = {
    "cli/__init__.py",  # hands it to the commands, which read the settings from it
    "machine.py",  # what libraries read: the cache folder, the GPUs, the region
    "neuroncores.py",  # what the Neuron runtime reads
    "engines/__init__.py",  # sets what a library reads
    "hosts/aws_lambda/__init__.py",  # is started by the runtime client, without a command
    "hosts/mms/handler.py",  # is started by multi-model-server, likewise
    "hosts/mounted.py",  # is started by a web server of others, likewise
    "hosts/wsgi.py",  # WSGI calls a request's variables so; of the process it reads none
}

FILES = sorted(PACKAGE.rglob("*.py"))


def named(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def unit(path: Path) -> str:
    """The module or package of the core that a file belongs to."""
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def imports(path: Path) -> Iterator[str]:
    """The full names of all that a file imports from elsewhere, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def attributes(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute):
            yield node.attr


def test_every_module_has_its_layer() -> None:
    assert {unit(path) for path in FILES} - {"__init__"} == LEVELS.keys()


@pytest.mark.parametrize("path", FILES, ids=named)
def test_imports_point_one_way(path: Path) -> None:
    own = unit(path)
    if own == "__init__":
        assert list(imports(path)) == []
        return
    for name in imports(path):
        package, _, rest = name.partition(".")
        used = rest.partition(".")[0]
        if package == "serving" and used not in (own, "__version__"):
            assert LEVELS[used] < LEVELS[own], f"{own} imports {name}"


@pytest.mark.parametrize("path", [path for path in FILES if unit(path) not in HOSTS], ids=named)
def test_the_core_opens_no_socket_and_knows_no_server(path: Path) -> None:
    for name in imports(path):
        parts = name.split(".")
        assert not {".".join(parts[:length]) for length in (1, 2)} & SERVERS


@pytest.mark.parametrize("path", FILES, ids=named)
def test_the_environment_is_read_in_one_place(path: Path) -> None:
    if named(path) not in ENVIRONMENT_READERS:
        assert not {"environ", "environb", "getenv"} & set(attributes(path))


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("serving.application", {"xgboost", "onnxruntime", "torch", "sklearn", "scipy"}),
        ("serving.cli", {"numpy", "gunicorn", "uvloop", "orjson"}),
    ],
)
def test_a_library_is_imported_when_it_is_needed(module: str, absent: set[str]) -> None:
    code = f"import sys, {module}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not absent & set(done.stdout.split())
