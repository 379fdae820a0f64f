"""Outputs in the accepted type."""

import json

import numpy as np
import pytest

from serving.engines import tensors
from serving.errors import SettingError
from serving.settings import Settings
from serving.values import Prediction, Request


def test_outputs_are_encoded_in_the_accepted_type() -> None:
    request = Request("POST", "/invocations", {}, b"")
    prediction = Prediction({"y": np.array([[0.5], [0.25]], np.float32)})
    response = tensors.encode(prediction, "application/json", request)
    assert json.loads(bytes(response.body)) == [[0.5], [0.25]]  # type: ignore[arg-type]
    assert response.content_type == "application/json"
    several = Prediction({"a": np.array([1]), "b": np.array(["x"], object)})
    response = tensors.encode(several, "application/json", request)
    assert json.loads(bytes(response.body)) == {"a": [1], "b": ["x"]}  # type: ignore[arg-type]


def test_the_default_accept_comes_first() -> None:
    assert tensors.writes(Settings())[0] == "application/json"
    assert tensors.writes(Settings(default_accept="text/csv; header=absent"))[0] == "text/csv"


def test_a_default_accept_that_cannot_be_written_is_refused() -> None:
    with pytest.raises(SettingError, match=r"text/html.*application/json, text/csv"):
        tensors.writes(Settings(default_accept="text/html"))


def test_types_that_cannot_carry_the_outputs_are_not_offered() -> None:
    several = {"a": np.zeros(2), "b": np.zeros(2)}
    assert "application/x-npy" in tensors.writes(Settings(), {"a": np.zeros(2)})
    assert "application/x-npy" not in tensors.writes(Settings(), several)
