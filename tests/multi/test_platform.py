"""Models are loaded, listed, described and unloaded as the platform orders."""

import asyncio
import json
from pathlib import Path

import pytest

from tests.multi.support import CSV, HIGH, LOW, ManyOf


def refusal(code: int, kind: str, message: str) -> tuple[int, dict[str, object]]:
    """The status and the body that multi-model-server's clients know an error by."""
    return code, {"code": code, "type": kind, "message": message}


class TestPlatform:
    """The interface that SageMaker calls."""

    async def test_a_model_is_loaded_listed_described_asked_and_unloaded(
        self, many: ManyOf, models: Path
    ) -> None:
        async with many() as server:
            url = str(models / "stump")
            assert await server.load("a", models / "stump") == (
                200,
                {"status": "Workers scaled"},
            )
            named = {"modelName": "a", "modelUrl": url}
            assert await server.json("GET", "/models") == (200, {"models": [named]})
            status, facts = await server.json("GET", "/models/a")
            assert status == 200
            assert facts.items() >= named.items()
            (worker,) = facts["workers"]
            assert worker["status"] == "READY"
            assert worker["memoryUsage"] > 0
            assert worker["gpu"] is False
            answer = await server.ask("POST", "/models/a/invoke", HIGH, **CSV)
            assert (answer.status, answer.body) == (200, b"3.0\n")
            assert await server.json("DELETE", "/models/a") == (
                200,
                {"status": 'Model "a" unregistered'},
            )
            assert await server.json("GET", "/models") == (200, {"models": []})

    @pytest.mark.parametrize(
        ("method", "path"),
        [("GET", "/models/a"), ("DELETE", "/models/a"), ("POST", "/models/a/invoke")],
    )
    async def test_a_model_that_is_not_loaded_is_not_found(
        self, many: ManyOf, method: str, path: str
    ) -> None:
        async with many() as server:
            assert await server.json(method, path, b"1" if method == "POST" else b"") == refusal(
                404, "ModelNotFoundException", "Model not found: a"
            )

    async def test_a_model_that_is_loaded_is_a_conflict(self, many: ManyOf, models: Path) -> None:
        async with many() as server:
            await server.load("a", models / "stump")
            assert await server.load("a", models / "stump") == refusal(
                409, "ConflictStatusException", "Model a is already registered."
            )

    async def test_of_loads_that_come_together_one_loads(self, many: ManyOf, models: Path) -> None:
        async with many() as server:
            loads = [server.load("a", models / "stump") for _ in range(5)]
            statuses = [status for status, _ in await asyncio.gather(*loads)]
            assert sorted(statuses) == [200, 409, 409, 409, 409]

    async def test_a_model_that_has_no_room_is_insufficient_storage(
        self, many: ManyOf, models: Path
    ) -> None:
        async with many(model_memory=1) as server:
            status, error = await server.load("a", models / "stump")
            assert (status, error["type"]) == (507, "InsufficientStorage")
            assert await server.json("GET", "/models") == (200, {"models": []})

    @pytest.mark.parametrize(
        ("body", "message"),
        [
            (b"", "The body has to be JSON"),
            (b"[]", "The body has to be JSON"),
            (b'{"url": "/x"}', "Parameter model_name is required."),
            (b'{"model_name": "a"}', "Parameter url is required."),
            (b'{"model_name": "a", "url": 3}', "Parameter url is required."),
        ],
    )
    async def test_a_wrong_wish_is_a_bad_request(
        self, many: ManyOf, body: bytes, message: str
    ) -> None:
        async with many() as server:
            status, error = await server.json("POST", "/models", body)
            assert status == 400
            assert message in error["message"]

    async def test_what_is_not_at_its_address_is_not_found(
        self, many: ManyOf, models: Path
    ) -> None:
        async with many() as server:
            status, error = await server.load("a", models / "gone.tar.gz")
            assert status == 404
            assert error["message"] == f"Model not found in model store: {models}/gone.tar.gz"

    async def test_pages_have_every_model_once_and_the_last_has_no_token(
        self, many: ManyOf, models: Path
    ) -> None:
        async with many() as server:
            for name in ("c", "a/x", "d", "b"):
                assert (await server.load(name, models / "stump"))[0] == 200
            pages, token = [], ""
            while True:
                query = f"limit=2&next_page_token={token}"
                _, page = await server.json("GET", "/models", b"", query)
                pages.append([model["modelName"] for model in page["models"]])
                token = page.get("nextPageToken", "")
                if not token:
                    break
            assert pages == [["a/x", "b"], ["c", "d"]]
            assert (await server.ask("POST", "/models/a/x/invoke", LOW, **CSV)).body == b"1.0\n"

    @pytest.mark.parametrize("limit", ["0", "-1", "x", "1.5"])
    async def test_a_page_of_no_size_is_a_bad_request(self, many: ManyOf, limit: str) -> None:
        async with many() as server:
            status, error = await server.json("GET", "/models", b"", f"limit={limit}")
            assert (status, error["type"]) == (400, "BadRequest")

    async def test_what_was_unloaded_while_it_loaded_is_not_kept(
        self, many: ManyOf, models: Path
    ) -> None:
        async with many() as server:
            url = str(models / "team" / "classes.tar.gz")
            body = json.dumps({"model_name": "a", "url": url}).encode()
            orders = [
                asyncio.create_task(server.json("POST", "/models", body)),
                asyncio.create_task(server.json("DELETE", "/models/a")),
                asyncio.create_task(server.json("DELETE", "/models/a")),
            ]
            statuses = [status for status, _ in await asyncio.gather(*orders)]
            assert statuses == [200, 200, 404]
            assert server.kept == {}
            assert (await server.load("a", models / "stump"))[0] == 200
            assert server.kept == {"a": str(models / "stump")}

    async def test_a_models_name_may_end_as_an_invocation_does(
        self, many: ManyOf, models: Path
    ) -> None:
        async with many() as server:
            await server.load("a/invoke", models / "stump")
            assert (await server.json("GET", "/models/a/invoke"))[0] == 200
            answer = await server.ask("POST", "/models/a/invoke/invoke", HIGH, **CSV)
            assert answer.body == b"3.0\n"
            assert (await server.ask("POST", "/models/a/invoke", HIGH, **CSV)).status == 404
            assert (await server.ask("DELETE", "/models/a/invoke")).status == 200

    @pytest.mark.parametrize("token", ["x", "fg", "ff"])
    async def test_a_token_that_is_none_is_a_bad_request(self, many: ManyOf, token: str) -> None:
        async with many() as server:
            status, error = await server.json("GET", "/models", b"", f"next_page_token={token}")
            assert (status, error["type"]) == (400, "BadRequest")
            assert repr(token) in error["message"]

    async def test_what_was_registered_is_kept_for_the_next_process(
        self, many: ManyOf, models: Path
    ) -> None:
        async with many() as server:
            await server.load("a", models / "stump")
            await server.load("b", models / "team" / "classes.tar.gz")
            await server.ask("DELETE", "/models/b")
            kept = server.kept
        assert kept == {"a": str(models / "stump")}
        async with many(kept) as server:
            answer = await server.ask("POST", "/models/a/invoke", LOW, **CSV)
            assert (answer.status, answer.body) == (200, b"1.0\n")
            await server.ask("DELETE", "/models/a")
            assert server.kept == {}

    async def test_what_cannot_be_loaded_again_stays_registered(
        self, many: ManyOf, models: Path
    ) -> None:
        async with many({"a": str(models / "gone"), "b": str(models / "stump")}) as server:
            answer = await server.ask("POST", "/models/a/invoke", LOW, **CSV)
            assert answer.status == 503
            listed = await server.json("GET", "/models")
            assert [model["modelName"] for model in listed[1]["models"]] == ["a", "b"]
            _, described = await server.json("GET", "/models/a")
            assert described["workers"][0]["status"] == "FAILED"
            assert (await server.load("a", models / "stump"))[0] == 409
            assert (await server.ask("DELETE", "/models/a")).status == 200
            assert server.kept == {"b": str(models / "stump")}
            assert (await server.load("a", models / "stump"))[0] == 200
