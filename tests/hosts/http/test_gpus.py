"""Workers on a machine with GPUs, or NeuronCores: each sees one."""

from pathlib import Path

import pytest

from tests.support import serving

SCRIPT = """\
import os
from pathlib import Path

def model_fn(model_dir):
    seen = Path(model_dir, "seen")
    seen.mkdir(exist_ok=True)
    (seen / str(os.getpid())).write_text(os.environ["VARIABLE"])
"""


@pytest.mark.parametrize("variable", ["CUDA_VISIBLE_DEVICES", "NEURON_RT_VISIBLE_CORES"])
@pytest.mark.parametrize(("workers", "seen"), [("2", ["4", "7"]), ("1", ["4,7"])])
def test_each_of_several_workers_has_one_and_one_alone_has_all(
    tmp_path: Path, variable: str, workers: str, seen: list[str]
) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "inference.py").write_text(SCRIPT.replace("VARIABLE", variable))

    def found() -> list[str]:
        return sorted(path.read_text() for path in (tmp_path / "seen").glob("*"))

    with serving(tmp_path, tmp_path, "--workers", workers, **{variable: "4,7"}) as server:
        server.wait_until(lambda _: "" not in found() and len(found()) == len(seen))
    assert found() == seen


def test_there_are_no_more_workers_than_neuroncores(tmp_path: Path) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "inference.py").write_text("def model_fn(model_dir):\n    return id\n")
    cores = {"NEURON_RT_VISIBLE_CORES": "0-1"}
    with serving(tmp_path, tmp_path, "--workers", "5", **cores) as server:
        assert "workers: 2, one for each NeuronCore, which processes cannot share" in server.log
