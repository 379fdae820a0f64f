"""Memory of a GPU, as a stand-in for NVIDIA's library tells it, and what loads take of it."""

import ctypes
from pathlib import Path
from typing import Any

import pytest

from serving import engines, footprint, loading, machine
from serving.errors import (
    ArchiveError,
    InsufficientStorage,
    ModelLoadError,
    OutOfMemory,
)
from serving.gpu import LIBRARY, Gpu, Gpus
from serving.model import Model
from serving.settings import Settings
from tests.support import Fake

GIB = 1024**3
FULL = RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB.")


class Library:
    """NVML of two GPUs; functions that are named in ``errors`` give those codes."""

    def __init__(self, **errors: int) -> None:
        self.used = [1 * GIB, 5 * GIB]
        self.errors = errors
        self.calls: list[str] = []
        self._uuids = [b"GPU-8f", b"MIG-3a"]

    def load(self, name: str) -> "Library":
        assert name == LIBRARY
        return self

    def nvmlInit_v2(self) -> int:  # noqa: N802 - NVML's name, as those below
        return self._code("nvmlInit_v2")

    def nvmlDeviceGetHandleByIndex_v2(self, index: Any, device: Any) -> int:  # noqa: N802
        device._obj.value = 100 + index.value
        return self._code("nvmlDeviceGetHandleByIndex_v2")

    def nvmlDeviceGetHandleByUUID(self, name: bytes, device: Any) -> int:  # noqa: N802
        if name not in self._uuids:
            return 6  # NVML_ERROR_NOT_FOUND
        device._obj.value = 100 + self._uuids.index(name)
        return self._code("nvmlDeviceGetHandleByUUID")

    def nvmlDeviceGetMemoryInfo(self, device: Any, memory: Any) -> int:  # noqa: N802
        code = self._code("nvmlDeviceGetMemoryInfo")
        if not code:
            index = device.value - 100
            memory._obj.total, memory._obj.used = (16 * GIB, 24 * GIB)[index], self.used[index]
        return code

    def _code(self, function: str) -> int:
        self.calls.append(function)
        return self.errors.get(function, 0)


class Used:
    """Bytes that are in use on a GPU."""

    def __init__(self) -> None:
        self.bytes = 0

    def __call__(self) -> int:
        return self.bytes


def taken(gpu: Gpu, used: Any) -> int:
    """What a load is found to have taken while the memory in use grew by a GiB."""
    load = gpu.begin()
    used.bytes += GIB
    load.on_gpu = True
    gpu.end(load)
    return load.bytes


class TestFinding:
    @pytest.mark.parametrize(
        ("names", "totals"),
        [
            (["0"], [16]),
            (["1"], [24]),
            (["1", "0"], [24, 16]),
            (["GPU-8f"], [16]),
            (["GPU-8f", "1"], [16, 24]),
            (["MIG-3a", "0"], [24]),
        ],
    )
    def test_those_that_cuda_lets_the_process_use_are_measured(
        self, monkeypatch: pytest.MonkeyPatch, names: list[str], totals: list[int]
    ) -> None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", ",".join(names))
        library = Library()
        gpus = Gpus.find(library.load)
        assert gpus.total == sum(totals) * GIB
        load = gpus.begin()
        library.used[totals[load.gpu or 0] == 24] += 3 * GIB
        load.on_gpu = True
        gpus.end(load)
        assert load.bytes == 3 * GIB

    def test_where_there_is_no_gpu_no_library_is_looked_for(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
        library = Library()
        gpus = Gpus.find(library.load)
        assert (gpus.total, library.calls) == (0, [])

    @pytest.mark.parametrize(
        ("name", "errors", "reason"),
        [
            ("0", {"nvmlInit_v2": 9}, "nvmlInit_v2 of libnvidia-ml.so.1 gives error 9"),
            ("0", {"nvmlDeviceGetHandleByIndex_v2": 2}, "gives error 2"),
            ("0", {"nvmlDeviceGetMemoryInfo": 3}, "nvmlDeviceGetMemoryInfo of"),
            ("-1", {}, "nvmlDeviceGetHandleByUUID of"),
        ],
    )
    def test_one_that_the_library_does_not_tell_of_is_not_counted(
        self,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
        name: str,
        errors: dict[str, int],
        reason: str,
    ) -> None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", name)
        assert Gpus.find(Library(**errors).load).total == 0
        assert f"the memory of GPU {name} is not counted" in caplog.text
        assert reason in caplog.text

    def test_without_the_library_none_is_counted(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        def missing(name: str) -> Any:
            return ctypes.CDLL(f"no-{name}")

        monkeypatch.setattr(machine, "gpus", lambda: ["0"])
        assert Gpus.find(missing).total == 0
        assert "no-libnvidia-ml.so.1: cannot open shared object file" in caplog.text

    def test_where_the_library_fails_later_what_was_seen_last_stands(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(machine, "gpus", lambda: ["0"])
        library = Library()
        gpu = Gpus.find(library.load)
        load = gpu.begin()
        library.used[0] += GIB
        library.errors["nvmlDeviceGetMemoryInfo"] = 15  # NVML_ERROR_GPU_IS_LOST
        load.on_gpu = True
        gpu.end(load)
        assert load.bytes == 0


class TestLoads:
    def test_one_alone_has_taken_what_the_memory_in_use_grew_by(self) -> None:
        used = Used()
        used.bytes = 7 * GIB
        gpu = Gpu(16 * GIB, used)
        assert [taken(gpu, used) for _ in range(2)] == [GIB, GIB]

    def test_what_two_took_together_counts_once(self) -> None:
        used = Used()
        gpu = Gpu(16 * GIB, used)
        first = gpu.begin()
        used.bytes += 100
        second = gpu.begin()
        used.bytes += 60
        first.on_gpu = second.on_gpu = True
        gpu.end(first)
        used.bytes += 10
        gpu.end(second)
        assert (first.bytes, second.bytes) == (130, 40)

    def test_what_was_ascribed_to_one_that_is_not_on_it_others_have_taken(self) -> None:
        used = Used()
        gpu = Gpu(16 * GIB, used)
        on_gpu, on_cpu = gpu.begin(), gpu.begin()
        used.bytes += 100
        gpu.end(on_cpu)
        on_gpu.on_gpu = True
        gpu.end(on_gpu)
        assert (on_gpu.bytes, on_cpu.bytes) == (100, 0)

    def test_where_more_was_freed_meanwhile_it_has_taken_nothing(self) -> None:
        used = Used()
        used.bytes = 1000
        gpu = Gpu(16 * GIB, used)
        load = gpu.begin()
        used.bytes -= 300
        load.on_gpu = True
        gpu.end(load)
        assert load.bytes == 0

    def test_without_a_gpu_nothing_is_taken(self) -> None:
        load = Gpu().begin()
        load.on_gpu = True
        assert load.bytes == 0


class TestPlacing:
    """Several GPUs."""

    def test_a_load_is_for_the_one_with_most_memory_free(self) -> None:
        used = Used()
        used.bytes = 10 * GIB
        gpus = Gpus([Gpu(16 * GIB, used), Gpu(8 * GIB, Used()), Gpu(4 * GIB, Used())])
        first = gpus.begin()
        assert first.gpu == 1
        gpus.end(first)
        used.bytes = GIB
        assert gpus.begin().gpu == 0

    def test_loads_that_begin_together_are_spread(self) -> None:
        gpus = Gpus([Gpu(16 * GIB, Used()), Gpu(16 * GIB, Used()), Gpu(6 * GIB, Used())])
        assert [gpus.begin().gpu for _ in range(5)] == [0, 1, 0, 1, 2]

    def test_what_a_load_takes_is_measured_on_its_own(self) -> None:
        used = [Used(), Used()]
        gpus = Gpus([Gpu(16 * GIB, each) for each in used])
        loads = [gpus.begin() for _ in used]
        for load, each, size in zip(loads, used, (300, 500), strict=True):
            each.bytes += size
            load.on_gpu = True
        for load in loads:
            gpus.end(load)
        assert [load.bytes for load in loads] == [300, 500]

    def test_one_alone_is_not_chosen(self) -> None:
        assert Gpus([Gpu(16 * GIB, Used())]).begin().gpu is None

    def test_where_their_memory_is_not_told_it_is_the_first(self) -> None:
        gpus = Gpus([Gpu(), Gpu()])
        assert [gpus.begin().gpu for _ in range(2)] == [0, 0]


class TestLoading:
    """What ``loading.load`` makes of it."""

    @staticmethod
    def load(
        monkeypatch: pytest.MonkeyPatch, outcome: BaseException | None = None, **facts: Any
    ) -> tuple[Gpus, list[str]]:
        """A GPU of which each load takes a GiB; what is called is told."""
        used, calls = Used(), list[str]()

        def load_model(_folder: Path, _settings: Settings) -> Model:
            calls.append("load")
            used.bytes += GIB
            if outcome is not None:
                raise outcome
            return Fake().model(**facts)

        monkeypatch.setattr(engines, "load", load_model)
        monkeypatch.setattr(footprint, "caches", [lambda: calls.append("empty")])
        return Gpus([Gpu(16 * GIB, used)]), calls

    @pytest.mark.parametrize(("device", "gpu_bytes"), [("cuda:0", GIB), ("cpu", 0)])
    def test_a_model_that_is_on_it_is_measured(
        self, monkeypatch: pytest.MonkeyPatch, device: str, gpu_bytes: int
    ) -> None:
        gpu, calls = self.load(monkeypatch, devices=(device,))
        loaded = loading.load(Path("/models/one"), Settings(), gpu)
        assert loaded.gpu_bytes == gpu_bytes
        assert calls == ["empty", "load"]  # what a cache has room for would not be seen

    def test_it_is_loaded_on_the_one_that_is_chosen(self, monkeypatch: pytest.MonkeyPatch) -> None:
        seen = []

        def load(_folder: Path, settings: Settings) -> Model:
            seen.append(settings.gpu)
            return Fake().model()

        monkeypatch.setattr(engines, "load", load)
        gpus = Gpus([Gpu(4 * GIB, Used()), Gpu(8 * GIB, Used())])
        loading.load(Path("/models/one"), Settings(), gpus)
        loading.load(Path("/models/one"), Settings(gpu=3), Gpus())
        assert seen == [1, 3]

    def test_one_that_fails_to_load_has_no_part_in_what_others_take(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        gpu, _ = self.load(monkeypatch, ModelLoadError("It is cut."))
        other = gpu.begin()
        with pytest.raises(ModelLoadError):
            loading.load(Path("/models/one"), Settings(), gpu)
        other.on_gpu = True
        gpu.end(other)
        assert other.bytes == GIB


def caused(error: BaseException) -> BaseException:
    """What an engine makes of it while a model loads."""
    wrapped = ModelLoadError("The model loads but cannot answer.")
    wrapped.__cause__ = error
    return wrapped


@pytest.mark.parametrize(
    ("error", "starved"),
    [
        (FULL, True),
        (MemoryError(), True),
        (OutOfMemory("The model failed."), True),
        (InsufficientStorage("No."), True),
        (caused(FULL), True),
        (caused(caused(MemoryError())), True),
        (ModelLoadError("It is cut: out of memory, says its author"), False),
        (caused(ValueError("no")), False),
        (ArchiveError("It is refused."), False),
    ],
)
def test_a_load_that_had_no_memory_is_known_by_its_cause(
    error: BaseException, starved: bool
) -> None:
    assert loading.starved(error) is starved
