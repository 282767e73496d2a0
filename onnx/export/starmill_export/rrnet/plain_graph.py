"""The graph as a framework would export it: the published layers, one member after another."""

import numpy as np
import onnx

from starmill_export.rrnet.builder import Builder
from starmill_export.rrnet.net import Parameters, Shape
from starmill_export.rrnet.network_file import (
    INPUT,
    Ensemble,
    add_outputs,
    add_outputs_of_head,
    outputs,
)


def build(model: Ensemble, name: str, version: str, half: bool = False) -> onnx.ModelProto:
    """`spectrum` [N, pixels], standardised, to the outputs of `network_file`."""
    builder = Builder(half)
    source = builder.add("Unsqueeze", [INPUT, builder.ints(1)], "channels")
    heads = [
        [
            _member(builder, source, member, model.shape, f"region{region}.member{index}")
            for index, member in enumerate(members)
        ]
        for region, members in enumerate(model.regions)
    ]
    add_outputs(builder, heads, model)
    pixels = ["N", model.shape.pixels]
    return builder.model(name, version, (INPUT, pixels), outputs(model), "starmill_export")


def _member(
    builder: Builder, source: str, parameters: Parameters, shape: Shape, name: str
) -> tuple[str, str]:
    value = source
    for block in range(len(shape.channels)):
        value = _block(builder, value, parameters, shape, block, name)
    if shape.residual:
        value = builder.add("Relu", [value], f"{name}.trunk")
    if shape.recurrent:
        value = builder.add("Transpose", [value], f"{name}.by_wavelength", perm=[0, 2, 1])
        bands = builder.reshape(value, f"{name}.bands", -1, shape.bands, shape.band)
        value = _recurrent(builder, bands, parameters, shape, name)
    value = builder.reshape(value, f"{name}.features", -1, shape.features)
    for layer in ("fc1", "fc2"):
        weight, bias = (parameters[f"{layer}.0.{kind}"] for kind in ("weight", "bias"))
        value = builder.dense(value, f"{name}.{layer}", weight.T, bias)
        value = builder.add("Relu", [value], f"{name}.{layer}.relu")
    return add_outputs_of_head(builder, value, parameters, name)


def _block(
    builder: Builder, source: str, parameters: Parameters, shape: Shape, block: int, name: str
) -> str:
    name = f"{name}.block{block}"
    if not shape.residual:
        value = _convolution(builder, source, parameters, f"conv{block + 1}.0", name)
        value = builder.add("Relu", [value], f"{name}.relu")
        if block + 1 < len(shape.channels):
            return value
        return builder.add("MaxPool", [value], f"{name}.pool", kernel_shape=[4], strides=[4])
    prefix = f"ResBlock_list.{block}.0"
    value = _convolution(builder, source, parameters, f"{prefix}.ResBlock.0", f"{name}.first")
    value = builder.add("Relu", [value], f"{name}.relu")
    value = _convolution(builder, value, parameters, f"{prefix}.ResBlock.2", f"{name}.second")
    shortcut = source
    if f"{prefix}.downsample.0.weight" in parameters:
        shortcut = _convolution(
            builder, source, parameters, f"{prefix}.downsample.0", f"{name}.shortcut"
        )
    value = builder.add("Add", [value, shortcut], f"{name}.sum")
    return builder.add("AveragePool", [value], f"{name}.pool", kernel_shape=[2], strides=[2])


def _convolution(
    builder: Builder, source: str, parameters: Parameters, layer: str, name: str
) -> str:
    weight = parameters[f"{layer}.weight"]
    taps = weight.shape[2]
    inputs = [
        source,
        builder.weight(f"{name}.weight", weight),
        builder.constant(f"{name}.bias", parameters[f"{layer}.bias"]),
    ]
    return builder.add("Conv", inputs, name, kernel_shape=[taps], pads=[taps // 2] * 2)


def _recurrent(
    builder: Builder, source: str, parameters: Parameters, shape: Shape, name: str
) -> str:
    first = builder.add("Transpose", [source], f"{name}.steps", perm=[1, 0, 2])
    bias = np.concatenate([parameters["rnn.bias_ih_l0"], parameters["rnn.bias_hh_l0"]])
    inputs = [
        first,
        builder.weight(f"{name}.rnn.input", parameters["rnn.weight_ih_l0"][None]),
        builder.weight(f"{name}.rnn.state", parameters["rnn.weight_hh_l0"][None]),
        builder.constant(f"{name}.rnn.bias", bias[None]),
    ]
    states = builder.recurrent(inputs, f"{name}.rnn", shape.width)
    # [steps, directions, N, width] -> [N, steps, width]
    one = builder.add("Squeeze", [states, builder.ints(1)], f"{name}.states")
    return builder.add("Transpose", [one], f"{name}.recurrent", perm=[1, 0, 2])
