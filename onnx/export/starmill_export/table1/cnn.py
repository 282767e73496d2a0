"""The convolutional net of the FCResNet paper (its Table 3), trained with JAX, exported to ONNX.

Four convolutions of width 3 with ReLU, each before a pooling of width 2; a dense layer of 128; the
labels. Poolings of stride 1 and 2 alternate, as in the paper: 143 pixels become 142, 71, 70, 35.
"""

from collections.abc import Callable
from types import ModuleType

import jax
import jax.numpy as jnp
import numpy as np
import onnx

from starmill_export import train as schedule
from starmill_export.network import HIDDEN, Parameters
from starmill_export.rrnet.builder import Builder

CONVOLUTIONS = ((10, 1), (20, 2), (40, 1), (50, 2))
"""Channels of each, and the stride of the pooling behind it."""

TAPS = 3
DECAY, EPSILON = (0.9, 0.999), 1e-8
CHECKED_BATCH = 1024


def width(pixels: int) -> int:
    """Pixels that are left of `pixels` behind the last pooling."""
    for _, stride in CONVOLUTIONS:
        pixels = (pixels - 2) // stride + 1
    return pixels


def initial(pixels: int, labels: int, rng: np.random.Generator) -> Parameters:
    """Uniform weights and biases within 1/sqrt(inputs) of a layer, float32.

    The rows of a convolution's weight are the channels of its first tap, then of the second...
    """
    shapes, channels = [], 1
    for wider, _ in CONVOLUTIONS:
        shapes.append((TAPS * channels, wider))
        channels = wider
    shapes += [(width(pixels) * channels, HIDDEN), (HIDDEN, labels)]
    parameters = []
    for rows, columns in shapes:
        bound = 1 / np.sqrt(rows)
        weight = rng.uniform(-bound, bound, (rows, columns)).astype(np.float32)
        parameters.append((weight, rng.uniform(-bound, bound, columns).astype(np.float32)))
    return parameters


def forward(parameters: Parameters, spectra: np.ndarray, numbers: ModuleType = np) -> np.ndarray:
    """Scaled labels [n, labels] of prepared spectra [n, pixels], by numpy or jax.numpy."""
    value = spectra[:, :, None]
    for (weight, bias), (_, stride) in zip(parameters, CONVOLUTIONS, strict=False):
        padded = numbers.pad(value, ((0, 0), (1, 1), (0, 0)))
        # A product with the three shifted copies: many times faster than a convolution here.
        taps = [padded[:, tap : tap + value.shape[1]] for tap in range(TAPS)]
        value = numbers.maximum(numbers.concatenate(taps, axis=2) @ weight + bias, 0)
        value = numbers.maximum(value[:, :-1], value[:, 1:])[:, ::stride]
    flat = value.transpose(0, 2, 1).reshape(len(spectra), -1)
    (weight, bias), (last, offset) = parameters[len(CONVOLUTIONS) :]
    return numbers.maximum(flat @ weight + bias, 0) @ last + offset


def train(
    training: tuple[np.ndarray, np.ndarray],
    validation: tuple[np.ndarray, np.ndarray],
    rng: np.random.Generator,
    most_epochs: int,
    report: Callable[[str], None],
    patience: int = schedule.PATIENCE,
) -> schedule.Trained:
    """The schedule of `starmill_export.train` with the gradient of this net."""
    spectra, labels = training
    state = [initial(spectra.shape[1], labels.shape[1], rng)]
    state += [jax.tree.map(jnp.zeros_like, state[0]) for _ in range(2)]
    rate, stalled, count = schedule.FIRST_RATE, 0, 0
    best = schedule.Trained([], 0, 0, np.inf, np.inf)
    for epoch in range(1, most_epochs + 1):
        losses = []
        for rows in _batches(len(spectra), rng):
            count += 1
            moments = np.float32(count), np.float32(rate)
            *state, loss = _step(*state, *moments, spectra[rows], labels[rows])
            losses.append(loss)
        validation_loss = float(np.mean((predict(state[0], validation[0]) - validation[1]) ** 2))
        if validation_loss < best.validation_loss:
            kept = jax.tree.map(np.asarray, state[0])
            best = schedule.Trained(
                kept, epoch, epoch, float(np.mean(np.asarray(losses))), validation_loss
            )
            stalled = 0
        else:
            stalled += 1
        best.epochs = epoch
        if stalled >= patience:
            if rate <= schedule.LAST_RATE * 1.01:
                break
            rate, stalled = rate * schedule.RATE_FACTOR, 0
        if stalled == 0 or epoch % 10 == 0:
            report(f"cnn: epoch {epoch}, rate {rate:.0e}, best {best.validation_loss:.5f}")
    return best


def predict(parameters: Parameters, spectra: np.ndarray) -> np.ndarray:
    """Scaled labels [n, labels], by JAX in batches."""
    starts = range(0, len(spectra), CHECKED_BATCH)
    parts = [_forward(parameters, spectra[start : start + CHECKED_BATCH]) for start in starts]
    return np.concatenate([np.asarray(part) for part in parts])


def _batches(count: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Rows of whole batches: a shorter last one would be compiled apart."""
    order = rng.permutation(count)
    size = min(schedule.BATCH, count)
    return [order[start : start + size] for start in range(0, count - size + 1, size)]


@jax.jit
def _forward(parameters: Parameters, spectra: jax.Array) -> jax.Array:
    return forward(parameters, spectra, jnp)


@jax.jit
def _step(
    parameters: Parameters,
    first: Parameters,
    second: Parameters,
    count: jax.Array,
    rate: jax.Array,
    spectra: jax.Array,
    labels: jax.Array,
) -> tuple[Parameters, Parameters, Parameters, jax.Array]:
    """One step of Adam (Kingma & Ba 2015)."""

    def cost(tried: Parameters) -> jax.Array:
        return jnp.mean((forward(tried, spectra, jnp) - labels) ** 2)

    loss, slope = jax.value_and_grad(cost)(parameters)
    slow, fast = DECAY
    first = jax.tree.map(lambda old, new: slow * old + (1 - slow) * new, first, slope)
    second = jax.tree.map(lambda old, new: fast * old + (1 - fast) * new**2, second, slope)
    size = rate * jnp.sqrt(1 - fast**count) / (1 - slow**count)
    moved = jax.tree.map(
        lambda value, m, v: value - size * m / (jnp.sqrt(v) + EPSILON), parameters, first, second
    )
    return moved, first, second, loss


def graph(
    parameters: Parameters, mean: np.ndarray, spread: np.ndarray, pixels: int, name: str
) -> onnx.ModelProto:
    """`spectrum` [N, pixels] -> `labels` [N, labels] in their units, float32."""
    builder = Builder()
    value = builder.add("Unsqueeze", ["spectrum", builder.ints(1)], "row")
    for index, ((weight, bias), (channels, stride)) in enumerate(
        zip(parameters, CONVOLUTIONS, strict=False)
    ):
        layer = f"convolution{index}"
        kernel = weight.reshape(TAPS, -1, channels).transpose(2, 1, 0)
        constants = [
            builder.weight(f"{layer}.weight", kernel),
            builder.constant(f"{layer}.bias", bias),
        ]
        value = builder.add("Conv", [value, *constants], layer, kernel_shape=[TAPS], pads=[1, 1])
        value = builder.add("Relu", [value], f"{layer}.relu")
        value = builder.add("MaxPool", [value], f"{layer}.pool", kernel_shape=[2], strides=[stride])
    value = builder.add("Flatten", [value], "flat", axis=1)
    (weight, bias), (last, offset) = parameters[len(CONVOLUTIONS) :]
    value = builder.add("Relu", [builder.dense(value, "dense", weight, bias)], "dense.relu")
    builder.dense(value, "labels", last * spread, offset * spread + mean)
    labels = ("labels", ["N", len(mean)])
    return builder.model(name, "1.0.0", ("spectrum", ["N", pixels]), [labels], "starmill_export")
