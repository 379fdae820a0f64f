"""Contract §4.1: a script's requirements are installed, and its rows stacked."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.contract import toolkit_scripts as scripts
from tests.contract.cases import get, post
from tests.contract.conftest import MakeModel
from tests.contract.places import Place
from tests.contract.script_answers import JSON, told
from tests.contract.scripts import STACKABLE, Gate, script_model
from tests.support import Server
from tests.wheels import make_wheel


class TestRequirements:
    """``code/requirements.txt``, installed before the model loads."""

    @staticmethod
    def files(tmp_path: Path, requirement: str) -> dict[str, str | bytes]:
        """A model with a wheel beside its requirements, of a package that no index has."""
        wheel = make_wheel(tmp_path, "from_a_wheel", "1.5")
        return {
            "code/inference.py": scripts.REQUIRING,
            "code/requirements.txt": f"{requirement}\n",
            f"code/requirements/{wheel.name}": wheel.read_bytes(),
        }

    def test_they_are_installed_from_the_models_own_wheels_without_an_index(
        self, place: Place, make_model: MakeModel, tmp_path: Path
    ) -> None:
        model = make_model(self.files(tmp_path, "from_a_wheel>=1"))
        server = place.serve(model, PIP_INDEX_URL="http://127.0.0.1:9/none")
        version, file = server.ask(post(b"x")).body.decode().split()
        assert version == "1.5"
        assert "/requirements/" in file  # a folder of this model's, not that of the server

    def test_what_cannot_be_installed_ends_start_up_with_one_clear_line(
        self, place: Place, make_model: MakeModel, tmp_path: Path
    ) -> None:
        status, log = place.fails(make_model(self.files(tmp_path, "from_a_wheel==9")))
        assert status != 0
        (line,) = [line for line in log.splitlines() if line.startswith("serving: ")]
        assert line == log.splitlines()[-1]
        assert line.startswith("serving: The requirements in requirements.txt cannot be installed:")
        assert "from_a_wheel==9" in line


class TestStacking:
    """Scripts that say ``stack_rows = True``."""

    def test_the_rows_of_requests_that_wait_are_one_call(
        self, place: Place, tmp_path: Path
    ) -> None:
        folder = script_model(tmp_path / "model", STACKABLE)
        gate = Gate(folder)
        with place.start(folder) as server, ThreadPoolExecutor(8) as pool:
            server.wait_until(lambda answer: answer.status == 200)
            first = pool.submit(server.ask, post(b"[[-1, 0]]", JSON))
            gate.reached()
            rest = [
                pool.submit(server.ask, post(b"[[%d, 0], [1, 1]]" % number, JSON))
                for number in range(5)
            ]
            queue_has(server, 5)
            gate.open()
            assert told(first.result()) == [[-2, 0]]
            for number, answer in enumerate(rest):
                assert told(answer.result()) == [[2 * number, 0], [2, 2]]
            assert "called with 10 rows" in server.log


def queue_has(server: Server, count: int) -> None:
    """Wait until so many requests wait for the model."""
    limit = time.monotonic() + server.patience
    while f"serving_queue_depth {count}.0" not in server.ask(get("/metrics")).body.decode():
        assert time.monotonic() < limit
        time.sleep(0.01)
