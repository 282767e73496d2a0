"""The same function as the plain graph, several times faster on a CPU.

- Convolutions of 4 to 16 channels keep no core busy. Eight neighbouring pixels are taken as
  channels of one tile, so that each is a convolution of 16 and 32 channels over 900 tiles, for
  which ONNX Runtime has kernels without copies. A block's second convolution and its shortcut take
  in the average pool (`net.block_matrices`). Most of the banded weights are zero; it pays all the
  same.
- The recurrence is unrolled: one product drives all steps, and each step is one node.
- Trunks with equal weights, as SPEMR's fine-tuning leaves them, are evaluated once, and the first
  dense layers behind one trunk are one product.

With `kernels`, all blocks of a trunk are one operator and the recurrence is another
(`operators.py`).
"""

from dataclasses import dataclass

import numpy as np
import onnx

from starmill_export.rrnet import net
from starmill_export.rrnet.builder import Builder
from starmill_export.rrnet.net import HEAD_PREFIXES, Parameters, Shape
from starmill_export.rrnet.network_file import (
    INPUT,
    Ensemble,
    add_outputs,
    add_outputs_of_head,
    outputs,
)
from starmill_export.rrnet.operators import add_recurrence, add_residual_blocks


@dataclass
class Trunk:
    """Weights up to the dense layers, and the (region, member) pairs that go on from there."""

    parameters: Parameters
    users: list[tuple[int, int]]


def shared_trunks(model: Ensemble) -> list[Trunk]:
    """Group members whose weights below the dense layers are equal to the last bit."""
    found: dict[bytes, Trunk] = {}
    for region, members in enumerate(model.regions):
        for index, member in enumerate(members):
            names = sorted(name for name in member if not name.startswith(HEAD_PREFIXES))
            key = b"".join(np.ascontiguousarray(member[name]).tobytes() for name in names)
            found.setdefault(key, Trunk(member, [])).users.append((region, index))
    return list(found.values())


def build(
    model: Ensemble,
    name: str,
    version: str,
    half: bool = False,
    calibration: np.ndarray | None = None,
    kernels: bool = False,
) -> onnx.ModelProto:
    """`spectrum` [N, pixels], standardised, to the outputs of `network_file`.

    `kernels` asks for the operators of which Starmill has kernels. `calibration`, some hundred
    standardised spectra, asks for the two largest products of a member, into the recurrence and
    into the first dense layer, in 8 bits.
    """
    if not model.shape.residual:
        raise ValueError("the fast graph is for residual trunks: export StarNet as a plain graph")
    builder = Builder(half)
    trunks = shared_trunks(model)
    shape = model.shape
    if kernels:
        source, add_blocks = INPUT, add_residual_blocks
    else:
        # Two dimensions, for the kernels that want them, of which the first is one high.
        source, add_blocks = (
            builder.add("Unsqueeze", [INPUT, builder.ints(1, 2)], "pixels"),
            _blocks,
        )
    values = [
        add_blocks(builder, source, trunk.parameters, shape, f"trunk{index}")
        for index, trunk in enumerate(trunks)
    ]
    if shape.recurrent:
        values = [
            _recurrence(
                builder, value, trunk.parameters, shape, calibration, kernels, f"trunk{index}"
            )
            for index, (value, trunk) in enumerate(zip(values, trunks, strict=True))
        ]
    else:
        values = [_by_channel(builder, value, shape) for value in values]
    heads: dict[tuple[int, int], tuple[str, str]] = {}
    for value, trunk in zip(values, trunks, strict=True):
        heads |= _heads(builder, value, model, trunk, calibration is not None)
    ordered = [
        [heads[region, index] for index in range(len(members))]
        for region, members in enumerate(model.regions)
    ]
    add_outputs(builder, ordered, model)
    return builder.model(
        name, version, (INPUT, ["N", shape.pixels]), outputs(model), "starmill_export"
    )


def _blocks(builder: Builder, source: str, parameters: Parameters, shape: Shape, name: str) -> str:
    """All residual blocks: pixels [N, 1, 1, pixels] -> [N, pooled, channels] behind a ReLU."""
    value = source
    for block, channels in enumerate(shape.channels):
        tile = 2 ** (len(shape.channels) - block)
        title = f"{name}.block{block}"
        matrices = net.block_matrices(parameters, block, tile)
        halo = (tile + 2) * channels
        second, shortcut = matrices.outer[:halo], matrices.outer[halo:]
        if block == 0:
            # The tiles are made by strides.
            inner = _convolution(
                builder, value, _stem(matrices.inner), matrices.inner_bias, f"{title}.in", tile, 1
            )
            straight = _convolution(
                builder, value, _stem(shortcut), None, f"{title}.shortcut", tile, 0
            )
        else:
            inner = _convolution(
                builder, value, _over_tiles(matrices.inner, tile), matrices.inner_bias,
                f"{title}.in", 1, 1,
            )  # fmt: skip
            straight = _convolution(
                builder, value, shortcut.T[:, :, None, None], None, f"{title}.shortcut", 1, 0
            )
        inner = builder.add("Relu", [inner], f"{title}.in.relu")
        pooled = _convolution(
            builder, inner, _over_tiles(second, tile), matrices.outer_bias, f"{title}.out", 1, 1
        )
        value = builder.add("Add", [pooled, straight], f"{title}.pooled")
    value = builder.add("Relu", [value], f"{name}.out")
    value = builder.add("Squeeze", [value, builder.ints(2)], f"{name}.out.flat")
    return builder.add("Transpose", [value], f"{name}.by_wavelength", perm=[0, 2, 1])


def _convolution(
    builder: Builder,
    source: str,
    weight: np.ndarray,
    bias: np.ndarray | None,
    name: str,
    stride: int,
    padding: int,
) -> str:
    # Folded weights have values that float16 does not hold; they are small and stay float32.
    inputs = [source, builder.constant(f"{name}.weight", weight.astype(np.float32))]
    if bias is not None:
        inputs.append(builder.constant(f"{name}.bias", bias.astype(np.float32)))
    return builder.add(
        "Conv",
        inputs,
        name,
        kernel_shape=list(weight.shape[2:]),
        strides=[1, stride],
        pads=[0, padding, 0, padding],
    )


def _stem(matrix: np.ndarray) -> np.ndarray:
    """Weight [outputs, 1, 1, pixels] of a matrix [pixels, outputs] on the spectrum itself."""
    return matrix.T[:, None, None, :]


def _over_tiles(matrix: np.ndarray, tile: int) -> np.ndarray:
    """Weight [outputs, tile x channels, 1, 3] of a matrix on a tile with one pixel on each side."""
    rows = matrix.reshape(tile + 2, -1, matrix.shape[1])
    weight = np.zeros((3, tile, rows.shape[1], matrix.shape[1]), np.float32)
    weight[0, -1], weight[1], weight[2, 0] = rows[0], rows[1:-1], rows[-1]
    return weight.reshape(3, -1, matrix.shape[1]).transpose(2, 1, 0)[:, :, None, :]


def _by_channel(builder: Builder, value: str, shape: Shape) -> str:
    """The order in which nets without recurrence flatten."""
    turned = builder.add("Transpose", [value], f"{value}.channels", perm=[0, 2, 1])
    return builder.reshape(turned, f"{value}.features", 0, shape.features)


def _recurrence(
    builder: Builder,
    value: str,
    weights: Parameters,
    shape: Shape,
    calibration: np.ndarray | None,
    kernels: bool,
    name: str,
) -> str:
    """States of all bands, [N, features]: one product drives every step, one node carries it."""
    first = builder.reshape(value, f"{name}.bands", 0, shape.bands, shape.band)
    if not kernels:
        first = builder.add("Transpose", [first], f"{name}.steps", perm=[1, 0, 2])
    bias = weights["rnn.bias_ih_l0"] + weights["rnn.bias_hh_l0"]
    arguments = first, f"{name}.driven", weights["rnn.weight_ih_l0"].T, bias
    if calibration is None:
        driven = builder.product(*arguments)
    else:
        step = _step_of_bands(weights, shape, calibration)
        driven = builder.integer_product(*arguments, step, 0)
    if kernels:
        return add_recurrence(builder, driven, weights, shape, name)
    drives = [driven]
    if shape.bands > 1:
        titles = [f"{name}.drive{band}" for band in range(shape.bands)]
        drives = builder.split(driven, titles, axis=0)
    carry = builder.weight(f"{name}.carry", weights["rnn.weight_hh_l0"].T)
    states: list[str] = []
    for band, drive in enumerate(drives):
        value = builder.add("Squeeze", [drive, builder.ints(0)], f"{name}.band{band}")
        if states:
            # With its third input the product adds the drive, and the runtime fuses the tanh.
            value = builder.add("Gemm", [states[-1], carry, value], f"{name}.sum{band}")
        states.append(builder.add("Tanh", [value], f"{name}.state{band}"))
    return builder.add("Concat", states, f"{name}.features", axis=1)


def _step_of_bands(parameters: Parameters, shape: Shape, calibration: np.ndarray) -> float:
    """The 8-bit step of what leaves the blocks; beyond its 255 steps lie 1 in 100,000 values."""
    values = net.residual_blocks(parameters, calibration, shape, np)
    return float(np.quantile(values, 1 - 1e-5)) / 255


def _heads(
    builder: Builder, source: str, model: Ensemble, trunk: Trunk, eight_bits: bool
) -> dict[tuple[int, int], tuple[str, str]]:
    """The dense layers of every user of a trunk; their first layers are one product."""
    members = [model.regions[region][index] for region, index in trunk.users]
    weight = np.concatenate([member["fc1.0.weight"] for member in members])
    bias = np.concatenate([member["fc1.0.bias"] for member in members])
    if eight_bits and model.shape.recurrent:
        # States of the recurrence lie between -1 and 1.
        joint = builder.integer_product(source, f"{source}.fc1", weight.T, bias, 1 / 127, 128)
    else:
        joint = builder.dense(source, f"{source}.fc1", weight.T, bias)
    joint = builder.add("Relu", [joint], f"{source}.fc1.relu")
    parts = [joint]
    if len(members) > 1:
        parts = builder.split(joint, [f"{joint}.{index}" for index in range(len(members))], axis=1)
    result = {}
    for (region, index), member, part in zip(trunk.users, members, parts, strict=True):
        name = f"region{region}.member{index}"
        value = builder.dense(part, f"{name}.fc2", member["fc2.0.weight"].T, member["fc2.0.bias"])
        value = builder.add("Relu", [value], f"{name}.fc2.relu")
        result[region, index] = add_outputs_of_head(builder, value, member, name)
    return result
