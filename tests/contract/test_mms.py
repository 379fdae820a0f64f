"""AWS's multi-model-server, the real one, answers as the core does, but for docs/mms.md's table."""

import json
import os
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from http.client import HTTPConnection
from pathlib import Path

import pytest

from serving.values import Request
from tests.contract import test_mms_many  # noqa: F401 - it notes some of the rows
from tests.contract.cases import CASES, CSV, JSON, TWO_ROWS, Case, post
from tests.contract.conftest import Ask, MakeModel
from tests.contract.javaserver import (
    STUCK,
    TABLE,
    name,
    raw,
    row,
    serving,
    started,
    up,
    without_its_own,
)
from tests.support import PATIENCE, Process

pytestmark = pytest.mark.container  # it needs Java, a package of Debian's

PAGE = Path(__file__).parents[2] / "docs" / "mms.md"
LIMIT = 1024 * 1024
INVOCATIONS = [case for case in CASES if case.request.path == "/invocations"]
POSTS = [case for case in INVOCATIONS if case.request.method == "POST"]


@pytest.fixture(scope="module")
def servers(
    models: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Process]]:
    """A server for each model."""
    with ExitStack() as stack:
        found = {
            name: stack.enter_context(
                serving(tmp_path_factory.mktemp(name), folder, SAGEMAKER_MAX_PAYLOAD_IN_MB="1")
            )
            for name, folder in models.items()
        }
        for server in found.values():
            server.wait_until(up)
        yield found


@pytest.fixture(scope="module")
def java(servers: dict[str, Process]) -> Ask:
    """Answers a case, without the fields that the server adds to all responses."""
    return lambda model, request: without_its_own(servers[model].ask(request))


def test_each_row_of_the_table_has_its_test() -> None:
    rows = re.findall(r"^\| (.+?) \|", PAGE.read_text(), re.MULTILINE)
    assert rows[0] == "What"
    assert set(rows[1:]) == TABLE.keys()


@pytest.mark.parametrize("case", POSTS, ids=name)
def test_the_java_server_answers_as_the_core_does(case: Case, java: Ask, core: Ask) -> None:
    assert java(case.model, case.request) == core(case.model, case.request)


@row("`/ping`")
@pytest.mark.parametrize("case", [case for case in CASES if case.request.path == "/ping"], ids=name)
def test_its_ping_is_200_whatever_becomes_of_the_model(case: Case, java: Ask) -> None:
    answer = java(case.model, case.request)
    assert (answer.status, answer.headers) == (200, {"content-type": JSON})
    if case.request.method != "HEAD":
        assert json.loads(answer.body) == {"status": "Healthy"}


@row("Other paths")
@pytest.mark.parametrize(
    "case",
    [case for case in CASES if case.request.path not in ("/ping", "/invocations")],
    ids=name,
)
def test_other_paths_are_refused_in_its_own_words(case: Case, java: Ask) -> None:
    answer = java(case.model, case.request)
    assert answer.status == (405 if case.request.path == "/" else 404)
    assert json.loads(answer.body)["message"].endswith("please refer to API document.")


@row("Other methods at `/invocations`")
@pytest.mark.parametrize(
    "case", [case for case in INVOCATIONS if case.request.method != "POST"], ids=name
)
def test_it_takes_every_method_for_post(case: Case, java: Ask, core: Ask) -> None:
    posted = case.request._replace(method="POST")
    assert java(case.model, case.request) == core(case.model, posted)


@row("Errors")
def test_it_closes_the_connection_after_an_error(servers: dict[str, Process]) -> None:
    with raw(servers["stump"], post(TWO_ROWS, CSV)) as response:
        assert (response.status, response.headers["Connection"]) == (200, "keep-alive")
    with raw(servers["stump"], post(b"x", "image/png")) as response:
        assert (response.status, response.headers["Connection"]) == (415, "close")


@row("Bodies over the limit")
def test_a_body_over_the_limit_is_refused_without_a_message(
    servers: dict[str, Process], core: Ask
) -> None:
    full = post(b"0,5\n" * (LIMIT // 4), CSV)
    assert without_its_own(servers["stump"].ask(full)) == core("stump", full)
    over = Request("POST", "/invocations", {"expect": "100-continue"}, b"x" * (LIMIT + 1))
    with raw(servers["stump"], over) as response:
        assert (response.status, response.read()) == (413, b"")


@row("Forms")
@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/x-www-form-urlencoded", b"a=1&b=2"),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--x--\r\n',
        ),
    ],
)
def test_forms_are_refused(java: Ask, kind: str, body: bytes) -> None:
    answer = java("script", post(body, kind))
    assert answer.status == 415
    assert "takes a body of type" in json.loads(answer.body)["message"]


@row("Streams")
def test_a_stream_has_a_length(servers: dict[str, Process]) -> None:
    with raw(servers["script"], post(b"1 2", "text/x-numbers", "text/event-stream")) as response:
        assert response.headers["Content-Length"] == "18"
        assert response.read() == b"data: 3\n\ndata: 6\n\n"


@row("Repeated fields")
def test_the_last_of_repeated_fields_counts(servers: dict[str, Process]) -> None:
    with closing(HTTPConnection("127.0.0.1", servers["stump"].port, timeout=PATIENCE)) as line:
        line.putrequest("POST", "/invocations")
        for field in (("Content-Type", CSV), ("Accept", CSV), ("Accept", JSON)):
            line.putheader(*field)
        line.putheader("Content-Length", str(len(TWO_ROWS)))
        line.endheaders(TWO_ROWS)
        assert line.getresponse().headers["Content-Type"] == JSON


@row("SIGTERM")
def test_sigterm_cuts_off_what_was_begun(make_model: MakeModel, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    model = make_model({"code/inference.py": STUCK})
    with serving(tmp_path, model) as server, ThreadPoolExecutor(1) as pool:
        server.wait_until(up)
        begun = pool.submit(server.ask, post(bytes(pipe), "text/plain"))
        pipe.read_bytes()
        assert server.stop() == 0
        assert isinstance(begun.exception(), ConnectionError)


@row("A process that is replaced")
def test_a_process_that_is_stuck_is_replaced(make_model: MakeModel, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"  # which nobody reads
    os.mkfifo(pipe)
    model = make_model({"code/inference.py": STUCK})
    with serving(tmp_path, model, SAGEMAKER_MODEL_SERVER_TIMEOUT_SECONDS="3") as server:
        server.wait_until(up)
        first = server.ask(post(b"go", "text/plain"))
        stuck = server.ask(post(bytes(pipe), "text/plain"))
        assert (stuck.status, json.loads(stuck.body)["type"]) == (504, "DeadlineExceeded")
        limit = time.monotonic() + server.patience
        answer = first
        while answer.body == first.body or answer.status != 200:
            assert time.monotonic() < limit, server.log
            # Java itself answers a request that reaches the process just as it ends.
            assert answer.status == 200 or b"Worker died" in answer.body, answer.body
            answer = server.ask(post(b"go", "text/plain"))


START = """
import sys
from sagemaker_inference import model_server
model_server.MMS_CONFIG_FILE = sys.argv[1]  # it is in /etc, which is not the test's
model_server.start_model_server(handler_service="serving.hosts.mms.handler")
"""


def test_sagemaker_inference_starts_it_with_the_handler(
    models: dict[str, Path], tmp_path: Path, core: Ask
) -> None:
    (tmp_path / "model").symlink_to(models["stump"])
    variables = {
        "SAGEMAKER_BASE_DIR": str(tmp_path),
        "LOG_LOCATION": str(tmp_path),
        "METRICS_LOCATION": str(tmp_path),
        "TMPDIR": str(tmp_path),
        "TEMP": str(tmp_path),
    }
    command: list[str | Path] = ["-W", "ignore", "-c", START, tmp_path / "properties"]
    with started(command, tmp_path, **variables) as server:
        server.wait_until(up)
        request = post(TWO_ROWS, CSV, JSON)
        assert without_its_own(server.ask(request)) == core("stump", request)
