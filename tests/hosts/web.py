"""What the tests of hosts in others' web servers share."""

import time
from pathlib import Path

import flask
from werkzeug.test import Client

from serving.hosts.wsgi import EXTENSION, Host, blueprint
from tests.models import stump
from tests.support import PATIENCE

STREAM = """
def model_fn(folder):
    return folder

def transform_fn(folder, body, content_type, accept):
    def chunks():
        yield b"one "
        if body == b"fail":
            raise ValueError("no more")
        try:
            while body == b"for ever":
                yield b"more "
            yield b"two"
        finally:
            open(folder + "/ended", "w").close()
    return chunks()
"""


def stump_in(folder: Path) -> str:
    """A folder with a model, as a variable has it."""
    stump().save_model(folder / "model.json")
    return str(folder)


def stream_in(folder: Path) -> str:
    """A folder with a script whose answers are streams, which writes `ended` when one has."""
    (folder / "code").mkdir(parents=True)
    (folder / "code" / "inference.py").write_text(STREAM)
    return str(folder)


def flask_site(prefix: str = "", **variables: str) -> flask.Flask:
    site = flask.Flask(__name__)
    site.register_blueprint(blueprint(**variables), url_prefix=prefix)
    return site


def host_of(site: flask.Flask) -> Host:
    (host,) = site.extensions[EXTENSION]
    assert isinstance(host, Host)
    return host


def until_loaded(site: flask.Flask, prefix: str = "") -> None:
    limit = time.monotonic() + PATIENCE
    while (answer := Client(site).get(f"{prefix}/ping")).status_code != 200:
        assert time.monotonic() < limit, answer.data
        time.sleep(0.01)
