"""Contract §4.3: networks without code: TorchScript, as the PyTorch toolkit has them, and ONNX."""

import io
import json
import re
import socket
from contextlib import closing
from typing import Any

import numpy as np
import pytest
import torch

from tests.contract.cases import get, post
from tests.contract.conftest import Files, MakeModel
from tests.contract.networks import Affine, Observer, linear, mixed, saved, scripted, sums
from tests.contract.places import Place
from tests.support import Answer, Server

CSV, JSON, LINES = "text/csv", "application/json", "application/jsonlines"
NPY = "application/x-npy"

PREDICTS = """
import torch


def predict_fn(data, model):
    assert isinstance(data, torch.Tensor) and data.dtype == torch.float32
    assert isinstance(model, torch.jit.ScriptModule) and not model.training
    return model(data) * 100
"""


def as_npy(array: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def told(server: Server, body: bytes | str, content_type: str = JSON) -> Any:
    raw = body.encode() if isinstance(body, str) else body
    answer = server.ask(post(raw, content_type))
    assert answer.status == 200, answer.body
    return json.loads(answer.body)


def failure(server: Server) -> str:
    """Why the model failed to load."""
    answer = server.ask(get("/ping"))
    assert answer.status == 503
    return str(json.loads(answer.body)["message"])


class TestModelFiles:
    def test_model_pt_is_the_model(self, place: Place, make_model: MakeModel) -> None:
        files: Files = {"model.pt": scripted(Affine(2.0)), "other.pth": scripted(Affine(9.0))}
        assert told(place.serve(make_model(files)), "[[1, 2]]") == [[3, 5]]

    @pytest.mark.parametrize("name", ["net.pt", "net.pth"])
    def test_without_one_it_is_the_only_file_of_its_kind(
        self, place: Place, make_model: MakeModel, name: str
    ) -> None:
        files: Files = {name: scripted(Affine(3.0)), "labels.txt": "cat\ndog\n"}
        assert told(place.serve(make_model(files)), "[[1, 2]]") == [[4, 7]]

    def test_several_are_refused_by_name(self, place: Place, make_model: MakeModel) -> None:
        files: Files = {"a.pt": scripted(Affine(2.0)), "b.pth": scripted(Affine(9.0))}
        reason = failure(place.serve(make_model(files)))
        assert "Exactly one .pt, .pth" in reason
        assert "a.pt, b.pth" in reason

    def test_weights_alone_are_refused_with_what_to_do(
        self, place: Place, make_model: MakeModel
    ) -> None:
        reason = failure(place.serve(make_model({"model.pt": saved(Affine(2.0).state_dict())})))
        assert "has a model's weights, but not its code" in reason
        assert "save the model as TorchScript" in reason

    def test_a_pickled_module_is_refused_with_what_to_do(
        self, place: Place, make_model: MakeModel
    ) -> None:
        reason = failure(place.serve(make_model({"model.pt": saved(torch.nn.Linear(2, 1))})))
        assert "is a Python pickle" in reason
        assert "save the model as TorchScript" in reason


class TestTorchScript:
    @pytest.fixture
    def affine(self, place: Place, make_model: MakeModel) -> Server:
        files: Files = {"model.pt": scripted(Affine(2.0)), "other.pth": scripted(Affine(9.0))}
        return place.serve(make_model(files))

    @pytest.fixture
    def observer(self, place: Place, make_model: MakeModel) -> Server:
        return place.serve(make_model({"model.pt": scripted(Observer())}))

    @pytest.mark.parametrize(("content_type", "body"), [(JSON, b"[[1, 2]]"), (CSV, b"1,2\n")])
    def test_json_and_csv_are_tensors_of_float32(
        self, observer: Server, content_type: str, body: bytes
    ) -> None:
        seen = told(observer, body, content_type)
        assert (seen["bytes"], seen["fractions"]) == ([[4, 4]], [[1, 1]])

    @pytest.mark.parametrize(
        ("dtype", "size", "fraction"),
        [("float16", 2, 1), ("float32", 4, 1), ("float64", 8, 1), ("int64", 8, 0), ("uint8", 1, 0)],
    )
    def test_npy_is_a_tensor_of_its_own_type(
        self, observer: Server, dtype: str, size: int, fraction: int
    ) -> None:
        seen = told(observer, as_npy(np.array([[1, 2]], dtype)), NPY)
        assert (seen["bytes"], seen["fractions"]) == ([[size] * 2], [[fraction] * 2])

    def test_no_gradients_are_kept(self, observer: Server) -> None:
        assert told(observer, "[[1, 2]]")["gradient"] == [[0, 0]]

    def test_the_module_is_in_evaluation(self, affine: Server) -> None:
        assert told(affine, "[[1, 2], [3, 4]]") == [[3, 5], [7, 9]]

    def test_several_outputs_have_names(self, observer: Server) -> None:
        assert told(observer, "[[1]]").keys() == {"bytes", "fractions", "gradient"}

    @pytest.mark.parametrize(
        ("accept", "content_type", "body"),
        [
            ("", JSON, b"[[3.0,5.0]]"),
            (JSON, JSON, b"[[3.0,5.0]]"),
            (CSV, CSV, b"3.0,5.0\n"),
            (NPY, NPY, as_npy(np.array([[3, 5]], np.float32))),
            ("image/png, text/csv", CSV, b"3.0,5.0\n"),
        ],
    )
    def test_the_answer_is_json_csv_or_npy(
        self, affine: Server, accept: str, content_type: str, body: bytes
    ) -> None:
        answer = affine.ask(post(b"[[1, 2]]", JSON, accept))
        assert answer == Answer(200, {"content-type": content_type}, body)

    def test_one_csv_row_is_a_table_of_one_row(self, affine: Server) -> None:
        """The toolkit makes it a vector, and so the answer's shape depends on how many came."""
        assert told(affine, b"1,2\n", CSV) == [[3, 5]]

    def test_a_script_may_predict_with_the_toolkits_model(
        self, place: Place, make_model: MakeModel
    ) -> None:
        files: Files = {"model.pt": scripted(Affine(2.0)), "code/inference.py": PREDICTS}
        server = place.serve(make_model(files))
        assert told(server, "[[1, 2]]") == [[300, 500]]
        assert told(server, b"1,2\n", CSV) == [[300, 500]]


class TestOnnx:
    @pytest.fixture
    def named(self, place: Place, make_model: MakeModel) -> Server:
        return place.serve(make_model({"model.onnx": sums()}))

    @pytest.fixture
    def typed(self, place: Place, make_model: MakeModel) -> Server:
        return place.serve(make_model({"model.onnx": mixed()}))

    @pytest.mark.parametrize(
        ("content_type", "body"),
        [
            (JSON, '{"inputs": {"a": [[1, 2]], "b": [[3, 4]]}}'),
            (JSON, '{"a": [[1, 2]], "b": [[3, 4]]}'),
            (JSON, '{"instances": [{"a": [1, 2], "b": [3, 4]}]}'),
            (LINES, '{"a": [1, 2], "b": [3, 4]}\n'),
            (CSV, "1,2,3,4\n"),
        ],
    )
    def test_inputs_have_names_and_several_outputs_too(
        self, named: Server, content_type: str, body: str
    ) -> None:
        assert told(named, body, content_type) == {"sum": [[4, 6]], "product": [[3, 8]]}

    def test_several_outputs_are_columns_of_csv(self, named: Server) -> None:
        answer = named.ask(post(b"1,2,3,4\n5,6,7,8\n", CSV, CSV))
        assert answer.body == b"4.0,6.0,3.0,8.0\n12.0,14.0,35.0,48.0\n"

    def test_other_names_are_a_400_that_says_those_of_the_model(self, named: Server) -> None:
        answer = named.ask(post(b'{"inputs": {"a": [[1, 2]], "c": [[3, 4]]}}', JSON))
        message = json.loads(answer.body)["message"]
        assert answer.status == 400
        assert "a, c" in message
        assert "b: float32 of shape (rows, 2)" in message

    def test_float16_int64_and_text_are_exact(self, typed: Server) -> None:
        record = {"half": [0.5], "count": [9007199254740993], "word": ["über"]}
        expected = {f"same_{name}": [value] for name, value in record.items()}
        assert told(typed, json.dumps({"instances": [record]})) == expected
        assert told(typed, "0.5,9007199254740993,über\n", CSV) == expected

    def test_text_for_a_number_is_a_400(self, typed: Server) -> None:
        body = b'{"instances": [{"half": [0.5], "count": ["many"], "word": ["a"]}]}'
        answer = typed.ask(post(body, JSON))
        assert answer.status == 400
        assert "text where input 'count' takes int64" in json.loads(answer.body)["message"]

    @pytest.mark.parametrize("batch", ["rows", 1, 3], ids=["dynamic", "of one", "of three"])
    def test_a_dynamic_and_a_fixed_batch_dimension_take_any_number_of_rows(
        self, place: Place, make_model: MakeModel, batch: int | str
    ) -> None:
        server = place.serve(make_model({"model.onnx": linear(batch)}))
        for count in (1, 2, 3, 7):
            rows = [[number, 1] for number in range(count)]
            assert told(server, json.dumps(rows)) == [[number + 10] for number in range(count)]


class TestDefectsThatAreAbsent:
    """What is known to be wrong with the PyTorch toolkit."""

    @pytest.fixture
    def server(self, place: Place, make_model: MakeModel) -> Server:
        files: Files = {"net.pth": scripted(Affine(3.0)), "labels.txt": "cat\ndog\n"}
        return place.serve(make_model(files))

    def test_a_model_file_is_found_whatever_the_working_folder_is(self, server: Server) -> None:
        assert told(server, "[[1, 2]]") == [[4, 7]]

    def test_no_token_is_asked_for(self, server: Server) -> None:
        assert server.ask(post(b"[[1, 2]]", JSON)).status == 200

    def test_requests_that_come_together_are_not_predicted_one_by_one(self, server: Server) -> None:
        told(server, "[[1, 2]]")  # shows that rows may be stacked
        before = calls(server)
        body = b"[[1, 2]]"
        head = f"POST /invocations HTTP/1.1\r\nhost: a\r\ncontent-length: {len(body)}\r\n\r\n"
        request = head.encode() + body
        with closing(socket.create_connection(("127.0.0.1", server.port))) as client:
            client.settimeout(server.patience)
            client.sendall(request * 16)
            received = b""
            while received.count(b"[[4.0,7.0]]") < 16:
                chunk = client.recv(65536)
                assert chunk, received
                received += chunk
        assert calls(server) - before < 16


def calls(server: Server) -> int:
    """How often the model was called, by the server's own count."""
    text = server.ask(get("/metrics")).body.decode()
    (count,) = re.findall(r"^serving_batch_rows_count (\d+)", text, re.MULTILINE)
    return int(count)
