"""Models of a repository are loaded when they are asked for, or pinned."""

import asyncio
import shutil
import tarfile
from pathlib import Path

import pytest

from serving.errors import ModelNotFound
from tests.multi.support import HIGH, LOW, ManyOf
from tests.support import PATIENCE


class TestRepository:
    """On premises, where clients name what they want."""

    async def test_a_model_is_loaded_when_it_is_first_asked_for(self, many: ManyOf) -> None:
        async with many() as server:
            asked = [server.target("stump", LOW), server.target("stump", HIGH)]
            assert [answer.body for answer in await asyncio.gather(*asked)] == [
                b"1.0\n",
                b"3.0\n",
            ]
            answer = await server.target("team/classes.tar.gz")
            assert answer.body == b"0.25,0.25,0.25,0.25\n"
            _, listed = await server.json("GET", "/models")
            names = [model["modelName"] for model in listed["models"]]
            assert names == ["stump", "team/classes.tar.gz"]

    @pytest.mark.parametrize("sent", ["na\u00efve", "na\u00efve".encode().decode("latin-1")])
    async def test_a_name_that_is_not_ascii_may_come_as_latin_1_or_as_utf_8(
        self, many: ManyOf, models: Path, sent: str
    ) -> None:
        shutil.copytree(models / "stump", models / "naïve")
        async with many() as server:
            assert (await server.target(sent)).body == b"1.0\n"

    @pytest.mark.parametrize(
        ("name", "status", "message"),
        [
            ("", 400, "say in X-Amzn-SageMaker-Target-Model which"),
            ("gone.tar.gz", 404, "Model not found in model store: gone.tar.gz"),
            ("../models/stump", 400, "cannot be a model"),
            ("broken.tar.gz", 500, "broken.tar.gz"),
        ],
    )
    async def test_what_cannot_be_a_model_says_why(
        self, many: ManyOf, name: str, status: int, message: str
    ) -> None:
        async with many() as server:
            answer = await server.target(name)
            assert isinstance(answer.body, bytes)
            assert (answer.status, message in answer.body.decode()) == (status, True)

    async def test_without_a_repository_what_is_registered_can_be_targeted(
        self, many: ManyOf, models: Path
    ) -> None:
        async with many() as server:
            server._application._models._repository = None  # type: ignore[union-attr]
            await server.load("a", models / "stump")
            assert (await server.target("a")).status == 200
            assert (await server.target("stump")).status == 404

    async def test_a_new_version_is_picked_up_and_the_unpacked_old_one_removed(
        self, many: ManyOf, models: Path, tmp_path: Path
    ) -> None:
        def unpacked() -> set[Path]:
            found = (tmp_path / "cache").glob("*/[!.]*")  # a dot: it is being removed
            return {path for path in found if path.is_dir()}

        async with many() as server:
            assert (await server.target("team/classes.tar.gz")).status == 200
            (old,) = unpacked()
            draft = tmp_path / "draft.tar.gz"
            with tarfile.open(draft, "w:gz") as archive:
                archive.add(models / "stump" / "model.json", "model.json")
            draft.replace(models / "team" / "classes.tar.gz")

            async def until_new() -> None:
                while (await server.target("team/classes.tar.gz")).body != b"1.0\n":
                    await asyncio.sleep(0.002)

            async def until_removed() -> None:
                while old in unpacked():  # with a later look at the archive
                    assert (await server.target("team/classes.tar.gz")).body == b"1.0\n"
                    await asyncio.sleep(0.002)

            await asyncio.wait_for(until_new(), PATIENCE)
            await asyncio.wait_for(until_removed(), PATIENCE)
            assert len(unpacked()) == 1

    async def test_a_model_that_is_gone_from_the_repository_stays_while_it_is_loaded(
        self, many: ManyOf, models: Path
    ) -> None:
        async with many() as server:
            assert (await server.target("stump")).status == 200
            shutil.rmtree(models / "stump")
            for _ in range(3):
                assert (await server.target("stump")).status == 200
            await server.ask("DELETE", "/models/stump")
            assert (await server.target("stump")).status == 404


class TestPinned:
    async def test_ping_waits_for_what_is_pinned(self, many: ManyOf) -> None:
        async with many(pinned="stump, team/classes.tar.gz") as server:
            status, error = await server.json("GET", "/ping")
            assert (status, error["type"]) == (503, "ModelNotReady")
            await asyncio.wait_for(server.ready.wait(), PATIENCE)
            assert (await server.ask("GET", "/ping")).status == 200
            _, facts = await server.json("GET", "/models/stump")
            assert facts["loadedAtStartup"] is True

    async def test_ping_says_why_one_could_not_be_loaded(self, many: ManyOf) -> None:
        async with many(pinned="broken.tar.gz") as server:

            async def until_failed() -> str:
                while True:
                    status, error = await server.json("GET", "/ping")
                    assert status == 503
                    if "failed" in error["message"]:
                        return str(error["message"])
                    await asyncio.sleep(0.002)

            message = await asyncio.wait_for(until_failed(), PATIENCE)
            assert "The model broken.tar.gz failed to load" in message

    async def test_one_that_was_registered_before_is_that_of_the_repository_again(
        self, many: ManyOf, models: Path
    ) -> None:
        registered = {"stump": str(models / "team" / "classes.tar.gz")}
        async with many(registered, pinned="stump,stump") as server:
            await asyncio.wait_for(server.ready.wait(), PATIENCE)
            assert (await server.target("stump")).body == b"1.0\n"

    async def test_one_that_is_not_there_ends_the_start(self, many: ManyOf) -> None:
        with pytest.raises(ModelNotFound):
            async with many(pinned="gone"):
                pass

    async def test_with_none_the_server_is_ready_at_once(self, many: ManyOf) -> None:
        async with many() as server:
            assert server.ready.is_set()
            assert (await server.ask("GET", "/ping")).status == 200
