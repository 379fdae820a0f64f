"""What an operator is told when a server starts."""

from pathlib import Path

import pytest

from serving.auth import advice
from tests.conftest import MakeSettings


@pytest.mark.parametrize("bind", ["127.0.0.1", "127.8.8.8", "::1", "[::1]", "localhost"])
def test_nothing_is_said_where_only_this_machine_reaches_the_server(
    make_settings: MakeSettings, bind: str
) -> None:
    assert advice(make_settings(bind=bind), {}) == ""


@pytest.mark.parametrize("bind", ["0.0.0.0", "::", "192.168.1.5", "inference.example"])
def test_a_server_that_anybody_reaches_is_advised_to_ask_for_keys(
    make_settings: MakeSettings, bind: str
) -> None:
    sentence = advice(make_settings(bind=bind, port=9000), {})
    assert sentence.startswith(f"whoever reaches {bind}:9000 may use this server")
    assert "SERVING_KEYS" in sentence


def test_nothing_is_said_where_a_platform_stands_before_the_server(
    make_settings: MakeSettings,
) -> None:
    assert advice(make_settings(further_ports=range(9000, 9010)), {}) == ""
    assert advice(make_settings(), {"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/v2/a"}) == ""


def test_keys_that_everybody_may_read_are_named(
    make_settings: MakeSettings, tmp_path: Path
) -> None:
    path = tmp_path / "keys.toml"
    path.touch(0o600)
    settings = make_settings(keys=str(path))
    assert advice(settings, {}) == ""
    path.chmod(0o644)
    assert "chmod 600" in advice(settings, {})
