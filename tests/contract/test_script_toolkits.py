"""Contract §4.1: scripts for AWS's toolkits are served unmodified, with the toolkits' defaults."""

import importlib
import io
from typing import Any

import numpy as np
import pytest
import torch

from tests.contract import toolkit_scripts as scripts
from tests.contract.cases import get, post
from tests.contract.conftest import Files, MakeModel
from tests.contract.places import Place
from tests.contract.script_answers import CSV, JSON, NPY, NPZ, as_npy, refused, told
from tests.models import stump
from tests.support import Answer, Server

sparse: Any = importlib.import_module("scipy.sparse")  # it has no types


class TestDefaults:
    """What stands for the functions that a script does not have."""

    @pytest.fixture
    def server(self, place: Place, make_model: MakeModel) -> Server:
        return place.serve(make_model({"code/inference.py": scripts.DOUBLES}))

    @pytest.mark.parametrize(
        ("content_type", "body"),
        [
            (JSON, b"[[1, 2.5], [3, 4]]"),
            (CSV, b"1,2.5\n3,4\n"),
            (NPY, as_npy(np.array([[1, 2.5], [3, 4]]))),
        ],
    )
    def test_json_csv_and_npy_are_an_array(
        self, server: Server, content_type: str, body: bytes
    ) -> None:
        answer = server.ask(post(body, content_type))
        assert told(answer) == [[2, 5], [6, 8]]

    @pytest.mark.parametrize("form", ["csr", "csc", "coo"])
    def test_npz_is_a_sparse_matrix(self, server: Server, form: str) -> None:
        buffer = io.BytesIO()
        sparse.save_npz(buffer, sparse.csr_matrix([[0, 1.5], [2, 0]]).asformat(form))
        answer = server.ask(post(buffer.getvalue(), NPZ))
        assert told(answer) == [[0, 3], [4, 0]]

    @pytest.mark.parametrize(
        ("accept", "body"),
        [
            (JSON, b"[[2,4]]"),
            (CSV, b"2,4\n"),
            (NPY, as_npy(np.array([[2, 4]]))),
            ("", b"[[2,4]]"),
            ("image/png, text/csv, application/json", b"2,4\n"),
        ],
    )
    def test_an_array_is_written_in_the_first_type_that_the_client_accepts(
        self, server: Server, accept: str, body: bytes
    ) -> None:
        assert server.ask(post(b"[[1, 2]]", JSON, accept)).body == body

    def test_without_a_model_fn_and_a_model_the_message_names_both(
        self, place: Place, make_model: MakeModel
    ) -> None:
        server = place.serve(make_model({"code/inference.py": "def predict_fn(data, model): ..."}))
        status, message = refused(server.ask(get("/ping")))
        assert status == 503
        assert "no model this server knows" in message
        assert "code/inference.py with a model_fn" in message


class TestUnmodified:
    """Scripts of each toolkit, with its imports."""

    @pytest.fixture
    def helped(self, place: Place, make_model: MakeModel) -> Server:
        return place.serve(make_model({"code/inference.py": scripts.HELPERS, "factor": "3"}))

    def test_of_sagemaker_inference_with_its_handler_codecs_and_errors(
        self, helped: Server
    ) -> None:
        for content_type, body in (
            (JSON, b"[[1, 2]]"),
            (CSV, b"1,2\n1,2\n"),
            (NPY, as_npy(np.array([1, 2]))),
        ):
            answer = helped.ask(post(body, content_type))
            assert np.unique(told(answer)).tolist() == [3, 6]
            assert answer.headers["content-type"] == JSON
        answer = helped.ask(post(b"[[1, 2]]", JSON, CSV))
        assert answer == Answer(200, {"content-type": CSV}, b"3,6\n")
        answer = helped.ask(post(b"[1, 2]", JSON, accept=f"image/png, {NPY}"))
        assert answer.headers == {"content-type": NPY}
        assert np.load(io.BytesIO(answer.body)).tolist() == [3, 6]

    def test_its_errors_have_their_statuses(self, helped: Server) -> None:
        assert refused(helped.ask(post(b"[-1]", JSON))) == (
            422,
            "Send no negative numbers.",
        )
        assert refused(helped.ask(post(b"[5000]", JSON)))[0] == 429

    def test_of_the_pytorch_toolkit(self, place: Place, make_model: MakeModel) -> None:
        weights = {"layer.weight": torch.tensor([[2.0, 0.5]]), "layer.bias": torch.tensor([1.0])}
        buffer = io.BytesIO()
        torch.save(weights, buffer)
        files: Files = {"code/inference.py": scripts.PYTORCH, "model.pth": buffer.getvalue()}
        server = place.serve(make_model(files))
        answer = server.ask(post(b'{"inputs": [[1, 2], [0, 0]]}', JSON))
        assert told(answer) == {"predictions": [[4], [1]]}
        body = as_npy(np.array([[1, 2]]))
        assert told(server.ask(post(body, NPY))) == {"predictions": [[4]]}

    def test_of_the_xgboost_container(self, place: Place, make_model: MakeModel) -> None:
        booster = bytes(stump().save_raw("ubj"))
        files: Files = {"code/inference.py": scripts.XGBOOST, "xgboost-model": booster}
        server = place.serve(make_model(files))
        body = b'{"instances": [{"features": [0, 5]}]}'
        assert told(server.ask(post(body, JSON))) == {"predictions": [{"score": 1}]}
        for content_type, body in ((CSV, b"0,5\n2,5"), ("text/libsvm", b"0 0:0 1:5\n0 0:2")):
            answer = server.ask(post(body, content_type, CSV))
            assert answer == Answer(200, {"content-type": CSV}, b"1.0\n3.0\n")

    def test_of_the_xgboost_container_with_a_model_fn_alone(
        self, place: Place, make_model: MakeModel
    ) -> None:
        """Unlike a model without a script: the default is JSON, and of bare scores."""
        booster = bytes(stump().save_raw("ubj"))
        files: Files = {"code/inference.py": scripts.ONLY_MODEL_FN, "xgboost-model": booster}
        server = place.serve(make_model(files))
        answer = server.ask(post(b"0,5\n2,5", CSV))
        assert answer == Answer(200, {"content-type": JSON}, b"[1.0,3.0]")
        answer = server.ask(post(b"0 0:0 1:5", "text/libsvm", CSV))
        assert answer.body == b"1.0\n"
