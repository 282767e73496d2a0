"""The recipe of medium-resolution spectra on many spectra at once, for training.

The slow reference, one spectrum at a time, is `mrs_prepare`. The polynomial fit is a projection:
on a fixed grid one orthonormal basis serves every spectrum and every refit.
"""

import numpy as np

WINDOWS = [(4968.0, 5328.0), (6339.0, 6699.0)]
STEP = 0.1
ORDER = 5
LOWER, UPPER = 3.0, 4.0
MOST_FITS = 100
CLIP = (-0.5, 2.5)


def grid(window: tuple[float, float]) -> np.ndarray:
    """Vacuum wavelengths of one window; its end is no pixel."""
    first, last = window
    return first + STEP * np.arange(round((last - first) / STEP))


GRIDS = [grid(window) for window in WINDOWS]
PIXELS = sum(len(wave) for wave in GRIDS)
SPLIT = len(GRIDS[0])


def _basis(wave: np.ndarray) -> np.ndarray:
    """Orthonormal polynomials [pixels, ORDER + 1] in the standardised log10 of wavelength."""
    log = np.log10(wave)
    x = (log - log.mean()) / log.std()
    return np.linalg.qr(np.vander(x, ORDER + 1, increasing=True))[0].astype(np.float32)


BASES = [_basis(wave) for wave in GRIDS]


def normalise(resampled: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Despike, divide by the continuum and clip: [n, PIXELS] -> the same, and which rows are fit.

    A row is unfit where its continuum is not positive everywhere.
    """
    result = np.empty(resampled.shape, np.float32)
    usable = np.ones(len(resampled), bool)
    start = 0
    for basis in BASES:
        window = slice(start, start + len(basis))
        flux = despike(resampled[:, window])
        continuum = fit_continuum(flux, basis)
        positive = continuum.min(axis=1) > 0
        usable &= positive
        result[:, window] = np.divide(
            flux, continuum, out=np.zeros_like(flux), where=positive[:, None]
        )
        start += len(basis)
    return np.clip(result, *CLIP, out=result), usable


def despike(flux: np.ndarray) -> np.ndarray:
    """Replace what is far from the running median of 3; zeros stand beyond the ends."""
    padded = np.pad(flux, ((0, 0), (1, 1)))
    left, right = padded[:, :-2], padded[:, 2:]
    # The median of three without a sort.
    low, high = np.minimum(left, right), np.maximum(left, right)
    median = np.clip(flux, low, high)
    above = median - flux
    sigma = above.std(axis=1, keepdims=True)
    stays = (above > -UPPER * sigma) & (above < LOWER * sigma)
    return np.where(stays, flux, median)


def fit_continuum(flux: np.ndarray, basis: np.ndarray) -> np.ndarray:
    """Polynomials [n, pixels], refitted with outliers replaced by the fit until none is left."""
    # Around their mean and in units of it, float32 keeps its digits.
    level = flux.mean(axis=1, keepdims=True)
    level[level == 0] = 1
    values = flux / level
    fitted = np.empty_like(values)
    active = np.arange(len(values))
    for _ in range(MOST_FITS):
        rows = values[active]
        fit = (rows @ basis) @ basis.T
        fitted[active] = fit
        above = fit - rows
        sigma = above.std(axis=1, keepdims=True)
        stays = (above > -UPPER * sigma) & (above < LOWER * sigma)
        unsettled = ~(stays.all(axis=1) | (sigma[:, 0] <= 1e-6))
        if not unsettled.any():
            break
        active = active[unsettled]
        values[active] = np.where(stays, rows, fit)[unsettled]
    return fitted * level
