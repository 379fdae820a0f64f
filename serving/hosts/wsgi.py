"""The WSGI host: a Flask application, and a blueprint for a site made with Flask.

``app`` is an application by itself. A site registers what :func:`blueprint` makes::

    site.register_blueprint(blueprint(SERVING_MODEL="/srv/churn.tar.gz"), url_prefix="/churn")

All that is below the prefix is the core's to answer, whatever the method: Flask routes nothing
there. The threads of a process share one site, which has a thread of its own, and so their requests
share batches.

Each process starts its host at its first request, or earlier where gunicorn is told to, see
gunicorn_hooks.py. It is never started when this is imported: with gunicorn's ``--preload`` that
happens before the fork, and of the threads nothing would be left after it. What a process has
started is forgotten in its forks, which begin anew at a request of their own. They do not begin at
the fork itself: not everything that forks is a worker.
"""

import os
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any, NamedTuple, cast
from weakref import WeakSet

import flask
from flask.blueprints import BlueprintSetupState
from werkzeug.routing import PathConverter, Rule

from serving import problems
from serving.errors import ServingError, SettingError
from serving.hosts import messages, mounted, wsgi_requests
from serving.hosts.background import Answer, Background
from serving.hosts.wsgi_requests import Environ
from serving.settings import Settings
from serving.values import Response

EXTENSION = "serving"
"""The key of an application's hosts among its extensions."""


class Begun(NamedTuple):
    """A site at work."""

    site: Background
    settings: Settings


class Host:
    """Serves what its settings name. Its methods may be called in any thread."""

    def __init__(self, variables: Mapping[str, str], *, own_log: bool) -> None:
        """Make it; nothing is read or started yet. The arguments are those of `prepared`."""
        self._variables = variables
        self._own_log = own_log
        self._lock = threading.Lock()
        self._beginning: Future[Begun] | None = None
        _hosts.add(self)

    def start(self, *, several: bool = False) -> None:
        """Begin to load the model, unless that has begun; returns when it is on its way.

        Args:
            several: Other processes answer requests of the same address.

        Raises:
            ConfigurationError: a setting is not allowed, or there is no such model.
        """
        self._begin(several).result()

    def close(self) -> None:
        """Let asynchronous invocations end, then the threads."""
        with self._lock:
            beginning, self._beginning = self._beginning, None
        if beginning is not None and beginning.done() and beginning.exception() is None:
            beginning.result().site.close()

    def forget(self) -> None:
        """Be as it was made: this is another process now, and a lock may have been taken."""
        self._lock = threading.Lock()
        self._beginning = None

    def ask(self, environ: Environ, path: str) -> Answer:
        """The answer to a request, whose path below the prefix is ``path``; raises nothing."""
        beginning = self._begin(environ["wsgi.multiprocess"])
        refusal = mounted.not_begun(beginning)
        if refusal is not None:
            return _answer(refusal)
        site, settings = beginning.result()
        try:
            return site.ask(wsgi_requests.read(environ, path, settings))
        except ServingError as error:
            return _answer(problems.response(error))

    def _begin(self, several: bool) -> Future[Begun]:
        with self._lock:
            if self._beginning is None:
                self._beginning = Future()
                arguments = self._beginning, several
                threading.Thread(
                    target=self._run, args=arguments, name="start", daemon=True
                ).start()
            return self._beginning

    def _run(self, beginning: Future[Begun], several: bool) -> None:
        outcome = problems.catch(self._open, several)
        if isinstance(outcome, BaseException):
            mounted.tell(outcome)
            beginning.set_exception(outcome)
        else:
            beginning.set_result(outcome)

    def _open(self, several: bool) -> Begun:
        settings, folder = mounted.prepared(self._variables, own_log=self._own_log)
        if settings.many and several:
            raise SettingError(
                "A server of many models is one process, since each would know of other models; "
                "this web server has several. Tell it to have one, with threads."
            )
        return Begun(Background(settings, folder, mounted.told), settings)


_hosts: WeakSet[Host] = WeakSet()


def _forget_all() -> None:
    for host in list(_hosts):
        host.forget()


os.register_at_fork(after_in_child=_forget_all)


class Verbatim(flask.Response):
    """A response as the core gave it: nothing is added, made absolute or rewritten."""

    default_mimetype = None

    def get_wsgi_headers(self, environ: Any) -> Any:  # noqa: ARG002 - werkzeug's method
        """The header fields."""
        return self.headers


class Everything(PathConverter):
    """A path of any form, empty ones and those that begin with a slash among them."""

    regex = ".*?"
    part_isolating = False


def blueprint(name: str = "serving", **variables: str) -> flask.Blueprint:
    """A blueprint for a site to register under a prefix.

    Args:
        name: Flask's name of it, of which a site may have only one.
        variables: Settings by the names of their variables, which win over the environment:
            ``blueprint(SERVING_MODEL="/srv/churn.tar.gz")``.

    Raises:
        SettingError: there is no such variable. Their values are read when it starts.
    """
    mounted.check(variables)
    return _blueprint(name, Host(variables, own_log=False))


def _blueprint(name: str, host: Host) -> flask.Blueprint:
    made = flask.Blueprint(name, __name__)
    made.record(lambda state: _route(state, host))
    return made


def _route(state: BlueprintSetupState, host: Host) -> None:
    """Have a blueprint's application give the host all that is below the prefix."""
    app, prefix = state.app, (state.url_prefix or "").rstrip("/")
    endpoint = f"{state.name_prefix}.{state.name}.ask".lstrip(".")
    app.url_map.converters["everything"] = Everything
    # Not Flask's add_url_rule, whose rules are for the methods that they name. Who asks to change
    # to WebSocket is answered as anybody else is, for which werkzeug wants a rule of its own.
    for websocket in (False, True):
        rule = Rule(f"{prefix}/<everything:path>", endpoint=endpoint, websocket=websocket)
        app.url_map.add(rule)

    def respond(path: str, **_: str) -> Verbatim:
        # Of a path that begins with two slashes Flask leaves one.
        return _respond(host, f"/{path}" if prefix else _whole_path())

    app.view_functions[endpoint] = respond
    app.extensions.setdefault(EXTENSION, []).append(host)


def _whole_path() -> str:
    sent: str = flask.request.environ["PATH_INFO"]
    return sent.encode("latin-1").decode(errors="replace")


def _respond(host: Host, path: str) -> Verbatim:
    answer = host.ask(flask.request.environ, path)
    body = answer.body
    response = Verbatim(
        [body] if isinstance(body, bytes) else body,
        answer.status,
        list(answer.headers),
        direct_passthrough=True,
    )
    bodiless = flask.request.method == "HEAD" or answer.status in messages.BODILESS
    if isinstance(body, bytes) and not bodiless:
        response.content_length = len(body)
    return response


def _application() -> flask.Flask:
    made = flask.Flask(__name__, static_folder=None)
    made.register_blueprint(_blueprint("serving", Host({}, own_log=True)))
    return made


app = _application()
"""Serves what the environment names."""


def _answer(response: Response) -> Answer:
    """The answer to a request that does not reach the core."""
    found = messages.fields(response.status, response.content_type, response.headers)
    return Answer(response.status, found, cast("bytes", response.body))
