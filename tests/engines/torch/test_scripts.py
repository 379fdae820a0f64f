"""A script's functions see what PyTorch does."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.engines.torch.support import Named, Net, Pair, load, script


def test_scripts_see_tensors(tmp_path: Path) -> None:
    native = load(script(tmp_path / "model.pt", Named())).native
    assert native is not None
    assert isinstance(native.model(), torch.jit.ScriptModule)
    payload = native.payload(torch.ones(2, 3, dtype=torch.float64))
    assert payload.rows == 2
    assert payload.data["x"].dtype == np.float64
    assert isinstance(native.argument(payload.data), torch.Tensor)


@pytest.mark.parametrize("module", [Net(), Named(), Pair()])
def test_an_output_fn_gets_what_the_module_answers(tmp_path: Path, module: torch.nn.Module) -> None:
    model = load(script(tmp_path / "model.pt", module))
    assert model.native is not None
    count = 2 if isinstance(module, Pair) else 1
    tensors = [torch.rand(2, 4) for _ in range(count)]
    names = [tensor.name for tensor in model.inputs]
    payload = model.native.payload(dict(zip(names, tensors, strict=True)))
    result = model.native.result(model.predict(payload).outputs)
    torch.testing.assert_close(result, module.eval()(*tensors))


@pytest.mark.parametrize(
    "value", [torch.ones(1, 2, dtype=torch.bfloat16), torch.eye(2).to_sparse()]
)
def test_a_tensor_numpy_cannot_hold_goes_to_the_module_as_it_is(
    tmp_path: Path, value: torch.Tensor
) -> None:
    native = load(script(tmp_path / "model.pt", Named())).native
    assert native is not None
    payload = native.payload(value)
    assert payload.merge_key is None
    assert native.argument(payload.data) is value
