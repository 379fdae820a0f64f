"""The unit for systemd names what this project has."""

import re
import tomllib
from dataclasses import fields

from serving.settings import Settings
from tests.deploy.pages import ROOT

UNIT = (ROOT / "deploy" / "hybrid-serving.service").read_text()


def values(key: str) -> list[str]:
    """All values of a key, in order."""
    return re.findall(rf"^{key}=(.*)$", UNIT, re.MULTILINE)


def test_it_starts_a_command_of_the_package() -> None:
    (command,) = values("ExecStart")
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert command.rpartition("/")[2] in scripts


def test_every_variable_is_a_setting() -> None:
    known = {name for field in fields(Settings) for name in field.metadata["variables"]}
    assert values("Environment")
    assert {value.partition("=")[0] for value in values("Environment")} <= known


def test_the_server_may_finish_before_it_is_killed() -> None:
    (limit,) = values("TimeoutStopSec")
    assert int(limit) > Settings().drain_timeout


def test_it_runs_without_rights() -> None:
    assert (values("DynamicUser"), values("CapabilityBoundingSet")) == (["yes"], [""])


def test_the_cache_is_a_folder_that_systemd_makes_for_it() -> None:
    (folder,) = values("CacheDirectory")
    assert f"SERVING_CACHE=/var/cache/{folder}" in values("Environment")
