"""Certificates for tests of TLS, each its own authority."""

import ssl
import subprocess
from pathlib import Path
from typing import NamedTuple


class Pair(NamedTuple):
    """A certificate that is its own authority, for this machine and for clients, and its key."""

    certificate: str
    key: str

    def client(self, *, shows: bool = False) -> ssl.SSLContext:
        """What a client needs that trusts the certificate, and shows it if it is asked to."""
        context = ssl.create_default_context(cafile=self.certificate)
        if shows:
            context.load_cert_chain(*self)
        return context


def make_pair(folder: Path, name: str) -> Pair:
    """A new one in a folder, for 127.0.0.1."""
    pair = Pair(str(folder / f"{name}.pem"), str(folder / f"{name}.key"))
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -noenc -days 2"
    names = ("-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1")
    files = ("-out", pair.certificate, "-keyout", pair.key)
    subprocess.run([*command.split(), *names, *files], check=True, capture_output=True)
    return pair
