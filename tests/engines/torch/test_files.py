"""Pickles and damaged files."""

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from serving.errors import ModelLoadError, PredictionError
from serving.settings import Settings
from tests.engines.torch.support import Net, ask, load, script


def test_a_pickled_module_is_refused_with_the_setting_that_allows_it(tmp_path: Path) -> None:
    torch.save(Net(), tmp_path / "model.pt")
    with pytest.raises(ModelLoadError, match=r"TorchScript.*SERVING_ALLOW_PICKLE=true"):
        load(tmp_path / "model.pt")


def test_a_pickled_module_loads_if_allowed(tmp_path: Path) -> None:
    torch.save(torch.nn.Sequential(torch.nn.Linear(4, 2), torch.nn.Dropout()), tmp_path / "m.pt")
    model = load(tmp_path / "m.pt", Settings(allow_pickle=True))
    assert ask(model, "[[1, 2, 3, 4]]") == ask(model, "[[1, 2, 3, 4]]")
    assert "predict" in model.foreign
    with pytest.raises(PredictionError, match=r"The model failed: RuntimeError: .*shapes"):
        ask(model, "[[1, 2]]")


@pytest.mark.parametrize("allowed", [False, True])
@pytest.mark.parametrize(
    "content", [{"weight": torch.ones(2)}, {"weight": torch.ones(2), "by": Path("x")}]
)
def test_weights_alone_are_refused_without_a_useless_setting(
    tmp_path: Path, content: dict[str, Any], allowed: bool
) -> None:
    torch.save(content, tmp_path / "model.pth")
    with pytest.raises(ModelLoadError, match=r"model_fn") as caught:
        load(tmp_path / "model.pth", Settings(allow_pickle=allowed))
    assert "PICKLE" not in str(caught.value)


def test_a_pickle_of_a_class_that_is_not_there_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.save(Net(), tmp_path / "model.pt")
    monkeypatch.delattr(f"{Net.__module__}.Net")
    with pytest.raises(ModelLoadError, match=r"no PyTorch model that loads.*Net"):
        load(tmp_path / "model.pt", Settings(allow_pickle=True))


def cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


@pytest.mark.parametrize("damage", [cut, lambda _: b"", lambda _: b"hello" * 50])
@pytest.mark.parametrize("allowed", [False, True])
def test_a_damaged_file_is_refused(
    tmp_path: Path, damage: Callable[[bytes], bytes], allowed: bool
) -> None:
    path = script(tmp_path / "model.pt", Net())
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ModelLoadError, match=r"^model\.pt is no PyTorch model") as caught:
        load(path, Settings(allow_pickle=allowed))
    assert "PICKLE" not in str(caught.value)


def test_torchscript_with_damaged_code_is_refused(tmp_path: Path) -> None:
    whole = script(tmp_path / "whole", Net())
    with (
        zipfile.ZipFile(whole) as source,
        zipfile.ZipFile(tmp_path / "model.pt", "w") as target,
    ):
        for name in source.namelist():
            content = source.read(name)
            target.writestr(name, content.replace(b"def forward", b"def f0rward"))
    with pytest.raises(ModelLoadError, match=r"^model\.pt does not load: RuntimeError"):
        load(tmp_path / "model.pt")


def test_an_exported_program_with_a_damaged_graph_is_refused(
    tmp_path: Path, exported: Path
) -> None:
    path = tmp_path / "model.pt2"
    path.write_bytes(exported.read_bytes().replace(b"softmax", b"s0ftmax"))
    with pytest.raises(ModelLoadError, match=r"^model\.pt2 does not load: "):
        load(path)


def test_a_pickle_from_before_archives_is_known_as_one(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    torch.save(torch.nn.ReLU(), path, _use_new_zipfile_serialization=False)
    with pytest.raises(ModelLoadError, match=r"SERVING_ALLOW_PICKLE"):
        load(path)
    assert ask(load(path, Settings(allow_pickle=True)), "[[-1, 1]]") == [[0, 1]]
