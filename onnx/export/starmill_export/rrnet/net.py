"""RRNet (Xiong et al. 2022) and the nets it is compared with, in JAX.

Parameters carry the names and the layouts of the published torch state_dict, so that published
weights, ours and the exporters speak of the same arrays. The spectrum is laid out wavelength-major,
[spectra, tiles, pixels of a tile x channels]: a convolution is then one matrix product of tiles
with a banded matrix, and the last convolution of a block, its shortcut and the average pool are one
more. That is exact, and several times faster than a convolution of 4 to 16 channels.
"""

from dataclasses import dataclass

import numpy as np

KINDS = ["rrnet", "resnet", "starnet", "starnet-r"]
DROPOUT = 0.3

HEAD_PREFIXES = ("fc1", "fc2", "mu", "sigma")
"""Names of the dense layers begin so; all other parameters are the trunk."""

Parameters = dict[str, np.ndarray]


@dataclass(frozen=True)
class Shape:
    """What decides the sizes of the parameters.

    `channels` are those of the N_r residual blocks, `bands` is N_s. `hidden` is the width of the
    recurrent layer; None means that of a band, as published.
    """

    kind: str = "rrnet"
    channels: tuple[int, ...] = (4, 8, 16)
    bands: int = 40
    hidden: int | None = None
    dense: tuple[int, int] = (256, 128)
    labels: int = 17
    pixels: int = 7200

    @property
    def recurrent(self) -> bool:
        """Whether there is a recurrent module."""
        return self.kind in ("rrnet", "starnet-r")

    @property
    def residual(self) -> bool:
        """Whether the trunk has residual blocks; StarNet has two plain convolutions."""
        return self.kind in ("rrnet", "resnet")

    @property
    def pooled(self) -> int:
        """Pixels after the last pool."""
        return self.pixels // (2 ** len(self.channels) if self.residual else 4)

    @property
    def band(self) -> int:
        """Values of one band that enter the recurrent layer."""
        return self.pooled * self.channels[-1] // self.bands

    @property
    def width(self) -> int:
        """Values of one band that leave the recurrent layer."""
        return self.hidden or self.band

    @property
    def features(self) -> int:
        """Values that enter the first dense layer."""
        return self.bands * self.width if self.recurrent else self.pooled * self.channels[-1]


PUBLISHED = Shape()
REFERENCE = Shape(hidden=64, dense=(192, 128))
"""Small enough for the repository: a narrower recurrent layer, all else as published."""

PUBLISHED_SPEMR = Shape(bands=5, labels=16)
REFERENCE_SPEMR = Shape(bands=5, hidden=128, dense=(192, 128), labels=16)


def shape_of(kind: str, labels: int, base: Shape = PUBLISHED) -> Shape:
    """The shape of a comparison net with the dense layers of `base`."""
    if kind in ("starnet", "starnet-r"):
        # 1800 pixels of 16 channels in bands of 360 values, as the published code has them.
        return Shape(kind, (4, 16), 80, base.hidden, base.dense, labels, base.pixels)
    return Shape(kind, base.channels, base.bands, base.hidden, base.dense, labels, base.pixels)


def sizes(shape: Shape) -> dict[str, tuple[int, ...]]:
    """Names and sizes of all parameters, in the order of the published state_dict."""
    result: dict[str, tuple[int, ...]] = {}

    def layer(name: str, *weight: int) -> None:
        result[f"{name}.weight"], result[f"{name}.bias"] = weight, weight[:1]

    inputs = 1
    for block, outputs in enumerate(shape.channels):
        if shape.residual:
            prefix = f"ResBlock_list.{block}.0"
            layer(f"{prefix}.ResBlock.0", outputs, inputs, 3)
            layer(f"{prefix}.ResBlock.2", outputs, outputs, 3)
            if inputs != outputs:
                layer(f"{prefix}.downsample.0", outputs, inputs, 1)
        else:
            layer(f"conv{block + 1}.0", outputs, inputs, 3)
        inputs = outputs
    if shape.recurrent:
        result |= {
            "rnn.weight_ih_l0": (shape.width, shape.band),
            "rnn.weight_hh_l0": (shape.width, shape.width),
            "rnn.bias_ih_l0": (shape.width,),
            "rnn.bias_hh_l0": (shape.width,),
        }
    layer("fc1.0", shape.dense[0], shape.features)
    layer("fc2.0", shape.dense[1], shape.dense[0])
    layer("mu", shape.labels, shape.dense[1])
    layer("sigma.0", shape.labels, shape.dense[1])
    return result


def initial(shape: Shape, seed: int) -> Parameters:
    """Uniform within 1/sqrt(inputs) of a layer, as torch does; 1/sqrt(width) for the recurrence."""
    rng = np.random.default_rng(seed)
    parameters, bound = {}, 0.0
    for name, size in sizes(shape).items():
        if name.startswith("rnn"):
            bound = shape.width**-0.5
        elif name.endswith("weight"):
            bound = float(np.prod(size[1:])) ** -0.5
        parameters[name] = rng.uniform(-bound, bound, size).astype(np.float32)
    return parameters


def count(parameters: Parameters) -> int:
    """Number of trainable values."""
    return sum(value.size for value in parameters.values())


def banded(weight: np.ndarray, tile: int, library: object = np) -> np.ndarray:
    """The matrix of a convolution on tiles, for `weight` [out, in, taps].

    [(tile + taps - 1) x in, tile x out]: from a tile with its halo to its outputs.
    """
    outputs, inputs, taps = weight.shape
    place = np.zeros((taps, tile + taps - 1, tile), np.float32)
    for tap in range(taps):
        place[tap, np.arange(tile) + tap, np.arange(tile)] = 1
    spread = library.einsum("oit,tpq->piqo", weight, place)
    return spread.reshape((tile + taps - 1) * inputs, tile * outputs)


def pooling(tile: int, channels: int) -> np.ndarray:
    """The matrix of an average pool of 2 on tiles, [tile x channels, tile/2 x channels]."""
    pairs = np.zeros((tile, tile // 2), np.float32)
    pairs[np.arange(tile), np.arange(tile) // 2] = 0.5
    return np.kron(pairs, np.eye(channels, dtype=np.float32))


@dataclass
class BlockMatrices:
    """A residual block on tiles: halo tile -> ReLU -> (halo tile | tile) -> pooled tile."""

    tile: int
    inner: np.ndarray
    inner_bias: np.ndarray
    outer: np.ndarray
    outer_bias: np.ndarray


def block_matrices(
    parameters: Parameters, block: int, tile: int, library: object = np
) -> BlockMatrices:
    """Fold the second convolution, the shortcut and the pool into one matrix."""
    prefix = f"ResBlock_list.{block}.0"
    first, second = (parameters[f"{prefix}.ResBlock.{index}.weight"] for index in (0, 2))
    first_bias, bias = (parameters[f"{prefix}.ResBlock.{index}.bias"] for index in (0, 2))
    outputs, inputs, _ = first.shape
    if f"{prefix}.downsample.0.weight" in parameters:
        shortcut = parameters[f"{prefix}.downsample.0.weight"]
        bias = bias + parameters[f"{prefix}.downsample.0.bias"]
    else:
        shortcut = np.eye(inputs, dtype=np.float32)[:, :, None]
    pool = pooling(tile, outputs)
    outer = library.concatenate(
        [banded(second, tile, library) @ pool, banded(shortcut, tile, library) @ pool]
    )
    return BlockMatrices(
        tile,
        banded(first, tile, library),
        library.tile(first_bias, tile),
        outer,
        library.tile(bias, tile // 2),
    )


def tiles(shape: Shape) -> list[int]:
    """Pixels of a tile in each block: the number of tiles stays the same."""
    first = 16
    while shape.pixels % first:
        first //= 2
    return [first >> block for block in range(len(shape.channels))]


def with_halo(value: object, channels: int, library: object) -> object:
    """Tiles [n, tiles, width] with the last pixel of the one before and the first of the next."""
    zeros = library.zeros_like(value[:, :1, :channels])
    before = library.concatenate([zeros, value[:, :-1, -channels:]], axis=1)
    after = library.concatenate([value[:, 1:, :channels], zeros], axis=1)
    return library.concatenate([before, value, after], axis=2)


def forward(
    parameters: Parameters, spectra: object, shape: Shape, library: object, drop: object = None
) -> tuple[object, object]:
    """Mean and variance [n, labels], in scaled labels, of prepared spectra [n, pixels].

    `library` is jax.numpy in training and numpy for a reference. `drop` multiplies the outputs of
    the two dense layers: a pair of masks, or None.
    """
    features = trunk(parameters, spectra, shape, library)
    return head(parameters, features, library, drop)


def trunk(parameters: Parameters, spectra: object, shape: Shape, library: object) -> object:
    """What enters the dense layers, [n, features]: the part that SPEMR's fine-tuning leaves."""
    if shape.residual:
        value = residual_blocks(parameters, spectra, shape, library)
    else:
        value = _plain(parameters, spectra, shape, library)
    if shape.recurrent:
        value = value.reshape(len(spectra), shape.bands, shape.band)
        return _recurrent(parameters, value, library).reshape(len(spectra), shape.features)
    # The published nets without recurrence flatten channel by channel.
    value = value.reshape(len(spectra), shape.pooled, shape.channels[-1])
    return library.swapaxes(value, 1, 2).reshape(len(spectra), shape.features)


def head(
    parameters: Parameters, features: object, library: object, drop: object = None
) -> tuple[object, object]:
    """The dense layers: features -> mean and variance."""
    value = features
    for index, name in enumerate(("fc1.0", "fc2.0")):
        value = library.maximum(_dense(parameters, name, value), 0)
        if drop is not None:
            value = value * drop[index]
    return _dense(parameters, "mu", value), library.logaddexp(
        _dense(parameters, "sigma.0", value), 0.0
    )


def _dense(parameters: Parameters, name: str, value: object) -> object:
    return value @ parameters[f"{name}.weight"].T + parameters[f"{name}.bias"]


def residual_blocks(
    parameters: Parameters, spectra: object, shape: Shape, library: object
) -> object:
    """What leaves the blocks and their last ReLU, [n, tiles, pixels of a tile x channels]."""
    inputs = 1
    value = spectra.reshape(len(spectra), -1, tiles(shape)[0])
    for block, (tile, outputs) in enumerate(zip(tiles(shape), shape.channels, strict=True)):
        matrices = block_matrices(parameters, block, tile, library)
        inner = with_halo(value, inputs, library) @ matrices.inner + matrices.inner_bias
        inner = with_halo(library.maximum(inner, 0), outputs, library)
        both = library.concatenate([inner, value], axis=2)
        value = both @ matrices.outer + matrices.outer_bias
        inputs = outputs
    return library.maximum(value, 0)


def _plain(parameters: Parameters, spectra: object, shape: Shape, library: object) -> object:
    tile, inputs = tiles(shape)[0], 1
    value = spectra.reshape(len(spectra), -1, tile)
    for block, outputs in enumerate(shape.channels):
        matrix = banded(parameters[f"conv{block + 1}.0.weight"], tile, library)
        bias = library.tile(parameters[f"conv{block + 1}.0.bias"], tile)
        value = library.maximum(with_halo(value, inputs, library) @ matrix + bias, 0)
        inputs = outputs
    return value.reshape(len(spectra), shape.pooled, 4, inputs).max(axis=2)


def _recurrent(parameters: Parameters, bands: object, library: object) -> object:
    """h_t = tanh(W_i x_t + b_i + W_h h_(t-1) + b_h), all steps kept."""
    bias = parameters["rnn.bias_ih_l0"] + parameters["rnn.bias_hh_l0"]
    driven = library.swapaxes(bands @ parameters["rnn.weight_ih_l0"].T + bias, 0, 1)
    weight = parameters["rnn.weight_hh_l0"].T
    if library is np:
        state, states = np.zeros_like(driven[0]), []
        for drive in driven:
            state = np.tanh(drive + state @ weight)
            states.append(state)
        return np.stack(states, axis=1)
    import jax

    def step(state: jax.Array, drive: jax.Array) -> tuple[jax.Array, jax.Array]:
        state = library.tanh(drive + state @ weight)
        return state, state

    states = jax.lax.scan(step, library.zeros_like(driven[0]), driven)[1]
    return library.swapaxes(states, 0, 1)
