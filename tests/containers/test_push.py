"""An image gets into registries, and comes out of an archive, as the one that it was."""

import base64
import io
import json
import os
import re
import shutil
import subprocess
import tarfile
import time
from collections.abc import Callable, Iterator
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import uuid4

import boto3
import pytest
from moto.server import ThreadedMotoServer

from tests.support import PATIENCE, environment, free_port

if TYPE_CHECKING:
    from tests.containers.docker import Docker

pytestmark = pytest.mark.container

ROOT = Path(__file__).parents[2]
REVISION = "0123456789abcdef0123456789abcdef01234567"
REGION = "eu-central-1"
ECR = f"123456789012.dkr.ecr.{REGION}.amazonaws.com"
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "any",
    "AWS_SECRET_ACCESS_KEY": "any",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
}
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"

# A client for which Amazon's registry is the one on this machine.
DETOUR = """#!/bin/bash
set -euo pipefail
if [ "${{1-}} ${{2-}}" = "image inspect" ]; then
    {client} "${{@//{far}/{near}}}" | sed 's/{near}/{far}/g'
else
    exec {client} "${{@//{far}/{near}}}"
fi
"""

Push = Callable[..., subprocess.CompletedProcess[str]]


class Registry(NamedTuple):
    """Debian's docker-registry, on the loopback interface."""

    host: str

    def ask(self, method: str, path: str) -> tuple[int, dict[str, str], bytes]:
        connection = HTTPConnection(self.host, timeout=PATIENCE)
        try:
            connection.request(method, path, headers={"accept": MANIFEST})
            response = connection.getresponse()
            fields = {name.lower(): value for name, value in response.getheaders()}
            return response.status, fields, response.read()
        finally:
            connection.close()

    def tags(self, repository: str) -> list[str]:
        _, _, body = self.ask("GET", f"/v2/{repository}/tags/list")
        return sorted(json.loads(body)["tags"])

    def digest(self, repository: str, tag: str) -> str:
        _, fields, _ = self.ask("HEAD", f"/v2/{repository}/manifests/{tag}")
        return fields["docker-content-digest"]

    def answers(self) -> bool:
        try:
            return self.ask("GET", "/v2/")[0] == 200
        except (OSError, HTTPException):
            return False


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    folder, host = tmp_path_factory.mktemp("registry"), f"127.0.0.1:{free_port()}"
    settings: dict[str, Any] = {
        "version": 0.1,
        "http": {"addr": host},
        "storage": {"filesystem": {"rootdirectory": str(folder / "blobs")}},
    }
    (folder / "config.yml").write_text(json.dumps(settings))  # YAML contains JSON
    with (
        (folder / "log").open("w") as log,
        subprocess.Popen(
            ["docker-registry", "serve", folder / "config.yml"], stdout=log, stderr=log
        ) as server,
    ):
        found, limit = Registry(host), time.monotonic() + PATIENCE
        while not found.answers():
            assert server.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < limit, (folder / "log").read_text()
            time.sleep(0.05)
        yield found
        server.terminate()


@pytest.fixture
def name(docker: "Docker", tmp_path: Path) -> Iterator[str]:
    """The name of a small image with the labels of a large one."""
    tag, layer = f"trial-{uuid4().hex[:8]}", tmp_path / "layer.tar"
    with tarfile.open(layer, "w") as tar:
        file = tarfile.TarInfo("unique")
        file.size = len(tag)
        tar.addfile(file, io.BytesIO(tag.encode()))
    prefix = "org.opencontainers.image"
    labels = f"LABEL {prefix}.version=1.2.3 {prefix}.revision={REVISION}"
    docker("import", "--change", labels, str(layer), f"hybrid-serving:{tag}")
    yield tag
    docker("rmi", "--force", docker.inspect(f"hybrid-serving:{tag}")["Id"])


@pytest.fixture
def push(tmp_path: Path) -> Push:
    def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        config = {"DOCKER_CONFIG": str(tmp_path / "docker"), **CREDENTIALS, **variables}
        return subprocess.run(
            [ROOT / "build.sh", "push", *arguments],
            env=environment(**config),
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def test_a_push_prints_the_digest_under_which_the_registry_has_the_image(
    docker: "Docker", registry: Registry, name: str, push: Push
) -> None:
    done = push(name, "--registry", f"{registry.host}/team")
    assert done.returncode == 0, done.stderr
    (printed,) = done.stdout.splitlines()
    tags = [f"{name}-0123456789ab", f"{name}-1.2.3"]
    assert registry.tags("team/hybrid-serving") == tags
    for tag in tags:
        digest = registry.digest("team/hybrid-serving", tag)
        assert printed == f"{registry.host}/team/hybrid-serving@{digest}"
    pushed = docker.inspect(f"hybrid-serving:{name}")["Id"]
    docker("pull", "--quiet", printed)
    assert docker.inspect(printed)["Id"] == pushed


def test_more_tags_are_those_asked_for(registry: Registry, name: str, push: Push) -> None:
    done = push(name, "--registry", registry.host, "--tag", "stable", "--tag", "eu")
    assert done.returncode == 0, done.stderr
    assert {"eu", "stable"} < set(registry.tags("hybrid-serving"))


def test_a_push_leaves_no_name_of_the_registry_behind(
    docker: "Docker", registry: Registry, name: str, push: Push
) -> None:
    assert push(name, "--registry", registry.host).returncode == 0
    assert docker.inspect(f"hybrid-serving:{name}")["RepoTags"] == [f"hybrid-serving:{name}"]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("nowhere", "--registry", "127.0.0.1:9"), "hybrid-serving:nowhere is not built yet"),
        (("nowhere",), "--registry"),
    ],
)
def test_what_cannot_be_pushed_is_said_in_one_line(
    arguments: tuple[str, ...], complaint: str, push: Push
) -> None:
    done = push(*arguments)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert complaint in line


def test_a_tag_that_no_registry_takes_is_named(name: str, push: Push) -> None:
    done = push(name, "--registry", "127.0.0.1:9", "--tag", "of course")
    assert done.returncode == 1
    assert "'of course' is no tag" in done.stderr


@pytest.fixture
def account() -> Iterator[str]:
    """The address of a server that stands for AWS, with nothing in it."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


def repositories(account: str) -> list[str]:
    """The names of those that an account has."""
    client = boto3.client(
        "ecr",
        region_name=REGION,
        endpoint_url=account,
        aws_access_key_id="any",
        aws_secret_access_key="any",
    )
    return [found["repositoryName"] for found in client.describe_repositories()["repositories"]]


def test_a_push_to_ecr_makes_the_repository_once_and_logs_in(
    account: str, docker: "Docker", registry: Registry, name: str, push: Push, tmp_path: Path
) -> None:
    client, real = tmp_path / "bin" / "docker", shutil.which(docker.client)
    client.parent.mkdir()
    client.write_text(DETOUR.format(client=real, near=registry.host, far=ECR))
    client.chmod(0o755)
    surroundings = {
        "PATH": f"{client.parent}:{os.environ['PATH']}",
        "AWS_ENDPOINT_URL": account,
        "NO_PROXY": "127.0.0.1",
    }

    done = push(name, "--registry", f"{ECR}/models", **surroundings)

    assert done.returncode == 0, done.stderr
    assert "models/hybrid-serving is new" in done.stderr
    assert repositories(account) == ["models/hybrid-serving"]
    digest = registry.digest("models/hybrid-serving", f"{name}-1.2.3")
    assert done.stdout.strip() == f"{ECR}/models/hybrid-serving@{digest}"
    known = json.loads((tmp_path / "docker" / "config.json").read_text())["auths"]
    assert re.match(rb"AWS:.", base64.b64decode(known[registry.host]["auth"]))
    again = push(name, "--registry", f"{ECR}/models", **surroundings)
    assert again.returncode == 0, again.stderr
    assert "is new" not in again.stderr


def test_what_the_aws_cli_complains_about_is_said_in_its_words(name: str, push: Push) -> None:
    nobody = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "NO_PROXY": "127.0.0.1"}
    done = push(name, "--registry", ECR, AWS_MAX_ATTEMPTS="1", **nobody)
    assert done.returncode == 1
    assert "Could not connect" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_saved_image_is_checked_and_loaded_as_its_archive_says(
    docker: "Docker", name: str, tmp_path: Path
) -> None:
    saved = docker.inspect(f"hybrid-serving:{name}")["Id"]
    command = [str(ROOT / "build.sh"), "save", name, "archives"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    archive = tmp_path / done.stdout.strip()
    assert archive == tmp_path / "archives" / f"hybrid-serving-{name}-1.2.3.tar"
    assert list(archive.parent.iterdir()) == [archive]
    docker("rmi", f"hybrid-serving:{name}")
    with tarfile.open(archive) as tar:
        note = tar.extractfile("README")
        assert note is not None
        steps = [line.strip() for line in note.read().decode().splitlines() if line[:1] == " "]

    for step in steps:
        told = step.replace("docker ", f"{docker.client} ", 1)
        subprocess.run(told.split(), cwd=archive.parent, check=True, capture_output=True)

    assert len(steps) == 3
    assert docker.inspect(f"hybrid-serving:{name}")["Id"] == saved
