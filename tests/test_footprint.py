"""What a model takes in memory is seen, and given back."""

import os
import subprocess
import sys
import weakref

import numpy as np
import pytest

from serving import footprint
from serving.machine import resident_bytes

MIB = 1024 * 1024


def test_what_is_allocated_counts_until_it_is_freed() -> None:
    before = footprint.in_use()
    block = np.ones(64 * MIB, np.uint8)
    assert 64 * MIB <= footprint.in_use() - before < 80 * MIB
    del block
    assert footprint.in_use() - before < 16 * MIB


def test_a_load_that_finds_room_left_by_others_counts_all_the_same() -> None:
    rooms = [np.ones(100_000, np.uint8) for _ in range(100)]
    del rooms[::2]
    before = footprint.in_use()
    rooms += [np.ones(100_000, np.uint8) for _ in range(50)]
    assert footprint.in_use() - before >= 50 * 100_000


def test_freed_memory_goes_back_to_the_system() -> None:
    code = """
import numpy as np
from serving import footprint
from serving.machine import resident_bytes
small = [np.ones(50_000, np.uint8) for _ in range(2000)]
full = resident_bytes()
del small
footprint.give_back()
assert full - resident_bytes() > 80_000_000, (full, resident_bytes())
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_what_libraries_keep_of_the_gpus_goes_back_when_what_left_is_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Model:
        """One that only a collection finds, as one of which a failed load is left."""

    model = Model()
    model.__dict__["itself"] = model
    gone, found = weakref.ref(model), list[object]()
    monkeypatch.setattr(footprint, "caches", [lambda: found.append(gone())])
    del model
    footprint.give_back()
    assert found == [None]


def test_a_process_is_measured_by_its_share_of_pages() -> None:
    own = footprint.proportional_bytes()
    assert MIB < own <= resident_bytes() + MIB
    assert footprint.proportional_bytes(os.getpid()) > MIB


def test_a_process_that_is_not_there_cannot_be_measured() -> None:
    with pytest.raises(OSError, match="No such file"):
        footprint.proportional_bytes(2**22 + 1)


def test_with_one_heap_what_threads_have_freed_goes_back_too() -> None:
    code = """
import threading
import numpy as np
from serving import footprint
from serving.machine import resident_bytes
footprint.use_one_heap()
blocks = []
def load():
    blocks.append(np.ones(12_000_000, np.uint8))
for _ in range(8):
    for _ in range(4):
        thread = threading.Thread(target=load)
        thread.start()
        thread.join()
    full = resident_bytes()
    blocks.clear()
    footprint.give_back()
    assert full - resident_bytes() > 45_000_000, (full, resident_bytes())
"""
    subprocess.run([sys.executable, "-c", code], check=True)
