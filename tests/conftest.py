"""Fixtures that the tests of several modules share."""

import asyncio
import inspect
from collections.abc import Callable, Generator
from typing import Any, cast

import hypothesis
import numpy as np
import pytest
import uvloop
import xgboost
from numpy.typing import NDArray

from serving import configuration
from serving.settings import Settings

MakeSettings = Callable[..., Settings]
ROWS, COLUMNS = 240, 5

# A busy machine is no failure.
hypothesis.settings.register_profile("project", deadline=None)
hypothesis.settings.load_profile("project")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Reports go from process to process as UTF-8, which a log that names odd files is not."""
    report = yield
    report.sections = [
        (name, text.encode(errors="backslashreplace").decode()) for name, text in report.sections
    ]
    return report


NewLoop = Callable[[], asyncio.AbstractEventLoop]
LOOPS: dict[str, NewLoop] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that is a coroutine runs once on each kind of loop, or on uvloop if marked so."""
    if inspect.iscoroutinefunction(metafunc.function):
        names = ["uvloop"] if metafunc.definition.get_closest_marker("uvloop") else list(LOOPS)
        metafunc.fixturenames.append("new_loop")
        metafunc.parametrize("new_loop", [LOOPS[name] for name in names], ids=names)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a test that is a coroutine; what the loop hears of that nobody awaits fails it."""
    test, given = pyfuncitem.obj, pyfuncitem.funcargs
    if not inspect.iscoroutinefunction(test):
        return None
    new_loop = cast("NewLoop", pyfuncitem.callspec.params["new_loop"])
    failures: list[dict[str, Any]] = []
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.get_loop().set_exception_handler(lambda _, context: failures.append(context))
        runner.run(test(**{name: given[name] for name in inspect.signature(test).parameters}))
    assert failures == []
    return True


@pytest.fixture(scope="session")
def make_settings() -> MakeSettings:
    """Settings as a machine with one CPU has them, but for those given."""
    return lambda **given: configuration.read({}, **{"workers": 1, "threads": 1, **given})


@pytest.fixture(scope="session")
def table() -> NDArray[np.float32]:
    """Rows with missing values to train on and to ask."""
    generator = np.random.default_rng(7)
    rows = generator.normal(size=(ROWS, COLUMNS)).astype(np.float32)
    rows[generator.random(rows.shape) < 0.1] = np.nan
    return rows


@pytest.fixture(scope="session")
def boosters(table: NDArray[np.float32]) -> dict[str, xgboost.Booster]:
    """Boosters of each kind that predicts in a way of its own."""
    score = np.nan_to_num(table) @ np.arange(1, COLUMNS + 1)
    two, three = (score > 0).astype(int), np.digitize(score, [-2, 2])

    def train(parameters: dict[str, Any], label: NDArray[Any], **more: Any) -> xgboost.Booster:
        common = {"nthread": 1, "seed": 1}
        matrix = xgboost.DMatrix(table, label)
        return xgboost.train(common | parameters, matrix, 12, verbose_eval=False, **more)

    # Labels turned round stop the training early.
    contrary = [(xgboost.DMatrix(table, 1 - two), "contrary")]
    return {
        "squarederror": train({"objective": "reg:squarederror"}, score),
        "logistic": train({"objective": "binary:logistic"}, two),
        "softprob": train({"objective": "multi:softprob", "num_class": 3}, three),
        "softmax": train({"objective": "multi:softmax", "num_class": 3}, three),
        "linear": train({"booster": "gblinear", "objective": "reg:squarederror"}, score),
        "dart": train({"booster": "dart", "rate_drop": 0.3}, score),
        "stopped": train(
            {"objective": "binary:logistic"}, two, evals=contrary, early_stopping_rounds=3
        ),
    }
