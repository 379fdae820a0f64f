"""Which library predicts with a booster that has its conversion to ONNX beside it.

SERVING_ENGINE says, or else each batch goes to the faster one for its size, as measured when the
model is loaded. Whatever speaks against ONNX Runtime leaves XGBoost alone at work.
"""

import importlib.util
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from serving.engines import conversion_manifest, converted, faster, onnx
from serving.engines.agreement import Tolerance
from serving.engines.base import XGBOOST
from serving.engines.booster_files import conversion
from serving.engines.converted import Converted
from serving.engines.ensemble import VOTING, Predictor, combined
from serving.errors import ModelLoadError, ServingError
from serving.settings import Settings

log = logging.getLogger("serving")

USUAL, OTHER = "XGBoost", "ONNX Runtime"
ALONE = f"{USUAL} for all numbers of rows"


def counterparts(
    boosters: Sequence[Path], conversions: Sequence[Path], settings: Settings
) -> list[Converted]:
    """The boosters as ONNX Runtime has them; none where XGBoost is to predict alone.

    Args:
        boosters: The files that answer.
        conversions: Those that they have beside them.
        settings: Which engine is wanted.

    Raises:
        ModelLoadError: SERVING_ENGINE=onnx, and a conversion is absent, stale or damaged.
        ImportError: SERVING_ENGINE=onnx, and ONNX Runtime is not installed.
    """
    wanted = settings.engine == onnx.ENGINE.name
    if settings.engine == XGBOOST or not (conversions or wanted):
        return []
    try:
        return [_counterpart(path, settings, spin=wanted) for path in boosters]
    except ImportError as error:
        if wanted:
            raise
        log.info("%s alone predicts: %s is not installed (%s)", USUAL, OTHER, error)
    except ModelLoadError as error:
        if wanted:
            raise
        log.warning("%s alone predicts: %s", USUAL, error)
    return []


def onnx_alone(settings: Settings) -> bool:
    """Whether ONNX Runtime predicts alone, where it can."""
    if settings.engine == onnx.ENGINE.name:
        return True
    if importlib.util.find_spec(XGBOOST) is None:
        log.info("%s alone predicts: %s is not installed", OTHER, USUAL)
        return True
    return False


def fastest(
    usual: Predictor, others: Sequence[Converted], gradient: str, settings: Settings
) -> tuple[Predictor, str]:
    """What predicts each batch with the faster library, and which that is, in words.

    Args:
        usual: XGBoost's predictions.
        others: The boosters' conversions.
        gradient: The boosters' kind, as XGBoost names it: gbtree or dart.
        settings: The largest batch, the threads, and which keys the answers have.
    """
    objective = others[0].objective
    if _tells_labels(objective, settings) and (gradient != "gbtree" or settings.model_threads > 1):
        log.info(
            "%s alone predicts: the answers have labels, and sums that differ in the last bit, as "
            "they may with %s, can make another label",
            USUAL,
            "several threads" if gradient == "gbtree" else gradient,
        )
        return usual, ALONE
    manifests = [each.manifest for each in others if each.manifest is not None]
    rows = np.concatenate([each.rows for each in manifests])
    tolerance = Tolerance(*map(max, zip(*(each.tolerance for each in manifests), strict=True)))
    other = combined([each.predict for each in others], objective)
    try:
        compared = faster.measure(
            usual,
            other,
            rows,
            tolerance,
            largest=settings.max_batch_rows,
            threads=settings.model_threads,
        )
    except ServingError as error:
        log.warning("%s alone predicts: %s", USUAL, error)
        return usual, ALONE
    words = faster.describe(compared.measured, USUAL, OTHER)
    log.info("%s; answers differ by %.2g at most", words, compared.difference)
    if words == ALONE:
        return usual, ALONE
    return faster.Faster(usual, other, compared.measured), words


def _counterpart(booster: Path, settings: Settings, *, spin: bool) -> Converted:
    path = conversion(booster)
    if not path.is_file():
        raise ModelLoadError(
            f"{booster.name} has no {path.name} beside it; make it with serving compile --onnx."
        )
    found = converted.read(path, settings, spin=spin)
    conversion_manifest.refuse_stale(found.manifest, path.name, booster)
    return found


def _tells_labels(objective: str, settings: Settings) -> bool:
    """Whether answers are, or have, the name of a class, which has no last bits."""
    return objective in VOTING or "predicted_label" in settings.inference_output.lower()
