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

    `mean` and `scale` [pixels] standardise a spectrum; `components` [pixels, COMPONENTS] are
    orthonormal; `within` [COMPONENTS] and `off` weigh the squared scores and the squared residual.
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


def fit(
    training: np.ndarray,
    validation: np.ndarray,
    false_alarm: float,
    count: int = COMPONENTS,
) -> Novelty:
    """As many components as `count` from `training`, limits from `validation`.

    About `false_alarm` of spectra like the validation set exceed 1: each of the two distances is
    granted half of it.
    """
    mean = training.mean(axis=0)
    centred = training - mean
    # Each pixel counts by its spread off the main subspace, found without weights at first.
    components, _ = _principal(centred, count)
    scale = 1 / (centred - centred @ components @ components.T).std(axis=0)
    components, variances = _principal(centred * scale, count)
    checked = (validation - mean) * scale
    scores = checked @ components
    residual = checked - scores @ components.T
    quantile = 1 - false_alarm / 2
    within = np.quantile((scores**2 / variances).sum(axis=1), quantile)
    off = np.quantile((residual**2).sum(axis=1), quantile)
    return Novelty(mean, scale, components, 1 / (variances * within), float(1 / off))


def _principal(centred: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Leading principal components [pixels, count] and the variances along them."""
    if len(centred) < centred.shape[1]:
        # Fewer spectra than pixels: the covariance would be the larger matrix.
        singular, vectors = np.linalg.svd(centred, full_matrices=False)[1:]
        return vectors[:count].T, singular[:count] ** 2 / len(centred)
    variances, vectors = np.linalg.eigh(centred.T @ centred / len(centred))
    return vectors[:, : -count - 1 : -1], variances[: -count - 1 : -1]
