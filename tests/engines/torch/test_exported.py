"""Exported programs: what they declare, take and answer."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.export import Dim

from serving.errors import BadRequest, DecodeError, ModelLoadError
from serving.values import Payload
from tests.engines.torch.support import ROW, Named, Net, Pair, ask, export, load


def test_an_exported_program_declares_its_inputs_and_outputs(exported: Path) -> None:
    model = load(exported)
    assert model.inputs == (("x", "float32", (None, 4)),)
    assert model.outputs == (("output_0", "float32", (None, 3)),)
    assert model.merge_key is not None
    assert model.predict(Payload(model.sample)).outputs["output_0"].shape == (1, 3)


def test_an_exported_program_answers_as_the_module(exported: Path) -> None:
    with torch.inference_mode():
        expected = Net().eval()(torch.from_numpy(ROW)).numpy()
    answer = np.array(ask(load(exported), "[1, 2, 3, 4]"), np.float32)
    assert np.allclose(answer, expected)


def test_a_misfit_with_an_exported_program_is_named(exported: Path) -> None:
    with pytest.raises(DecodeError, match=r"'x' takes float32 of shape \(rows, 4\).*\(1, 3\)"):
        ask(load(exported), "[[1, 2, 3]]")


def test_an_exported_program_of_a_fixed_batch_takes_any_number_of_rows(tmp_path: Path) -> None:
    model = load(export(tmp_path / "model.pt2", Net(), torch.zeros(2, 4)))
    assert model.inputs[0].shape == (None, 4)
    answer = ask(model, json.dumps(np.repeat(ROW, 3, 0).tolist()))
    assert len(answer) == 3
    assert answer[0] == answer[2]


def test_an_exported_program_of_several_inputs_and_outputs(tmp_path: Path) -> None:
    path = export(tmp_path / "model.pt2", Pair(), torch.zeros(1, 2), torch.zeros(1, 2))
    model = load(path)
    assert [tensor.name for tensor in model.inputs] == ["a", "b"]
    assert ask(model, "1,2,3,4\n", "text/csv") == {"output_0": [[4, 6]], "output_1": [[3, 8]]}


def test_an_exported_program_of_nested_and_fixed_arguments(tmp_path: Path) -> None:
    class Nested(torch.nn.Module):
        def forward(
            self, x: torch.Tensor, scale: int, more: dict[str, torch.Tensor]
        ) -> dict[str, Any]:
            return {"sum": x * scale + more["y"], "both": (x, more["y"])}

    values = (torch.zeros(1, 2), 3, {"y": torch.zeros(1, 2)})
    torch.export.save(torch.export.export(Nested(), values), tmp_path / "model.pt2")
    model = load(tmp_path / "model.pt2")
    assert [tensor.name for tensor in model.inputs] == ["x", "more_y"]
    assert [tensor.name for tensor in model.outputs] == ["sum", "both_0", "both_1"]
    assert ask(model, '{"x": [[1, 2]], "more_y": [[3, 4]]}') == {
        "sum": [[6, 10]],
        "both_0": [[1, 2]],
        "both_1": [[3, 4]],
    }


def test_a_condition_of_an_exported_program_is_the_clients_to_meet(tmp_path: Path) -> None:
    length = Dim("length", min=2, max=4)
    path = export(tmp_path / "model.pt2", Named(), torch.zeros(1, 3), dynamic=({1: length},))
    model = load(path)
    assert ask(model, "[[2, 2, 2]]")["half"] == [[1, 1, 1]]
    with pytest.raises(BadRequest, match=r"refuses the input: Guard failed"):
        ask(model, "[[1, 2, 3, 4, 5]]")


def test_an_exported_program_of_a_type_no_body_carries_is_refused(tmp_path: Path) -> None:
    path = export(tmp_path / "model.pt2", Named(), torch.zeros(1, 2, dtype=torch.bfloat16))
    with pytest.raises(ModelLoadError, match=r"'x' as bfloat16.*float32"):
        load(path)
