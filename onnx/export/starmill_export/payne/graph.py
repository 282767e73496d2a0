"""The ONNX file: labels in, flux and its Jacobian out."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from starmill_export.graph import IR_VERSION, OPSET
from starmill_export.payne.net import PerPixel, Shared

LABELS, FLUX, JACOBIAN = "labels", "flux", "jacobian"


class Builder:
    """Nodes and constants of a graph that grows."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, name: str, value: np.ndarray) -> str:
        """A constant in single precision; one in half precision is stored so and cast."""
        stored = np.ascontiguousarray(value)
        if stored.dtype == np.float16:
            self.constants.append(numpy_helper.from_array(stored, f"{name}.half"))
            return self.add("Cast", [f"{name}.half"], name, to=TensorProto.FLOAT)
        if stored.dtype != np.int64:
            stored = stored.astype(np.float32)
        self.constants.append(numpy_helper.from_array(stored, name))
        return name

    def add(self, operator: str, inputs: list[str], output: str, **attributes: object) -> str:
        """A node that is named after its one output, which is returned."""
        self.nodes.append(helper.make_node(operator, inputs, [output], name=output, **attributes))
        return output


def build(model: Shared, name: str, version: str) -> onnx.ModelProto:
    """The graph: `labels` [N, L] -> `flux` [N, P] and `jacobian` [N, L, P], float32.

    The Jacobian is the chain rule written out, so that one run gives both.
    """
    builder = Builder()
    if isinstance(model, PerPixel):
        per_pixel(builder, model)
        return finished(builder, name, version, model.hidden.shape[1], model.hidden.shape[0])
    _shared(builder, model)
    return finished(builder, name, version, model.hidden.shape[0], model.out.shape[1])


def finished(
    builder: Builder, name: str, version: str, inputs: int, pixels: int
) -> onnx.ModelProto:
    """The checked model of a builder that gives FLUX and JACOBIAN of LABELS."""
    outputs = [
        helper.make_tensor_value_info(FLUX, TensorProto.FLOAT, ["N", pixels]),
        helper.make_tensor_value_info(JACOBIAN, TensorProto.FLOAT, ["N", inputs, pixels]),
    ]
    graph = helper.make_graph(
        builder.nodes,
        name,
        [helper.make_tensor_value_info(LABELS, TensorProto.FLOAT, ["N", inputs])],
        outputs,
        builder.constants,
    )
    result = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="starmill_export",
    )
    helper.set_model_props(result, {"name": name, "version": version})
    onnx.checker.check_model(result, full_check=True)
    return result


def _shared(builder: Builder, model: Shared) -> None:
    hidden = builder.constant("hidden", model.hidden)
    bias = builder.constant("hidden_bias", model.hidden_bias)
    out = builder.constant("out", model.out)
    out_bias = builder.constant("out_bias", model.out_bias)
    axis = builder.constant("axis", np.array([1], np.int64))
    nodes = builder.add("Sigmoid", [builder.add("Gemm", [LABELS, hidden, bias], "sum")], "nodes")
    builder.add("Gemm", [nodes, out, out_bias], FLUX)
    slopes = builder.add("Unsqueeze", [slope(builder, nodes), axis], "slopes")
    builder.add("MatMul", [builder.add("Mul", [slopes, hidden], "chain"), out], JACOBIAN)


def per_pixel(
    builder: Builder, model: PerPixel, flux: str = FLUX, jacobian: str = JACOBIAN
) -> None:
    """Nodes of a net for each pixel; `flux` and `jacobian` name what they give."""
    hidden = builder.constant("hidden", model.hidden)
    transposed = builder.add("Transpose", [hidden], "hidden.transposed", perm=[0, 2, 1])
    bias = builder.constant("hidden_bias", model.hidden_bias[:, None, :])
    out = builder.constant("out", model.out[:, None, :])
    out_bias = builder.constant("out_bias", model.out_bias)
    first = builder.constant("first", np.array([0], np.int64))
    last = builder.constant("last", np.array([2], np.int64))
    rows = builder.add("Unsqueeze", [LABELS, first], "rows")
    total = builder.add("Add", [builder.add("MatMul", [rows, hidden], "product"), bias], "sum")
    nodes = builder.add("Sigmoid", [total], "nodes")
    column = builder.add("Transpose", [out], "out.column", perm=[0, 2, 1])
    single = builder.add("MatMul", [nodes, column], "flux.single")
    flat = builder.add("Squeeze", [single, last], "flux.flat")
    turned = builder.add("Transpose", [flat], "flux.turned", perm=[1, 0])
    builder.add("Add", [turned, out_bias], flux)
    chain = builder.add("Mul", [slope(builder, nodes), out], "chain")
    found = builder.add("MatMul", [chain, transposed], "jacobian.of_pixels")
    builder.add("Transpose", [found], jacobian, perm=[1, 2, 0])


def slope(builder: Builder, nodes: str) -> str:
    """G' = g (1 - g)."""
    one = builder.constant("one", np.ones(1))
    return builder.add("Mul", [nodes, builder.add("Sub", [one, nodes], "rest")], "slope")
