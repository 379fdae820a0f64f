"""Stand-ins for ``sagemaker_containers`` and the XGBoost container, which older scripts import."""

import json
from types import ModuleType

import numpy as np
import pytest

from serving.codecs import recordio
from serving.compat import sagemaker_containers
from serving.compat.sagemaker_containers.beta.framework import (
    content_types,
    encoders,
    env,
    errors,
    modules,
    transformer,
    worker,
)
from serving.compat.sagemaker_xgboost_container import data_utils, distributed, encoder
from serving.errors import DecodeError, UnsupportedMediaType
from tests.engines.xgboost.bodies import as_recordio

ROWS = np.array([[1, np.nan], [3, 4]], np.float32)


def test_the_framework_has_content_types_encoders_and_errors() -> None:
    assert encoders.encode([[1, 2]], content_types.CSV) == "1,2\n"
    assert encoders.decode("[1]", content_types.JSON).tolist() == [1]
    assert errors.UnsupportedFormatError("a/b").status_code == 415


def test_a_response_has_a_body_a_type_a_status_and_header_fields() -> None:
    response = worker.Response("é", "text/csv", mimetype="text/csv", headers={"X-One": "1"})
    assert (response.get_data(), response.content_type) == ("é".encode(), "text/csv")
    assert (response.status_code, response.headers) == (200, {"X-One": "1"})
    assert worker.Response(b"[]", status=404).status_code == 404
    assert worker.Response(b"[]").mimetype == "application/json"


@pytest.mark.parametrize(
    ("absent", "name"),
    [
        (env.ServingEnv, "framework.env.ServingEnv"),
        (modules.import_module, "framework.modules.import_module"),
        (transformer, "framework.transformer"),
        (sagemaker_containers.entry_point.run, "sagemaker_containers.entry_point.run"),
        (data_utils.get_dmatrix, "sagemaker_xgboost_container.data_utils.get_dmatrix"),
        (distributed.rabit_run, "sagemaker_xgboost_container.distributed.rabit_run"),
    ],
)
def test_what_trains_can_be_imported_and_refuses_to_be_called(absent: object, name: str) -> None:
    assert callable(absent)
    with pytest.raises(NotImplementedError, match=rf"{name} is not there: .* not to train"):
        absent(1, option=2)


@pytest.mark.parametrize("module", [sagemaker_containers, data_utils, distributed])
def test_names_that_python_looks_for_are_not_made_up(module: ModuleType) -> None:
    assert not hasattr(module, "__wrapped__")


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        ("1,\n3,4", "text/csv; charset=utf-8"),
        (b"0 1:1\n0 1:3 2:4", "text/libsvm"),
        (b"0 0:1\n0 0:3 1:4", "text/x-libsvm"),
        (as_recordio(ROWS), recordio.MEDIA_TYPE),
    ],
)
def test_a_body_becomes_the_matrix_that_the_container_makes_of_it(
    body: str | bytes, content_type: str
) -> None:
    matrix = encoder.decode(body, content_type)
    assert (matrix.num_row(), matrix.num_col(), matrix.num_nonmissing()) == (2, 2, 3)
    assert matrix.get_data().toarray().tolist() == [[1, 0], [3, 4]]


def test_each_format_has_a_function_of_its_own() -> None:
    for matrix in (
        encoder.csv_to_dmatrix("1,\n3,4", dtype=float),
        encoder.libsvm_to_dmatrix(b"0 1:1\n0 1:3 2:4"),
        encoder.recordio_protobuf_to_dmatrix(as_recordio(ROWS)),
    ):
        assert matrix.get_data().toarray().tolist() == [[1, 0], [3, 4]]


def test_other_types_and_malformed_bodies_are_the_clients_error() -> None:
    with pytest.raises(UnsupportedMediaType, match="application/json is not an accepted"):
        encoder.decode("[[1]]", "application/json")
    with pytest.raises(DecodeError):
        encoder.decode("1,x", "text/csv")


def test_json_becomes_lines() -> None:
    body = encoder.json_to_jsonlines('{"predictions": [{"score": 1}, {"score": 2}]}')
    assert [json.loads(line) for line in body.splitlines()] == [{"score": 1}, {"score": 2}]
    with pytest.raises(ValueError, match="this has a, b"):
        encoder.json_to_jsonlines({"a": [], "b": []})
