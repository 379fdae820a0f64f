"""When an ASGI application starts and stops, and what its settings are."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import orjson
import pytest

from serving.errors import ServingError, SettingError
from serving.hosts.asgi import Host, app, create_app
from tests.hosts.asgi.support import WHOLE, Client, http, until_loaded
from tests.support import PATIENCE


class TestLife:
    @staticmethod
    @asynccontextmanager
    async def lifespan(host: Host) -> AsyncIterator[Client]:
        client = Client({"type": "lifespan.startup"})
        life = asyncio.create_task(host({"type": "lifespan"}, client.receive, client.send))
        async with asyncio.timeout(PATIENCE):
            while not client.sent:
                await asyncio.sleep(0)
        yield client
        client.coming.put_nowait({"type": "lifespan.shutdown"})
        await asyncio.wait_for(life, PATIENCE)

    async def test_it_loads_from_startup_to_shutdown(self, stump_folder: str) -> None:
        host = create_app(SERVING_MODEL=stump_folder)
        async with self.lifespan(host) as client:
            assert client.sent == [{"type": "lifespan.startup.complete"}]
            await until_loaded(host)
            body = {"type": "http.request", "body": b"0,5\n"}
            fields = [(b"content-type", b"text/csv")]
            answer = await Client(body).ask(host, http(headers=fields))
            assert answer.body == b"1.0\n"
        assert client.sent[-1] == {"type": "lifespan.shutdown.complete"}

    async def test_it_can_be_started_again_after_its_end(self, stump_folder: str) -> None:
        host = create_app(SERVING_MODEL=stump_folder)
        for _ in range(2):
            async with host:
                await until_loaded(host)

    @pytest.mark.parametrize(
        ("variables", "message"),
        [
            ({"SAGEMAKER_MAX_PAYLOAD_IN_MB": "much"}, "SAGEMAKER_MAX_PAYLOAD_IN_MB='much' is not"),
            ({"SERVING_MODEL": "/none"}, "/none"),
            ({"SERVING_KEYS": "/none"}, "SERVING_KEYS"),
        ],
    )
    async def test_what_is_wrong_fails_the_startup_with_its_message(
        self, stump_folder: str, variables: dict[str, str], message: str
    ) -> None:
        host = create_app(**{"SERVING_MODEL": stump_folder, **variables})
        client = await Client({"type": "lifespan.startup"}).ask(host, {"type": "lifespan"})
        (failed,) = client.sent
        assert failed["type"] == "lifespan.startup.failed"
        assert message in failed["message"]

    async def test_without_a_lifespan_the_first_request_starts_it(self, stump_folder: str) -> None:
        host = create_app(SERVING_MODEL=stump_folder)
        first = await Client(WHOLE).ask(host, http("/ping", "GET"))
        assert first.problem[:2] == (503, "ModelNotReady")
        await until_loaded(host)
        await host.close()

    async def test_a_start_that_fails_is_told_to_who_asks_and_to_the_log(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        host = create_app(SERVING_MODEL="/none")
        with pytest.raises(ServingError, match="/none"):
            await host.start()
        status, _, message = (await Client(WHOLE).ask(host, http())).problem
        assert status == 503
        assert message.startswith("The server could not start: ")
        assert "/none" in message
        await host.close()

        assert "the server could not start" in caplog.text

    async def test_the_environment_is_read_when_it_starts(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        root = logging.getLogger()
        monkeypatch.setattr(root, "handlers", [])
        monkeypatch.setenv("SERVING_MAX_HEAD_BYTES", "tiny")

        with pytest.raises(SettingError, match="SERVING_MAX_HEAD_BYTES='tiny'"):
            await app.start()
        await app.close()

    async def test_what_is_given_wins_over_other_names_in_the_environment(
        self, monkeypatch: pytest.MonkeyPatch, stump_folder: str
    ) -> None:
        monkeypatch.setenv("SERVING_MODEL", "/none")

        async with create_app(SM_MODEL_DIR=stump_folder) as host:
            await until_loaded(host)

    def test_a_variable_that_there_is_not_is_refused(self) -> None:
        with pytest.raises(SettingError, match="SERVING_MODLE is no variable of a setting"):
            create_app(SERVING_MODLE="/srv/model")

    async def test_the_log_of_a_site_around_it_is_left_as_it_was(
        self, stump_folder: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        root, mine = logging.getLogger(), logging.NullHandler()
        monkeypatch.setattr(root, "handlers", [mine])
        monkeypatch.setattr(root, "level", 17)

        async with create_app(SERVING_MODEL=stump_folder):
            pass

        assert root.handlers == [mine]
        assert root.level == 17

    def test_another_event_loop_is_told_so(self, stump_folder: str) -> None:
        async def start() -> None:
            await host.start()

        async def ask() -> Client:
            return await Client(WHOLE).ask(host, http("/ping", "GET"))

        host = create_app(SERVING_MODEL=stump_folder)
        with asyncio.Runner() as first, asyncio.Runner() as second:
            first.run(start())
            status, _, message = second.run(ask()).problem
            first.run(host.close())
        assert status == 503
        assert "another event loop" in message

    async def test_one_process_serves_many_models(self, stump_folder: str) -> None:
        async with create_app(SAGEMAKER_MULTI_MODEL="true") as host:
            await until_loaded(host)
            wish = orjson.dumps({"model_name": "stump", "url": stump_folder})
            loaded = await Client({"type": "http.request", "body": wish}).ask(host, http("/models"))
            assert loaded.status == 200, loaded.body
            row = {"type": "http.request", "body": b"2,5\n"}
            fields = [(b"content-type", b"text/csv")]
            scope = http("/models/stump/invoke", headers=fields)
            assert (await Client(row).ask(host, scope)).body == b"3.0\n"
