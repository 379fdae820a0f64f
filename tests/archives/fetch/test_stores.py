"""Archives of object stores, by fsspec."""

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from serving.archives import fetch
from tests.archives.fetch.support import LIMIT, archive_of, refusal, weights


def test_other_addresses_are_read_by_fsspec(memory: Any, cache: Path) -> None:
    memory.pipe("/bucket/model.tar.gz", archive_of(b"1"))
    first = fetch("memory://bucket/model.tar.gz", cache, limit=LIMIT)
    assert weights(first) == b"1"
    assert fetch("memory://bucket/model.tar.gz", cache, limit=LIMIT) == first
    memory.pipe("/bucket/model.tar.gz", archive_of(b"2"))
    assert weights(fetch("memory://bucket/model.tar.gz", cache, limit=LIMIT)) == b"2"


def test_a_missing_object_is_named(memory: Any, cache: Path) -> None:
    message = refusal("memory://bucket/model.tar.gz", cache)
    assert message == "memory://bucket/model.tar.gz does not exist."


def test_a_folder_of_a_store_is_refused(memory: Any, cache: Path) -> None:
    memory.pipe("/bucket/model/weights", b"1")
    assert "memory://bucket/model is a folder" in refusal("memory://bucket/model", cache)


def test_an_object_beyond_the_limit_is_refused(memory: Any, cache: Path) -> None:
    memory.pipe("/bucket/model.tar.gz", bytes(3000))
    assert "has more than 2,000 bytes" in refusal("memory://bucket/model.tar.gz", cache, 2000)


def test_an_unknown_scheme_is_refused_with_those_that_are_known(cache: Path) -> None:
    message = refusal("nonsense://bucket/model.tar.gz", cache)
    assert "has a scheme that is not supported" in message
    assert "known are file, http, https, s3" in message


@pytest.mark.parametrize(
    ("scheme", "package"), [("s3", "hybrid-serving[aws]"), ("gs", "fsspec[gs]")]
)
def test_a_missing_package_is_named(
    cache: Path, monkeypatch: pytest.MonkeyPatch, scheme: str, package: str
) -> None:
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    assert f"pip install '{package}'" in refusal(f"{scheme}://bucket/model.tar.gz", cache)


def test_an_error_of_the_store_is_told(
    memory: Any, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class NoCredentialsError(Exception):
        """Like botocore's: no OSError."""

    def fail(*_: object, **__: object) -> None:
        raise NoCredentialsError("Unable to locate credentials")

    botocore = ModuleType("botocore.exceptions")
    monkeypatch.setattr(botocore, "BotoCoreError", NoCredentialsError, raising=False)
    monkeypatch.setitem(sys.modules, "botocore.exceptions", botocore)
    monkeypatch.setattr(type(memory), "info", fail)
    message = refusal("memory://bucket/model.tar.gz?key=secret", cache)
    assert message == (
        "memory://bucket/model.tar.gz cannot be downloaded: Unable to locate credentials."
    )
