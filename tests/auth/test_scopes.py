"""Scopes: what a key has to be for."""

import pytest

from serving.auth.scopes import needed


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("GET", "/ping", ""),
        ("HEAD", "/ping", ""),
        ("GET", "/metrics", "metrics"),
        ("POST", "/invocations", "invoke"),
        ("GET", "/execution-parameters", "invoke"),
        ("POST", "/endpoints/orders/invocations", "invoke"),
        ("POST", "/endpoints/orders/invocations-response-stream", "invoke"),
        ("POST", "/endpoints/orders/async-invocations", "invoke"),
        ("POST", "/models/a/invoke", "invoke"),
        ("GET", "/v2/health/live", ""),
        ("GET", "/v2/health/ready", ""),
        ("GET", "/v2", "invoke"),
        ("GET", "/v2/models/a", "invoke"),
        ("POST", "/v2/models/a/infer", "invoke"),
        ("POST", "/v2/repository/index", "manage"),
        ("POST", "/v2/health/ready/x", "manage"),
        ("POST", "/models", "manage"),
        ("GET", "/models", "manage"),
        ("GET", "/models/a", "manage"),
        ("DELETE", "/models/a", "manage"),
    ],
)
def test_a_route_has_its_scope(method: str, path: str, scope: str) -> None:
    assert needed(method, path) == scope


def test_a_model_whose_name_ends_as_a_route_is_managed_all_the_same() -> None:
    assert needed("DELETE", "/models/a/invoke") == "manage"
    assert needed("GET", "/models/a/invoke") == "manage"


@pytest.mark.parametrize("path", ["/", "", "/pinging", "/metrics/", "//invocations", "/other"])
def test_what_is_not_known_takes_the_key_of_an_operator(path: str) -> None:
    assert needed("POST", path) == "manage"
