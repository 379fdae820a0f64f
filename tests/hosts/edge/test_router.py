"""The router: requests to another origin, in a package of two files."""

import json
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest

from serving.bundle import edge, trial
from serving.errors import SettingError
from serving.hosts.edge import router
from tests.edge_events import event
from tests.support import get, post

ADDRESS = {"scheme": "https", "host": "models.example.com", "port": 443, "path": "/eu"}


def test_the_request_goes_to_the_other_origin() -> None:
    sent = event(post(b"1,2", content_type="text/csv"))
    asked = sent["Records"][0]["cf"]["request"]
    asked["origin"] = {"s3": {"domainName": "bucket.s3.amazonaws.com"}}
    routed = router.route(sent, ADDRESS)
    changed = {"origin", "headers"}
    assert {name: routed[name] for name in routed.keys() - changed} == {
        name: asked[name] for name in asked.keys() - changed
    }
    assert routed["origin"] == {
        "custom": {
            "protocol": "https",
            "domainName": "models.example.com",
            "port": 443,
            "path": "/eu",
            "sslProtocols": ["TLSv1.2"],
            "readTimeout": 30,
            "keepaliveTimeout": 5,
            "customHeaders": {},
        }
    }
    host = [{"key": "Host", "value": "models.example.com"}]
    assert routed["headers"] == {**asked["headers"], "host": host}


def test_a_viewers_event_has_no_origin_to_change() -> None:
    made = router.route(event(get("/ping"), "viewer-request"), ADDRESS)
    assert made["status"] == "500"
    assert "origin-request" in json.loads(made["body"])["message"]


@pytest.mark.parametrize("nonsense", [None, [], {"Records": [{}]}, event(get("/"))["Records"]])
def test_what_is_no_event_is_answered(nonsense: Any) -> None:
    assert router.route(nonsense, ADDRESS)["status"] == "400"


def test_the_package_runs_without_the_toolkit(tmp_path: Path) -> None:
    archive, folder = tmp_path / "edge.zip", tmp_path / "package"
    sizes = edge.forward("https://models.example.com:8443/eu/", archive)
    assert sizes[-1].zipped < 4096
    with zipfile.ZipFile(archive) as packed:
        assert packed.namelist() == ["address.json", "lambda_function.py"]
        packed.extractall(folder)
    done = subprocess.run(
        trial.command(folder),
        input=json.dumps(event(get("/ping"))) + "\n",
        capture_output=True,
        text=True,
        check=True,
        env={},
    )
    custom = json.loads(done.stdout)["origin"]["custom"]
    assert (custom["domainName"], custom["port"], custom["path"]) == (
        "models.example.com",
        8443,
        "/eu",
    )


def test_without_a_port_it_is_that_of_the_scheme(tmp_path: Path) -> None:
    edge.forward("http://models.example.com", tmp_path / "edge.zip")
    with zipfile.ZipFile(tmp_path / "edge.zip") as packed:
        address = json.loads(packed.read("address.json"))
    assert address == {"scheme": "http", "host": "models.example.com", "port": 80, "path": ""}


@pytest.mark.parametrize(
    "url",
    [
        "models.example.com",
        "ftp://a.b",
        "https://",
        "https://a.b/?q",
        "https://u@a.b",
        "http://a:x",
    ],
)
def test_what_is_no_address_of_a_server_is_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="--forward"):
        edge.forward(url, tmp_path / "edge.zip")
