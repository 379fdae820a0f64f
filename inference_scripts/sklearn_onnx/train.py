"""Train a scikit-learn pipeline to tell three cultivars of wine apart, and export it to ONNX.

Writes OUT_DIR/model.onnx. Scaling is part of the model: clients send what they measured.
"""

import argparse
from pathlib import Path

from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.datasets import load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def train(out_dir: Path) -> None:
    features, cultivars = load_wine(return_X_y=True)
    fit, test, fit_labels, test_labels = train_test_split(
        features, cultivars, test_size=0.25, stratify=cultivars, random_state=0
    )

    pipeline = make_pipeline(StandardScaler(), LogisticRegression(random_state=0))
    pipeline.fit(fit, fit_labels)
    print(f"Trained a {' and a '.join(type(step).__name__ for _, step in pipeline.steps)}.")
    print(f"Held out {len(test)} wines: accuracy {pipeline.score(test, test_labels):.3f}.")

    graph = to_onnx(
        pipeline,
        initial_types=[("features", FloatTensorType([None, features.shape[1]]))],
        options={"zipmap": False},  # probabilities as one array, not as a list of dictionaries
        target_opset=18,  # an ONNX Runtime some years old still reads it
    )
    out_dir.mkdir(parents=True, exist_ok=True)
    model = out_dir / "model.onnx"
    model.write_bytes(graph.SerializeToString())
    print(f"Wrote {model}.")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out_dir", metavar="OUT_DIR", type=Path, help="folder to write to")
    train(parser.parse_args().out_dir)
