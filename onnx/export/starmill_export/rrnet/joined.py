"""Ensembles that give some labels each, as one model: the published code has two kinds of nets.

Their scatter is independent, and so the covariance between labels of different ensembles is zero:
the factors stand below each other, [N, sum of the ranks, labels].
"""

from dataclasses import dataclass

import numpy as np
import onnx
from onnx import compose, helper, numpy_helper

from starmill_export.rrnet.builder import IR_VERSION, OPSET
from starmill_export.rrnet.examples import Scaling
from starmill_export.rrnet.net import Shape
from starmill_export.rrnet.network_file import FACTORS, Ensemble

MOST_BYTES = (1 << 31) - 1
"""Of one ONNX file, which is one message of protobuf."""


@dataclass
class Joined:
    """Ensembles in the order of their labels; all of one scaling of pixels, none with novelty."""

    groups: list[Ensemble]
    scaling: Scaling
    novelty: None = None

    @property
    def shape(self) -> Shape:
        """That of the first ensemble: all take the same pixels."""
        return self.groups[0].shape

    @property
    def rank(self) -> int:
        """Rows of the factors."""
        return sum(group.rank for group in self.groups)

    @property
    def regions(self) -> list:
        """Those of the first ensemble: all have the same regions."""
        return self.groups[0].regions

    def __call__(self, spectra: np.ndarray) -> dict[str, np.ndarray]:
        """The graph's outputs in float64: the reference."""
        parts = [group(spectra) for group in self.groups]
        whole = {
            name: np.concatenate([part[name] for part in parts], axis=-1)
            for name in parts[0]
            if name != FACTORS
        }
        before = np.cumsum([0, *(group.shape.labels for group in self.groups)])
        blocks = [
            np.pad(part[FACTORS], ((0, 0), (0, 0), (first, int(before[-1]) - last)))
            for part, first, last in zip(parts, before, before[1:], strict=False)
        ]
        return whole | {FACTORS: np.concatenate(blocks, axis=1)}


def build(graphs: list[onnx.ModelProto], name: str, version: str) -> onnx.ModelProto:
    """One graph of graphs with the same outputs, each of the labels that it gives.

    Outputs are joined along their last axis, that of the labels. Raises ValueError where the file
    would be too large.
    """
    if sum(graph.ByteSize() for graph in graphs) > MOST_BYTES:
        raise ValueError("more than 2 GB of weights do not fit one ONNX file: add --half")
    prefixed = [
        compose.add_prefix(graph, f"group{index}.", rename_inputs=False)
        for index, graph in enumerate(graphs)
    ]
    nodes = [node for graph in prefixed for node in graph.graph.node]
    constants = [value for graph in prefixed for value in graph.graph.initializer]
    counts = [_last(graph, FACTORS) for graph in graphs]
    outputs = []
    for described in graphs[0].graph.output:
        title = described.name
        parts = [f"group{index}.{title}" for index in range(len(graphs))]
        dimensions = _dimensions(described)
        if title == FACTORS:
            for index, part in enumerate(parts):
                before, after = sum(counts[:index]), sum(counts[index + 1 :])
                pads = np.array([0, 0, before, 0, 0, after], np.int64)
                constants.append(numpy_helper.from_array(pads, f"{part}.pads"))
                nodes.append(helper.make_node("Pad", [part, f"{part}.pads"], [f"{part}.padded"]))
            parts = [f"{part}.padded" for part in parts]
            dimensions[1] = sum(_dimensions_of(graph, FACTORS)[1] for graph in graphs)
        dimensions[-1] = sum(counts)
        axis = 1 if title == FACTORS else -1
        nodes.append(helper.make_node("Concat", parts, [title], name=title, axis=axis))
        outputs.append(helper.make_tensor_value_info(title, onnx.TensorProto.FLOAT, dimensions))
    joined = helper.make_graph(nodes, name, list(graphs[0].graph.input), outputs, constants)
    result = helper.make_model(
        joined,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="starmill_export",
    )
    helper.set_model_props(result, {"name": name, "version": version})
    onnx.checker.check_model(result, full_check=True)
    return result


def _dimensions(described: onnx.ValueInfoProto) -> list[str | int]:
    return [part.dim_param or part.dim_value for part in described.type.tensor_type.shape.dim]


def _dimensions_of(graph: onnx.ModelProto, title: str) -> list[str | int]:
    return next(_dimensions(value) for value in graph.graph.output if value.name == title)


def _last(graph: onnx.ModelProto, title: str) -> int:
    return _dimensions_of(graph, title)[-1]
