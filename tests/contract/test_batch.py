"""Contract §3.1 and §3.2: what batch transform and asynchronous inference ask of a server."""

import json
from contextlib import closing
from http.client import HTTPConnection
from itertools import repeat
from pathlib import Path

import pytest

from tests.contract.cases import CSV, JSON, LIBSVM, LINES, get, post
from tests.contract.places import Place
from tests.support import PATIENCE, Server

MIB = 1024 * 1024
JOB = {
    "SAGEMAKER_BATCH": "True",  # as the SDK's local mode writes it; the service writes "true"
    "SAGEMAKER_MAX_PAYLOAD_IN_MB": "0",
    "SAGEMAKER_BATCH_STRATEGY": "MULTI_RECORD",
    "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": "2",
    "SAGEMAKER_INFERENCE_OUTPUT": "predicted_score",
}
"""The variables of a job that sends whole files in chunks, and chooses what it gets."""


def parameters(server: Server) -> dict[str, int | str]:
    answer = server.ask(get("/execution-parameters"))
    assert (answer.status, answer.headers) == (200, {"content-type": JSON})
    return dict(json.loads(answer.body))


def test_execution_parameters_tell_how_to_run_a_job(place: Place, mirror: Path) -> None:
    assert parameters(place.serve(mirror)) == {
        "MaxConcurrentTransforms": 1,
        "BatchStrategy": "MULTI_RECORD",
        "MaxPayloadInMB": 25,
    }


@pytest.mark.parametrize("limit", ["0", "100"])
def test_execution_parameters_are_within_sagemakers_limits(
    place: Place, mirror: Path, limit: str
) -> None:
    """At most 100 MB a payload, and together."""
    given = {"SAGEMAKER_MAX_PAYLOAD_IN_MB": limit, "SAGEMAKER_MODEL_SERVER_WORKERS": "2"}
    told = parameters(place.serve(mirror, **given))
    assert (told["MaxConcurrentTransforms"], told["MaxPayloadInMB"]) == (2, 50)


def test_a_body_may_come_in_chunks_and_be_of_any_size(place: Place, mirror: Path) -> None:
    server = place.serve(mirror, **JOB)
    with closing(HTTPConnection("127.0.0.1", server.port, PATIENCE)) as connection:
        fields = {"content-type": "application/octet-stream"}
        connection.request("POST", "/invocations", repeat(bytes(MIB), 30), fields)  # in chunks
        assert json.loads(connection.getresponse().read())["length"] == 30 * MIB


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        (CSV, b"0,5\n2,5\n0,5"),
        (LIBSVM, b"0 1:0 2:5\n0 1:2\n0 1:0"),
        (LINES, b'{"features": [0, 5]}\n{"features": [2, 5]}\n{"features": [0, 5]}'),
    ],
)
def test_each_record_of_a_mini_batch_has_its_record_in_the_answer(
    place: Place, models: dict[str, Path], content_type: str, body: bytes
) -> None:
    server = place.serve(models["stump"], **JOB)
    assert server.ask(post(body, content_type, CSV)).body == b"1.0\n3.0\n1.0\n"
    assert server.ask(post(body, content_type, LINES)).body.splitlines() == [
        b'{"predicted_score":1.0}',
        b'{"predicted_score":3.0}',
        b'{"predicted_score":1.0}',
    ]


def test_answers_of_a_job_can_be_put_one_behind_the_other(
    place: Place, models: dict[str, Path]
) -> None:
    server = place.serve(models["stump"], **JOB)
    for accept in (CSV, LINES):
        parts = [server.ask(post(row, CSV, accept)).body for row in (b"0,5", b"2,5\n0,5")]
        whole = server.ask(post(b"0,5\n2,5\n0,5", CSV, accept)).body
        assert b"".join(parts) == whole
        assert whole.endswith(b"\n")


def test_ping_and_invocations_are_as_ever(place: Place, models: dict[str, Path]) -> None:
    server = place.serve(models["stump"], **JOB)
    assert server.ask(get("/ping")) == (200, {}, b"")
    assert server.ask(post(b"0,5", CSV)).status == 200


def test_an_asynchronous_request_is_an_ordinary_one_that_may_be_larger_and_take_longer(
    place: Place, mirror: Path
) -> None:
    """Up to 1 GB, and an hour."""
    given = {
        "SAGEMAKER_MAX_PAYLOAD_IN_MB": "1024",
        "SAGEMAKER_MODEL_SERVER_TIMEOUT_SECONDS": "3600",
    }
    answer = place.serve(mirror, **given).ask(post(bytes(30 * MIB), "application/octet-stream"))
    assert json.loads(answer.body)["length"] == 30 * MIB
