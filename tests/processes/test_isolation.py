"""Models in processes of their own do not see each other."""

import asyncio
from pathlib import Path

import pytest

from serving.settings import Settings
from tests.conftest import MakeSettings
from tests.processes.support import Subject, launching, write_model
from tests.wheels import make_wheel

pytestmark = pytest.mark.uvloop

HELPED = """
import helper
import sys

def model_fn(folder):
    sys.path.append(folder)
    return helper.NAME

def transform_fn(name, body, *types):
    return f"{name} {helper.NAME} {helper.state}" if body != b"path" else repr(sys.path)
"""

REQUIRING = """
import shared_name

def model_fn(folder):
    return shared_name.VERSION

def transform_fn(version, *arguments):
    return version
"""

RANDOM = """
import random
import numpy as np

def model_fn(folder):
    return None

def transform_fn(*arguments):
    return f"{random.random()} {np.random.random()} {np.random.default_rng().random()}"
"""


async def test_helper_modules_of_one_name_do_not_meet(
    tmp_path: Path, make_settings: MakeSettings
) -> None:
    async with launching() as launcher:
        subjects = []
        for name in ("one", "two"):
            folder = write_model(tmp_path / name, HELPED)
            (folder / "code" / "helper.py").write_text(f"NAME = {name!r}\nstate = {name!r}\n")
            subjects.append(await Subject(folder, make_settings(), launcher, name).load())
        answers = [await subject.evaluate("which") for subject in subjects]
        assert answers == ["one one one", "two two two"]
        assert str(tmp_path / "two") not in await subjects[0].evaluate("path")
        assert str(tmp_path / "one") not in await subjects[1].evaluate("path")


def requiring(folder: Path, version: str, settings: Settings) -> Path:
    write_model(folder, REQUIRING)
    (folder / "code" / "requirements.txt").write_text("shared_name\n")
    make_wheel(folder / "code" / "requirements", "shared_name", version)
    return folder


async def test_each_has_the_requirements_that_it_asks_for_though_all_load_at_once(
    tmp_path: Path, make_settings: MakeSettings
) -> None:
    settings = make_settings(cache=tmp_path / "cache")
    versions = {"first": "1.0", "other": "2.0", "same": "1.0"}
    async with launching() as launcher:
        subjects = {
            name: Subject(requiring(tmp_path / name, version, settings), settings, launcher)
            for name, version in versions.items()
        }
        await asyncio.gather(*(subject.load() for subject in subjects.values()))
        answers = {name: await subject.evaluate("") for name, subject in subjects.items()}
        assert answers == versions
    sites = [path for path in (tmp_path / "cache" / "requirements").iterdir() if path.is_dir()]
    assert len(sites) == 2


async def test_requirements_that_cannot_be_installed_fail_the_load(
    tmp_path: Path, make_settings: MakeSettings
) -> None:
    settings = make_settings(cache=tmp_path / "cache")
    folder = requiring(tmp_path / "m", "1.0", settings)
    (folder / "code" / "requirements.txt").write_text("shared_name>=2\n")
    async with launching() as launcher:
        reason = await Subject(folder, settings, launcher).outcome()
        assert "The requirements in requirements.txt cannot be installed" in reason


async def test_no_two_draw_the_same_random_numbers(
    tmp_path: Path, make_settings: MakeSettings
) -> None:
    folder = write_model(tmp_path / "m", RANDOM)
    async with launching() as launcher:
        subjects = [await Subject(folder, make_settings(), launcher).load() for _ in range(3)]
        answers = [await subject.evaluate("draw") for subject in subjects]
        numbers = [number for answer in answers for number in answer.split()]
        assert len(set(numbers)) == len(numbers) == 9
