"""The contract as a table: requests, and the answers every host gives to them.

A host passes if it answers each case as the table says, and byte for byte as the core does.
Expected bodies are literal where they can be: the models are made so that their answers are known.
"""

import json
import struct
from collections.abc import Callable
from typing import NamedTuple

from serving.values import Request

CSV, JSON, LINES = "text/csv", "application/json", "application/jsonlines"
LIBSVM, NPY = "text/libsvm", "application/x-npy"
RECORDIO = "application/x-recordio-protobuf"

ATTRIBUTES = "x-amzn-sagemaker-custom-attributes"


class Case(NamedTuple):
    """A request and its answer."""

    name: str
    model: str
    """One of the models in conftest.py."""
    request: Request
    status: int
    content_type: str = ""
    body: bytes | Callable[[bytes], None] = b""
    """The whole body, or what checks it."""
    headers: tuple[tuple[str, str], ...] = ()
    """All further header fields but those that frame the message, and its date."""


def post(body: bytes = b"", content_type: str = "", accept: str = "", **headers: str) -> Request:
    fields = {"content-type": content_type, "accept": accept, **headers}
    given = {name: value for name, value in fields.items() if value}
    return Request("POST", "/invocations", given, body)


def get(path: str, query: str = "", method: str = "GET") -> Request:
    return Request(method, path, {}, b"", query)


def problem(kind: str, code: int, *parts: str) -> Callable[[bytes], None]:
    """Checks a refusal, whose message has all these parts and is no traceback."""

    def check(body: bytes) -> None:
        told = json.loads(body)
        assert told.keys() == {"code", "type", "message"}
        assert (told["type"], told["code"]) == (kind, code)
        assert all(part in told["message"] for part in parts), told["message"]
        assert "Traceback" not in told["message"]

    return check


def refused(
    name: str, model: str, request: Request, kind: str, status: int, *parts: str, **headers: str
) -> Case:
    fields = tuple(headers.items())
    return Case(name, model, request, status, JSON, problem(kind, status, *parts), fields)


def infer(head: bytes, binary: bytes = b"") -> Request:
    """An inference request of the Open Inference Protocol, which may have binary data."""
    headers = {"inference-header-content-length": str(len(head))} if binary else {}
    return Request("POST", "/v2/models/model/infer", headers, head + binary)


def wrong(*parts: str) -> Callable[[bytes], None]:
    """Checks an error of the Open Inference Protocol, whose message has all these parts."""

    def check(body: bytes) -> None:
        (told,) = json.loads(body).items()
        assert told[0] == "error"
        assert all(part in told[1] for part in parts), told
        assert "Traceback" not in told[1]

    return check


def npy(rows: int, columns: int, *values: float) -> bytes:
    """An array as NumPy saves it, version 1.0 of the format."""
    shape = f"({rows}, {columns})" if columns else f"({rows},)"
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}"
    header += " " * (-(10 + len(header) + 1) % 64) + "\n"
    start = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode()
    return start + struct.pack(f"<{len(values)}f", *values)


def frame(field: bytes, name: bytes, *values: float) -> bytes:
    """A record with one float32 tensor, among its features (10) or its label (18)."""
    packed = struct.pack(f"<{len(values)}f", *values)
    tensor = b"\x0a" + bytes([len(packed)]) + packed
    value = b"\x12" + bytes([len(tensor)]) + tensor
    entry = b"\x0a" + bytes([len(name)]) + name + b"\x12" + bytes([len(value)]) + value
    message = field + bytes([len(entry)]) + entry
    return struct.pack("<II", 0xCED7230A, len(message)) + message + bytes(-len(message) % 4)


FEATURES, LABEL = b"\x0a", b"\x12"

# The stump answers 1 where the first of two features is below 1, and 3 where it is not or missing.
TWO_ROWS = b"0,5\n2,5\n"
ANSWER = b"1.0\n3.0\n"
ANSWER_JSON = b'{"predictions":[{"score":1.0},{"score":3.0}]}'

STUMP = (
    Case("ping", "stump", get("/ping"), 200),
    Case("ping by HEAD", "stump", get("/ping", method="HEAD"), 200),
    Case("ping with a query", "stump", get("/ping", "verbose=1"), 200),
    Case("csv", "stump", post(TWO_ROWS, CSV), 200, CSV, ANSWER),
    Case("csv without a last line break", "stump", post(b"0,5\n2,5", CSV), 200, CSV, ANSWER),
    Case("csv with CRLF", "stump", post(b"0,5\r\n2,5\r\n", CSV), 200, CSV, ANSWER),
    Case("csv with parameters", "stump", post(TWO_ROWS, 'Text/CSV; charset="utf-8"; label_size=1'),
         200, CSV, ANSWER),
    Case("csv with semicolons", "stump", post(b"0;5\n2;5", CSV), 200, CSV, ANSWER),
    Case("csv with empty and nan cells", "stump", post(b",5\nnan,5\n0,", CSV), 200, CSV,
         b"3.0\n3.0\n1.0\n"),
    Case("libsvm", "stump", post(b"0 1:0 2:5\n0 1:2\n", LIBSVM), 200, CSV, ANSWER),
    Case("libsvm is the default", "stump", post(b"0 1:0 2:5\n0 1:2\n"), 200, CSV, ANSWER),
    Case("libsvm: absent is missing", "stump", post(b"0 2:5\n", LIBSVM), 200, CSV, b"3.0\n"),
    Case("json of instances", "stump", post(b'{"instances": [[0, 5], [2, 5]]}', JSON), 200, CSV,
         ANSWER),
    Case("json of features", "stump",
         post(b'{"instances": [{"features": [0, 5]}, {"features": [2, null]}]}', JSON), 200, CSV,
         ANSWER),
    Case("json rows", "stump", post(b"[[0, 5], [2, 5]]", JSON), 200, CSV, ANSWER),
    Case("json row", "stump", post(b"[0, 5]", JSON), 200, CSV, b"1.0\n"),
    Case("jsonlines", "stump", post(b'{"features": [0, 5]}\n{"features": [2, 5]}', LINES), 200, CSV,
         ANSWER),
    Case("npy", "stump", post(npy(2, 2, 0, 5, 2, 5), NPY), 200, CSV, ANSWER),
    Case("recordio", "stump",
         post(frame(FEATURES, b"values", 0, 5) + frame(FEATURES, b"values", 2, 5), RECORDIO), 200,
         CSV, ANSWER),
    Case("json out", "stump", post(TWO_ROWS, CSV, JSON), 200, JSON, ANSWER_JSON),
    Case("jsonlines out", "stump", post(TWO_ROWS, CSV, LINES), 200, LINES,
         b'{"score":1.0}\n{"score":3.0}\n'),
    Case("npy out", "stump", post(TWO_ROWS, CSV, NPY), 200, NPY, npy(2, 0, 1, 3)),
    Case("recordio out", "stump", post(TWO_ROWS, CSV, RECORDIO), 200, RECORDIO,
         frame(LABEL, b"score", 1) + frame(LABEL, b"score", 3)),
    Case("accept anything", "stump", post(TWO_ROWS, CSV, "*/*"), 200, CSV, ANSWER),
    Case("accept a list", "stump", post(TWO_ROWS, CSV, "image/png, application/json"), 200, JSON,
         ANSWER_JSON),
    Case("accept by weight", "stump", post(TWO_ROWS, CSV, "text/csv;q=0.5, application/json"), 200,
         JSON, ANSWER_JSON),
    Case("accept a family", "stump", post(TWO_ROWS, CSV, "application/*"), 200, JSON, ANSWER_JSON),
    Case("accept all but one", "stump", post(TWO_ROWS, CSV, "text/csv;q=0, */*"), 200, JSON,
         ANSWER_JSON),
    Case("header fields of SageMaker's", "stump",
         post(TWO_ROWS, CSV, **{ATTRIBUTES: "a=b", "x-amzn-sagemaker-target-variant": "v"}), 200,
         CSV, ANSWER),
    Case("large body", "stump", post(b"0,123456.75\n" * 10_000, CSV), 200, CSV, b"1.0\n" * 10_000),
    Case("empty body", "stump", post(), 204),
    Case("empty body of any type", "stump", post(b"", "image/png", "image/png"), 204),
    Case("execution parameters", "stump", get("/execution-parameters"), 200, JSON,
         b'{"MaxConcurrentTransforms":1,"BatchStrategy":"MULTI_RECORD","MaxPayloadInMB":25}'),
    refused("type not read", "stump", post(b"x", "image/png"), "UnsupportedMediaType", 415,
            "image/png", CSV, LIBSVM, RECORDIO, JSON, NPY),
    refused("type that is none", "stump", post(b"x", "text csv"), "UnsupportedMediaType", 415,
            "'text csv'", "text/csv"),
    refused("csv that is none", "stump", post(b"a,b", CSV), "UnsupportedMediaType", 415,
            "Loading csv data failed with Exception, please ensure data is in csv format:"),
    refused("json that is none", "stump", post(b"{", JSON), "UnsupportedMediaType", 415,
            "please ensure data is in json format:"),
    refused("libsvm that is none", "stump", post(b"a:b"), "UnsupportedMediaType", 415,
            "please ensure data is in libsvm format:"),
    refused("large body that is none", "stump", post(b"1,2\n" * 20_000 + b"x", CSV),
            "UnsupportedMediaType", 415, "Row 20001"),
    refused("rows too wide", "stump", post(b"1,2,3", CSV), "BadRequest", 400,
            "Unable to evaluate payload provided", "takes 2 features", "has 3"),
    refused("rows too narrow", "stump", post(b"[[1], [2]]", JSON), "DecodeError", 400, "(rows, 2)"),
    refused("instances too narrow", "stump", post(b'{"instances": [[1], [2]]}', JSON),
            "DecodeError", 400, "(rows, 2)"),
    refused("type not written", "stump", post(TWO_ROWS, CSV, "image/png"), "NotAcceptable", 406,
            "image/png", CSV, JSON),
    refused("weight that is none", "stump", post(TWO_ROWS, CSV, "*/*;q=high"), "NotAcceptable", 406,
            "from 0 to 1"),
    refused("unknown path", "stump", get("/predict"), "NotFound", 404, "'/predict'",
            "/invocations"),
    refused("root", "stump", get("/"), "NotFound", 404, "'/'"),
    refused("wrong method", "stump", get("/invocations"), "MethodNotAllowed", 405, "POST", "GET",
            allow="POST"),
    refused("wrong method of ping", "stump", post()._replace(path="/ping"), "MethodNotAllowed", 405,
            "GET or HEAD", allow="GET, HEAD"),
)  # fmt: skip

# Four classes, all equally likely.
CLASSES = (
    Case("classes side by side", "classes", post(b"1,2\n3,4", CSV), 200, CSV,
         b"0.25,0.25,0.25,0.25\n" * 2),
    Case("classes as a list", "classes", post(b"1,2", CSV, JSON), 200, JSON,
         b'{"predictions":[{"score":[0.25,0.25,0.25,0.25]}]}'),
)  # fmt: skip

# Takes x of two columns, gives doubled and total.
ONNX = (
    Case("ping", "onnx", get("/ping"), 200),
    Case("json is the default", "onnx", post(b"[[1, 2], [3, 4.5]]"), 200, JSON,
         b'{"doubled":[[2.0,4.0],[6.0,9.0]],"total":[3.0,7.5]}'),
    Case("json of inputs", "onnx", post(b'{"inputs": {"x": [[1, 2]]}}', JSON), 200, JSON,
         b'{"doubled":[[2.0,4.0]],"total":[3.0]}'),
    Case("csv", "onnx", post(b"1,2\n3,4.5", CSV, CSV), 200, CSV, b"2.0,4.0,3.0\n6.0,9.0,7.5\n"),
    Case("null is missing, and infinity is null", "onnx", post(b"[[null, 1e300]]", JSON), 200, JSON,
         b'{"doubled":[[null,null]],"total":[null]}'),
    Case("jsonlines", "onnx", post(b"[1, 2]\n[3, 4.5]", LINES, LINES), 200, LINES,
         b'{"doubled":[2.0,4.0],"total":3.0}\n{"doubled":[6.0,9.0],"total":7.5}\n'),
    Case("empty body", "onnx", post(b"", JSON), 204),
    refused("json that is none", "onnx", post(b"{", JSON), "DecodeError", 400, "not JSON"),
    refused("other inputs", "onnx", post(b'{"y": 1}', JSON), "DecodeError", 400, "y", "x: float32"),
    refused("text for numbers", "onnx", post(b'[["a", "b"]]', JSON), "DecodeError", 400, "text"),
    refused("type not read", "onnx", post(b"x", "image/png"), "UnsupportedMediaType", 415, JSON),
    refused("type that cannot carry it", "onnx", post(b"[[1, 2]]", JSON, NPY), "NotAcceptable", 406,
            JSON),
)  # fmt: skip

# Its own functions; see conftest.py.
SCRIPT = (
    Case("ping", "script", get("/ping"), 200),
    Case("its own types", "script", post(b"2 3", "text/x-numbers", "text/x-numbers"), 200,
         "text/x-numbers", b"6 9"),
    Case("an empty body is its own to judge", "script", post(b"", "text/x-numbers"), 200, JSON,
         b"[]"),
    Case("a field from the request to the response", "script",
         post(b"1", "text/x-numbers", **{ATTRIBUTES: "trace=1"}), 200, JSON, b"[3]",
         ((ATTRIBUTES, "trace=1"),)),
    Case("a stream", "script", post(b"1 2 3", "text/x-numbers", "text/event-stream"), 200,
         "text/event-stream", b"data: 3\n\ndata: 6\n\ndata: 9\n\n"),
    refused("its own status", "script", post(b"1", "image/png"), "WrongType", 415,
            "Send numbers."),
    refused("its bug", "script", post(b"1 x", "text/x-numbers"), "PredictionError", 500,
            "input_fn failed: ValueError"),
)  # fmt: skip

FAILED = (
    refused("ping", "broken", get("/ping"), "ModelNotReady", 503,
            "The model failed to load: xgboost-model is damaged"),
    refused("invocation", "broken", post(b"1,2", CSV), "ModelNotReady", 503, "failed to load"),
    refused("empty body", "broken", post(), "ModelNotReady", 503, "failed to load"),
    refused("unknown path", "broken", get("/predict"), "NotFound", 404),
)  # fmt: skip

# The Open Inference Protocol.
OIP = (
    Case("v2 is ready", "stump", get("/v2/health/ready"), 200),
    Case("v2 is not ready", "broken", get("/v2/health/ready"), 503, JSON,
         wrong("The model failed to load: xgboost-model is damaged")),
    Case("v2 lives all the same", "broken", get("/v2/health/live"), 200),
    Case("v2 metadata", "stump", get("/v2/models/model"), 200, JSON,
         b'{"name":"model","versions":["1"],"platform":"xgboost",'
         b'"inputs":[{"name":"features","datatype":"FP32","shape":[-1,2]}],'
         b'"outputs":[{"name":"score","datatype":"FP32","shape":[-1]}]}'),
    Case("v2 in json", "stump", infer(b'{"id":"7","inputs":[{"name":"features","shape":[2,2],'
         b'"datatype":"FP32","data":[0,5,2,5]}]}'), 200, JSON,
         b'{"model_name":"model","model_version":"1","id":"7","outputs":[{"name":"score",'
         b'"datatype":"FP32","shape":[2],"data":[1.0,3.0]}]}'),
    Case("v2 in bytes", "onnx", infer(b'{"inputs":[{"name":"x","shape":[1,2],"datatype":"FP32",'
         b'"parameters":{"binary_data_size":8}}],"outputs":[{"name":"total","parameters":'
         b'{"binary_data":true}}]}', struct.pack("<2f", 1, 2)), 200, "application/octet-stream",
         b'{"model_name":"model","model_version":"1","outputs":[{"name":"total","datatype":"FP32",'
         b'"shape":[1],"parameters":{"binary_data_size":4}}]}' + struct.pack("<f", 3),
         (("inference-header-content-length", "137"),)),
    Case("v2 of a script", "script", infer(b'{"inputs":[{"name":"body","shape":[1],'
         b'"datatype":"BYTES","data":["2 3"]}],"parameters":{"content_type":"text/x-numbers",'
         b'"accept":"text/x-numbers"}}'), 200, JSON,
         b'{"model_name":"model","model_version":"1","outputs":[{"name":"body","datatype":"BYTES",'
         b'"shape":[1],"data":["6 9"]}]}'),
    Case("v2 with other inputs", "onnx", infer(b'{"inputs":[{"name":"y","shape":[1],"datatype":'
         b'"FP32","data":[1]}]}'), 400, JSON, wrong("names y", "x: float32 of shape (rows, 2)")),
    Case("v2 with a body that is none", "stump", infer(b"{"), 400, JSON, wrong("not JSON")),
    Case("v2 of no model", "stump", get("/v2/models/churn"), 404, JSON,
         wrong("'churn'", "'model'")),
    Case("v2 with a wrong method", "stump", get("/v2/models/model/infer"), 405, JSON,
         wrong("takes POST"), (("allow", "POST"),)),
)  # fmt: skip

CASES = (*STUMP, *CLASSES, *ONNX, *SCRIPT, *FAILED, *OIP)
