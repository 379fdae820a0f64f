"""Servers that start on a damaged model; afterwards the model is made whole and served."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

from serving.archives.pack import pack
from tests.models import classes
from tests.reliability.bench import ALONE, TENSORS, Kind, Site
from tests.reliability.fault import Aftermath, Fault, Section
from tests.support import post

Damage = Callable[[bytes], bytes]

UNREADY = "/ping and /invocations: {} with the reason, which the log has too"
ENDED = "the server ends with status {}, and says why"


def half(whole: bytes) -> bytes:
    return whole[: len(whole) // 2]


def appended(text: str) -> Damage:
    """Damage to a script: this stands at its end, and so counts."""
    return lambda whole: whole + f"\n\n{text}\n".encode()


def write_trees(folder: Path) -> None:
    """A model that finds each of four classes equally likely."""
    (folder / "xgboost-model").write_bytes(classes().save_raw("ubj"))


TREES = Kind(write_trees, post(b"1,2\n", content_type="text/csv"), b"0.25,0.25,0.25,0.25\n")


def fails_to_load(site: Site, file: str, damage: Damage, **settings: str) -> str:
    """Serve a damaged file, hear how /ping and /invocations are answered, and mend it."""
    path = site.model / file
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    with site.started(**settings) as server:
        ping = server.wait_until(lambda answer: b"loading" not in answer.body)
        answers = [json.loads(answer.body) for answer in (ping, server.ask(site.kind.good))]
        (told,) = {f"{answer['code']} {answer['type']}" for answer in answers}
        (message,) = {answer["message"] for answer in answers}
        reason = message.removeprefix("The model failed to load: ")
        site.until(lambda: reason in server.log)  # which comes through a pipe
    path.write_bytes(whole)
    return UNREADY.format(told)


def ends(site: Site, path: Path, damage: Damage, reason: str) -> str:
    """Serve a damaged file, wait until the server has ended for this reason, and mend it."""
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    with site.started() as server:
        status = server.wait()
    assert reason in server.log, server.log
    path.write_bytes(whole)
    return ENDED.format(status)


def half_an_archive(site: Site) -> str:
    site.source = site.workspace / "model.tar.gz"
    pack(site.model, site.source)
    return ends(site, site.source, half, "model.tar.gz is refused: it is truncated")


def exit_while_loading(site: Site) -> str:
    script = site.model / "code" / "inference.py"
    damage = appended("def model_fn(model_dir):\n    os._exit(3)")
    return ends(site, script, damage, "A worker ended while it loaded the model")


def load_for_ever(site: Site) -> str:
    damage = appended("def model_fn(model_dir):\n    never_return()")
    settings = {"SAGEMAKER_STARTUP_TIMEOUT": "0.5"}
    return fails_to_load(site, "code/inference.py", damage, **settings)


def anew(
    name: str,
    done: str,
    kind: Kind,
    attempt: Callable[[Site], str],
    outcome: str = UNREADY.format("503 ModelNotReady"),
) -> Fault:
    """A fault that the server starts with."""
    return Fault(name, done, outcome, kind, attempt, Aftermath.ANEW)


STARTS = Section(
    "Models",
    "",
    (
        anew("half an ONNX file", "the first half of `model.onnx`", TENSORS,
             partial(fails_to_load, file="model.onnx", damage=half)),
        anew("half an XGBoost file", "the first half of `xgboost-model`", TREES,
             partial(fails_to_load, file="xgboost-model", damage=half)),
        anew("half an archive", "the first half of `model.tar.gz`", TENSORS, half_an_archive,
             ENDED.format(2)),
        anew("half a script", "the first half of `inference.py`", ALONE,
             partial(fails_to_load, file="code/inference.py", damage=half)),
        anew("an empty model file", "`model.onnx` of 0 bytes", TENSORS,
             partial(fails_to_load, file="model.onnx", damage=lambda _: b"")),
        anew("a model that never finishes loading", "`model_fn` waits for ever; "
             "`SAGEMAKER_STARTUP_TIMEOUT` is 0.5 s", ALONE, load_for_ever),
        anew("a model that ends its process", "`os._exit(3)` in `model_fn`", ALONE,
             exit_while_loading, ENDED.format(1)),
    ),
)  # fmt: skip
