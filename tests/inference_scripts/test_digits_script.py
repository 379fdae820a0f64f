"""The functions of the digits example's inference.py, called as the toolkit calls them."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest
import torch
from sklearn.datasets import load_digits

from serving.errors import DecodeError, NotAcceptable, UnsupportedMediaType

FOLDER = Path(__file__).parents[2] / "inference_scripts" / "pytorch_digits"
BLANK = [[0] * 8] * 8


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("digits_inference", FOLDER / "inference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def graymap(*pixels: object, header: str = "P2 8 8 16") -> bytes:
    return f"{header}\n{' '.join(map(str, pixels))}\n".encode()


def as_json(pixels: object) -> str:
    return json.dumps({"pixels": pixels})


def test_both_sample_requests_are_the_same_image(script: ModuleType) -> None:
    from_json = script.input_fn((FOLDER / "request.json").read_text(), "application/json")
    from_graymap = script.input_fn(
        (FOLDER / "request.pgm").read_bytes(), "image/x-portable-graymap"
    )
    assert from_json.dtype == torch.float32
    assert from_json.shape == (1, 8, 8)
    assert torch.equal(from_json, from_graymap)


def test_every_image_of_the_data_set_is_read_exactly(script: ModuleType) -> None:
    for image in load_digits().images:
        expected = torch.tensor(image, dtype=torch.float32).unsqueeze(0)
        as_text = graymap(*image.astype(int).flatten())
        assert torch.equal(script.input_fn(as_json(image.tolist()), "application/json"), expected)
        assert torch.equal(script.input_fn(as_text, "image/x-portable-graymap"), expected)


def test_a_content_type_may_have_parameters_and_a_json_body_be_bytes(script: ModuleType) -> None:
    body = as_json(BLANK).encode()
    image = script.input_fn(body, "application/json; charset=utf-8")
    assert torch.equal(image, torch.zeros(1, 8, 8))


def test_a_graymap_may_have_comments_anywhere(script: ModuleType) -> None:
    body = b"P2 # plain\n8 8 # size\n16\n" + b"0 1 # start\n" + b"0 " * 62
    image = script.input_fn(body, "image/x-portable-graymap")
    assert image.sum() == 1
    assert image[0, 0, 1] == 1


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("", "not JSON of the form"),
        ("[1, 2]", "not JSON of the form"),
        ('{"image": []}', "not JSON of the form"),
        ('{"pixels": NaN}', "not JSON of the form"),
        ("[" * 100_000, "not JSON of the form"),
        (as_json(None), "not rows of equally many numbers"),
        (as_json("seven"), "not rows of equally many numbers"),
        (as_json([["a"]]), "not rows of equally many numbers"),
        (as_json([[0] * 8] * 7 + [[0] * 9]), "not rows of equally many numbers"),
        (as_json([0] * 64), r"shape \(64,\)"),
        (as_json([[0] * 9] * 9), r"shape \(9, 9\)"),
        (as_json([BLANK]), r"shape \(1, 8, 8\)"),
        (as_json([]), r"shape \(0,\)"),
        (as_json([[0] * 8] * 7 + [[0] * 7 + [17]]), "range from 0 to 16"),
        (as_json([[0] * 8] * 7 + [[0] * 7 + [-1]]), "range from 0 to 16"),
        (as_json([[0] * 8] * 7 + [[0] * 7 + [1e300]]), "range from 0 to 16"),
        (as_json([[0] * 8] * 7 + [[0] * 7 + [10**400]]), "not JSON of the form"),
    ],
)
def test_a_json_body_that_is_no_image_is_refused(
    script: ModuleType, body: str, message: str
) -> None:
    with pytest.raises(DecodeError, match=message):
        script.input_fn(body, "application/json")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "P2 8 8 16"),
        (b"\xff\xfe\x00", "P2 8 8 16"),
        (graymap(*[0] * 64, header="P5 8 8 16"), "P2 8 8 16"),
        (graymap(*[0] * 81, header="P2 9 9 16"), "P2 8 8 16"),
        (graymap(*[0] * 64, header="P2 8 8 255"), "P2 8 8 16"),
        (graymap(), r"shape \(0,\)"),
        (graymap(*[0] * 63), "equally many"),
        (graymap(*[0] * 72), r"shape \(9, 8\)"),
        (graymap(*[0] * 63, "x"), "not a number"),
        (graymap(*[0] * 63, 17), "range from 0 to 16"),
        (graymap(*[0] * 63, "nan"), "range from 0 to 16"),
    ],
)
def test_a_graymap_that_is_no_such_image_is_refused(
    script: ModuleType, body: bytes, message: str
) -> None:
    with pytest.raises(DecodeError, match=message):
        script.input_fn(body, "image/x-portable-graymap")


def test_another_content_type_is_refused_with_those_that_are_read(script: ModuleType) -> None:
    with pytest.raises(UnsupportedMediaType, match="application/json or image/x-portable-graymap"):
        script.input_fn(b"\x89PNG", "image/png")


@pytest.mark.parametrize(
    "accept", ["application/json", "*/*", "", "text/html, application/*;q=0.5"]
)
def test_the_answer_is_the_likeliest_digit_and_all_probabilities(
    script: ModuleType, accept: str
) -> None:
    logits = torch.zeros(1, 10)
    logits[0, 7] = 5
    body, content_type = script.output_fn(logits, accept)
    answer = json.loads(body)
    assert content_type == "application/json"
    assert answer.keys() == {"digit", "probabilities"}
    assert answer["digit"] == 7
    assert answer["probabilities"] == logits.softmax(dim=1)[0].tolist()


def test_an_accept_without_json_is_refused(script: ModuleType) -> None:
    with pytest.raises(NotAcceptable, match="application/json"):
        script.output_fn(torch.zeros(1, 10), "image/png")
