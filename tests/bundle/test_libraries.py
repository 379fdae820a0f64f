"""Which files of the libraries a package has."""

import sysconfig
from collections.abc import Iterator
from importlib.metadata import Distribution
from pathlib import Path

import pytest

from serving.bundle import libraries
from serving.errors import ArchiveError, SettingError

HERE = libraries.here()


@pytest.fixture(scope="module", autouse=True)
def new() -> Iterator[None]:
    """Lambda runs this Python, whichever it is, on the newer of its systems."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(libraries, "OLDEST_PYTHON", (3, 11))
        yield


@pytest.fixture(scope="module")
def names(new: None, tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    names = ("numpy", "onnxruntime", "orjson")
    parts = libraries.collect(names, HERE, tmp_path_factory.mktemp("scratch"))
    return {part.name: set(part.files) for part in parts}


def test_what_computes_is_there(names: dict[str, set[str]]) -> None:
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    assert {"numpy/__init__.py", f"numpy/_core/_multiarray_umath{suffix}"} <= names["numpy"]
    assert f"onnxruntime/capi/onnxruntime_pybind11_state{suffix}" in names["onnxruntime"]
    assert any(name.startswith("numpy.libs/") for name in names["numpy"])


def test_tests_headers_caches_and_commands_are_not(names: dict[str, set[str]]) -> None:
    every = set.union(*names.values())
    assert not [name for name in every if "/tests/" in name or "__pycache__" in name]
    assert not [name for name in every if name.endswith((".h", ".pyi", ".a", ".pxd"))]
    assert not [name for name in every if name.startswith("..")]


def test_tools_to_make_models_are_not(names: dict[str, set[str]]) -> None:
    folders = {Path(name).parts[1] for name in names["onnxruntime"]}
    assert not folders & {"quantization", "tools", "transformers", "training", "datasets"}


def test_licences_are(names: dict[str, set[str]]) -> None:
    assert "onnxruntime/LICENSE" in names["onnxruntime"]
    assert any(".dist-info/licenses/" in name for name in names["numpy"])


def test_a_library_that_is_not_installed_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="pip install nothing-of-this-name"):
        libraries.collect(("nothing-of-this-name",), HERE, tmp_path)


def test_libraries_for_another_machine_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sysconfig, "get_platform", lambda: "linux-aarch64")
    with pytest.raises(SettingError, match=r"linux-aarch64, and Lambda@Edge is linux-x86_64.*--py"):
        libraries.collect(("numpy",), HERE, tmp_path)


@pytest.fixture
def no_wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for pip finds nothing; a folder for what it does not fetch."""
    (tmp_path / "pip.py").write_text("import sys\nsys.exit('ERROR: No matching distribution')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return tmp_path / "scratch"


def test_wheels_for_another_python_are_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stand-in for pip puts what it was asked for where it was told to."""
    pip = tmp_path / "pip.py"
    pip.write_text(
        "import sys, pathlib\n"
        "words = sys.argv\n"
        "folder = pathlib.Path(words[words.index('--target') + 1])\n"
        "name, _, version = words[-1].partition('==')\n"
        "facts = folder / f'{name}-{version}.dist-info'\n"
        "facts.mkdir(parents=True)\n"
        "(facts / 'METADATA').write_text(f'Name: {name}\\nVersion: {version}\\n')\n"
        "(folder / f'{name}.py').write_text(' '.join(words))\n"
        "(facts / 'RECORD').write_text(f'{name}.py,,\\n{name}/__pycache__/a.pyc,,\\n')\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (part,) = libraries.collect(("orjson",), "3.99", tmp_path / "scratch")
    (file,) = part.files.values()
    assert isinstance(file, Path)
    words = file.read_text()
    assert "--python-version 3.99" in words
    assert "manylinux_2_34_x86_64" in words
    assert "manylinux_2_35_x86_64" not in words


def test_a_python_without_wheels_is_refused(no_wheels: Path) -> None:
    with pytest.raises(ArchiveError, match=r"orjson==.* for Python 3\.99 .*glibc 2\.34.*No match"):
        libraries.collect(("orjson",), "3.99", no_wheels)


def test_wheels_for_a_newer_c_library_than_lambdas_are_refused(
    no_wheels: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of NumPy that are installed here would not load there."""
    monkeypatch.setattr(libraries, "OLDEST_PYTHON", (3, 99))
    with pytest.raises(ArchiveError, match=r"numpy==.* glibc 2\.26, .*No match.*--python 3\.13\."):
        libraries.collect(("numpy",), HERE, no_wheels)


@pytest.mark.parametrize(
    ("tags", "runs"),
    [
        ("cp311-cp311-manylinux_2_26_x86_64", True),
        ("cp311-cp311-manylinux_2_27_x86_64.manylinux_2_28_x86_64", False),
        ("cp311-cp311-manylinux_2_28_x86_64\nTag: cp311-cp311-manylinux2014_x86_64", True),
        ("py3-none-any", True),
    ],
)
def test_a_wheel_says_which_c_library_it_needs(tags: str, runs: bool, tmp_path: Path) -> None:
    facts = tmp_path / "library-1.dist-info"
    facts.mkdir()
    (facts / "WHEEL").write_text(f"Wheel-Version: 1.0\nTag: {tags}\n")
    assert libraries._runs(Distribution.at(facts), (2, 26)) is runs


def test_a_package_is_for_a_python_that_has_wheels(monkeypatch: pytest.MonkeyPatch) -> None:
    assert libraries.usual() == HERE
    monkeypatch.setattr(libraries, "OLDEST_PYTHON", (3, 99))
    assert libraries.usual() == libraries.USUAL_PYTHON
