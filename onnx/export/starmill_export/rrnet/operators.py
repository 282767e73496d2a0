"""Operators of the domain `starmill`, as nodes and as functions of standard operators.

Starmill has kernels of them for the CPU. Any other ONNX Runtime takes the function that the graph
brings along, which computes the same, only more slowly.
"""

import numpy as np
import onnx
from onnx import helper

from starmill_export.rrnet.builder import OPSET, Builder
from starmill_export.rrnet.net import Parameters, Shape

DOMAIN = "starmill"
RESIDUAL_BLOCKS = "ResidualBlocks"
RECURRENCE = "Recurrence"
CONSTANTS = ("first", "first_bias", "second", "shortcut", "bias")
"""Of each block, in the order of the operator's inputs."""


def folded(parameters: Parameters, block: int) -> dict[str, np.ndarray]:
    """The CONSTANTS of a block: the average pool is within `second` and `shortcut`, of stride 2.

    `second(relu(first(x)) + first_bias) + shortcut(x) + bias` is then the pooled block.
    """
    prefix = f"ResBlock_list.{block}.0"
    first, second = (parameters[f"{prefix}.ResBlock.{index}.weight"] for index in (0, 2))
    first_bias, bias = (parameters[f"{prefix}.ResBlock.{index}.bias"] for index in (0, 2))
    shortcut = np.eye(first.shape[1], dtype=np.float32)[:, :, None]
    if f"{prefix}.downsample.0.weight" in parameters:
        shortcut = parameters[f"{prefix}.downsample.0.weight"]
        bias = bias + parameters[f"{prefix}.downsample.0.bias"]
    either = ((0, 0), (0, 0))
    pooled = (np.pad(second, (*either, (0, 1))) + np.pad(second, (*either, (1, 0)))) / 2
    halves = np.repeat(shortcut / 2, 2, axis=2)
    values = first, first_bias, pooled, halves, bias
    return dict(zip(CONSTANTS, values, strict=True))


def add_residual_blocks(
    builder: Builder, source: str, parameters: Parameters, shape: Shape, name: str
) -> str:
    """All residual blocks: spectra [N, pixels] -> [N, pooled, channels] behind a ReLU."""
    builder.function(residual_blocks(len(shape.channels)))
    inputs = [source]
    for block in range(len(shape.channels)):
        # Folded weights have values that float16 does not hold; they are small and stay float32.
        inputs += [
            builder.constant(f"{name}.block{block}.{role}", value.astype(np.float32))
            for role, value in folded(parameters, block).items()
        ]
    return builder.add(RESIDUAL_BLOCKS, inputs, f"{name}.by_wavelength", domain=DOMAIN)


def residual_blocks(count: int) -> onnx.FunctionProto:
    """The function behind the operator, for a number of blocks."""
    names = [[f"{role}{block}" for role in CONSTANTS] for block in range(count)]
    nodes = [
        helper.make_node("Constant", [], ["axis"], value_ints=[1]),
        helper.make_node("Unsqueeze", ["spectra", "axis"], ["pooled"]),
    ]
    value = "pooled"
    for block, (first, first_bias, second, shortcut, bias) in enumerate(names):
        convolutions = [
            ([value, first, first_bias], "inner", {"pads": [1, 1]}),
            ([f"relu{block}", second, bias], "outer", {"pads": [1, 1], "strides": [2]}),
            ([value, shortcut], "straight", {"strides": [2]}),
        ]
        for inputs, output, attributes in convolutions:
            nodes.append(helper.make_node("Conv", inputs, [f"{output}{block}"], **attributes))
            if output == "inner":
                nodes.append(helper.make_node("Relu", [f"inner{block}"], [f"relu{block}"]))
        value = f"pooled{block}"
        nodes.append(helper.make_node("Add", [f"outer{block}", f"straight{block}"], [value]))
    nodes += [
        helper.make_node("Relu", [value], ["channels"]),
        helper.make_node("Transpose", ["channels"], ["features"], perm=[0, 2, 1]),
    ]
    constants = [name for block in names for name in block]
    return helper.make_function(
        DOMAIN,
        RESIDUAL_BLOCKS,
        ["spectra", *constants],
        ["features"],
        nodes,
        [helper.make_opsetid("", OPSET)],
    )


def add_recurrence(
    builder: Builder, drives: str, parameters: Parameters, shape: Shape, name: str
) -> str:
    """States of all bands, [N, features], from what drives them, [N, bands, width]."""
    builder.function(recurrence(shape.bands))
    # Not stored as float16: a kernel wants constants, which a cast is not yet when it is made.
    carry = builder.constant(f"{name}.carry", parameters["rnn.weight_hh_l0"].T.astype(np.float32))
    return builder.add(RECURRENCE, [drives, carry], f"{name}.features", domain=DOMAIN)


def recurrence(steps: int) -> onnx.FunctionProto:
    """The function behind the operator, for a number of steps."""
    drives = [f"drive{step}" for step in range(steps)]
    nodes = [
        helper.make_node("Constant", [], ["axis"], value_ints=[1]),
        helper.make_node("Split", ["drives"], drives, axis=1),
    ]
    states: list[str] = []
    for step, drive in enumerate(drives):
        value = f"band{step}"
        nodes.append(helper.make_node("Squeeze", [drive, "axis"], [value]))
        if states:
            # With its third input the product adds the drive, and the runtime fuses the tanh.
            inputs = [states[-1], "weight", value]
            value = f"sum{step}"
            nodes.append(helper.make_node("Gemm", inputs, [value]))
        states.append(f"state{step}")
        nodes.append(helper.make_node("Tanh", [value], [states[-1]]))
    nodes.append(helper.make_node("Concat", states, ["states"], axis=1))
    opset = [helper.make_opsetid("", OPSET)]
    inputs = ["drives", "weight"]
    return helper.make_function(DOMAIN, RECURRENCE, inputs, ["states"], nodes, opset)
