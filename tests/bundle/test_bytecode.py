"""Bytecode that a package brings, so that a function's start compiles nothing."""

import importlib.util
import json
import marshal
import subprocess
import sys
from pathlib import Path
from types import CodeType

import pytest

from serving.bundle import bytecode, libraries
from serving.bundle.archive import Part

SOURCE = b"NAMES = {'one', 'two', 'three'}\n\n\ndef fail():\n    raise KeyError\n"
PARTS = [Part("first", {"package/__init__.py": b"", "package/module.py": SOURCE, "LICENSE": b""})]
COMPILED = Path(importlib.util.cache_from_source("package/module.py")).as_posix()


def added(folder: Path, parts: list[Part] = PARTS) -> dict[str, bytes]:
    (part,) = bytecode.added(parts, sys.executable, folder)
    return {
        name: content if isinstance(content, bytes) else content.read_bytes()
        for name, content in part.files.items()
    }


def test_each_module_has_its_bytecode_and_keeps_its_source(tmp_path: Path) -> None:
    files = added(tmp_path / "scratch")
    assert files.keys() == {*PARTS[0].files, COMPILED, COMPILED.replace("module", "__init__")}
    assert files["package/module.py"] == SOURCE


def test_its_source_is_not_checked_whose_time_a_zip_does_not_keep(tmp_path: Path) -> None:
    flags = int.from_bytes(added(tmp_path / "scratch")[COMPILED][4:8], "little")
    assert flags == 0b01  # by hash, and unchecked (PEP 552)


def test_tracebacks_name_where_lambda_unpacks_it(tmp_path: Path) -> None:
    code = marshal.loads(added(tmp_path / "scratch")[COMPILED][16:])
    assert isinstance(code, CodeType)
    assert code.co_filename == "/var/task/package/module.py"


def test_equal_sources_give_equal_bytes(tmp_path: Path) -> None:
    assert added(tmp_path / "one") == added(tmp_path / "two")


def test_what_does_not_compile_has_no_bytecode(tmp_path: Path) -> None:
    files = added(tmp_path / "scratch", [Part("one", {"wrong.py": b"1 +"})])
    assert files == {"wrong.py": b"1 +"}


def test_a_python_of_the_packages_version_is_looked_for_on_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert bytecode.interpreter(libraries.here()) == sys.executable
    monkeypatch.setenv("PATH", str(tmp_path))
    assert bytecode.interpreter("3.99") is None
    program = tmp_path / "python3.99"
    program.write_text("#!/bin/sh\nexit 127\n")  # as that of a version manager without it
    program.chmod(0o755)
    assert bytecode.interpreter("3.99") is None
    program.write_text("#!/bin/sh\nexit 0\n")
    assert bytecode.interpreter("3.99") == str(program)


def test_a_module_is_imported_by_it_and_not_compiled(tmp_path: Path) -> None:
    files = added(tmp_path / "scratch") | {"package/module.py": b"NAMES = 'compiled here'\n"}
    for name, content in files.items():
        path = tmp_path / "task" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    code = "import json, package.module as m; print(json.dumps(sorted(m.NAMES)))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path / "task", capture_output=True, check=True
    )
    assert json.loads(done.stdout) == ["one", "three", "two"]
