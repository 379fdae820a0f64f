"""``serving ping``, against a real server."""

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import Command
from tests.support import free_port, serving


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port where a connection is taken and closed without a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            listener.accept()[0].close()

        thread = threading.Thread(target=answer)
        thread.start()
        yield listener.getsockname()[1]
        thread.join()


def test_a_healthy_server_is_0(command: Command, folders: dict[str, Path], tmp_path: Path) -> None:
    with serving(folders["xgboost"], tmp_path) as server:
        assert command("ping", "--port", str(server.port)) == (0, "", "")
        assert command("ping", SAGEMAKER_BIND_TO_PORT=str(server.port)).status == 0
        bound = {"SERVING_BIND": "127.0.0.1", "SAGEMAKER_BIND_TO_PORT": str(server.port)}
        assert command("ping", **bound).status == 0


def test_one_whose_model_failed_is_1_with_the_reason(
    command: Command, folders: dict[str, Path], tmp_path: Path
) -> None:
    with serving(folders["broken"], tmp_path) as server:
        result = command("ping", "--port", str(server.port))
    assert (result.status, result.out) == (1, "")
    status, _, body = result.err.partition(" ")
    assert status == "503"
    assert json.loads(body)["message"].startswith("The model failed to load: xgboost-model is")


@pytest.mark.parametrize("bind", ["0.0.0.0", "127.0.0.1", "localhost", "[::1]"])
def test_where_nobody_listens_it_is_1(command: Command, bind: str) -> None:
    port = free_port()
    result = command("ping", "--port", str(port), SERVING_BIND=bind)
    assert result.status == 1
    assert result.err.startswith(f"no server answers on port {port}: ")


def test_so_it_is_where_something_else_listens(command: Command, silent_port: int) -> None:
    result = command("ping", "--port", str(silent_port))
    assert result.status == 1
    assert result.err.startswith(f"no server answers on port {silent_port}: ")


def test_a_bad_port_is_2(command: Command) -> None:
    result = command("ping", "--port", "http")
    assert result.status == 2
    assert result.err.startswith("serving: --port='http' is not allowed")


def test_a_health_check_loads_no_library(command: Command) -> None:
    code = f"""
        import sys
        from serving.cli import main
        main(["ping", "--port", "{free_port()}"])
        print(*sys.modules)
    """
    line = "; ".join(filter(None, map(str.strip, code.splitlines())))
    done = subprocess.run([sys.executable, "-c", line], capture_output=True, text=True, check=True)
    assert not {"numpy", "orjson", "gunicorn", "uvloop", "xgboost"} & set(done.stdout.split())
