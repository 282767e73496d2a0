"""Limits that one in a hundred good rows exceeds, whatever their S/N."""

import numpy as np

from starmill_export.consistency.compare import Verdicts, joined

KNOTS = 6
"""Limits at even steps of the square root of the model's part of the variance, from 0 to 1."""

ROUNDS = 30
"""Steps in which the curves are moved until rows of each S/N are flagged alike."""

START = {"whole": 0.995, "region": 0.998}
"""Quantiles from which they start, which set how strict both are in proportion."""

FEWEST = 3000.0
"""Values without which a knot follows its neighbours, and a region has no factor of its own."""

LEAST_SHARE, LEAST_FACTOR = 0.1, 0.1
"""Where the model counts enough to tell regions apart."""


def at(curve: np.ndarray, share: np.ndarray) -> np.ndarray:
    """The limit for a part of the variance."""
    return np.interp(np.sqrt(share), np.linspace(0, 1, len(curve)), curve)


def curve(share: np.ndarray, chi2: np.ndarray, level: float) -> np.ndarray:
    """A quantile of chi-square around each knot, never falling."""
    places = np.linspace(0, 1, KNOTS)
    order = np.argsort(chi2)
    share, chi2 = np.sqrt(share[order]), chi2[order]
    found = np.full(KNOTS, np.nan)
    for knot in range(KNOTS):
        weight = np.cumsum(np.maximum(0, 1 - np.abs(share * (KNOTS - 1) - knot)))
        if weight[-1] >= FEWEST:
            found[knot] = chi2[np.searchsorted(weight, level * weight[-1])]
    known = ~np.isnan(found)
    return np.maximum.accumulate(np.interp(places, places[known], found[known]))


def excess(
    verdicts: Verdicts, whole: np.ndarray, region: np.ndarray, factors: np.ndarray
) -> np.ndarray:
    """By how much rows are beyond the limit that they exceed most."""
    of_regions = region[0] + factors * (at(region, verdicts.region_share) - region[0])
    worst = (verdicts.region_chi2 / of_regions).max(axis=1)
    return np.maximum(verdicts.chi2 / at(whole, verdicts.share), worst)


def flagged(
    verdicts: Verdicts, whole: np.ndarray, region: np.ndarray, factors: np.ndarray
) -> np.ndarray:
    """Which rows are beyond a limit."""
    return excess(verdicts, whole, region, factors) > 1


def calibrated(
    by_snr: list[Verdicts], false_alarm: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Curves of the whole and of regions, and a factor of the latter for each region.

    Beyond them are `false_alarm` of the rows of each S/N. Without factors the regions in which
    errors of labels do most would set the limit of all.
    """
    together = joined(by_snr)
    share, chi2 = together.region_share, together.region_chi2
    measured = chi2 > 0
    whole = curve(together.share, together.chi2, START["whole"])
    region = curve(share[measured], chi2[measured], START["region"])
    places = np.linspace(0, 1, KNOTS)
    shares = [np.sqrt(np.median(one.share)) for one in by_snr]
    factors = _factors(share, chi2, region)
    for _ in range(ROUNDS):
        over = [np.quantile(excess(one, whole, region, factors), 1 - false_alarm) for one in by_snr]
        factor = np.sqrt(np.interp(places, shares, over))
        whole, region = whole * factor, region * factor
    return whole, region, factors


def _factors(share: np.ndarray, chi2: np.ndarray, region: np.ndarray) -> np.ndarray:
    """How far each region must go above the limit of noise, in parts of what the curve does."""
    factors = np.ones(chi2.shape[1])
    for at_region in range(len(factors)):
        counts = (share[:, at_region] > LEAST_SHARE) & (chi2[:, at_region] > 0)
        if counts.sum() >= FEWEST:
            limit = at(region, share[counts, at_region])
            parts = (chi2[counts, at_region] - region[0]) / (limit - region[0])
            factors[at_region] = max(np.quantile(parts, START["region"]), LEAST_FACTOR)
    return factors
