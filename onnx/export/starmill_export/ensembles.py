"""An ensemble of point regressors: labels, their errors, and the covariance of these.

A net that was trained on squared errors says nothing of its own. Members that differ by their seeds
alone say how much of an error is the training's: their spread is the raw error, which is too small,
since noise and wrong labels fool all members alike. The calibrated one comes from residuals of
validation spectra. For each label

    ln(sigma) = a + sum over features of b f,

where the features are what a graph knows of a spectrum that it is given alone: the labels and their
squares, the logarithm of each label's spread, and logarithms of the roughness of the pixels, its
square and the novelty, which stand for S/N. The coefficients have the largest likelihood for
residuals of a Laplace distribution, of which single wrong labels move less than of a Gaussian one;
then each label's sigma is scaled until 68 % of the validation residuals lie within it.

Residuals over their sigma are correlated, and all alike: with their correlation C and its smallest
eigenvalue e, C - e is A^T A with one row less than there are labels. So factors F = A sigma and the
sigma of the labels are all that the covariance needs:

    covariance = sigma C sigma = F^T F + diag(sigma^2 - sum over the rows of F^2).
"""

from dataclasses import dataclass

import numpy as np

from starmill_export import network
from starmill_export.guard import GuardedNovelty
from starmill_export.mixture import MixtureNovelty
from starmill_export.novelty import Novelty
from starmill_export.rrnet.calibration import roughness

EDGE = 0.005
"""Share of the validation spectra beyond either bound of a feature: none is followed farther."""

WITHIN = 0.6827
"""Share of the residuals within one sigma."""

WITHIN_TWO = 0.9545
"""And within two, if they are Gaussian."""

PENALTY = 1e-3
"""Of the square of a coefficient, in a mean over spectra: features that say the same share it."""

MOST_STEPS = 50


@dataclass(frozen=True)
class Errors:
    """Calibrated errors, in scaled labels.

    `bounds` [2, features] is where features are held; `offset` [labels] and `slopes`
    [features, labels] give ln(sigma) from them; `loadings` [labels - 1, labels] is A.
    """

    bounds: np.ndarray
    offset: np.ndarray
    slopes: np.ndarray
    loadings: np.ndarray

    def sigma(self, features: np.ndarray) -> np.ndarray:
        """Sigma [n, labels] from `features` [n, features]."""
        held = np.clip(features, *self.bounds.astype(np.float64))
        return np.exp(held @ self.slopes.astype(np.float64) + self.offset)


@dataclass
class Ensemble:
    """Everything that the graph holds; `mean` and `spread` scale labels to physical units."""

    members: list[network.Parameters]
    mean: np.ndarray
    spread: np.ndarray
    novelty: Novelty | MixtureNovelty | GuardedNovelty
    errors: Errors

    def __call__(self, spectra: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Labels [n, labels] and novelty [n] in float64, as `graph.Model` gives them."""
        found = self.outputs(spectra)
        return found["labels"], found["novelty"]

    def outputs(self, spectra: np.ndarray) -> dict[str, np.ndarray]:
        """The graph's outputs by name, in float64: the reference for the graph."""
        spectra = spectra.astype(np.float64)
        mean, raw = combine(self.members, spectra)
        novelty = self.novelty(spectra)
        sigma = self.errors.sigma(features(mean, raw, spectra, novelty)) * self.spread
        return {
            "labels": mean * self.spread + self.mean,
            "sigma": sigma,
            "factors": sigma[:, None, :] * self.errors.loadings,
            "sigma_raw": raw * self.spread,
            "novelty": novelty,
        }


def rounded(parameters: network.Parameters) -> network.Parameters:
    """The same with weights that float16 holds, as the graph stores them; biases stay."""
    return [(weight.astype(np.float16).astype(np.float32), bias) for weight, bias in parameters]


def combine(
    members: list[network.Parameters], spectra: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and spread [n, labels] of the members' scaled labels."""
    found = np.stack([network.forward(member, spectra) for member in members])
    return found.mean(axis=0), found.std(axis=0, ddof=1)


def features(
    mean: np.ndarray, raw: np.ndarray, spectra: np.ndarray, novelty: np.ndarray
) -> np.ndarray:
    """What ln(sigma) is linear in [n, 3 labels + 3]; minus infinity where members agree."""
    with np.errstate(divide="ignore"):
        level, logged, distance = (np.log(value) for value in (roughness(spectra), raw, novelty))
    last = np.column_stack([level, level**2, distance])
    return np.concatenate([mean, mean**2, logged, last], axis=1)


def calibrate(
    members: list[network.Parameters],
    novelty: Novelty | MixtureNovelty | GuardedNovelty,
    spectra: np.ndarray,
    labels: np.ndarray,
) -> Errors:
    """Fit errors to validation `spectra` [n, pixels] and their scaled `labels` [n, labels]."""
    spectra = spectra.astype(np.float64)
    mean, raw = combine(members, spectra)
    given = features(mean, raw, spectra, novelty(spectra))
    bounds = np.quantile(given, [EDGE, 1 - EDGE], axis=0, method="nearest")
    # A feature that has no finite bound or does not vary is one that says nothing.
    bounds = np.where(np.isfinite(bounds).all(axis=0), bounds, 0.0).astype(np.float32)
    held = np.clip(given, *bounds.astype(np.float64))
    centre, scale = held.mean(axis=0), held.std(axis=0)
    scale[scale == 0] = 1.0
    residuals = labels - mean
    standard = (held - centre) / scale
    fitted = [_largest_likelihood(standard, np.abs(column)) for column in residuals.T]
    slopes = (np.stack(fitted, axis=1)[1:] / scale[:, None]).astype(np.float32)
    unscaled = np.exp(held @ slopes.astype(np.float64))
    pulls = residuals / unscaled
    offset = np.log(np.quantile(np.abs(pulls), WITHIN, axis=0))
    return Errors(bounds, offset.astype(np.float32), slopes, loadings(pulls / np.exp(offset)))


def coverage(residuals: np.ndarray, found: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Shares of `residuals` [n, labels] within one and two of the errors that `outputs` gave.

    By name: `raw` and `calibrated` [2, labels], and `joint` [2], of the vectors of residuals within
    the ellipsoids of the covariance that are to hold as many.
    """
    sigma, factors = found["sigma"], found["factors"]
    covariance = np.einsum("nkl,nkm->nlm", factors, factors)
    diagonal = np.arange(sigma.shape[1])
    covariance[:, diagonal, diagonal] = sigma**2
    white = np.linalg.solve(covariance, residuals[:, :, None])[:, :, 0]
    squares = (white * residuals).sum(axis=1)

    def within(errors: np.ndarray) -> np.ndarray:
        return np.array([np.mean(np.abs(residuals) < times * errors, axis=0) for times in (1, 2)])

    limits = [_chi_square(share, sigma.shape[1]) for share in (WITHIN, WITHIN_TWO)]
    return {
        "raw": within(found["sigma_raw"]),
        "calibrated": within(sigma),
        "joint": np.array([np.mean(squares < limit) for limit in limits]),
    }


def _chi_square(share: float, freedom: int) -> float:
    """The value that `share` of chi-squares lie below, by the drawing of many: three digits."""
    drawn = np.random.default_rng(1).standard_normal((1_000_000, freedom))
    return float(np.quantile((drawn**2).sum(axis=1), share))


def loadings(pulls: np.ndarray) -> np.ndarray:
    """A [labels - 1, labels] of residuals over their sigma [n, labels].

    Their correlation is that of their normal scores' ranks: a wrong label here and there would
    carry a moment away.
    """
    ranks = pulls.argsort(axis=0).argsort(axis=0)
    # Pearson's correlation of two normal deviates, from Spearman's of their ranks.
    correlation = 2 * np.sin(np.pi / 6 * np.corrcoef(ranks.T))
    values, vectors = np.linalg.eigh(correlation)
    kept = np.sqrt(np.maximum(values[1:] - max(values[0], 0.0), 0.0))
    return (kept[:, None] * vectors[:, 1:].T).astype(np.float32)


def _largest_likelihood(standard: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Find x of ln(scale) = x0 + standard x for residuals of these sizes: convex."""
    design = np.column_stack([np.ones(len(standard)), standard])
    ridge = np.full(design.shape[1], PENALTY)
    ridge[0] = 0.0

    def cost(x: np.ndarray) -> float:
        logs = design @ x
        return float(np.mean(logs + sizes * np.exp(-logs)) + ridge @ x**2 / 2)

    x = np.zeros(design.shape[1])
    x[0] = np.log(sizes.mean())
    for _ in range(MOST_STEPS):
        scaled = sizes * np.exp(-(design @ x))
        slope = design.T @ (1 - scaled) / len(sizes) + ridge * x
        curvature = design.T @ (design * scaled[:, None]) / len(sizes) + np.diag(ridge)
        step = np.linalg.solve(curvature, slope)
        size = 1.0
        while cost(x - size * step) > cost(x) and size > 1e-6:
            size /= 2
        x = x - size * step
        if np.abs(size * step).max() < 1e-8:
            break
    return x
