"""A whole server, asked by an unmodified client of boto3."""

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.models import SCRIPT
from tests.runtime.support import client_of, close
from tests.support import PATIENCE, cli, environment, serving


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder for the answers to asynchronous invocations."""
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="module")
def client(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A client of a server with a script that multiplies by three."""
    model = tmp_path_factory.mktemp("model")
    (model / "code").mkdir()
    (model / "code" / "inference.py").write_text(SCRIPT)
    workspace = tmp_path_factory.mktemp("workspace")
    with serving(model, workspace, SERVING_ASYNC_OUTPUT=str(store)) as server:
        client = client_of(f"http://127.0.0.1:{server.port}")
        yield client
        close(client)


def test_an_endpoint_is_invoked(client: Any) -> None:
    answer = client.invoke_endpoint(
        EndpointName="any",
        Body=b"1 2 3",
        ContentType="text/x-numbers",
        Accept="text/x-numbers",
        CustomAttributes="trace=7",
    )
    assert answer["Body"].read() == b"3 6 9"
    assert answer["ContentType"] == "text/x-numbers"
    assert answer["CustomAttributes"] == "trace=7"


def test_an_answer_is_streamed(client: Any) -> None:
    answer = client.invoke_endpoint_with_response_stream(
        EndpointName="any",
        Body=b"1 2",
        ContentType="text/x-numbers",
        Accept="text/event-stream",
    )
    parts = [event["PayloadPart"]["Bytes"] for event in answer["Body"]]
    assert parts == [b"data: 3\n\n", b"data: 6\n\n"]
    assert answer["ContentType"] == "text/event-stream"


def test_the_scripts_error_is_a_model_error(client: Any) -> None:
    with pytest.raises(client.exceptions.ModelError) as caught:
        client.invoke_endpoint(EndpointName="any", Body=b"1", ContentType="text/csv")
    told = caught.value.response
    assert told["OriginalStatusCode"] == 415
    assert json.loads(told["OriginalMessage"])["message"] == "Send numbers."


def test_an_answer_is_written_to_the_store(client: Any, store: Path) -> None:
    (store / "input").write_bytes(b"4 5")
    client.invoke_endpoint_async(
        EndpointName="any",
        InputLocation=(store / "input").as_uri(),
        InferenceId="one",
        ContentType="text/x-numbers",
        Accept="text/x-numbers",
    )
    limit = time.monotonic() + PATIENCE
    while not (store / "one.out").exists():
        assert time.monotonic() < limit
        time.sleep(0.01)
    assert (store / "one.out").read_bytes() == b"12 15"


def test_a_session_lasts_over_requests(tmp_path: Path) -> None:
    (tmp_path / "model" / "code").mkdir(parents=True)
    (tmp_path / "model" / "code" / "inference.py").write_text(SCRIPT)
    variables = {"SAGEMAKER_ENABLE_STATEFUL_SESSIONS": "true"}
    variables["SAGEMAKER_SESSIONS_PATH"] = str(tmp_path / "sessions")
    with serving(tmp_path / "model", tmp_path, **variables) as server:
        client = client_of(f"http://127.0.0.1:{server.port}")
        opened = client.invoke_endpoint(EndpointName="any", Body=b"{}", SessionId="NEW_SESSION")
        session = opened["NewSessionId"].partition(";")[0]
        assert opened["Body"].read() == f"Session {session} created".encode()
        asked = {"EndpointName": "any", "SessionId": session, "ContentType": "text/x-numbers"}
        assert client.invoke_endpoint(Body=b"1", **asked)["Body"].read() == b"[3]"
        closed = client.invoke_endpoint(Body=b'{"requestType": "CLOSE"}', **asked)
        assert closed["ClosedSessionId"] == session
        assert closed["Body"].read() == f"Session {session} closed".encode()
        with pytest.raises(client.exceptions.ModelError) as caught:
            client.invoke_endpoint(Body=b"1", **asked)
        assert caught.value.response["OriginalStatusCode"] == 400
        close(client)


def test_a_wrong_file_of_endpoints_ends_start_up(tmp_path: Path) -> None:
    done = subprocess.run(
        cli("serve", tmp_path, "--bind", "127.0.0.1", "--port", "0"),
        env=environment(SERVING_ENDPOINTS="gone.toml", SERVING_CACHE=str(tmp_path)),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 2
    assert "serving: SERVING_ENDPOINTS: gone.toml cannot be read" in done.stderr
    assert "Booting" not in done.stderr
