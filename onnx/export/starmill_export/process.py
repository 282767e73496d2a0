"""A Gaussian process per pixel, all with one covariance: spectra between the nodes of a grid.

What is common to the emulators of all grids. A subclass says which coordinates its labels have and
how two stars covary; the logarithm of the flux is what is interpolated.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import ClassVar, Self

import numpy as np

DARKEST = 0.02
"""Flux below which the logarithm would blow up what no spectrograph resolves."""

SOLVED_COMPONENTS = 25
STEPS, RATE = 150, 0.06
BATCH = 256


@dataclass
class PixelProcess:
    """Logarithms of the covariance's constants, the grid's labels, and one weight per star.

    `air` are the wavelengths of the grid; a subclass may interpolate on other pixels. The last
    constant is the logarithm of the nugget: what the grid itself is uncertain by.
    """

    constants: np.ndarray
    labels: np.ndarray
    weights: np.ndarray
    mean: np.ndarray
    air: np.ndarray

    START: ClassVar[np.ndarray]
    """Constants to begin the search for the most likely ones from."""

    @staticmethod
    def coordinates(labels: np.ndarray) -> tuple[np.ndarray, ...]:
        """Scaled coordinates of labels, as `covariance` takes them."""
        raise NotImplementedError

    @staticmethod
    def covariance(
        library: ModuleType, constants: np.ndarray, first: tuple, second: tuple
    ) -> np.ndarray:
        """The covariance of two sets of coordinates; `library` is numpy or jax.numpy."""
        raise NotImplementedError

    def __call__(self, labels: np.ndarray) -> np.ndarray:
        """Normalised flux [n, pixels], float32, of labels [n, labels]."""
        flux = np.empty((len(labels), len(self.mean)), np.float32)
        points = self.coordinates(self.labels)
        for start in range(0, len(labels), BATCH):
            rows = slice(start, start + BATCH)
            covariance = self.covariance(np, self.constants, self.coordinates(labels[rows]), points)
            flux[rows] = np.exp(-(covariance.astype(np.float32) @ self.weights + self.mean))
        return flux

    def save(self, path: Path) -> None:
        """Write all arrays as one archive."""
        np.savez(path, **vars(self))

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote."""
        with np.load(path, allow_pickle=False) as archive:
            return cls(**{name: archive[name] for name in archive.files})

    @classmethod
    def fit(
        cls,
        labels: np.ndarray,
        flux: np.ndarray,
        air: np.ndarray,
        report: Callable[[str], None],
        steps: int = STEPS,
        searched: int | None = None,
    ) -> Self:
        """Maximise the likelihood of the grid's leading components, then solve for all pixels.

        `searched` is how many stars the search looks at, the first ones; its time grows with their
        third power.
        """
        depth = -np.log(np.maximum(flux.astype(float), DARKEST))
        mean = depth.mean(axis=0)
        points = cls.coordinates(labels)
        vectors = np.linalg.svd(depth[:searched] - mean, full_matrices=False)[0]
        constants = _most_likely(
            cls,
            tuple(values[:searched] for values in points),
            vectors[:, :SOLVED_COMPONENTS],
            steps,
            report,
        )
        covariance = cls.covariance(np, constants, points, points)
        covariance[np.diag_indices(len(covariance))] += np.exp(constants[-1])
        weights = np.linalg.solve(covariance, depth - mean)
        return cls(constants, labels, weights.astype(np.float32), mean.astype(np.float32), air)


def squared_distance(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """|a - b|^2 of all pairs of rows by products, which needs no array of all differences."""
    return (first**2).sum(1)[:, None] + (second**2).sum(1) - 2 * first @ second.T


def _most_likely(
    process: type[PixelProcess],
    points: tuple,
    components: np.ndarray,
    steps: int,
    report: Callable[[str], None],
) -> np.ndarray:
    import jax
    import jax.numpy as jnp

    with jax.enable_x64(True):
        inputs = tuple(jnp.asarray(values) for values in points)
        targets = jnp.asarray(components)

        def cost(constants: jax.Array) -> jax.Array:
            """Minus log likelihood, each component with the amplitude that suits it best."""
            size = len(targets)
            covariance = process.covariance(jnp, constants, inputs, inputs)
            covariance += jnp.exp(constants[-1]) * jnp.eye(size)
            root = jnp.linalg.cholesky(covariance)
            white = jax.scipy.linalg.solve_triangular(root, targets, lower=True)
            amplitudes = jnp.log((white**2).sum(0) + 1e-9).sum()
            determinant = targets.shape[1] * jnp.log(jnp.diag(root)).sum()
            # A weak pull to one keeps the constants of elements without lines finite.
            return determinant + 0.5 * size * amplitudes + 0.02 * (constants**2).sum()

        slope = jax.jit(jax.value_and_grad(cost))
        constants = jnp.asarray(process.START)
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
