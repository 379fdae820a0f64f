"""What a client trusts, and what it shows, where the server speaks TLS."""

import ssl

from serving.errors import ConfigurationError


def context(authorities: str = "", certificate: str = "", key: str = "") -> ssl.SSLContext:
    """What connections are encrypted with. The server's certificate and name are always checked.

    Args:
        authorities: PEM file of those to trust, in place of the machine's. A server's certificate
            that nobody else has signed is its own.
        certificate: PEM file of the certificate that a server asks its clients for.
        key: PEM file of its private key, where the certificate's own does not hold it.

    Raises:
        ConfigurationError: a file cannot be read, or holds something else.
    """
    if key and not certificate:
        raise ConfigurationError(f"The key {key} means nothing without its certificate.")
    try:
        made = ssl.create_default_context(cafile=authorities or None)
    except OSError as error:
        raise _useless("authorities", authorities, error) from error
    if certificate:
        try:
            made.load_cert_chain(certificate, key or None, password=_no_password)
        except OSError as error:
            raise _useless(
                "certificate", ", ".join(filter(None, (certificate, key))), error
            ) from error
    return made


def _no_password() -> str:
    raise ConfigurationError("The key is encrypted; decrypt it, for instance with openssl pkey.")


def _useless(what: str, files: str, error: OSError) -> ConfigurationError:
    if isinstance(error, ssl.SSLError):
        why = f"it is no such PEM file ({error.reason or error})"
    else:
        why = f"it cannot be read: {error.strerror}"
    return ConfigurationError(f"{files} gives no {what}: {why}.")
