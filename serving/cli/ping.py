"""``serving ping``: ask a server on this machine whether it is healthy. Images need no curl."""

import argparse
import http.client
import ssl
import sys

from serving.cli.common import Environment, read_settings
from serving.settings import Settings

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
    port, connection = settings.port, _connection(settings)
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


def _connection(settings: Settings) -> http.client.HTTPConnection:
    bind = settings.bind.strip("[]")
    host = LOOPBACK.get(bind, bind)
    if not settings.tls_certificate:
        return http.client.HTTPConnection(host, settings.port, timeout=TIMEOUT_SECONDS)
    # The certificate has the server's name, not that of the loopback interface; nothing secret is
    # sent. Where clients have to show a certificate, the server's own is the one at hand.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if settings.tls_client_ca:
        context.load_cert_chain(settings.tls_certificate, settings.tls_key or None)
    return http.client.HTTPSConnection(
        host, settings.port, timeout=TIMEOUT_SECONDS, context=context
    )
