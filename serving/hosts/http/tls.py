"""TLS: the settings that gunicorn makes its context of, and that context."""

import ssl
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from gunicorn import sock
from gunicorn.config import Config

from serving.errors import SettingError
from serving.renewal import Renewed
from serving.settings import Settings


def options(settings: Settings) -> dict[str, Any]:
    """Gunicorn's settings for TLS from ours."""
    return {
        "certfile": settings.tls_certificate or None,
        "keyfile": settings.tls_key or None,
        "ca_certs": settings.tls_client_ca or None,
        "cert_reqs": ssl.CERT_REQUIRED if settings.tls_client_ca else ssl.CERT_NONE,
    }


def source(config: Config, settings: Settings) -> Callable[[], ssl.SSLContext] | None:
    """What gives the context for a new connection; None: the server speaks no TLS.

    Called before the workers fork, so that they share the keys of session tickets: a client may go
    on with its session at any of them. A certificate that was renewed is shown to clients within
    a second.

    Raises:
        SettingError: a file is missing, cannot be read, or does not fit the others.
    """
    further = {"KEY": settings.tls_key, "CLIENT_CA": settings.tls_client_ca}
    if settings.tls_certificate:
        files = (settings.tls_certificate, *further.values())
        paths = [Path(file) for file in files if file]
        return Renewed(partial(_context, config, settings), paths).current
    for name, value in further.items():
        if value:
            raise SettingError(
                f"SERVING_TLS_{name}={value!r} means nothing without SERVING_TLS_CERTIFICATE."
            )
    return None


def _context(config: Config, settings: Settings) -> ssl.SSLContext:
    certificate, key = settings.tls_certificate, settings.tls_key
    _pem("SERVING_TLS_CERTIFICATE", certificate)
    if settings.tls_client_ca:
        _pem("SERVING_TLS_CLIENT_CA", settings.tls_client_ca)
    holder = ("SERVING_TLS_KEY", key) if key else ("SERVING_TLS_CERTIFICATE", certificate)
    if "ENCRYPTED" in _pem(*holder):
        raise SettingError(
            f"{holder[0]}={holder[1]!r} has an encrypted key, and nobody is there to type its "
            "passphrase; decrypt it, for instance with openssl pkey."
        )
    try:
        return sock.ssl_context(config)
    except ssl.SSLError as error:
        raise SettingError(
            f"TLS cannot be set up with the certificate {certificate!r} and the key in "
            f"{holder[1]!r}: {error.reason or error}."
        ) from error


def _pem(name: str, path: str) -> str:
    """The text of a file."""
    try:
        return Path(path).read_text(encoding="ascii", errors="replace")
    except OSError as error:
        raise SettingError(f"{name}={path!r} cannot be read: {error.strerror}.") from error
