"""Novelty for stars of many kinds: what no kind of them is like, what is too strange, too smooth.

A single Gaussian over dwarfs and giants, hot and cool, holds much that is none of them: an M dwarf
lies between a K dwarf and an M giant. So the distance within the main subspace is that to the
nearest of several Gaussians. The distance off it is that of `novelty`. Third, a spectrum smoother
than those of stars is that of a lamp, which no distance from a mean tells from stars of few lines.
Each of the three is over its own limit; novelty is the largest, and outside above 1.
"""

from dataclasses import dataclass

import numpy as np

from starmill_export import novelty
from starmill_export.rrnet.calibration import roughness

KINDS, COMPONENTS = 16, 10
ROUNDS = 40
FITTED = 20_000
"""Most spectra that the mixture is fitted to: it has some thousand numbers."""

FOR_ONE = 500
"""Spectra that a Gaussian wants at least: of fewer there are fewer Gaussians."""

RIDGE = 1e-2
"""On the variances of standardised scores: no kind is a line or a point."""


@dataclass
class MixtureNovelty:
    """Constants of the measure.

    `mean`, `scale`, `components` and `off` are those of `Novelty`. `spreads` [COMPONENTS]
    standardise scores. Of each kind `centres` [kinds, COMPONENTS], `roots` [kinds, COMPONENTS,
    COMPONENTS] of its inverse covariance, and `levels` [kinds], the logarithm of its peak. A
    distance of `usual` counts 0 and one of `limit` 1; `smoothest` is the least roughness of stars.
    """

    mean: np.ndarray
    scale: np.ndarray
    components: np.ndarray
    off: float
    spreads: np.ndarray
    centres: np.ndarray
    roots: np.ndarray
    levels: np.ndarray
    usual: float
    limit: float
    smoothest: float

    def __call__(self, spectra: np.ndarray) -> np.ndarray:
        """Novelty [n] of prepared spectra [n, pixels]."""
        centred = (spectra - self.mean) * self.scale
        scores = centred @ self.components
        residual = centred - scores @ self.components.T
        nearest = _densities(self, scores / self.spreads).max(axis=1)
        within = (-nearest - self.usual) / (self.limit - self.usual)
        off = (residual**2).sum(axis=1) * self.off
        smooth = self.smoothest / np.maximum(roughness(spectra), SMALLEST)
        return np.maximum(np.maximum(within, off), smooth)


SMALLEST = 1e-6
"""Of roughness: a constant spectrum is as smooth as can be."""


def fit(
    training: np.ndarray, validation: np.ndarray, false_alarm: float, rng: np.random.Generator
) -> MixtureNovelty:
    """Subspace and kinds from `training`, limits from `validation`.

    About `false_alarm` of spectra like the validation set exceed 1: each of the three distances is
    granted a third of it.
    """
    plain = novelty.fit(training, validation, false_alarm, COMPONENTS)
    spreads = ((training - plain.mean) * plain.scale @ plain.components).std(axis=0)
    fitted = MixtureNovelty(
        plain.mean, plain.scale, plain.components, 1.0, spreads,
        *_kinds(_standard(plain, spreads, training[:FITTED]), rng), 0.0, 1.0, 0.0,
    )  # fmt: skip
    distance = -_densities(fitted, _standard(plain, spreads, validation)).max(axis=1)
    fitted.usual, fitted.limit = np.quantile(distance, [0.5, 1 - false_alarm / 3])
    centred = (validation - plain.mean) * plain.scale
    residual = centred - centred @ plain.components @ plain.components.T
    fitted.off = float(1 / np.quantile((residual**2).sum(axis=1), 1 - false_alarm / 3))
    fitted.smoothest = float(np.quantile(roughness(validation), false_alarm / 3))
    return fitted


def _standard(plain: novelty.Novelty, spreads: np.ndarray, spectra: np.ndarray) -> np.ndarray:
    return (spectra - plain.mean) * plain.scale @ plain.components / spreads


def _densities(measure: MixtureNovelty, points: np.ndarray) -> np.ndarray:
    """Logarithm of the share and density of each kind [n, kinds] at standardised scores."""
    white = np.einsum("nd,kde->nke", points, measure.roots)
    white -= np.einsum("kd,kde->ke", measure.centres, measure.roots)
    return measure.levels - 0.5 * (white**2).sum(axis=2)


def _kinds(
    points: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Centres, roots and levels of Gaussians, by expectation and maximisation."""
    count, size = points.shape
    kinds = min(KINDS, max(1, count // FOR_ONE))
    centres = points[rng.choice(count, kinds, replace=False)]
    nearest = ((points[:, None] - centres) ** 2).sum(axis=2).argmin(axis=1)
    shares = np.eye(kinds)[nearest]
    for _ in range(ROUNDS):
        weights = shares.sum(axis=0) + 1e-9
        centres = shares.T @ points / weights[:, None]
        roots, levels = np.empty((kinds, size, size)), np.empty(kinds)
        for kind in range(kinds):
            away = points - centres[kind]
            covariance = (away.T * shares[:, kind]) @ away / weights[kind] + RIDGE * np.eye(size)
            roots[kind] = np.linalg.cholesky(np.linalg.inv(covariance))
            levels[kind] = np.log(np.diag(roots[kind])).sum() + np.log(weights[kind] / count)
        white = np.einsum("nd,kde->nke", points, roots)
        white -= np.einsum("kd,kde->ke", centres, roots)
        logs = levels - 0.5 * (white**2).sum(axis=2)
        shares = np.exp(logs - logs.max(axis=1, keepdims=True))
        shares /= shares.sum(axis=1, keepdims=True)
    return centres, roots, levels
