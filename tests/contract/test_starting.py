"""Contract §1.1: how a server is started, what it is given, and how it ends."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.contract.cases import get, post
from tests.contract.places import Place
from tests.contract.scripts import FRAGILE, MIRROR, Gate, script_model
from tests.support import free_port, healthy


def test_serve_needs_no_more_than_a_model(place: Place, mirror: Path) -> None:
    assert place.serve(mirror).ask(get("/ping")).status == 200


def test_the_port_is_the_one_that_sagemaker_names(place: Place, mirror: Path) -> None:
    named = str(free_port())
    server = place.serve(mirror, SAGEMAKER_BIND_TO_PORT=named)
    assert server.ask(get("/ping")).status == 200
    assert f":{named}" in server.log


def test_the_whole_environment_that_sagemaker_allows_reaches_the_script(
    place: Place, mirror: Path
) -> None:
    """Of 100 entries, 1,024 bytes for each key and value, 32 KB together."""
    given = {f"{'K' * 30}_{number}": "v" * 290 for number in range(97)}
    given |= {"K" * 1024: "v", "K": "v" * 1024, "EMPTY": ""}
    answer = place.serve(mirror, **given).ask(post(b"", "text/plain"))
    seen = json.loads(answer.body)["environment"]
    assert {name: seen[name] for name in given} == given


def test_the_models_folder_is_only_read(place: Place, tmp_path: Path) -> None:
    folder = script_model(tmp_path / "model", "import helper\n" + MIRROR)
    (folder / "code" / "helper.py").touch()
    before = sorted(folder.rglob("*"))
    with place.start(folder, PYTHONDONTWRITEBYTECODE="") as server:
        server.wait_until(healthy)
        assert server.ask(post(b"x", "text/plain")).status == 200
        assert server.stop() == 0
    assert sorted(folder.rglob("*")) == before


def test_sigterm_lets_begun_requests_finish_and_the_server_ends_with_status_0(
    place: Place, tmp_path: Path
) -> None:
    folder = script_model(tmp_path / "model", FRAGILE)
    gate = Gate(folder)
    with ThreadPoolExecutor() as pool, place.start(folder) as server:
        server.wait_until(healthy)
        begun = pool.submit(server.ask, post(b"wait", "text/plain"))
        gate.reached()
        server.terminate()
        told = server.wait_until(lambda answer: answer.status == 503)
        assert b"about to stop" in told.body
        gate.open("finished")
        assert begun.result().body == b"finished"
        assert server.wait() == 0
