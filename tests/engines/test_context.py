"""What a script's functions get as ``context``."""

from pathlib import Path
from typing import Any

import pytest

from serving.engines.context import Context
from serving.values import Request, Response

OK = Response(200, b"body", "text/csv")


def context(**headers: str) -> Context:
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    return Context(Request("POST", "/invocations", fields, b""), Path("/opt/ml/model"))


def test_header_fields_are_found_in_any_case() -> None:
    made = context(x_amzn_sagemaker_custom_attributes="trace=1", accept="text/csv")
    assert made.get_request_header(0, "X-Amzn-SageMaker-Custom-Attributes") == "trace=1"
    assert made.get_request_header(0, "X-Other") is None
    properties = made.request_processor[0].get_request_properties()
    assert properties["Accept"] == properties.get("accept") == "text/csv"
    assert "ACCEPT" in properties
    assert "X-Other" not in properties
    assert dict(made.get_all_request_header(0)) == {
        "x-amzn-sagemaker-custom-attributes": "trace=1",
        "accept": "text/csv",
    }
    assert made.request_processor[0].get_request_property("Accept") == "text/csv"


def test_system_properties_are_each_contexts_own() -> None:
    made = context()
    assert made.system_properties["model_dir"] == "/opt/ml/model"
    assert made.system_properties["server_name"] == "hybrid-serving"
    assert made.system_properties["batch_size"] == 1
    assert set(made.system_properties) == {
        "model_dir",
        "gpu_id",
        "batch_size",
        "server_name",
        "server_version",
    }
    made.system_properties["batch_size"] = 9
    assert context().system_properties["batch_size"] == 1


@pytest.mark.parametrize(("exists", "gpu"), [(True, 0), (False, None)])
def test_the_gpu_is_the_first_if_there_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exists: bool, gpu: int | None
) -> None:
    device = tmp_path / "nvidia0"
    if exists:
        device.touch()
    monkeypatch.setattr("serving.engines.context.GPU", device)
    assert context().system_properties["gpu_id"] == gpu


def test_a_request_has_the_clients_id_or_one_of_its_own() -> None:
    assert context(x_amzn_sagemaker_inference_id="abc").get_request_id(0) == "abc"
    assert context(x_request_id="def").request_ids == {0: "def"}
    made = context()
    assert made.get_request_id() == made.get_request_id(0) != context().get_request_id()


def test_nothing_set_changes_nothing() -> None:
    assert context(x_custom="1").apply(OK) == OK


def test_what_is_set_comes_back() -> None:
    made = context()
    made.set_response_status(201, "Created", 0)
    made.set_response_header(0, "X-Name", "first")
    made.set_response_header(0, "x-name", "second")
    made.set_response_content_type(0, "text/plain")
    response = made.apply(OK._replace(headers=(("x-own", "1"),)))
    assert response == Response(201, b"body", "text/plain", (("x-own", "1"), ("x-name", "second")))


def test_a_content_type_may_be_set_as_a_header_field() -> None:
    made = context()
    made.set_response_header(0, "Content-Type", "image/png")
    assert made.apply(OK).content_type == "image/png"
    assert made.apply(OK).headers == ()


def test_handlers_of_the_older_server_find_their_methods() -> None:
    made = context()
    made.request_processor[0].report_status(503, "Later")
    made.request_processor[0].add_response_property("Retry-After", "3")
    made.metrics.add_counter("requests", 1, idx=0)
    made.metrics.add_time("inference", 1.5, unit="ms")
    assert made.apply(OK)[0] == 503
    assert made.apply(OK).headers == (("retry-after", "3"),)
    made.set_all_response_status(code=200)
    assert made.apply(OK).status == 200


@pytest.mark.parametrize("name", ["Content-Length", "transfer-encoding", "Connection"])
def test_fields_that_frame_the_message_stay_the_servers(name: str) -> None:
    made = context()
    made.set_response_header(0, name, "1")
    assert made.apply(OK) == OK


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x-a", "1\r\nset-cookie: b"),
        ("x-a", "1\n2"),
        ("x-a", "\0"),
        ("x-a", "snow ☃"),
        ("x a", "1"),
        ("", "1"),
        ("x-a:", "1"),
        ("content-type", "text/plain\r\n"),
    ],
)
def test_what_http_cannot_carry_is_refused(name: str, value: str) -> None:
    with pytest.raises(ValueError, match=r"is no header field"):
        context().set_response_header(0, name, value)


@pytest.mark.parametrize("code", [0, 100, 199, 600, "many"])
def test_what_is_no_status_is_refused(code: Any) -> None:
    with pytest.raises(ValueError, match=r"status|invalid literal"):
        context().set_response_status(code)


def test_a_context_has_one_request() -> None:
    made = context()
    for call in (
        lambda: made.get_request_header(1, "accept"),
        lambda: made.get_all_request_header(1),
        lambda: made.get_request_id(1),
        lambda: made.set_response_header(1, "a", "b"),
        lambda: made.set_response_status(200, idx=1),
    ):
        with pytest.raises(IndexError, match=r"one request, with index 0, not 1"):
            call()


def test_a_context_of_loading_has_no_request() -> None:
    made = Context(None, Path("/opt/ml/model"))
    assert len(made.get_all_request_header(0)) == 0
    assert made.get_request_header(0, "accept") is None
