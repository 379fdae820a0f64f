"""What is asked, and how often."""

from collections import Counter
from collections.abc import Mapping
from itertools import islice

import pytest

from serving.bench.target import Message, requests, target, zipf
from serving.errors import ConfigurationError


@pytest.mark.parametrize(
    ("url", "authority", "path"),
    [
        ("http://h", "h", "/invocations"),
        ("http://h:80/", "h", "/invocations"),
        ("http://h:8080", "h:8080", "/invocations"),
        ("http://[::1]:8080/a/b?c=d", "[::1]:8080", "/a/b?c=d"),
        ("https://h", "h", "/invocations"),
        ("https://h:8443", "h:8443", "/invocations"),
    ],
)
def test_a_url_says_whom_and_what_to_ask(url: str, authority: str, path: str) -> None:
    found = target(url, "/invocations")
    assert (found.authority, found.path) == (authority, path)
    assert (found.tls is not None) == url.startswith("https")


@pytest.mark.parametrize("url", ["", "h:8080", "ftp://h", "http://", "http://h:port"])
def test_what_is_no_url_is_refused_with_what_would_be(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"http://127\.0\.0\.1:8080"):
        target(url, "/")


def test_models_are_asked_by_their_weights() -> None:
    where = target("http://h", "/")
    messages = [Message({"x-model": str(number)}, b"") for number in range(3)]
    sent = Counter(islice(requests(where, messages, zipf(3, 1.0), None, 1), 11_000))
    counts = [next(sent[each] for each in sent if b"x-model: %d" % n in each) for n in range(3)]
    assert counts == pytest.approx([6000, 3000, 2000], rel=0.1)


def test_without_an_exponent_all_are_asked_alike() -> None:
    assert zipf(3, 0.0) == [1.0, 1.0, 1.0]


def test_each_request_is_signed_for_itself() -> None:
    asked: list[tuple[str, str, dict[str, str], bytes]] = []

    def sign(method: str, url: str, headers: Mapping[str, str], body: bytes) -> dict[str, str]:
        asked.append((method, url, dict(headers), body))
        return {"authorization": str(len(asked))}

    where = target("https://h/x", "/")
    sent = list(islice(requests(where, [Message({"a": "b"}, b"body")], [1.0], sign, 1), 2))
    assert asked == [("POST", "https://h/x", {"host": "h", "a": "b"}, b"body")] * 2
    assert [b"authorization: %d\r\n" % number in each for number, each in enumerate(sent, 1)]
    assert sent[0] != sent[1]
