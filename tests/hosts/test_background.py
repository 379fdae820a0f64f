"""A site in a thread of its own: asked from any thread, it answers as the core does."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from serving.entry import State
from serving.errors import ServingError
from serving.hosts.background import Answer, Background
from serving.values import Request
from tests.conftest import MakeSettings
from tests.support import PATIENCE

STREAMING = """
from serving.errors import BadRequest

def model_fn(folder):
    return None

def transform_fn(model, body, content_type, accept):
    def chunks():
        if body == b"none":
            return
        if body == b"first fails":
            raise BadRequest("not that")
        yield b"one "
        if body == b"then fails":
            raise BadRequest("not that")
        try:
            yield b"two"
        finally:
            open(folder + "/ended", "w").close()
    return chunks()
"""


class TestStreams:
    @pytest.fixture
    def site(self, tmp_path: Path, make_settings: MakeSettings) -> Iterator[Background]:
        (tmp_path / "code").mkdir()
        script = STREAMING.replace("folder +", f"{str(tmp_path)!r} +")
        (tmp_path / "code" / "inference.py").write_text(script)
        site = Background(make_settings(), tmp_path)
        assert site.settled(PATIENCE) == (State.READY, "")
        yield site
        site.close()

    @staticmethod
    def ask(site: Background, body: bytes) -> Answer:
        headers = {"content-type": "application/octet-stream"}
        return site.ask(Request("POST", "/invocations", headers, body))

    def test_chunks_come_as_they_are_made(self, site: Background) -> None:
        answer = self.ask(site, b"all")
        assert not isinstance(answer.body, bytes)
        assert list(answer.body) == [b"one ", b"two"]

    def test_a_stream_without_a_chunk_is_an_empty_body(self, site: Background) -> None:
        assert self.ask(site, b"none")[::2] == (200, b"")

    def test_a_stream_that_fails_at_once_is_an_error(self, site: Background) -> None:
        answer = self.ask(site, b"first fails")
        assert answer.status == 400
        assert b"not that" in answer.body if isinstance(answer.body, bytes) else False

    def test_a_stream_that_fails_later_raises(self, site: Background) -> None:
        answer = self.ask(site, b"then fails")
        assert not isinstance(answer.body, bytes)
        assert next(answer.body) == b"one "
        with pytest.raises(ServingError, match="not that"):
            next(answer.body)

    def test_a_stream_that_nobody_reads_on_is_ended(self, site: Background, tmp_path: Path) -> None:
        answer = self.ask(site, b"all")
        assert not isinstance(answer.body, bytes)
        assert [next(answer.body), next(answer.body)] == [b"one ", b"two"]
        answer.body.close()
        assert (tmp_path / "ended").exists()
