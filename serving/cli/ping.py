"""``serving ping``: ask a server on this machine whether it is healthy. Images need no curl."""

import argparse
import http.client
import sys

from serving.cli.common import Environment, read_settings

TIMEOUT_SECONDS = 2.0
"""SageMaker's own limit for a ping."""

LOOPBACK = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - it is asked, not bound
"""Where to ask a server that listens on all addresses."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("--port", help="the server's port [8080]")


def run(options: argparse.Namespace, environment: Environment) -> int:
    """0 if it is healthy; else 1, with the reason on standard error."""
    settings = read_settings(options, environment)
    port, bind = settings.port, settings.bind.strip("[]")
    host = LOOPBACK.get(bind, bind)
    connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT_SECONDS)
    try:
        connection.request("GET", "/ping")
        response = connection.getresponse()
        body = response.read().decode("utf-8", "replace").strip()
    except (OSError, http.client.HTTPException) as error:
        print(f"no server answers on port {port}: {error}", file=sys.stderr)
        return 1
    finally:
        connection.close()
    if response.status == http.client.OK:
        return 0
    print(f"{response.status} {body}", file=sys.stderr)
    return 1
