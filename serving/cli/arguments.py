"""What arguments of several commands are: each reads a text, and says what it should have been."""

import argparse
import math
from contextlib import suppress

from serving.errors import ConfigurationError


def add_tls(parser: argparse.ArgumentParser) -> None:
    """Add what a client trusts, and what it shows: the arguments of `serving.bench.tls.context`."""
    group = parser.add_argument_group("TLS, where the URL begins with https")
    add = group.add_argument
    add("--ca", default="", metavar="FILE", help="authorities to trust [the machine's], as PEM")
    add("--certificate", default="", metavar="FILE", help="shown to a server that asks for one")
    add("--key", default="", metavar="FILE", help="the certificate's, where FILE above has none")


def tls_files(options: argparse.Namespace) -> tuple[str, str, str]:
    """What these arguments name, as `serving.bench.tls.context` takes it."""
    return options.ca, options.certificate, options.key


def check_no_tls(options: argparse.Namespace, url: str) -> None:
    """Return if none of these is given for a URL of plain HTTP. Raises ConfigurationError."""
    if any(tls_files(options)):
        raise ConfigurationError(f"{url} is asked without TLS: --ca and others need https://.")


def field(text: str) -> tuple[str, str]:
    """A header field: its lower-case name and its value."""
    name, colon, value = text.partition(":")
    if not name.strip() or not colon:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME:VALUE")
    return name.strip().lower(), value.strip()


def above_zero(text: str) -> float:
    """A number above 0."""
    with suppress(ValueError):
        if 0 < float(text) < math.inf:
            return float(text)
    raise argparse.ArgumentTypeError(f"{text!r} is no number above 0")


def count(text: str) -> int:
    """A whole number above 0."""
    if text.isascii() and text.isdigit() and int(text):
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is no whole number above 0")
