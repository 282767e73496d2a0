"""The ONNX file: network, label scaling and novelty in one static graph."""

from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from starmill_export import network
from starmill_export.novelty import Novelty

OPSET = 17
IR_VERSION = 8
INPUT, LABELS, NOVELTY = "spectrum", "labels", "novelty"


@dataclass
class Model:
    """Everything that the graph holds; `mean` and `spread` scale its labels to physical units."""

    parameters: network.Parameters
    mean: np.ndarray
    spread: np.ndarray
    novelty: Novelty

    def __call__(self, spectra: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Labels [n, labels] and novelty [n], in float64: the reference for the graph."""
        spectra = spectra.astype(np.float64)
        return network.forward(self.parameters, spectra) * self.spread + self.mean, self.novelty(
            spectra
        )


class _Builder:
    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, name: str, value: np.ndarray) -> str:
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def add(self, operator: str, inputs: list[str], output: str, **attributes: int) -> str:
        self.nodes.append(helper.make_node(operator, inputs, [output], name=output, **attributes))
        return output

    def dense(self, name: str, source: str, weight: np.ndarray, bias: np.ndarray) -> str:
        inputs = [
            source,
            self.constant(f"{name}.weight", weight.astype(np.float32)),
            self.constant(f"{name}.bias", bias.astype(np.float32)),
        ]
        return self.add("Gemm", inputs, name)

    def relu(self, source: str) -> str:
        return self.add("Relu", [source], f"{source}.relu")


def build(model: Model, name: str, version: str, producer: str) -> onnx.ModelProto:
    """The graph: `spectrum` [N, pixels] -> `labels` [N, labels] and `novelty` [N], float32."""
    builder = _Builder()
    _add_network(builder, model)
    add_novelty(builder, model.novelty)
    pixels = model.parameters[0][0].shape[0]
    outputs = [
        helper.make_tensor_value_info(LABELS, TensorProto.FLOAT, ["N", len(model.mean)]),
        helper.make_tensor_value_info(NOVELTY, TensorProto.FLOAT, ["N"]),
    ]
    graph = helper.make_graph(
        builder.nodes,
        name,
        [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["N", pixels])],
        outputs,
        builder.constants,
    )
    result = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name=producer,
    )
    helper.set_model_props(result, {"name": name, "version": version})
    onnx.checker.check_model(result, full_check=True)
    return result


def _add_network(builder: _Builder, model: Model) -> None:
    parameters = model.parameters
    value = builder.relu(builder.dense("stem", INPUT, *parameters[0]))
    for block, layer in (("block1", 1), ("block2", 3)):
        inner = builder.relu(builder.dense(f"{block}.first", value, *parameters[layer]))
        branch = builder.relu(builder.dense(f"{block}.second", inner, *parameters[layer + 1]))
        value = builder.add("Add", [value, branch], f"{block}.sum")
    value = builder.relu(builder.dense("head", value, *parameters[5]))
    # The scaling to physical units is linear, so the last layer takes it in.
    weight, bias = (array.astype(np.float64) for array in parameters[6])
    builder.dense(LABELS, value, weight * model.spread, bias * model.spread + model.mean)


def add_novelty(builder: _Builder, novelty: Novelty, output: str = NOVELTY) -> None:
    """Nodes from `spectrum` to the novelty, under this name."""
    single = np.float32
    axis = builder.constant("novelty.axis", np.array([1], np.int64))
    mean = builder.constant("novelty.mean", novelty.mean.astype(single))
    scale = builder.constant("novelty.scale", novelty.scale.astype(single))
    centred = builder.add("Sub", [INPUT, mean], "novelty.difference")
    centred = builder.add("Mul", [centred, scale], "novelty.centred")
    components = builder.constant("novelty.components", novelty.components.astype(single))
    transposed = builder.constant("novelty.transposed", novelty.components.T.astype(single))
    scores = builder.add("MatMul", [centred, components], "novelty.scores")
    fitted = builder.add("MatMul", [scores, transposed], "novelty.fitted")
    residual = builder.add("Sub", [centred, fitted], "novelty.residual")
    within = _weighted_square(builder, scores, novelty.within, "novelty.within", axis)
    off_weights = np.full(len(novelty.mean), novelty.off)
    off = _weighted_square(builder, residual, off_weights, "novelty.off", axis)
    builder.add("Max", [within, off], output)


def _weighted_square(
    builder: _Builder, value: str, weights: np.ndarray, name: str, axis: str
) -> str:
    """Sum over the row of weights x value^2, [N].

    A product with the column of weights, not ReduceSum: the latter sums a row in an order that
    depends on where in the batch it lies, so that equal rows could differ in the last bit.
    """
    column = builder.constant(f"{name}.weights", weights.astype(np.float32)[:, np.newaxis])
    square = builder.add("Mul", [value, value], f"{name}.square")
    total = builder.add("MatMul", [square, column], f"{name}.total")
    return builder.add("Squeeze", [total, axis], name)
