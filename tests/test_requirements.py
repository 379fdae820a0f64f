"""A model's own requirements, with wheels made here: nothing is fetched."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from serving import requirements
from serving.errors import ModelLoadError
from tests.wheels import make_wheel


def make_code(folder: Path, text: str) -> Path:
    folder.mkdir(parents=True)
    (folder / "requirements.txt").write_text(text)
    return folder


def version_in(site: Path, module: str) -> str:
    """The version of a module as a process with that folder on its path sees it."""
    program = f"import sys; sys.path.insert(0, {str(site)!r}); import {module}; "
    command = [sys.executable, "-c", program + f"print({module}.VERSION)"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_a_model_without_requirements_has_no_folder_for_them(tmp_path: Path) -> None:
    assert requirements.site(tmp_path, tmp_path / "cache") is None
    requirements.install(tmp_path, tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


def test_requirements_and_what_they_need_come_from_the_wheels_in_the_archive(
    tmp_path: Path,
) -> None:
    code = make_code(tmp_path / "code", "first_of_two\n")
    make_wheel(code / "requirements", "first_of_two", "1.0", needs=("second_of_two>=2",))
    make_wheel(code / "requirements", "second_of_two", "2.5")

    requirements.install(code, tmp_path / "cache")

    site = requirements.site(code, tmp_path / "cache")
    assert site is not None
    assert version_in(site, "first_of_two") == "1.0"
    assert version_in(site, "second_of_two") == "2.5"


def test_what_is_installed_already_is_not_installed_again(tmp_path: Path) -> None:
    code = make_code(tmp_path / "code", "numpy\nonly_here\n")
    make_wheel(code / "requirements", "only_here", "1.0")

    requirements.install(code, tmp_path / "cache")

    site = requirements.site(code, tmp_path / "cache")
    assert site is not None
    assert (site / "only_here.py").exists()
    assert not (site / "numpy").exists()


def test_two_models_keep_different_versions_of_one_package(tmp_path: Path) -> None:
    versions = ("1.0", "2.0")
    sites = []
    for version in versions:
        code = make_code(tmp_path / version, f"versioned=={version}\n")
        make_wheel(code / "requirements", "versioned", version)
        requirements.install(code, tmp_path / "cache")
        sites.append(requirements.site(code, tmp_path / "cache"))
    assert [version_in(site, "versioned") for site in sites if site] == list(versions)


def test_two_models_keep_packages_that_differ_in_nothing_but_their_code(tmp_path: Path) -> None:
    sites = []
    for text in ("first", "other"):
        code = make_code(tmp_path / text, "named==1.0\n")
        wheel = make_wheel(code / "requirements", "named", "1.0")
        with zipfile.ZipFile(wheel, "a") as archive:
            archive.writestr("named_data.py", f"VERSION = {text!r}\n")
        requirements.install(code, tmp_path / "cache")
        sites.append(requirements.site(code, tmp_path / "cache"))
    assert [version_in(site, "named_data") for site in sites if site] == ["first", "other"]


def test_an_installation_that_is_complete_is_used_again(tmp_path: Path) -> None:
    code = make_code(tmp_path / "code", "kept\n")
    make_wheel(code / "requirements", "kept", "1.0")
    requirements.install(code, tmp_path / "cache")
    site = requirements.site(code, tmp_path / "cache")
    assert site is not None
    (site / "kept.py").write_text("VERSION = 'untouched'\n")

    requirements.install(code, tmp_path / "cache")

    assert version_in(site, "kept") == "untouched"


def test_changed_requirements_are_installed_elsewhere(tmp_path: Path) -> None:
    code = make_code(tmp_path / "code", "kept\n")
    before = requirements.site(code, tmp_path / "cache")
    (code / "requirements.txt").write_text("kept>=1\n")
    assert requirements.site(code, tmp_path / "cache") != before


def test_a_requirement_that_cannot_be_met_is_named_in_one_line(tmp_path: Path) -> None:
    code = make_code(tmp_path / "code", "no_such_package==1\n")
    make_wheel(code / "requirements", "another", "1.0")
    with pytest.raises(ModelLoadError) as caught:
        requirements.install(code, tmp_path / "cache")
    assert "no_such_package==1" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_failed_installation_is_tried_again(tmp_path: Path) -> None:
    code = make_code(tmp_path / "code", "late\n")
    make_wheel(code / "requirements", "another", "1.0")
    with pytest.raises(ModelLoadError):
        requirements.install(code, tmp_path / "cache")
    make_wheel(code / "requirements", "late", "1.0")
    requirements.install(code, tmp_path / "cache")
    site = requirements.site(code, tmp_path / "cache")
    assert site is not None
    assert version_in(site, "late") == "1.0"
