"""Contract §4.2: the variables of AWS's toolkits keep their meaning."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from serving.environment import INSTEAD
from tests.contract.cases import get, post
from tests.contract.conftest import MakeModel
from tests.contract.places import Place
from tests.models import stump
from tests.support import PATIENCE, Answer, Server

CSV, JSON = "text/csv", "application/json"

PROBE = """
import json
import logging
import os
import time


def model_fn(model_dir):
    logging.getLogger("script").debug("a detail")
    return model_dir


def transform_fn(model, data, content_type, accept):
    if data == "hang":
        time.sleep(3600)
    if data == "be slow":
        time.sleep(0.2)
    told = {
        "model_dir": model,
        "file": os.path.basename(__file__),
        "folder": os.path.basename(os.path.dirname(__file__)),
        "pid": os.getpid(),
        "region": os.environ.get("AWS_DEFAULT_REGION"),
        "accept": accept,
    }
    return json.dumps(told), "application/json"
"""
"""Tells where it runs; hangs, or takes its time, where it is told to."""

BATCHES = """
import time

import numpy as np

stack_rows = True


def model_fn(model_dir):
    return None


def predict_fn(rows, model):
    time.sleep(0.05)
    return np.full(len(rows), len(rows))
"""
"""Tells for each row how many came with it."""

THREADS = """
import json


def predict_fn(data, model):
    return json.loads(model.save_config())["learner"]["generic_param"]["nthread"]
"""
"""Tells how many threads an engine's model has."""

SLOW_TO_LOAD = """
import time


def model_fn(model_dir):
    time.sleep(3600)
"""

SDKS = {
    "SAGEMAKER_PROGRAM": "inference.py",
    "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code",
    "SAGEMAKER_CONTAINER_LOG_LEVEL": "20",
    "SAGEMAKER_REGION": "eu-north-1",
}
"""What SageMaker's SDK sets when it deploys a model with a script."""

OWN = {
    "SAGEMAKER_PROGRAM": "other.py",
    "SAGEMAKER_MULTI_MODEL": "false",
    "SAGEMAKER_CONTAINER_LOG_LEVEL": "40",
    "SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT": "text/csv",
    "SAGEMAKER_MAX_PAYLOAD_IN_MB": "1",
}
"""What somebody may set besides."""

DETAILED = {"SAGEMAKER_CONTAINER_LOG_LEVEL": "10", "MAX_CONTENT_LENGTH": "2000"}


@pytest.fixture(scope="session")
def probe(make_model: MakeModel) -> Path:
    """The probe under its usual name, under another, and in another folder."""
    return make_model(
        {"code/inference.py": PROBE, "code/other.py": PROBE, "elsewhere/inference.py": PROBE}
    )


def tell(server: Server, body: bytes = b"x") -> Any:
    """What the probe tells."""
    answer = server.ask(post(body, CSV))
    assert answer.status == 200, answer.body
    return json.loads(answer.body)


def message(answer: Answer) -> str:
    return str(json.loads(answer.body)["message"])


class TestModelAndScript:
    def test_what_the_sdk_sets_serves_the_script_in_the_model(
        self, place: Place, probe: Path
    ) -> None:
        told = tell(place.serve(probe, **SDKS))
        assert (told["folder"], told["file"]) == ("code", "inference.py")
        assert told["model_dir"] == str(place.seen(probe))

    def test_sagemaker_region_is_the_region_of_libraries(self, place: Place, probe: Path) -> None:
        assert tell(place.serve(probe, **SDKS))["region"] == "eu-north-1"

    def test_sagemaker_program_names_the_script(self, place: Place, probe: Path) -> None:
        assert tell(place.serve(probe, **OWN))["file"] == "other.py"

    def test_sagemaker_multi_model_that_is_false_is_one_model(
        self, place: Place, probe: Path
    ) -> None:
        """The XGBoost container takes it for true, whatever it is."""
        assert tell(place.serve(probe, **OWN))["model_dir"] == str(place.seen(probe))

    def test_a_program_that_is_not_there_is_named(self, place: Place, probe: Path) -> None:
        server = place.serve(probe, SAGEMAKER_PROGRAM="absent.py")
        told = message(server.ask(get("/ping")))
        assert "There is no code/absent.py" in told
        assert "SAGEMAKER_PROGRAM" in told

    def test_sagemaker_submit_directory_names_the_scripts_folder(
        self, place: Place, probe: Path
    ) -> None:
        folder = f"file://{place.seen(probe)}/elsewhere"
        told = tell(place.serve(probe, SAGEMAKER_SUBMIT_DIRECTORY=folder))
        assert told["folder"] == "elsewhere"
        assert told["model_dir"] == str(place.seen(probe))

    def test_sagemaker_base_dir_is_the_folder_with_the_model(
        self, place: Place, make_model: MakeModel
    ) -> None:
        folder = make_model({"base/model/code/inference.py": PROBE})
        base = place.seen(folder) / "base"
        server = place.serve(folder, SAGEMAKER_BASE_DIR=str(base), SM_MODEL_DIR="")
        assert tell(server)["model_dir"] == str(base / "model")

    def test_sm_model_dir_is_the_models_folder(self, place: Place, make_model: MakeModel) -> None:
        folder = make_model({"one/code/inference.py": PROBE})
        model_dir = str(place.seen(folder) / "one")
        assert tell(place.serve(folder, SM_MODEL_DIR=model_dir))["model_dir"] == model_dir


class TestLog:
    def test_the_log_begins_at_info(self, place: Place, probe: Path) -> None:
        log = place.serve(probe, **SDKS).log
        assert "INFO" in log
        assert "a detail" not in log

    def test_sagemaker_container_log_level_is_the_least_that_is_written(
        self, place: Place, probe: Path
    ) -> None:
        assert "INFO" not in place.serve(probe, **OWN).log
        assert "a detail" in place.serve(probe, **DETAILED).log


class TestRequests:
    def test_sagemaker_default_invocations_accept_is_used_without_an_accept(
        self, place: Place, probe: Path
    ) -> None:
        server = place.serve(probe, **OWN)
        assert tell(server)["accept"] == CSV
        asked = post(b"x", CSV, "image/png")
        assert json.loads(server.ask(asked).body)["accept"] == "image/png"

    @pytest.mark.parametrize(
        ("variables", "limit"),
        [(OWN, 1024 * 1024), (DETAILED, 2000), ({"SAGEMAKER_MAX_REQUEST_SIZE": "2000"}, 2000)],
        ids=[
            "sagemaker_max_payload_in_mb",
            "max_content_length in bytes",
            "sagemaker_max_request_size in bytes",
        ],
    )
    def test_a_larger_request_than_is_allowed_is_413(
        self, place: Place, probe: Path, variables: dict[str, str], limit: int
    ) -> None:
        server = place.serve(probe, **variables)
        assert server.ask(post(b"x" * limit, CSV)).status == 200
        assert server.ask(post(b"x" * (limit + 1), CSV)).status == 413

    def test_sagemaker_model_job_queue_size_bounds_the_queue(
        self, place: Place, probe: Path
    ) -> None:
        server = place.serve(probe, SAGEMAKER_MODEL_JOB_QUEUE_SIZE="1")
        with ThreadPoolExecutor(8) as pool:
            asked = [post(b"be slow", CSV)] * 8
            answers = list(pool.map(server.ask, asked))
        assert {answer.status for answer in answers} == {200, 503}
        assert all("retry-after" in each.headers for each in answers if each.status == 503)

    @pytest.mark.parametrize(
        "variables",
        [
            {"SAGEMAKER_MODEL_SERVER_TIMEOUT": "1"},
            {
                "SAGEMAKER_MODEL_SERVER_TIMEOUT_SECONDS": "1",
                "SAGEMAKER_MODEL_SERVER_TIMEOUT": "9000",
            },
            {"SAGEMAKER_TS_RESPONSE_TIMEOUT": "1"},
        ],
        ids=lambda variables: next(iter(variables)),
    )
    def test_time_limits_are_seconds_and_no_minutes(
        self, place: Place, probe: Path, variables: dict[str, str]
    ) -> None:
        with place.start(probe, **variables) as server:
            server.wait_until(lambda answer: answer.status == 200)
            assert server.ask(post(b"hang", CSV), PATIENCE).status == 504

    def test_sagemaker_startup_timeout_bounds_loading(
        self, place: Place, make_model: MakeModel
    ) -> None:
        model = make_model({"code/inference.py": SLOW_TO_LOAD})
        with place.start(model, SAGEMAKER_STARTUP_TIMEOUT="1") as server:
            answer = server.wait_until(lambda answer: b"within 1 s" in answer.body)
            assert answer.status == 503


class TestWorkers:
    @pytest.mark.parametrize(
        ("variables", "reason"),
        [
            ({"SAGEMAKER_MODEL_SERVER_WORKERS": "2"}, "as set"),
            (
                {"SAGEMAKER_MODEL_SERVER_WORKERS": "", "SAGEMAKER_NUM_MODEL_WORKERS": "2"},
                "as set",
            ),
            (
                {
                    "SAGEMAKER_MODEL_SERVER_WORKERS": "",
                    "SAGEMAKER_TS_MIN_WORKERS": "2",
                    "SAGEMAKER_TS_MAX_WORKERS": "2",
                },
                "",
            ),
        ],
        ids=["model server workers", "num model workers", "least and most"],
    )
    def test_their_number_is_that_of_the_environment(
        self, place: Place, probe: Path, variables: dict[str, str], reason: str
    ) -> None:
        server = place.serve(probe, **variables)
        assert f"workers: 2, {reason}" in server.log
        limit = time.monotonic() + server.patience
        seen = {tell(server)["pid"]}
        while len(seen) < 2:
            assert time.monotonic() < limit
            with ThreadPoolExecutor(4) as pool:
                seen |= {told["pid"] for told in pool.map(tell, [server] * 4)}

    def test_sagemaker_ts_batch_size_bounds_the_rows_of_a_call(
        self, place: Place, make_model: MakeModel
    ) -> None:
        model = make_model({"code/inference.py": BATCHES})
        server = place.serve(model, SAGEMAKER_TS_BATCH_SIZE="2")
        with ThreadPoolExecutor(8) as pool:
            answers = pool.map(server.ask, [post(b"[[1]]", JSON)] * 24)
            rows = {json.loads(answer.body)[0] for answer in answers}
        assert rows <= {1, 2}
        assert 2 in rows

    def test_omp_num_threads_is_the_number_of_an_engines_threads(
        self, place: Place, make_model: MakeModel
    ) -> None:
        booster = bytes(stump().save_raw("ubj"))
        model = make_model({"xgboost-model": booster, "code/inference.py": THREADS})
        server = place.serve(model, OMP_NUM_THREADS="3")
        assert json.loads(server.ask(post(b"0,5", CSV)).body) == "3"


class TestVariablesWithoutAMeaning:
    """Those of Java, nginx and handlers."""

    def test_each_is_named_once_with_what_to_use_instead(self, place: Place, probe: Path) -> None:
        two_workers = {"SAGEMAKER_MODEL_SERVER_WORKERS": "2"}
        server = place.serve(probe, **dict.fromkeys(INSTEAD, "1"), **two_workers)
        assert tell(server)["file"] == "inference.py"
        for name, instead in INSTEAD.items():
            sentence = f"{name} is set and means nothing to this server: {instead}."
            assert server.log.count(sentence) == 1

    def test_none_is_named_that_is_not_set(self, place: Place, probe: Path) -> None:
        assert "means nothing" not in place.serve(probe, **SDKS).log


class TestValuesThatAreNotAllowed:
    @pytest.mark.parametrize(
        ("variable", "value", "allowed"),
        [
            ("SAGEMAKER_MODEL_SERVER_WORKERS", "many", "a whole number from 1 to 1,024"),
            ("SAGEMAKER_MODEL_SERVER_TIMEOUT", "-1", "a number of seconds from 0.1 to 86,400"),
            ("SAGEMAKER_SAFE_PORT_RANGE", "9999-9000", "the lower one first"),
            ("SAGEMAKER_CONTAINER_LOG_LEVEL", "loud", "debug, info, warning, error"),
            ("SAGEMAKER_MAX_PAYLOAD_IN_MB", "6MB", "a number of MiB from"),
        ],
    )
    def test_one_ends_start_up_with_its_name_its_value_and_what_is_allowed(
        self, place: Place, probe: Path, variable: str, value: str, allowed: str
    ) -> None:
        status, log = place.fails(probe, **{variable: value})
        assert status != 0
        assert log.startswith(f"serving: {variable}={value!r} is not allowed; it takes ")
        assert allowed in log
        assert log.count("\n") == 1

    def test_an_empty_one_is_not_set(self, place: Place, probe: Path) -> None:
        empty = dict.fromkeys(("SAGEMAKER_PROGRAM", "SAGEMAKER_MODEL_SERVER_TIMEOUT"), "")
        assert tell(place.serve(probe, **empty))["file"] == "inference.py"
