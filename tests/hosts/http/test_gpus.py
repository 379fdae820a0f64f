"""Workers on a machine with GPUs: each sees one."""

from pathlib import Path

import pytest

from tests.support import serving

SCRIPT = """\
import os
from pathlib import Path

def model_fn(model_dir):
    seen = Path(model_dir, "seen")
    seen.mkdir(exist_ok=True)
    (seen / str(os.getpid())).write_text(os.environ["CUDA_VISIBLE_DEVICES"])
"""


@pytest.mark.parametrize(("workers", "seen"), [("2", ["4", "7"]), ("1", ["4,7"])])
def test_each_of_several_workers_has_a_gpu_and_one_alone_has_all(
    tmp_path: Path, workers: str, seen: list[str]
) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "inference.py").write_text(SCRIPT)

    def found() -> list[str]:
        return sorted(path.read_text() for path in (tmp_path / "seen").glob("*"))

    with serving(tmp_path, tmp_path, "--workers", workers, CUDA_VISIBLE_DEVICES="4,7") as server:
        server.wait_until(lambda _: "" not in found() and len(found()) == len(seen))
    assert found() == seen
