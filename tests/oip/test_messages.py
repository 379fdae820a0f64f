"""Inference requests and responses of the Open Inference Protocol."""

from typing import Any

import numpy as np
import orjson
import pytest
import tritonclient.http as triton
from hypothesis import given
from hypothesis import strategies as st

from serving.errors import BadRequest, DecodeError, NotAcceptable, ServingError
from serving.oip import messages
from serving.oip.messages import Asked, Wanted
from serving.values import Request, Response

X = {"name": "x", "datatype": "FP32", "shape": [2], "data": [1, 2]}
Y = {"name": "y", "datatype": "INT8", "shape": [1], "parameters": {"binary_data_size": 1}}


def request(content: Any, binary: bytes = b"", **headers: str) -> Request:
    """A request whose header field of the JSON's length is right, unless another is given."""
    head = content if isinstance(content, bytes) else orjson.dumps(content)
    fields = {"inference-header-content-length": str(len(head))} if binary else {}
    fields |= {name.replace("_", "-"): value for name, value in headers.items()}
    return Request("POST", "/v2/models/model/infer", fields, head + binary)


def asked(*outputs: Wanted, binary: bool = False, name: str = "") -> Asked:
    return Asked(name, {}, outputs, binary, {})


def result(response: Response) -> triton.InferResult:
    """The response as the client reads it."""
    length = dict(response.headers).get("inference-header-content-length")
    return triton.InferenceServerClient.parse_response_body(
        response.body, header_length=int(length) if length else None
    )


@pytest.mark.parametrize("binary", [True, False])
def test_what_the_client_writes_is_read(binary: bool) -> None:
    inputs = [triton.InferInput("x", [2, 2], "FP32"), triton.InferInput("words", [2], "BYTES")]
    rows = np.array([[1, 2], [3, 4]], np.float32)
    inputs[0].set_data_from_numpy(rows, binary_data=binary)
    inputs[1].set_data_from_numpy(np.array([b"a", "é".encode()], object), binary_data=binary)
    outputs = [triton.InferRequestedOutput("y", binary_data=binary)]
    body, length = triton.InferenceServerClient.generate_request_body(
        inputs, outputs, request_id="7", parameters={"color": "red"}
    )
    headers = {} if length is None else {"inference-header-content-length": str(length)}
    read = messages.read(Request("POST", "/v2/models/model/infer", headers, body))
    assert read.id == "7"
    assert read.parameters == {"color": "red"}
    assert read.outputs == (Wanted("y", binary),)
    np.testing.assert_array_equal(read.inputs["x"], rows)
    assert read.inputs["words"].tolist() == [b"a", "é".encode()]


def test_a_client_that_names_no_output_may_want_all_as_bytes() -> None:
    read = messages.read(request({"inputs": [X], "parameters": {"binary_data_output": True}}))
    assert read.outputs == ()
    assert read.binary


def test_an_output_is_as_bytes_where_it_or_the_request_says_so() -> None:
    content = {
        "inputs": [X],
        "outputs": [{"name": "a"}, {"name": "b", "parameters": {"binary_data": False}}],
        "parameters": {"binary_data_output": True},
    }
    assert messages.read(request(content)).outputs == (Wanted("a", True), Wanted("b", False))


@pytest.mark.parametrize("binary", [True, False])
def test_what_is_written_the_client_reads(binary: bool) -> None:
    outputs: dict[str, Any] = {
        "rows": np.array([[1.5, 0.1]], np.float32),
        "half": np.array([0.1], np.float16),
        "whole": np.array([-5], np.int64),
        "flags": np.array([True, False]),
        "words": np.array(["é", "b"], object),
    }
    response = messages.write(asked(binary=binary, name="7"), "churn", "1", outputs)
    read = result(response)
    about = read.get_response()
    assert (about["model_name"], about["model_version"], about["id"]) == ("churn", "1", "7")
    assert [output["name"] for output in about["outputs"]] == list(outputs)
    for name, array in outputs.items():
        got = read.as_numpy(name)
        assert got.shape == array.shape
        if name == "words":
            texts = [word.decode() if isinstance(word, bytes) else word for word in got.tolist()]
            assert texts == array.tolist()
        else:
            assert got.dtype == array.dtype
            np.testing.assert_array_equal(got, array)


def test_only_the_outputs_that_are_wanted_are_written_each_in_its_form() -> None:
    outputs = {name: np.array([number], np.int8) for number, name in enumerate("abc")}
    response = messages.write(asked(Wanted("c", True), Wanted("a", False)), "m", "1", outputs)
    read = result(response)
    assert [output["name"] for output in read.get_response()["outputs"]] == ["c", "a"]
    assert "data" in read.get_output("a")
    assert read.get_output("c")["parameters"] == {"binary_data_size": 1}
    assert read.as_numpy("c").tolist() == [2]


def test_json_has_null_where_there_is_no_number() -> None:
    outputs = {"x": np.array([np.nan, 1.0], np.float32)}
    body = messages.write(asked(), "m", "1", outputs).body
    assert isinstance(body, bytes)
    assert orjson.loads(body)["outputs"][0]["data"] == [None, 1.0]


def test_an_output_that_is_not_there_is_refused_with_those_that_are() -> None:
    with pytest.raises(BadRequest, match="no output 'z'; it has x"):
        messages.write(asked(Wanted("z", False)), "m", "1", {"x": np.zeros(1)})


def test_bytes_that_are_no_text_have_no_form_in_json() -> None:
    outputs = {"x": np.array([b"\xff"], object)}
    with pytest.raises(NotAcceptable):
        messages.write(asked(), "m", "1", outputs)
    assert result(messages.write(asked(binary=True), "m", "1", outputs)).as_numpy("x") == [b"\xff"]


@pytest.mark.parametrize(
    ("asking", "told"),
    [
        (request(b""), "not JSON"),
        (request(b"[" * 100_000), "not JSON"),
        (request(b"\xff{}"), "not JSON"),
        (request([]), "takes an object"),
        (request({}), "at least one tensor"),
        (request({"inputs": {}}), "at least one tensor"),
        (request({"inputs": "x"}), "takes a list of objects"),
        (request({"inputs": [1]}), "takes a list of objects"),
        (request({"inputs": [X, X]}), "'x' is there twice"),
        (request({"inputs": [X], "id": 7}), '"id" takes text'),
        (request({"inputs": [X], "parameters": [1]}), "no object"),
        (request({"inputs": [X], "parameters": {"binary_data_output": 1}}), "true or false"),
        (request({"inputs": [X], "outputs": [{}]}), 'Each output takes a "name"'),
        (request({"inputs": [X], "outputs": {"name": "y"}}), "takes a list of objects"),
        (request({"inputs": [{**X, "name": ""}]}), 'Each input takes a "name"'),
        (request({"inputs": [{**X, "datatype": "FLOAT"}]}), "none of BOOL"),
        (request({"inputs": [{**X, "datatype": ["FP32"]}]}), "none of BOOL"),
        (request({"inputs": [{**X, "shape": None}]}), 'takes a "shape"'),
        (request({"inputs": [{**X, "shape": [1] * 33}]}), "at most 32"),
        (request({"inputs": [{**X, "shape": [-1]}]}), "below 0"),
        (request({"inputs": [{**X, "shape": [2.0]}]}), "whole numbers"),
        (request({"inputs": [{**X, "shape": [True]}]}), "whole numbers"),
        (request({"inputs": [{**X, "shape": [0], "data": []}]}), "has no values"),
        (request({"inputs": [{**X, "shape": [2**63, 2**63]}]}), "has 2 values"),
        (request({"inputs": [{"name": "x", "datatype": "FP32", "shape": [1]}]}), "neither"),
        (request({"inputs": [{**Y, "data": [1]}]}, b"1"), "both"),
        (request({"inputs": [Y]}), "end within input 'y': 0 bytes follow"),
        (request({"inputs": [Y]}, b"12"), "have 1 bytes of binary data together; 2 bytes"),
        (request({"inputs": [X]}, b"12"), "have 0 bytes"),
        (request({"inputs": [{**Y, "shape": [2]}]}, b"1"), "has 1 bytes; INT8 of shape [2] has 2"),
        (
            request({"inputs": [{**Y, "parameters": {"binary_data_size": -1}}]}, b"1"),
            "no number of bytes",
        ),
        (
            request({"inputs": [{**Y, "parameters": {"binary_data_size": 10**18}}]}, b"1"),
            "end within",
        ),
        (request({"inputs": [X]}, inference_header_content_length="-1"), "no number of bytes"),
        (request({"inputs": [X]}, inference_header_content_length="1e3"), "no number of bytes"),
        (request({"inputs": [X]}, inference_header_content_length="9" * 19), "the body has"),
        (request({"inputs": [X]}, content_encoding="gzip"), "Content-Encoding 'gzip'"),
        (
            request({"inputs": [{**X, "parameters": {"shared_memory_region": "r"}}]}),
            "shared_memory_region",
        ),
        (
            request(
                {"inputs": [X], "outputs": [{"name": "y", "parameters": {"classification": 2}}]}
            ),
            "classification",
        ),
    ],
)
def test_what_is_malformed_is_refused_with_what_is_wrong(asking: Request, told: str) -> None:
    with pytest.raises(ServingError) as caught:
        messages.read(asking)
    assert 400 <= caught.value.status < 500
    assert told in str(caught.value)


@given(st.binary(max_size=60), st.integers(-5, 70))
def test_whatever_the_body_is_it_is_read_or_refused(body: bytes, length: int) -> None:
    headers = {"inference-header-content-length": str(length)}
    with pytest.raises(DecodeError):
        messages.read(Request("POST", "/v2/models/model/infer", headers, body))
