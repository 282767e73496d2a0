"""The trainings, one after the other: auto-encoder, label net, both halves together, inversion."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from starmill_export.generator import fit, labels, net
from starmill_export.generator.examples import Examples
from starmill_export.generator.fit import Schedule
from starmill_export.generator.net import Layers, Size

SEED = 20240112
LIVELY = 0.5
"""First bias of the latent space: its ReLUs begin alive."""

NOISY_SHARE, SNR = 0.5, (20.0, 500.0)
"""What part of the inversion's spectra has noise, and its range of S/N per pixel."""


@dataclass(frozen=True)
class Plan:
    """Schedules of the four trainings, and the size of the training set."""

    autoencoder: Schedule
    label_net: Schedule
    together: Schedule
    inversion: Schedule
    spectra: int


PLANS = {
    "published": Plan(
        Schedule(75, 1e-3),
        Schedule(60, 2e-3, adamax=True),
        Schedule(40, 5e-4),
        Schedule(100, 2e-3, adamax=True),
        205_000,
    ),
    "small": Plan(
        Schedule(40, 2e-3),
        Schedule(20, 4e-3, adamax=True),
        Schedule(60, 1e-3, batch=256),
        Schedule(30, 4e-3, adamax=True),
        40_000,
    ),
    "smoke": Plan(
        Schedule(3, 3e-3, batch=32),
        Schedule(3, 3e-3, adamax=True, batch=32),
        Schedule(3, 1e-3, batch=32),
        Schedule(3, 3e-3, adamax=True, batch=32),
        200,
    ),
}


@dataclass
class Autoencoder:
    """Layers on coefficients over `scale`, in and out."""

    encoder: Layers
    decoder: Layers
    scale: float


@dataclass
class Inversion:
    """Nets of one label each, stacked on a first axis; input coefficients over `scales`."""

    nets: Layers
    scales: np.ndarray


def autoencoder(
    folder: Path,
    size: Size,
    schedule: Schedule,
    training: Examples,
    validation: Examples,
    report: Callable[[str], None],
) -> Autoencoder:
    """Section 2.2: mean squared error of the flux, which is that of the coefficients."""
    scale = float(training.coefficients[:, 0].std())
    components = training.coefficients.shape[1]
    rng = np.random.default_rng(SEED)
    start = {
        "encoder": net.initial((components, *size.encoder, net.LATENT), rng, LIVELY),
        "decoder": net.initial((net.LATENT, *size.decoder, components), rng),
    }

    def cost(weights: dict, inputs: tuple, _key: jax.Array) -> jax.Array:
        latent = net.encode(weights["encoder"], inputs[0], jnp)
        return _squared(net.forward(weights["decoder"], latent, jnp) - inputs[0])

    given = [(part.coefficients / scale,) for part in (training, validation)]
    path = folder / "autoencoder.npz"
    return Autoencoder(**fit.train(path, start, cost, *given, schedule, SEED, report), scale=scale)


def label_net(
    folder: Path,
    size: Size,
    schedule: Schedule,
    encoded: Autoencoder,
    training: Examples,
    validation: Examples,
    report: Callable[[str], None],
) -> Layers:
    """Section 2.3: from labels to the latent space, mean squared error of the latter."""
    targets = [
        net.encode(encoded.encoder, part.coefficients / encoded.scale, np)
        for part in (training, validation)
    ]
    spread = targets[0].std(axis=0) + 1e-6
    given = [
        (labels.scaled(part.labels).astype(np.float32), target / spread)
        for part, target in zip((training, validation), targets, strict=True)
    ]
    start = net.initial(
        (len(labels.LABELS), *size.label_net, net.LATENT), np.random.default_rng(SEED + 1)
    )

    def cost(layers: Layers, inputs: tuple, key: jax.Array) -> jax.Array:
        return _squared(_dropped(layers, inputs[0], size.dropout, key) - inputs[1])

    found = fit.train(folder / "label-net.npz", start, cost, *given, schedule, SEED + 1, report)
    *hidden, (weight, bias) = found
    return [*hidden, (weight * spread, bias * spread)]


def together(
    folder: Path,
    schedule: Schedule,
    encoded: Autoencoder,
    layers: Layers,
    training: Examples,
    validation: Examples,
    report: Callable[[str], None],
) -> tuple[Layers, Layers]:
    """Label net and decoder go on as one net from labels to flux; the paper stops before this."""

    def cost(weights: tuple, inputs: tuple, _key: jax.Array) -> jax.Array:
        latent = net.forward(weights[0], inputs[0], jnp)
        return _squared(net.forward(weights[1], latent, jnp) - inputs[1])

    given = [
        (labels.scaled(part.labels).astype(np.float32), part.coefficients / encoded.scale)
        for part in (training, validation)
    ]
    path = folder / "together.npz"
    return fit.train(path, (layers, encoded.decoder), cost, *given, schedule, SEED + 2, report)


def inversion(
    folder: Path,
    size: Size,
    schedule: Schedule,
    training: Examples,
    validation: Examples,
    report: Callable[[str], None],
) -> Inversion:
    """Section 3.2: fifteen coefficients to labels from -1 to 1, one net each."""
    scales = training.coefficients[:, : net.INVERTED_COMPONENTS].std(axis=0)
    widths = (len(scales), *size.inversion, 1)
    nets = [
        net.initial(widths, np.random.default_rng([SEED, number]))
        for number in range(len(labels.LABELS))
    ]
    start = [
        tuple(np.stack(parts) for parts in zip(*layers, strict=True))
        for layers in zip(*nets, strict=True)
    ]

    def cost(stacked: Layers, inputs: tuple, key: jax.Array) -> jax.Array:
        coefficients, target = inputs
        which, depth, noise = jax.random.split(key, 3)
        rows = (len(coefficients), 1)
        # White noise in the flux is white in coefficients of an orthonormal basis.
        sigma = jnp.exp(-jax.random.uniform(depth, rows, minval=_LOG[0], maxval=_LOG[1]))
        sigma *= jax.random.uniform(which, rows) < NOISY_SHARE
        seen = coefficients + sigma * jax.random.normal(noise, coefficients.shape) / scales
        return _squared(_each(stacked, seen, jnp).T - target) / len(labels.LABELS)

    given = [
        (
            part.coefficients[:, : len(scales)] / scales,
            labels.scaled(part.labels).astype(np.float32),
        )
        for part in (training, validation)
    ]
    path = folder / "inversion.npz"
    found = fit.train(path, start, cost, *given, schedule, SEED + 3, report)
    return Inversion(found, scales)


def inverted(model: Inversion, coefficients: np.ndarray) -> np.ndarray:
    """Labels [n, 6] in physical units from coefficients [n, >= 15]."""
    values = coefficients[:, : len(model.scales)] / model.scales
    return labels.physical(_each(model.nets, values, np).T)


_LOG = tuple(np.log(SNR))


def _each(stacked: Layers, values: np.ndarray, library: object) -> np.ndarray:
    """Outputs [labels, n] of the stacked nets."""
    return net.forward([(w, b[:, None, :]) for w, b in stacked], values[None], library)[..., 0]


def _squared(error: jax.Array) -> jax.Array:
    """Squares, summed over a spectrum and averaged over spectra."""
    return (error**2).sum(axis=-1).mean()


def _dropped(layers: Layers, values: jax.Array, dropout: float, key: jax.Array) -> jax.Array:
    """`net.forward` with dropout behind the first three hidden layers."""
    if dropout == 0:
        return net.forward(layers, values, jnp)
    for number, (weight, bias) in enumerate(layers[:-1]):
        values = jnp.maximum(values @ weight + bias, 0)
        if number < 3:
            kept = jax.random.bernoulli(jax.random.fold_in(key, number), 1 - dropout, values.shape)
            values = jnp.where(kept, values / (1 - dropout), 0)
    weight, bias = layers[-1]
    return values @ weight + bias
