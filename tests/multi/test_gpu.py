"""What models may take of a GPU."""

import asyncio
import logging
from dataclasses import replace
from pathlib import Path

import pytest

from serving import loading
from serving.gpu import Gpu, Gpus
from serving.loader import Loader
from serving.loading import Loaded
from serving.multi import MultiModel
from serving.service import Tools
from serving.settings import MIB, Settings
from tests.conftest import MakeSettings
from tests.multi.support import GIB, ManyOf


class TestGpu:
    @pytest.mark.parametrize(
        ("total", "setting", "told"),
        [(10 * GIB, 0, "9216 MiB"), (10 * GIB, 512 * MIB, "512 MiB"), (0, 0, "")],
    )
    async def test_models_may_take_most_of_its_memory_or_what_is_set(
        self,
        make_settings: MakeSettings,
        caplog: pytest.LogCaptureFixture,
        total: int,
        setting: int,
        told: str,
    ) -> None:
        caplog.set_level(logging.INFO)

        settings = make_settings(multi_model=True, gpu_memory=setting)
        tools = Tools.of(settings, asyncio.get_running_loop())
        MultiModel(tools, Loader(tools, gpus=Gpus([Gpu(total)]))).close()
        tools.decoder.close()

        lines = [line for line in caplog.messages if "GPU" in line]
        assert lines == ([f"models may take {told} of the GPU's memory together"] if told else [])

    async def test_a_model_on_it_says_so(
        self, many: ManyOf, models: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        load = loading.load

        def load_there(folder: Path, settings: Settings, gpus: Gpus) -> Loaded:
            loaded = load(folder, settings, gpus)
            return loaded._replace(model=replace(loaded.model, devices=("cuda:0",)))

        monkeypatch.setattr(loading, "load", load_there)

        async with many() as server:
            await server.load("a", models / "stump")
            _, facts = await server.json("GET", "/models/a")
            assert facts["workers"][0]["gpu"] is True
