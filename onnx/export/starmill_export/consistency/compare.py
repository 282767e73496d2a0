"""Chi-square of rows: what `src/fit/consistency.rs` does, written apart, for many stars at once."""

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.linalg import toeplitz

FWHM = 50.0
IN_FWHM = 4
REACH = 6
GROUPS_IN_REGION = 8
FEWEST_IN_REGION = 20
FEWEST_UNDER_KERNEL = 5


@dataclass(frozen=True)
class Verdicts:
    """Reduced chi-squares and the model's part of the variance: [stars] and [stars, regions]."""

    chi2: np.ndarray
    share: np.ndarray
    region_chi2: np.ndarray
    region_share: np.ndarray


class Grid:
    """Pixels in groups of a quarter of the kernel's FWHM."""

    def __init__(self, wave: np.ndarray, good: np.ndarray) -> None:
        place = wave / (FWHM / IN_FWHM)
        self.group = np.floor(place).astype(int)
        self.group -= self.group[0]
        self.offset = place % 1 - 0.5
        self.first = np.floor(place[0])
        self.good = good
        count = self.group[-1] + 1
        ones = np.ones(len(wave))
        self._sum = sparse.csr_matrix(
            (ones, (self.group, np.arange(len(wave)))), (count, len(wave))
        )
        apart = np.arange(count)
        weights = np.where(apart <= REACH, 2.0 ** (-4 * (apart / IN_FWHM) ** 2), 0)
        self._kernel = toeplitz(weights)

    def region(self, number: int) -> tuple[float, float]:
        """First and last wavelength of a region."""
        ends = self.first + GROUPS_IN_REGION * np.array([number, number + 1])
        first, last = ends * FWHM / IN_FWHM
        return float(first), float(last)

    def verdicts(
        self, data: np.ndarray, ivar: np.ndarray, model: np.ndarray, variance: np.ndarray
    ) -> Verdicts:
        """Hold data [stars, pixels] against a model at rest; `variance` is the model's."""
        ivar = ivar * self.good
        continuum, weight = self._continuum(data, ivar, model)
        known = continuum > 0
        rise = _rise(continuum)
        smooth = continuum[:, self.group] + rise[:, self.group] * self.offset
        total = ivar / (1 + ivar * variance * smooth**2)
        chi2 = self._by_group(total * (data - model * smooth) ** 2) * known
        share = self._by_group(total * variance * smooth**2) * known
        pixels = self._by_group((ivar > 0).astype(float))
        near = weight @ self._kernel
        with np.errstate(invalid="ignore", divide="ignore"):
            taken = weight * (2 - weight @ self._kernel**2 / near) / near
        freedom = np.where(known, np.maximum(pixels - taken, 0), 0)
        starts = np.arange(0, chi2.shape[1], GROUPS_IN_REGION)
        regions = [np.add.reduceat(x, starts, axis=1) for x in (chi2, freedom, share, pixels)]
        enough = regions[1] >= FEWEST_IN_REGION
        with np.errstate(invalid="ignore", divide="ignore"):
            of_regions = np.where(enough, regions[0] / regions[1], 0)
            shares = np.where(enough, regions[2] / regions[3], 0)
        return Verdicts(
            chi2.sum(1) / freedom.sum(1), share.sum(1) / pixels.sum(1), of_regions, shares
        )

    def _by_group(self, values: np.ndarray) -> np.ndarray:
        return (self._sum @ values.T).T

    def _continuum(
        self, data: np.ndarray, ivar: np.ndarray, model: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Ratio of data to model in each group, in two steps, and the weights that it leaves."""
        above, below = self._by_group(ivar * data), self._by_group(ivar * model)
        is_known = self._by_group((ivar > 0).astype(float)) @ self._kernel >= FEWEST_UNDER_KERNEL

        def ratio() -> np.ndarray:
            of_data, of_model = above @ self._kernel, below @ self._kernel
            positive = is_known & (of_data > 0) & (of_model > 0)
            return np.divide(of_data, of_model, out=np.zeros_like(above), where=positive)

        first = ratio()
        above, below = above * first, below * first**2
        return first * ratio(), below


def _rise(continuum: np.ndarray) -> np.ndarray:
    """How much the continuum rises within each group, from neighbours that are known."""
    known = np.where(continuum > 0, continuum, np.nan)
    step = np.diff(known, axis=1)
    none = np.full((len(known), 1), np.nan)
    before, after = np.hstack([none, step]), np.hstack([step, none])
    both = np.where(
        np.isnan(before), after, np.where(np.isnan(after), before, (before + after) / 2)
    )
    return np.nan_to_num(both)


def joined(parts: list[Verdicts]) -> Verdicts:
    """Verdicts one behind the other."""
    return Verdicts(
        *(np.concatenate([vars(part)[name] for part in parts]) for name in vars(parts[0]))
    )
