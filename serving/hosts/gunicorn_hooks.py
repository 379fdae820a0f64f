"""gunicorn's hooks for the WSGI host: each worker loads its models before it is asked for them.

``gunicorn -c python:serving.hosts.gunicorn_hooks ... serving.hosts.wsgi:app``; a site that has a
configuration file of its own imports the two functions there. Without them a worker begins to load
at its first request, and ends without a goodbye.
"""

from collections.abc import Iterable
from typing import Any

from gunicorn.arbiter import Arbiter
from gunicorn.workers.base import Worker

from serving.hosts.wsgi import EXTENSION, Host


def post_worker_init(worker: Worker) -> None:
    """Start the hosts of a worker, whether its application was loaded before the fork or after.

    Raises:
        ConfigurationError: one cannot start. gunicorn ends then.
    """
    for host in _hosts(worker):
        host.start(several=worker.cfg.workers > 1)


def worker_exit(_server: Arbiter, worker: Worker) -> None:
    """Close the hosts of a worker that ends."""
    for host in _hosts(worker):
        host.close()


def _hosts(worker: Worker) -> Iterable[Host]:
    application: Any = getattr(worker, "wsgi", None)  # none where it could not be loaded
    hosts: Iterable[Host] = getattr(application, "extensions", {}).get(EXTENSION, ())
    return hosts
