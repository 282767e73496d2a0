"""From labels to normalised flux: a Gaussian process per pixel over a grid of syntheses.

Its place is that of the Payne (Ting et al. 2019): spectra of any label, fast, and differentiable.
The Payne's own net of a few hundred values a pixel wants thousands of syntheses; a few hundred are
enough for a process whose covariance knows the physics. The logarithm of the flux is a smooth
function of the atmosphere, plus one of each abundance whose strength depends on the atmosphere:

    k(x, x') = k_A + k_B (s + sum_e c_e q_e (a_e a'_e)^2 + p s^2),   s = sum_e c_e a_e a'_e

where k_A and k_B are squared exponentials of the atmospheric coordinates and a_e is [X_e/M]. All
pixels share the covariance, so that one matrix product gives a spectrum.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from starmill_export.rrnet import labels as names
from starmill_export.rrnet.syntheses import Syntheses

DARKEST = 0.02
"""Flux below which the logarithm would blow up what no spectrograph resolves."""

COORDINATES = 6
SOLVED_COMPONENTS = 25
STEPS, RATE = 150, 0.06
BATCH = 256


def coordinates(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scaled atmospheric coordinates [n, 6] and abundances [n, 14] of labels [n, SYNTHESIS].

    The last two coordinates act in cool stars alone: how cool, and what CO leaves of carbon.
    """
    teff, logg, metallicity, vmicro = labels[:, :4].T
    carbon, oxygen = (labels[:, names.SYNTHESIS.index(name)] for name in ("c_m", "o_m"))
    cool = 1 / (1 + np.exp((teff - 4700) / 150))
    atmosphere = np.column_stack(
        [
            5 * (5040 / teff - 1),
            (logg - 3) / 1.5,
            (metallicity + 0.7) / 0.8,
            (vmicro - 1.3) / 0.5,
            2 * cool,
            3 * cool * np.clip(carbon - oxygen, -1, 0.3),
        ]
    )
    return atmosphere, labels[:, 4:] / 0.3


@dataclass
class Emulator:
    """Logarithms of the covariance's constants, the grid's labels, and one weight per star."""

    constants: np.ndarray
    labels: np.ndarray
    weights: np.ndarray
    mean: np.ndarray
    air: np.ndarray

    def __call__(self, labels: np.ndarray) -> np.ndarray:
        """Normalised flux [n, pixels], float32, of labels [n, SYNTHESIS]."""
        flux = np.empty((len(labels), len(self.air)), np.float32)
        for start in range(0, len(labels), BATCH):
            rows = slice(start, start + BATCH)
            covariance = _covariance(
                np, self.constants, coordinates(labels[rows]), coordinates(self.labels)
            )
            flux[rows] = np.exp(-(covariance.astype(np.float32) @ self.weights + self.mean))
        return flux

    def save(self, path: Path) -> None:
        """Write all arrays as one archive."""
        np.savez(path, **vars(self))


def load(path: Path) -> Emulator:
    """Read what `save` wrote."""
    with np.load(path, allow_pickle=False) as archive:
        return Emulator(**{name: archive[name] for name in archive.files})


def fit(grid: Syntheses, report: Callable[[str], None], steps: int = STEPS) -> Emulator:
    """Maximise the likelihood of the grid's leading components, then solve for all pixels."""
    depth = -np.log(np.maximum(grid.flux.astype(float), DARKEST))
    mean = depth.mean(axis=0)
    vectors = np.linalg.svd(depth - mean, full_matrices=False)[0]
    constants = _most_likely(
        coordinates(grid.labels), vectors[:, :SOLVED_COMPONENTS], steps, report
    )
    points = coordinates(grid.labels)
    covariance = _covariance(np, constants, points, points)
    covariance[np.diag_indices(len(covariance))] += np.exp(constants[-1])
    weights = np.linalg.solve(covariance, depth - mean)
    return Emulator(
        constants, grid.labels, weights.astype(np.float32), mean.astype(np.float32), grid.air
    )


def _covariance(library: object, constants: np.ndarray, first: tuple, second: tuple) -> np.ndarray:
    """The covariance of two sets of coordinates; `library` is numpy or jax.numpy."""
    lengths, common, pairs = constants[:COORDINATES], constants[COORDINATES], constants[-2]
    elements = len(names.ELEMENTS)
    linear = library.exp(constants[COORDINATES + 1 : COORDINATES + 1 + elements])
    square = linear * library.exp(constants[COORDINATES + 1 + elements : -2])
    (left, left_abundance), (right, right_abundance) = first, second
    scaled, other = left * library.exp(lengths), right * library.exp(lengths)
    # |a - b|^2 by products, which needs no array of all differences.
    distance = (scaled**2).sum(1)[:, None] + (other**2).sum(1) - 2 * scaled @ other.T
    shared = (left_abundance * linear) @ right_abundance.T
    bent = (left_abundance**2 * square) @ (right_abundance**2).T
    abundance = shared + bent + library.exp(pairs) * shared**2
    return library.exp(-0.5 * distance) + abundance * library.exp(
        -0.5 * distance * library.exp(2 * common)
    )


def _most_likely(
    points: tuple, components: np.ndarray, steps: int, report: Callable[[str], None]
) -> np.ndarray:
    import jax
    import jax.numpy as jnp

    elements = len(names.ELEMENTS)
    start = np.concatenate(
        [np.full(COORDINATES, -0.7), [-0.5], np.full(elements, -3.0), np.full(elements, -2.0)]
    )
    start = np.concatenate([start, [-1.0, -8.0]])

    with jax.enable_x64(True):
        inputs = tuple(jnp.asarray(values) for values in points)
        targets = jnp.asarray(components)

        def cost(constants: jax.Array) -> jax.Array:
            """Minus log likelihood, each component with the amplitude that suits it best."""
            size = len(targets)
            covariance = _covariance(jnp, constants, inputs, inputs)
            covariance += jnp.exp(constants[-1]) * jnp.eye(size)
            root = jnp.linalg.cholesky(covariance)
            white = jax.scipy.linalg.solve_triangular(root, targets, lower=True)
            amplitudes = jnp.log((white**2).sum(0) + 1e-9).sum()
            determinant = targets.shape[1] * jnp.log(jnp.diag(root)).sum()
            # A weak pull to one keeps the constants of elements without lines finite.
            return determinant + 0.5 * size * amplitudes + 0.02 * (constants**2).sum()

        slope = jax.jit(jax.value_and_grad(cost))
        constants = jnp.asarray(start)
        first = second = jnp.zeros_like(constants)
        for step in range(1, steps + 1):
            value, gradient = slope(constants)
            first = 0.9 * first + 0.1 * gradient
            second = 0.98 * second + 0.02 * gradient**2
            scale = jnp.sqrt(second / (1 - 0.98**step)) + 1e-8
            constants = constants - RATE * first / (1 - 0.9**step) / scale
            if step % 50 == 0:
                report(f"emulator: step {step}, minus log likelihood {float(value):.0f}")
        return np.asarray(constants)


def held_out_error(
    grid: Syntheses,
    report: Callable[[str], None],
    seed: int = 0,
    share: float = 0.15,
    steps: int = STEPS,
) -> list[dict]:
    """Errors by range of Teff on syntheses that the emulator has not seen."""
    order = np.random.default_rng(seed).permutation(len(grid.labels))
    count = round(share * len(order))
    test = grid.rows(order[:count])
    emulator = fit(grid.rows(order[count:]), report, steps)
    error = emulator(test.labels) - test.flux
    rows = []
    for low, high in ((3700, 4500), (4500, 5500), (5500, 6500), (6500, 7000)):
        inside = (test.labels[:, 0] >= low) & (test.labels[:, 0] < high)
        chosen = error[inside]
        rows.append(
            {
                "teff": [low, high],
                "stars": int(inside.sum()),
                "median_absolute": float(np.median(np.abs(chosen))),
                "rms": float(np.sqrt(np.mean(chosen**2))),
                "worst_star_rms": float(np.sqrt((chosen**2).mean(axis=1)).max()),
                "spread_of_flux": float(test.flux[inside].std(axis=0).mean()),
            }
        )
    return rows


def responses(emulator: Emulator, labels: np.ndarray, step: float = 0.2) -> np.ndarray:
    """Change of flux [elements, pixels] when one [X/M] of a star [SYNTHESIS] grows by `step`."""
    raised = np.tile(labels, (len(names.ELEMENTS) + 1, 1))
    for index in range(len(names.ELEMENTS)):
        raised[index + 1, 4 + index] += step
    flux = emulator(raised)
    return flux[1:] - flux[0]


def left_out(emulator: Emulator) -> tuple[np.ndarray, np.ndarray]:
    """Flux [stars, pixels] of the syntheses, and what it would be without each in its turn.

    One inverse gives all of it (Rasmussen & Williams 2006, equation 5.12); the constants of the
    covariance are those of all stars.
    """
    points = coordinates(emulator.labels)
    covariance = _covariance(np, emulator.constants, points, points)
    covariance[np.diag_indices(len(covariance))] += np.exp(emulator.constants[-1])
    depth = covariance @ emulator.weights + emulator.mean
    missed = emulator.weights / np.diag(np.linalg.inv(covariance))[:, None]
    return np.exp(-depth).astype(np.float32), np.exp(missed - depth).astype(np.float32)
