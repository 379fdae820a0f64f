"""XGBoost boosters into ONNX's format.

The graph does what XGBoost does in the same order and precision, so that the answers are the same
to the last bit wherever the runtime adds the trees one after the other, as ONNX Runtime does with
one thread. That is also why this is not left to a converter that others made: those keep the base
score apart and add it last, take sigmoid and softmax as the runtime has them, and know neither base
scores of several numbers nor where an early stop was.

What XGBoost computes: the base score as a margin, plus the leaf of each tree, in float32; then the
objective's function (``src/common/math.h`` and ``src/objective`` of its source).
"""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper
from xgboost import Booster

from serving.compilation.graph import Graph
from serving.engines.converted import CLASSES, FEATURES, OBJECTIVE, SCORE
from serving.errors import ModelLoadError

OPSETS = (("", 17), ("ai.onnx.ml", 3))
"""Read by ONNX Runtime since 1.12."""

IR_VERSION = 8

IDENTITY = {
    "binary:logitraw",
    "rank:map",
    "rank:ndcg",
    "rank:pairwise",
    "reg:absoluteerror",
    "reg:pseudohubererror",
    "reg:quantileerror",
    "reg:squarederror",
    "reg:squaredlogerror",
}
EXPONENTIAL = {"count:poisson", "reg:gamma", "reg:tweedie", "survival:aft", "survival:cox"}
LOGISTIC = {"binary:logistic", "reg:logistic"}
OTHERS = {"binary:hinge", "multi:softmax", "multi:softprob"}
OBJECTIVES = IDENTITY | EXPONENTIAL | LOGISTIC | OTHERS

LARGEST_EXPONENT = 88.7
"""To which XGBoost's sigmoid holds its argument."""


class Learner(NamedTuple):
    """What of a booster predicts."""

    objective: str
    classes: int
    features: int
    base: NDArray[np.float32]
    """The margin of each output before any tree."""
    trees: list[tuple[int, np.float32, dict[str, Any]]]
    """Each with the output it adds to, and its weight."""


def to_onnx(booster: Booster) -> bytes:
    """The ONNX model of a booster: ``features`` of shape (rows, features) in, ``score`` out.

    The shape of ``score`` is that of ``Booster.predict``. NaN is a missing value. A booster that
    stopped early predicts with its best round.

    Raises:
        ModelLoadError: the booster has splits by category, an objective of one's own, or another
            thing for which there is no counterpart; says which.
    """
    learner = _read(booster)
    graph = Graph()
    margin = graph.add("TreeEnsembleRegressor", FEATURES, domain="ai.onnx.ml", **_ensemble(learner))
    _transform(graph, margin, learner)
    labels = learner.objective == "multi:softmax"
    axes: list[str | int | None] = ["rows"]
    if not labels and len(learner.base) > 1:
        axes.append(len(learner.base))
    features = helper.make_tensor_value_info(
        FEATURES, TensorProto.FLOAT, ["rows", learner.features]
    )
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "booster",
            [features],
            [helper.make_tensor_value_info(SCORE, TensorProto.FLOAT, axes)],
            graph.constants,
        ),
        producer_name="hybrid-serving",
        opset_imports=[helper.make_opsetid(*opset) for opset in OPSETS],
        ir_version=IR_VERSION,
    )
    helper.set_model_props(model, {OBJECTIVE: learner.objective, CLASSES: str(learner.classes)})
    onnx.checker.check_model(model)
    content: bytes = model.SerializeToString(deterministic=True)
    return content


def _read(booster: Booster) -> Learner:
    learner = json.loads(bytes(booster.save_raw("json")))["learner"]
    objective, gradient = learner["objective"]["name"], learner["gradient_booster"]
    if objective not in OBJECTIVES:
        raise _unsupported(f"the objective {objective!r}")
    if gradient["name"] not in ("gbtree", "dart"):
        raise _unsupported(f"the booster {gradient['name']!r}, which has no trees")
    model = gradient.get("gbtree", gradient)["model"]
    # A booster that stopped early predicts with its best round, not with those after it.
    best = booster.attr("best_iteration")
    used = model["iteration_indptr"][int(best) + 1] if best else len(model["trees"])
    weights = gradient.get("weight_drop", [1.0] * used)
    trees = [
        (output, np.float32(weight), tree)
        for output, weight, tree in zip(
            model["tree_info"][:used], weights[:used], model["trees"][:used], strict=True
        )
    ]
    for _, _, tree in trees:
        if any(tree["split_type"]):
            raise _unsupported("splits by category; encode the categories as numbers")
        if int(tree["tree_param"]["size_leaf_vector"]) > 1:
            raise _unsupported("trees with several outputs (multi_strategy=multi_output_tree)")
    facts = learner["learner_model_param"]
    classes, features = int(facts["num_class"]), int(facts["num_feature"])
    outputs = max(1, classes, int(facts["num_target"]))
    scores = np.array(json.loads(facts["base_score"]), np.float32)
    base = np.broadcast_to(_margin(objective, scores), outputs)
    return Learner(objective, classes, features, base, trees)


def _margin(objective: str, score: NDArray[np.float32]) -> NDArray[np.float32]:
    """A base score, which is of the answers' kind, as the margin that gives it."""
    margin = score
    if objective in LOGISTIC:
        margin = -np.log(1 / score - 1)
    elif objective in EXPONENTIAL:
        margin = np.log(score)
    return margin


def _ensemble(learner: Learner) -> dict[str, Any]:
    """The trees as the attributes of a TreeEnsembleRegressor.

    The first is a lone leaf with the base margins: a runtime adds the trees in their order.
    """
    nodes: list[Node] = [LEAF]
    leaves = [Leaf(0, 0, output, float(margin)) for output, margin in enumerate(learner.base)]
    for number, (output, weight, tree) in enumerate(learner.trees, 1):
        for node, leaf in _walk(number, tree):
            nodes.append(node)
            if leaf is not None:
                leaves.append(Leaf(number, node.number, output, float(leaf * weight)))
    return {
        "n_targets": len(learner.base),
        "nodes_treeids": [node.tree for node in nodes],
        "nodes_nodeids": [node.number for node in nodes],
        "nodes_featureids": [node.feature for node in nodes],
        "nodes_modes": [node.mode for node in nodes],
        "nodes_values": [node.threshold for node in nodes],
        "nodes_truenodeids": [node.below for node in nodes],
        "nodes_falsenodeids": [node.other for node in nodes],
        "nodes_missing_value_tracks_true": [node.missing_below for node in nodes],
        "target_treeids": [leaf.tree for leaf in leaves],
        "target_nodeids": [leaf.node for leaf in leaves],
        "target_ids": [leaf.output for leaf in leaves],
        "target_weights": [leaf.weight for leaf in leaves],
    }


class Node(NamedTuple):
    """A node, as ONNX has them; a split has a row that is below its threshold go to ``below``."""

    tree: int
    number: int
    mode: str = "LEAF"
    feature: int = 0
    threshold: float = 0.0
    below: int = 0
    other: int = 0
    missing_below: int = 0


class Leaf(NamedTuple):
    """What a leaf adds to an output."""

    tree: int
    node: int
    output: int
    weight: float


LEAF = Node(0, 0)


def _walk(number: int, tree: dict[str, Any]) -> Iterator[tuple[Node, np.float32 | None]]:
    """The nodes of a tree that can be reached, and of leaves their value."""
    waiting = [0]
    while waiting:
        index = waiting.pop()
        below, other = tree["left_children"][index], tree["right_children"][index]
        value = np.float32(tree["split_conditions"][index])
        if below < 0:
            yield Node(number, index), value
            continue
        missing = int(tree["default_left"][index])
        feature = tree["split_indices"][index]
        yield Node(number, index, "BRANCH_LT", feature, float(value), below, other, missing), None
        waiting += [other, below]


def _transform(graph: Graph, margin: str, learner: Learner) -> None:
    """From margins of shape (rows, outputs) to the answers, as the objective has them."""
    objective = learner.objective
    found = margin
    if objective in EXPONENTIAL:
        found = graph.exponential(margin)
    elif objective in LOGISTIC:
        held = graph.add("Min", graph.add("Neg", margin), graph.constant(LARGEST_EXPONENT))
        one = graph.constant(1)
        found = graph.add("Div", one, graph.add("Add", graph.exponential(held), one))
    elif objective == "binary:hinge":
        above = graph.add("Greater", margin, graph.constant(0))
        found = graph.add("Cast", above, to=TensorProto.FLOAT)
    elif objective == "multi:softmax":
        label = graph.add("ArgMax", margin, axis=1, keepdims=0)
        found = graph.add("Cast", label, to=TensorProto.FLOAT)
    elif objective == "multi:softprob":
        largest = graph.add("ReduceMax", margin, axes=[1], keepdims=1)
        powers = graph.exponential(graph.add("Sub", margin, largest))
        wide = graph.add("Cast", powers, to=TensorProto.DOUBLE)
        total = graph.add("ReduceSum", wide, graph.constant([1], np.int64), keepdims=1)
        found = graph.add("Div", powers, graph.add("Cast", total, to=TensorProto.FLOAT))
    if objective != "multi:softmax" and len(learner.base) == 1:
        found = graph.add("Squeeze", found, graph.constant([1], np.int64))
    graph.name(found, SCORE)


def _unsupported(what: str) -> ModelLoadError:
    return ModelLoadError(
        f"The booster cannot be converted to ONNX: it has {what}. What can be converted: gbtree "
        f"and dart with numeric splits and one of {', '.join(sorted(OBJECTIVES))}."
    )
