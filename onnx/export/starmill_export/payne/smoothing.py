"""Spectra at another resolving power and on other pixels, and the normalisation of the paper.

Both are linear in the flux, so that they are matrices: nothing but products is left for a network
whose last layer is linear.
"""

import numpy as np
from scipy import sparse

SIGMA_OF_FWHM = 1 / np.sqrt(8 * np.log(2))
REACH = 4.5
"""Where a Gaussian is cut off, in sigma."""


def gaussian(source: np.ndarray, target: np.ndarray, fwhm: np.ndarray | float) -> sparse.csr_array:
    """Gaussian means [target, source] around the target wavelengths, one weight a source pixel.

    Both wavelengths increase; the means are over source pixels, so `source` has an even step, or
    the step of its pixels is part of what is meant, as in `normalisation`.
    """
    sigma = np.broadcast_to(np.asarray(fwhm, float) * SIGMA_OF_FWHM, target.shape)
    first = np.searchsorted(source, target - REACH * sigma)
    last = np.searchsorted(source, target + REACH * sigma)
    if first[0] == 0 or last[-1] == len(source):
        raise ValueError("the source is too short for the target: widen its margins")
    counts = last - first
    starts = np.concatenate([[0], np.cumsum(counts)])
    columns = np.arange(starts[-1]) - np.repeat(starts[:-1] - first, counts)
    distance = (source[columns] - np.repeat(target, counts)) / np.repeat(sigma, counts)
    weights = np.exp(-0.5 * distance**2)
    weights /= np.repeat(np.add.reduceat(weights, starts[:-1]), counts)
    return sparse.csr_array((weights, columns, starts), shape=(len(target), len(source)))


def to_resolution(
    source: np.ndarray, target: np.ndarray, resolving_power: float, own_fwhm: np.ndarray | float
) -> sparse.csr_array:
    """Smoothing from the width that spectra have to a resolving power, at vacuum wavelengths."""
    wanted = target / resolving_power
    return gaussian(source, target, np.sqrt(wanted**2 - np.asarray(own_fwhm) ** 2))


def normalisation(pixels: np.ndarray, target: np.ndarray, fwhm: float) -> sparse.csr_array:
    """What the flux is divided by: itself, smoothed by a Gaussian of `fwhm` Angstrom.

    Every pixel of the survey's logarithmic grid has the same weight.
    """
    return gaussian(pixels, target, fwhm)
