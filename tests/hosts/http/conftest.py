"""The HTTP host, and a connection to it."""

from collections.abc import Iterator

import pytest

from tests.hosts.http.support import Client, Host


@pytest.fixture
def host() -> Iterator[Host]:
    """The host with small limits, see ``LIMITS``."""
    host = Host()
    yield host
    host.close()


@pytest.fixture
def client(host: Host) -> Client:
    """A connection to the host with small limits."""
    return host.connect()
