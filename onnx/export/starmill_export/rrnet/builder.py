"""Nodes and constants of an ONNX graph, with names that say where they come from."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 17
IR_VERSION = 8


class Builder:
    """Collects a graph; every `add` returns the name of the node's output."""

    def __init__(self, half: bool = False) -> None:
        self._half = half
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, onnx.TensorProto] = {}
        self._functions: dict[tuple[str, str], onnx.FunctionProto] = {}

    def weight(self, name: str, value: np.ndarray) -> str:
        """A float32 constant; stored as float16 and cast when the model is loaded, if so asked."""
        if not self._half:
            return self.constant(name, value.astype(np.float32))
        stored = self.constant(f"{name}.half", value.astype(np.float16))
        return self.add("Cast", [stored], name, to=TensorProto.FLOAT)

    def constant(self, name: str, value: np.ndarray) -> str:
        """A constant as it is; a name that was given before stands for the same value."""
        if name not in self._constants:
            array = np.ascontiguousarray(value)
            self._constants[name] = numpy_helper.from_array(array, name)
        return name

    def ints(self, *values: int) -> str:
        """A constant vector of integers: axes, shapes, bounds of slices."""
        name = "int." + "_".join(str(value) for value in values)
        return self.constant(name, np.array(values, np.int64))

    def add(self, operator: str, inputs: list[str], output: str, **attributes: object) -> str:
        """One node of one output, which it is named after."""
        self._nodes.append(helper.make_node(operator, inputs, [output], name=output, **attributes))
        return output

    def function(self, function: onnx.FunctionProto) -> None:
        """What a node of the function's domain and name computes."""
        self._functions[function.domain, function.name] = function

    def split(self, source: str, outputs: list[str], axis: int) -> list[str]:
        """Equal parts of a tensor."""
        name = f"{source}.split"
        self._nodes.append(helper.make_node("Split", [source], outputs, name=name, axis=axis))
        return outputs

    def recurrent(self, inputs: list[str], output: str, hidden: int) -> str:
        """The ONNX RNN operator, of which all steps are kept."""
        self._nodes.append(
            helper.make_node(
                "RNN", inputs, [output], name=output, hidden_size=hidden, activations=["Tanh"]
            )
        )
        return output

    def slice(self, source: str, first: int, last: int, axis: int, output: str) -> str:
        """`source[first:last]` along an axis."""
        bounds = [self.ints(first), self.ints(last), self.ints(axis)]
        return self.add("Slice", [source, *bounds], output)

    def reshape(self, source: str, output: str, *shape: int) -> str:
        """A view of other dimensions; 0 keeps one, -1 takes what is left."""
        return self.add("Reshape", [source, self.ints(*shape)], output)

    def dense(self, source: str, output: str, weight: np.ndarray, bias: np.ndarray) -> str:
        """`source @ weight + bias` of a matrix; `weight` is [inputs, outputs]."""
        constants = [
            self.weight(f"{output}.weight", weight),
            self.constant(f"{output}.bias", bias.astype(np.float32)),
        ]
        return self.add("Gemm", [source, *constants], output)

    def product(self, source: str, output: str, weight: np.ndarray, bias: np.ndarray) -> str:
        """The same for a tensor of any rank, on its last axis."""
        matrix = self.weight(f"{output}.weight", weight)
        value = self.add("MatMul", [source, matrix], f"{output}.product")
        return self.add(
            "Add", [value, self.constant(f"{output}.bias", bias.astype(np.float32))], output
        )

    def integer_product(
        self,
        source: str,
        output: str,
        weight: np.ndarray,
        bias: np.ndarray,
        step: float,
        zero: int,
    ) -> str:
        """`source @ weight + bias` in 8 bits: `source` in steps of `step` round the level `zero`.

        The step is fixed beforehand: one found anew in every batch would make the result of a
        spectrum depend on its neighbours. Each column of the weight has a scale of its own.
        """
        scale = np.abs(weight).max(axis=0).clip(1e-12) / 127
        rounded = np.round(weight / scale).astype(np.int8)
        level = self.constant(f"{output}.zero", np.array(zero, np.uint8))
        levels = [self.constant(f"{output}.step", np.array(step, np.float32)), level]
        eight = self.add("QuantizeLinear", [source, *levels], f"{output}.eight")
        inputs = [eight, self.constant(f"{output}.weight", rounded), level]
        whole = self.add("MatMulInteger", inputs, f"{output}.integer")
        single = self.add("Cast", [whole], f"{output}.float", to=TensorProto.FLOAT)
        factor = self.constant(f"{output}.scale", (scale * step).astype(np.float32))
        scaled = self.add("Mul", [single, factor], f"{output}.product")
        return self.add(
            "Add", [scaled, self.constant(f"{output}.bias", bias.astype(np.float32))], output
        )

    def model(
        self,
        name: str,
        version: str,
        source: tuple[str, list],
        outputs: list[tuple[str, list]],
        producer: str,
    ) -> onnx.ModelProto:
        """The checked model; input and outputs are float32, given as name and shape."""
        described = [
            helper.make_tensor_value_info(title, TensorProto.FLOAT, shape)
            for title, shape in [source, *outputs]
        ]
        graph = helper.make_graph(
            self._nodes, name, described[:1], described[1:], list(self._constants.values())
        )
        domains = sorted({domain for domain, _ in self._functions})
        result = helper.make_model(
            graph,
            functions=list(self._functions.values()),
            opset_imports=[
                helper.make_opsetid("", OPSET),
                *(helper.make_opsetid(domain, 1) for domain in domains),
            ],
            ir_version=IR_VERSION,
            producer_name=producer,
        )
        helper.set_model_props(result, {"name": name, "version": version})
        onnx.checker.check_model(result, full_check=True)
        return result
