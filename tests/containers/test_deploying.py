"""The image that docs/deploying.md has people make for Lambda."""

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.containers.examples import LINES, NAME
from tests.deploy.pages import commands
from tests.support import post

if TYPE_CHECKING:
    from tests.containers.docker import Docker, Starter
    from tests.containers.examples import InProcess, Trained

pytestmark = pytest.mark.container

TAG = "hybrid-serving-test-function"


def test_the_functions_image_has_the_model_in_it(
    docker: "Docker",
    image: str,
    start: "Starter",
    trained: "Trained",
    in_process: "InProcess",
    tmp_path: Path,
) -> None:
    model = trained(NAME)
    (tmp_path / "model").symlink_to(model)
    build = commands("Lambda").splitlines()[0].replace("docker", docker.client, 1)
    assert image in build
    done = subprocess.run(
        ["bash", "-c", build],
        cwd=tmp_path,
        env=os.environ | {"IMAGE": TAG},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    as_lambda_does = ("--read-only", "--tmpfs", "/tmp", "--user", "993")
    container = start(TAG, tmp_path, *as_lambda_does, command="", at="/mnt")
    container.wait_for_ping(200)
    request = post(LINES.read_bytes(), content_type="text/csv", accept="text/csv")
    assert container.ask(request) == in_process(model, request)
