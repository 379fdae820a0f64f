"""Train XGBoost to tell malignant from benign tumours, on the Wisconsin breast cancer data.

Writes OUT_DIR/xgboost-model, the name and the format that SageMaker's XGBoost training writes.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import xgboost as xgb
from sklearn.datasets import load_breast_cancer
from sklearn.metrics import accuracy_score, roc_auc_score
from sklearn.model_selection import train_test_split

ROUNDS = 100
PARAMETERS: dict[str, Any] = {
    "objective": "binary:logistic",
    "eval_metric": "logloss",
    "max_depth": 6,
    "eta": 0.1,
    "seed": 0,
}


class Progress(xgb.callback.TrainingCallback):
    """Keeps one line on the terminal up to date."""

    def after_iteration(self, _model: Any, epoch: int, evals_log: Any) -> bool:
        loss = evals_log["validation"]["logloss"][-1]
        print(f"\rRound {epoch + 1} of {ROUNDS}, validation loss {loss:.4f}", end="", flush=True)
        return False

    def after_training(self, model: Any) -> Any:
        print()
        return model


def train(out_dir: Path) -> None:
    features, benign = load_breast_cancer(return_X_y=True)
    malignant = 1 - benign  # the score is the probability of what one looks for
    rest, test, rest_labels, test_labels = train_test_split(
        features, malignant, test_size=0.2, stratify=malignant, random_state=0
    )
    fit, validation, fit_labels, validation_labels = train_test_split(
        rest, rest_labels, test_size=0.2, stratify=rest_labels, random_state=0
    )

    # save_best leaves the trees after the best round out of the model, so whoever loads the file
    # predicts with the right ones.
    callbacks: list[xgb.callback.TrainingCallback] = [
        xgb.callback.EarlyStopping(rounds=10, save_best=True)
    ]
    if sys.stdout.isatty():
        callbacks.append(Progress())
    booster = xgb.train(
        PARAMETERS,
        xgb.DMatrix(fit, fit_labels),
        num_boost_round=ROUNDS,
        evals=[(xgb.DMatrix(validation, validation_labels), "validation")],
        callbacks=callbacks,
        verbose_eval=False,
    )

    scores = booster.predict(xgb.DMatrix(test))
    accuracy = accuracy_score(test_labels, scores >= 0.5)
    print(f"Trained {booster.num_boosted_rounds()} trees on {len(fit)} tumours.")
    print(
        f"Held out {len(test)} tumours: accuracy {accuracy:.3f}, "
        f"area under the ROC curve {roc_auc_score(test_labels, scores):.3f}."
    )

    out_dir.mkdir(parents=True, exist_ok=True)
    model = out_dir / "xgboost-model"
    # save_model would guess the format from the name, with a warning where there is no ending.
    model.write_bytes(booster.save_raw("ubj"))
    print(f"Wrote {model}.")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out_dir", metavar="OUT_DIR", type=Path, help="folder to write to")
    train(parser.parse_args().out_dir)
