"""Functions of a script that are coroutine functions."""

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

from serving.errors import PredictionError
from tests.engines.script.support import ask, serve


def test_coroutine_functions_run_to_their_end_in_one_loop_a_thread(tmp_path: Path) -> None:
    source = """
        import asyncio
        async def model_fn(model_dir):
            await asyncio.sleep(0)
            return []
        async def input_fn(data, content_type):
            return data
        async def predict_fn(data, model):
            await asyncio.sleep(0)
            model.append(asyncio.get_running_loop())
            return len(set(model))
        async def output_fn(prediction, accept):
            return f"{prediction}!"
    """
    answers: list[Any] = []

    def work() -> None:
        model = serve(tmp_path, source)
        answers.extend(ask(model).body for _ in range(2))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert answers == [b"1!", b"1!"]


def test_a_coroutine_that_fails_is_named(tmp_path: Path) -> None:
    source = "def model_fn(d): return len\nasync def predict_fn(d, m): raise ValueError('no')"
    model = serve(tmp_path, source)
    with pytest.raises(PredictionError, match=r"predict_fn failed: ValueError: no"):
        ask(model)
    assert asyncio.run(asyncio.sleep(0, "the loop of this thread is free")) is not None
