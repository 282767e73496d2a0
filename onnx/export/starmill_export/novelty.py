"""How unlike the training inputs a spectrum is: distance within, and off, their main subspace.

Hotelling's T^2 in the leading principal components and the squared residual Q off them, each over
its own limit; a spectrum is outside where the larger ratio exceeds 1.
"""

from dataclasses import dataclass

import numpy as np

COMPONENTS = 20


@dataclass
class Novelty:
    """Constants of the measure.

    `mean` [pixels]; `scale` [pixels], the weight of each residual; `components`
    [pixels, COMPONENTS], orthonormal; `within_limit` [COMPONENTS] and `off_limit` are the
    factors of the squared scores and of the squared residual.
    """

    mean: np.ndarray
    scale: np.ndarray
    components: np.ndarray
    within: np.ndarray
    off: float

    def __call__(self, spectra: np.ndarray) -> np.ndarray:
        """Novelty [n] of prepared spectra [n, pixels]."""
        centred = (spectra - self.mean) * self.scale
        scores = centred @ self.components
        residual = centred - scores @ self.components.T
        within = (scores**2) @ self.within
        return np.maximum(within, (residual**2).sum(axis=1) * self.off)


def fit(training: np.ndarray, validation: np.ndarray, false_alarm: float) -> Novelty:
    """Components from `training`, limits from `validation`.

    About `false_alarm` of spectra like the validation set exceed 1: each of the two distances is
    granted half of it.
    """
    mean = training.mean(axis=0)
    centred = training - mean
    scale = 1 / _residual_spread(centred)
    _, values, rows = np.linalg.svd(_covariance_root(centred * scale))
    components = rows[:COMPONENTS].T
    variances = values[:COMPONENTS] ** 2
    measure = Novelty(mean, scale, components, 1 / variances, 1.0)
    checked = (validation - mean) * scale
    scores = checked @ components
    quantile = 1 - false_alarm / 2
    within = np.quantile((scores**2) @ measure.within, quantile)
    residual = checked - scores @ components.T
    off = np.quantile((residual**2).sum(axis=1), quantile)
    return Novelty(mean, scale, components, measure.within / within, float(1 / off))


def _covariance_root(centred: np.ndarray) -> np.ndarray:
    covariance = centred.T @ centred / len(centred)
    return np.linalg.cholesky(covariance).T


def _residual_spread(centred: np.ndarray) -> np.ndarray:
    """Spread of each pixel off the unweighted main subspace."""
    components = np.linalg.svd(_covariance_root(centred))[2][:COMPONENTS].T
    residual = centred - centred @ components @ components.T
    return residual.std(axis=0)
