"""Stand-ins for ``sagemaker_inference``: its decoder, encoder, errors, utilities and handler."""

import io
import json
from typing import Any

import numpy as np
import pytest
import torch

from serving.compat.sagemaker_inference import content_types, decoder, encoder, errors, utils
from serving.compat.sagemaker_inference.default_inference_handler import DefaultInferenceHandler
from serving.errors import DecodeError

CSV, JSON, NPY = content_types.CSV, content_types.JSON, content_types.NPY


def npy(values: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, values)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("body", "content_type", "kind", "values"),
    [
        ("[[1, 2], [3, 4]]", JSON, "i", [[1, 2], [3, 4]]),
        (b"[1.5]", "application/json; charset=utf-8", "f", [1.5]),
        ("1,2\n3,4\n", CSV, "i", [[1, 2], [3, 4]]),
        ("1,2.5\n", CSV, "f", [1, 2.5]),
        ("1\n2\n", CSV, "i", [1, 2]),
        ("a,b\nc,d\n", CSV, "U", [["a", "b"], ["c", "d"]]),
        ("1,a\n2.5,b\n", CSV, "U", [["1", "a"], ["2.5", "b"]]),
        (npy(np.array([[1, 2]])), NPY, "i", [[1, 2]]),
    ],
)
def test_a_body_becomes_the_array_that_the_toolkit_makes_of_it(
    body: str | bytes, content_type: str, kind: str, values: Any
) -> None:
    array = decoder.decode(body, content_type)
    assert (array.dtype.kind, array.tolist()) == (kind, values)


def test_npz_becomes_the_matrix_that_was_saved() -> None:
    buffer = io.BytesIO()
    np.savez(buffer, format="csr", shape=(1, 3), data=[5.0], indices=[2], indptr=[0, 1])
    matrix = decoder.decode(buffer.getvalue(), content_types.NPZ)
    assert matrix.toarray().tolist() == [[0, 0, 5]]


@pytest.mark.parametrize(
    ("body", "content_type"),
    [("{", JSON), ("[[1], [2, 3]]", JSON), ("1,2\n3\n", CSV), (b"\x93NUMPY", NPY)],
)
def test_a_malformed_body_is_the_clients_error(body: str | bytes, content_type: str) -> None:
    with pytest.raises(DecodeError):
        decoder.decode(body, content_type)


def test_a_pickle_in_an_array_is_refused() -> None:
    buffer = io.BytesIO()
    np.save(buffer, np.array([object()]), allow_pickle=True)
    with pytest.raises(DecodeError):
        decoder.decode(buffer.getvalue(), NPY)


@pytest.mark.parametrize(
    ("value", "content_type", "body"),
    [
        ([[1, 2]], JSON, "[[1,2]]"),
        (np.array([[1.5, np.nan]]), JSON, "[[1.5,null]]"),
        ({"a": torch.tensor([1]), "b": (np.float32(0.5), None)}, JSON, '{"a":[1],"b":[0.5,null]}'),
        ([[1, 2], [3, 4]], CSV, "1,2\n3,4\n"),
        (torch.tensor([0.5, 1.0]), CSV, "0.5\n1.0\n"),
        ([1, 2], NPY, npy([1, 2])),
    ],
)
def test_an_array_becomes_text_in_json_and_csv_and_bytes_in_npy(
    value: Any, content_type: str, body: str | bytes
) -> None:
    assert encoder.encode(value, content_type) == body


def test_what_cannot_be_read_is_a_415_and_what_cannot_be_written_a_406() -> None:
    with pytest.raises(errors.UnsupportedFormatError, match="image/png") as read:
        decoder.decode(b"x", "image/png")
    with pytest.raises(errors.UnsupportedFormatError, match="image/png") as written:
        encoder.encode([1], "image/png")
    assert (read.value.status_code, written.value.status_code) == (415, 406)


def test_errors_have_a_status_a_message_and_a_phrase() -> None:
    base = errors.BaseInferenceToolkitError(422, "bad pixel", "Unprocessable")
    assert (base.status_code, base.message, base.phrase) == (422, "bad pixel", "Unprocessable")
    generic = errors.GenericInferenceToolkitError(400)
    assert (generic.status_code, generic.message, generic.phrase) == (400, *["Invalid Request"] * 2)
    assert str(errors.GenericInferenceToolkitError(429, "slower")) == "slower"


def test_the_default_handler_reads_and_writes_and_leaves_the_rest_to_the_script() -> None:
    handler = DefaultInferenceHandler()
    assert handler.default_input_fn("[1, 2]", JSON).tolist() == [1, 2]
    assert handler.default_output_fn([1, 2], f"image/png, {CSV}, {JSON}") == ("1\n2\n", CSV)
    with pytest.raises(errors.UnsupportedFormatError) as refused:
        handler.default_output_fn([1, 2], "image/png")
    assert refused.value.status_code == 406
    with pytest.raises(NotImplementedError, match="a model_fn to load the model in /m"):
        handler.default_model_fn("/m")
    with pytest.raises(NotImplementedError, match="a predict_fn to call a dict"):
        handler.default_predict_fn([1], {})


@pytest.mark.parametrize("name", ["Content-Type", "content-type", "ContentType", "contentType"])
def test_a_content_type_is_found_in_each_of_its_spellings(name: str) -> None:
    assert utils.retrieve_content_type_header({"accept": JSON, name: CSV}) == CSV
    assert utils.retrieve_content_type_header({"accept": JSON}) is None


def test_the_other_utilities(tmp_path: Any) -> None:
    file = tmp_path / "labels.json"
    file.write_text('["é"]')
    assert json.loads(utils.read_file(str(file))) == ["é"]
    assert utils.read_file(str(file), "rb") == file.read_bytes()
    assert utils.parse_accept("text/csv, */*") == ["text/csv", "*/*"]
    assert utils.remove_crlf("a\r\nb") == "a  b"
