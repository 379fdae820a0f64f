"""The serving runtime for KServe names what this project has."""

from dataclasses import fields
from typing import Any

import pytest
import yaml

from serving import configuration, targets
from serving.engines import ENGINES
from serving.settings import Settings
from tests.deploy.pages import PAGE, ROOT

RUNTIME = yaml.safe_load((ROOT / "deploy" / "kserve.yaml").read_text())
(CONTAINER,) = RUNTIME["spec"]["containers"]
ENVIRONMENT = {each["name"]: each["value"] for each in CONTAINER["env"]}
FORMATS = {"xgboost": "xgboost", "onnx": "onnx", "pytorch": "torch"}
"""KServe's names of formats, and the engines that read them."""


def service() -> Any:
    """The InferenceService of the page."""
    return yaml.safe_load(PAGE.read_text().partition("<<END\n")[2].partition("END\n")[0])


def test_its_formats_have_engines() -> None:
    formats = {each["name"] for each in RUNTIME["spec"]["supportedModelFormats"]}
    assert formats == FORMATS.keys()
    assert set(FORMATS.values()) <= {engine.name for engine in ENGINES}


def test_its_variables_are_settings() -> None:
    known = {name for field in fields(Settings) for name in field.metadata["variables"]}
    assert ENVIRONMENT.keys() <= known


def test_the_server_listens_where_kserve_asks() -> None:
    (port,) = (each["containerPort"] for each in CONTAINER["ports"])
    assert configuration.read(ENVIRONMENT).port == port
    for name, path in (("readinessProbe", targets.READY), ("livenessProbe", targets.LIVE)):
        assert CONTAINER[name]["httpGet"] == {"path": path, "port": port}


def test_it_speaks_version_2_of_the_protocol() -> None:
    assert RUNTIME["spec"]["protocolVersions"] == ["v2"]


@pytest.mark.parametrize(
    ("right", "value"),
    [
        ("allowPrivilegeEscalation", False),
        ("capabilities", {"drop": ["ALL"]}),
        ("readOnlyRootFilesystem", True),
        ("runAsNonRoot", True),
    ],
)
def test_it_runs_without_rights(right: str, value: object) -> None:
    assert CONTAINER["securityContext"][right] == value


def test_what_the_page_shows_uses_it() -> None:
    model = service()["spec"]["predictor"]["model"]
    assert model["runtime"] == RUNTIME["metadata"]["name"]
    assert model["modelFormat"]["name"] in FORMATS
