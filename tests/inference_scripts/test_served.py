"""Each example trained, packed and served over a real socket, and compared with its own model.

Comparisons are exact: a float that the format carries is the model's float32, bit for bit.
"""

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from subprocess import DEVNULL, STDOUT
from typing import Any, NamedTuple

import numpy as np
import onnxruntime
import pytest
import torch
import xgboost
from numpy.typing import NDArray
from sklearn.datasets import load_breast_cancer, load_digits, load_wine

SCRIPTS = Path(__file__).parents[2] / "inference_scripts"
DEADLINE = 60.0
"""Longest wait for a server to be ready, to answer or to end, in seconds."""
CSV, JSON, NPY = "text/csv", "application/json", "application/x-npy"

Table = NDArray[np.float32]


class Answer(NamedTuple):
    status: int
    content_type: str
    body: bytes

    def json(self) -> Any:
        assert self.content_type == JSON
        return json.loads(self.body)

    def csv(self) -> Table:
        assert self.content_type == CSV
        return np.loadtxt(io.BytesIO(self.body), delimiter=",", dtype=np.float32)


class Server:
    """A server that is ready for requests."""

    def __init__(self, port: int, folder: Path) -> None:
        self.port = port
        self.folder = folder
        """The model directory that was packed."""

    def get(self, path: str) -> Answer:
        return self._send("GET", path, b"", {})

    def ask(self, body: bytes, content_type: str, accept: str = "*/*") -> Answer:
        headers = {"Content-Type": content_type, "Accept": accept}
        return self._send("POST", "/invocations", body, headers)

    def _send(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> Answer:
        with closing(HTTPConnection("127.0.0.1", self.port, DEADLINE)) as connection:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            content_type = response.headers.get("Content-Type", "")
            return Answer(response.status, content_type, response.read())


def serving(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "serving.cli", *arguments]


@contextmanager
def served(folder: Path, workspace: Path, port: int) -> Iterator[Server]:
    """Packs a model directory and serves the archive; the server has to end with status 0."""
    archive = workspace / "model.tar.gz"
    subprocess.run(serving("pack", str(folder), "-o", str(archive)), check=True, stdout=DEVNULL)
    command = serving("serve", str(archive), "--bind", "127.0.0.1", "--port", str(port))
    environment = {**os.environ, "SERVING_CACHE": str(workspace / "cache")}
    with (workspace / "log").open("wb") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=STDOUT, env=environment, start_new_session=True
        )
    try:
        server = Server(port, folder)
        wait_for_ping(server, process)
        yield server
        process.terminate()
        assert process.wait(DEADLINE) == 0
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        print((workspace / "log").read_text())


def wait_for_ping(server: Server, process: subprocess.Popen[bytes]) -> None:
    seen: object = None
    limit = time.monotonic() + DEADLINE
    while time.monotonic() < limit:
        try:
            status = process.wait(timeout=0.05)
        except subprocess.TimeoutExpired:
            with suppress(OSError, HTTPException):
                seen = answer = server.get("/ping")
                if answer.status == 200:
                    return
        else:
            pytest.fail(f"The server ended while starting, with status {status}.")
    pytest.fail(f"The server was not ready in time; /ping at last: {seen}")


Serve = Callable[[str], AbstractContextManager[Server]]


@pytest.fixture(scope="module")
def serve(
    model_dir: Callable[[str], Path],
    free_port: Callable[[], int],
    tmp_path_factory: pytest.TempPathFactory,
) -> Serve:
    """Trains, packs and serves an example."""
    return lambda name: served(model_dir(name), tmp_path_factory.mktemp("served"), free_port())


@pytest.fixture(scope="module")
def tumours(serve: Serve) -> Iterator[Server]:
    with serve("xgboost_tabular") as server:
        yield server


@pytest.fixture(scope="module")
def wines(serve: Serve) -> Iterator[Server]:
    with serve("sklearn_onnx") as server:
        yield server


@pytest.fixture(scope="module")
def digits(serve: Serve) -> Iterator[Server]:
    with serve("pytorch_digits") as server:
        yield server


def sample(example: str, ending: str) -> bytes:
    return (SCRIPTS / example / f"request.{ending}").read_bytes()


def sample_rows(example: str) -> Table:
    return np.loadtxt(SCRIPTS / example / "request.csv", delimiter=",", dtype=np.float32)


def as_csv(rows: NDArray[Any]) -> bytes:
    return "".join(",".join(map(repr, row)) + "\n" for row in rows.tolist()).encode()


def as_json(rows: NDArray[Any]) -> bytes:
    return json.dumps({"instances": rows.tolist()}).encode()


def as_npy(rows: NDArray[Any]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, rows)
    return buffer.getvalue()


Write = Callable[[NDArray[Any]], bytes]
WRITERS = [(as_csv, CSV), (as_json, JSON), (as_npy, NPY)]


@pytest.fixture(scope="module")
def scores(tumours: Server) -> Callable[[Table], list[float]]:
    """What the XGBoost model itself makes of rows."""
    booster = xgboost.Booster()
    booster.load_model(bytearray((tumours.folder / "xgboost-model").read_bytes()))
    return lambda rows: list(booster.inplace_predict(rows).tolist())


@pytest.fixture(scope="module")
def outputs(wines: Server) -> Callable[[Table], list[NDArray[Any]]]:
    """What the ONNX model itself makes of rows: labels and probabilities."""
    session = onnxruntime.InferenceSession(wines.folder / "model.onnx")
    return lambda rows: list(session.run(["label", "probabilities"], {"features": rows}))


@pytest.fixture(scope="module")
def probabilities(digits: Server) -> Callable[[NDArray[Any]], list[float]]:
    """What the PyTorch model itself makes of an image."""
    network = torch.export.load(digits.folder / "model.pt2").module()

    def predict(image: NDArray[Any]) -> list[float]:
        with torch.inference_mode():
            logits = network(torch.tensor(image[None], dtype=torch.float32))
        return list(logits.softmax(dim=1)[0].tolist())

    return predict


def test_xgboost_answers_csv_with_a_line_a_row(
    tumours: Server, scores: Callable[[Table], list[float]]
) -> None:
    answer = tumours.ask(sample("xgboost_tabular", "csv"), CSV)
    assert answer.status == 200
    assert answer.csv().tolist() == scores(sample_rows("xgboost_tabular"))


def test_xgboost_answers_json_with_an_object_a_row(
    tumours: Server, scores: Callable[[Table], list[float]]
) -> None:
    answer = tumours.ask(sample("xgboost_tabular", "json"), JSON, accept=JSON)
    expected = scores(sample_rows("xgboost_tabular"))
    assert answer.status == 200
    assert answer.json() == {"predictions": [{"score": score} for score in expected]}


@pytest.mark.parametrize(("write", "content_type"), WRITERS)
def test_xgboost_scores_a_whole_data_set_as_the_model_does(
    write: Write, content_type: str, tumours: Server, scores: Callable[[Table], list[float]]
) -> None:
    rows = load_breast_cancer().data
    answer = tumours.ask(write(rows), content_type, accept=CSV)
    assert answer.csv().tolist() == scores(rows.astype(np.float32))


def test_xgboost_scores_a_row_alone_as_it_does_among_others(
    tumours: Server, scores: Callable[[Table], list[float]]
) -> None:
    rows = load_breast_cancer().data[:50]
    answers = [tumours.ask(as_csv(row[None]), CSV) for row in rows]
    assert [answer.csv().item() for answer in answers] == scores(rows.astype(np.float32))


def test_onnx_answers_json_with_the_outputs_under_their_names(
    wines: Server, outputs: Callable[[Table], list[NDArray[Any]]]
) -> None:
    answer = wines.ask(sample("sklearn_onnx", "json"), JSON, accept=JSON)
    labels, likelihoods = outputs(sample_rows("sklearn_onnx"))
    assert answer.status == 200
    assert answer.json().keys() == {"label", "probabilities"}
    assert answer.json()["label"] == labels.tolist()
    served = np.array(answer.json()["probabilities"], dtype=np.float32)
    assert served.tolist() == likelihoods.tolist()


@pytest.mark.parametrize(("write", "content_type"), WRITERS)
def test_onnx_answers_a_whole_data_set_in_csv_side_by_side_as_the_model_does(
    write: Write,
    content_type: str,
    wines: Server,
    outputs: Callable[[Table], list[NDArray[Any]]],
) -> None:
    rows = load_wine().data
    answer = wines.ask(write(rows), content_type, accept=CSV)
    assert answer.csv().tolist() == np.column_stack(outputs(rows.astype(np.float32))).tolist()


@pytest.mark.parametrize(
    ("ending", "content_type"), [("json", JSON), ("pgm", "image/x-portable-graymap")]
)
def test_pytorch_answers_an_image_with_its_digit(
    ending: str,
    content_type: str,
    digits: Server,
    probabilities: Callable[[NDArray[Any]], list[float]],
) -> None:
    image = np.array(json.loads(sample("pytorch_digits", "json"))["pixels"])
    answer = digits.ask(sample("pytorch_digits", ending), content_type)
    assert answer.status == 200
    assert answer.json() == {"digit": 7, "probabilities": probabilities(image)}


def test_pytorch_reads_images_of_the_data_set_as_the_model_does(
    digits: Server, probabilities: Callable[[NDArray[Any]], list[float]]
) -> None:
    for image in load_digits().images[:50]:
        answer = digits.ask(json.dumps({"pixels": image.tolist()}).encode(), JSON)
        assert answer.json()["probabilities"] == probabilities(image)


@pytest.mark.parametrize(
    ("body", "content_type", "accept", "status", "message"),
    [
        (b'{"pixels": [[17]]}', JSON, "*/*", 400, "(8, 8) is expected"),
        (b"P5 8 8 16", "image/x-portable-graymap", "*/*", 400, "P2 8 8 16"),
        (b"\x89PNG", "image/png", "*/*", 415, "Send the image as"),
        (sample("pytorch_digits", "json"), JSON, "image/png", 406, JSON),
    ],
)
def test_what_the_script_refuses_is_the_answer(
    body: bytes, content_type: str, accept: str, status: int, message: str, digits: Server
) -> None:
    answer = digits.ask(body, content_type, accept)
    assert answer.status == answer.json()["code"] == status
    assert message in answer.json()["message"]
