"""ONNX graphs, node by node."""

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


class Graph:
    """Nodes in their order, with names made up for what goes from one to the next."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def add(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Append a node, and name its output."""
        output = f"{operator}{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [output], **attributes))
        return output

    def name(self, value: str, output: str) -> None:
        """Give a value the name of an output of the graph."""
        self.nodes.append(helper.make_node("Identity", [value], [output]))

    def constant(self, value: Any, dtype: type[np.generic] = np.float32) -> str:
        """Keep a constant, and name it."""
        name = f"constant{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def exponential(self, value: str) -> str:
        """The exponential of a float32, rounded correctly, as that of XGBoost's C library is."""
        wide = self.add("Exp", self.add("Cast", value, to=TensorProto.DOUBLE))
        return self.add("Cast", wide, to=TensorProto.FLOAT)
