"""The WSGI host, asked by werkzeug's client and by environs made by hand."""

import io
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import flask
import orjson
import pytest
from werkzeug.test import Client, EnvironBuilder, run_wsgi_app

from serving.errors import ServingError, SettingError
from serving.hosts import gunicorn_hooks
from serving.hosts.background import Answer
from serving.hosts.wsgi import Begun, blueprint
from serving.values import Request
from tests.conftest import MakeSettings
from tests.hosts.web import flask_site, host_of, stream_in, stump_in, until_loaded
from tests.support import environment

if TYPE_CHECKING:
    from gunicorn.arbiter import Arbiter
    from gunicorn.workers.base import Worker

BYTES = "application/octet-stream"


@pytest.fixture
def stump_folder(tmp_path: Path) -> str:
    return stump_in(tmp_path)


@pytest.fixture
def stream_folder(tmp_path: Path) -> str:
    return stream_in(tmp_path)


@pytest.fixture
def closing() -> Iterator[Callable[[flask.Flask], flask.Flask]]:
    """Closes the hosts of sites in the end."""
    sites: list[flask.Flask] = []

    def keep(site: flask.Flask) -> flask.Flask:
        sites.append(site)
        return site

    yield keep
    for site in sites:
        host_of(site).close()


class Fake:
    """A site that keeps what it is asked, and answers with what it is told to."""

    def __init__(self, site: flask.Flask, settings: Any) -> None:
        self.asked: list[Request] = []
        self.answer = Answer(200, (("content-type", "text/plain"),), b"good")
        host = host_of(site)
        host._open = lambda several: Begun(cast("Any", self), settings)  # type: ignore[method-assign]
        host.start()

    def ask(self, request: Request) -> Answer:
        self.asked.append(request)
        return self.answer


class Told(NamedTuple):
    """What a web server is given."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    @property
    def problem(self) -> tuple[int, str]:
        told = orjson.loads(self.body)
        return told["code"], told["message"]


def ask(site: flask.Flask, **changes: Any) -> Told:
    """The answer to a request whose environ has these changes; None: not at all."""
    usual = EnvironBuilder("/invocations", method="POST").get_environ()
    usual.pop("CONTENT_LENGTH", None)
    environ = {name: value for name, value in {**usual, **changes}.items() if value is not None}
    body, status, headers = run_wsgi_app(site, environ, buffered=True)
    return Told(int(status.partition(" ")[0]), list(headers), b"".join(body))


class TestLife:
    def test_the_first_request_starts_it(
        self, stump_folder: str, closing: Callable[[flask.Flask], flask.Flask]
    ) -> None:
        site = closing(flask_site(SERVING_MODEL=stump_folder))
        first = Client(site).get("/ping")
        assert (first.status_code, first.get_json()["type"]) == (503, "ModelNotReady")
        until_loaded(site)

    def test_what_is_wrong_is_told_to_who_asks(self) -> None:
        site = flask_site(SERVING_MODEL="/none")
        with pytest.raises(ServingError, match="/none"):
            host_of(site).start()
        answer = Client(site).get("/ping")
        assert answer.status_code == 503
        assert answer.get_json()["message"].startswith("The server could not start: ")

    def test_a_variable_that_there_is_not_is_refused(self) -> None:
        with pytest.raises(SettingError, match="SERVING_MODLE is no variable of a setting"):
            blueprint(SERVING_MODLE="/srv/model")

    def test_the_environment_is_read_when_it_starts(self, monkeypatch: pytest.MonkeyPatch) -> None:
        site = flask_site()
        monkeypatch.setenv("SERVING_MAX_HEAD_BYTES", "tiny")
        with pytest.raises(SettingError, match="SERVING_MAX_HEAD_BYTES='tiny'"):
            host_of(site).start()

    def test_a_fork_has_a_site_of_its_own(self, stump_folder: str) -> None:
        program = f"""
import os, sys
from werkzeug.test import Client
from tests.hosts.web import flask_site, until_loaded
site = flask_site(SERVING_MODEL={stump_folder!r})
until_loaded(site)
child = os.fork()
first = Client(site).get("/ping").status_code
until_loaded(site)
if not child:
    os._exit(0 if first == 503 else 1)
sys.exit(first != 200 or os.waitpid(child, 0)[1])
"""
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", program],
            cwd=Path(__file__).parents[2],
            env=environment(),
            timeout=60,
            check=False,
        )
        assert done.returncode == 0

    def test_one_process_serves_many_models(
        self, stump_folder: str, closing: Callable[[flask.Flask], flask.Flask]
    ) -> None:
        site = closing(flask_site(SAGEMAKER_MULTI_MODEL="true"))
        until_loaded(site)
        client = Client(site)
        wish = {"model_name": "stump", "url": stump_folder}
        loaded = client.post("/models", json=wish)
        assert loaded.status_code == 200, loaded.data
        answer = client.post("/models/stump/invoke", data=b"2,5\n", content_type="text/csv")
        assert answer.data == b"3.0\n"

    def test_several_processes_are_refused_many_models(self) -> None:
        with pytest.raises(SettingError, match="one process"):
            host_of(flask_site(SAGEMAKER_MULTI_MODEL="true")).start(several=True)

    def test_hooks_start_and_close_the_hosts_of_a_worker(self, stump_folder: str) -> None:
        site = flask_site("/stump", SERVING_MODEL=stump_folder)
        worker = SimpleNamespace(wsgi=site, cfg=SimpleNamespace(workers=2))
        gunicorn_hooks.post_worker_init(cast("Worker", worker))
        until_loaded(site, "/stump")
        gunicorn_hooks.worker_exit(cast("Arbiter", None), cast("Worker", worker))
        assert Client(site).get("/stump/ping").status_code == 503
        host_of(site).start()
        host_of(site).close()

    def test_a_worker_that_loaded_no_application_has_nothing_to_close(self) -> None:
        gunicorn_hooks.worker_exit(cast("Arbiter", None), cast("Worker", SimpleNamespace()))


class Dropped(io.BytesIO):
    """A body whose client goes away."""

    def read(self, size: int | None = -1) -> bytes:
        raise ConnectionResetError("reset by peer")


class TestRequests:
    @pytest.mark.parametrize(
        ("prefix", "script_name", "path_info", "path"),
        [
            ("", "", "/ping", "/ping"),
            ("", "", "//ping", "//ping"),
            ("", "/mount", "/ping", "/ping"),
            ("/site", "", "/site/ping", "/ping"),
            ("/site/", "", "/site/a/b", "/a/b"),
            ("/site", "", "/site//ping", "//ping"),
            ("/site", "", "/site/", "/"),
            ("/site", "", "/site/models/\xe4\xb8\xad x", "/models/中 x"),
            ("", "", "/models/\xe4\xb8\xad%41", "/models/中%41"),
            ("", "", "/\xff", "/�"),
            ("/<tenant>/site", "", "/a/site/ping", "/ping"),
        ],
    )
    def test_the_path_is_the_one_below_the_prefix(
        self,
        make_settings: MakeSettings,
        prefix: str,
        script_name: str,
        path_info: str,
        path: str,
    ) -> None:
        site = flask_site(prefix)
        fake = Fake(site, make_settings())
        assert ask(site, SCRIPT_NAME=script_name, PATH_INFO=path_info).status == 200
        assert fake.asked[0].path == path

    @pytest.mark.parametrize("method", ["GET", "OPTIONS", "PROPFIND", "DELETE", "TRACE"])
    def test_every_method_is_the_cores_to_answer(
        self, make_settings: MakeSettings, method: str
    ) -> None:
        site = flask_site()
        fake = Fake(site, make_settings())
        ask(site, REQUEST_METHOD=method)
        assert fake.asked[0].method == method

    def test_an_offer_to_change_the_protocol_is_ignored(self, make_settings: MakeSettings) -> None:
        site = flask_site()
        Fake(site, make_settings())
        assert ask(site, HTTP_CONNECTION="Upgrade", HTTP_UPGRADE="websocket").status == 200

    @pytest.mark.parametrize(
        ("environ", "target"),
        [
            ({"RAW_URI": "/%70ing?q=1", "REQUEST_URI": "/other"}, "/%70ing"),
            ({"RAW_URI": None, "REQUEST_URI": "/%70ing?q=1"}, "/%70ing"),
            (
                {"RAW_URI": None, "REQUEST_URI": None, "SCRIPT_NAME": "/a b", "PATH_INFO": "/\xe4"},
                "/a%20b/%E4",
            ),
        ],
    )
    def test_the_target_is_the_path_as_it_was_sent(
        self, make_settings: MakeSettings, environ: dict[str, str | None], target: str
    ) -> None:
        site = flask_site()
        fake = Fake(site, make_settings())
        ask(site, QUERY_STRING="q=1", **environ)
        assert (fake.asked[0].target, fake.asked[0].query) == (target, "q=1")

    def test_header_fields_are_those_that_were_sent(self, make_settings: MakeSettings) -> None:
        site = flask_site()
        fake = Fake(site, make_settings())
        ask(site, HTTP_X_A="1,2 ", HTTP_HOST="h", CONTENT_TYPE="text/csv", HTTP_X_B="\xe4")
        assert fake.asked[0].headers == {
            "x-a": "1,2",
            "host": "h",
            "content-type": "text/csv",
            "x-b": "ä",
        }

    @pytest.mark.parametrize(
        ("environ", "body"),
        [
            ({"wsgi.input": io.BytesIO(b"abc+next"), "CONTENT_LENGTH": "3"}, b"abc"),
            ({"wsgi.input": io.BytesIO(b"abc"), "wsgi.input_terminated": True}, b"abc"),
            ({"wsgi.input": io.BytesIO(b"next request")}, b""),
        ],
    )
    def test_the_body_ends_where_the_web_server_says(
        self, make_settings: MakeSettings, environ: dict[str, Any], body: bytes
    ) -> None:
        site = flask_site()
        fake = Fake(site, make_settings())
        ask(site, **environ)
        assert fake.asked[0].body == body

    @pytest.mark.parametrize(
        ("environ", "status", "part"),
        [
            ({"CONTENT_LENGTH": "11"}, 413, "larger than 10 bytes"),
            (
                {"wsgi.input": io.BytesIO(b"12345678901"), "wsgi.input_terminated": True},
                413,
                "larger than 10 bytes",
            ),
            ({"wsgi.input": io.BytesIO(b"ab"), "CONTENT_LENGTH": "3"}, 400, "ended before"),
            ({"wsgi.input": Dropped(), "CONTENT_LENGTH": "3"}, 400, "reset by peer"),
            ({"CONTENT_LENGTH": "three"}, 400, "'three' is no number"),
            ({"HTTP_TRANSFER_ENCODING": "chunked"}, 400, "send its length"),
            ({"HTTP_TRANSFER_ENCODING": "gzip, chunked"}, 501, "only chunked"),
        ],
    )
    def test_a_body_that_cannot_be_taken_is_refused(
        self, make_settings: MakeSettings, environ: dict[str, Any], status: int, part: str
    ) -> None:
        site = flask_site()
        fake = Fake(site, make_settings(max_body=10))
        answer = ask(site, **environ)
        code, message = answer.problem
        assert (answer.status, code) == (status, status)
        assert part in message
        assert fake.asked == []

    def test_the_sites_own_functions_run_before_and_after(
        self, make_settings: MakeSettings
    ) -> None:
        site = flask_site("/site")
        fake = Fake(site, make_settings())

        @site.before_request
        def guard() -> tuple[str, int] | None:
            return None if "X-Pass" in flask.request.headers else ("no", 401)

        @site.after_request
        def stamp(response: flask.Response) -> flask.Response:
            response.headers["x-stamp"] = "1"
            return response

        assert ask(site, PATH_INFO="/site/ping").status == 401
        assert fake.asked == []
        assert ("x-stamp", "1") in ask(site, PATH_INFO="/site/ping", HTTP_X_PASS="1").headers


class TestAnswers:
    def test_fields_are_sent_as_they_are(self, make_settings: MakeSettings) -> None:
        fields = (
            ("content-type", "text/x"),
            ("set-cookie", "a"),
            ("set-cookie", "ä"),
            ("content-location", "here"),
            ("location", "/ü"),
        )
        site = flask_site()
        Fake(site, make_settings()).answer = Answer(299, fields, b"12")
        answer = ask(site)
        assert answer.status == 299
        assert answer.headers == [*fields, ("Content-Length", "2")]

    def test_an_answer_without_a_type_is_given_none(self, make_settings: MakeSettings) -> None:
        site = flask_site()
        Fake(site, make_settings()).answer = Answer(204, (), b"")
        assert ask(site).headers == []

    def test_the_answer_to_head_has_no_body_and_no_length(
        self, make_settings: MakeSettings
    ) -> None:
        site = flask_site()
        Fake(site, make_settings())
        answer = ask(site, REQUEST_METHOD="HEAD")
        assert answer.body == b""
        assert answer.headers == [("content-type", "text/plain")]

    def test_a_stream_is_sent_chunk_by_chunk(
        self, stream_folder: str, closing: Callable[[flask.Flask], flask.Flask]
    ) -> None:
        site = closing(flask_site(SERVING_MODEL=stream_folder))
        until_loaded(site)
        answer = Client(site).post("/invocations", data=b"x", content_type=BYTES)
        assert "content-length" not in answer.headers
        assert list(answer.iter_encoded()) == [b"one ", b"two"]

    def test_a_stream_that_fails_raises_for_the_web_server_to_break_it_off(
        self, stream_folder: str, closing: Callable[[flask.Flask], flask.Flask]
    ) -> None:
        site = closing(flask_site(SERVING_MODEL=stream_folder))
        until_loaded(site)
        chunks = iter(Client(site).post("/invocations", data=b"fail", content_type=BYTES).response)
        assert next(chunks) == b"one "
        with pytest.raises(ServingError):
            next(chunks)

    def test_a_stream_ends_when_the_web_server_closes_it(
        self, stream_folder: str, closing: Callable[[flask.Flask], flask.Flask]
    ) -> None:
        site = closing(flask_site(SERVING_MODEL=stream_folder))
        until_loaded(site)
        answer = Client(site).post("/invocations", data=b"for ever", content_type=BYTES)
        chunks = iter(answer.response)
        assert [next(chunks), next(chunks)] == [b"one ", b"more "]
        answer.close()
        assert Path(stream_folder, "ended").exists()
