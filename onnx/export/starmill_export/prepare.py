"""The recipe of a manifest for one spectrum, in float64: the reference for other implementations.

mask     which pixels count
degrade  top-hat means in bins of constant resolving power (Lustig-Yaeger et al. 2019)
zscore   equation 1 of Li et al. 2025
"""

from dataclasses import dataclass
from functools import cache

import numpy as np

EDGE_TOLERANCE = 4e-5
"""Relative slack for a pixel at the edge of the window: wavelengths are stored as float32."""


class Reject(Exception):
    """A spectrum that the recipe excludes; `code` says why in one word."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass
class Spectrum:
    """One spectrum: vacuum Angstrom, relative flux, inverse variance and the two pixel masks."""

    wave: np.ndarray
    flux: np.ndarray
    ivar: np.ndarray
    andmask: np.ndarray
    ormask: np.ndarray
    fibermask: int = 0


@dataclass
class Prepared:
    """What each step gives; `window` indexes the spectrum, `good` has the window's length."""

    window: slice
    good: np.ndarray
    degraded: np.ndarray
    empty_bins: int
    input: np.ndarray


@cache
def grid(first: float, last: float, resolving_power: float) -> tuple[np.ndarray, np.ndarray]:
    """Centres and edges (one more) of the bins, Angstrom.

    As `coronagraph.construct_lam(first, last, Res=resolving_power)` and `downbin_spec` define them.
    """
    centres = [first]
    while centres[-1] < last + last / resolving_power:
        centres.append(centres[-1] + centres[-1] / resolving_power)
    centres = np.array(centres)
    widths = np.empty(len(centres) - 1)
    widths[0] = first / resolving_power
    widths[1:] = 0.5 * (centres[2:] - centres[:-2])
    # The last centre serves only to give the one before it a width.
    centres = centres[:-1]
    edges = np.append(centres - 0.5 * widths, centres[-1] + 0.5 * widths[-1])
    return centres, edges


def window(wave: np.ndarray, step: dict) -> slice:
    """The pixels between `first` and `last` of the degrade step."""
    _, edges = grid(step["first"], step["last"], step["resolving_power"])
    start = int(np.searchsorted(wave, step["first"] * (1 - EDGE_TOLERANCE), side="left"))
    end = int(np.searchsorted(wave, step["last"] * (1 + EDGE_TOLERANCE), side="right"))
    if start >= end or wave[start] >= edges[1] or wave[end - 1] < edges[-2]:
        raise Reject("wavelength_coverage")
    return slice(start, end)


def good_pixels(spectrum: Spectrum, pixels: slice, step: dict) -> np.ndarray:
    """Which pixels of the window are usable."""
    if step["fibermask"] == "reject" and spectrum.fibermask != 0:
        raise Reject("fiber_mask")
    if step["ormask"] == "reject" and spectrum.ormask[pixels].any():
        raise Reject("or_mask")
    ivar = spectrum.ivar[pixels]
    good = np.isfinite(ivar) & np.isfinite(spectrum.flux[pixels]) & (ivar > 0)
    if step["pixels"] != "none":
        good &= getattr(spectrum, step["pixels"])[pixels] == 0
    if np.count_nonzero(~good) > step["max_bad_fraction"] * len(good):
        raise Reject("too_many_bad_pixels")
    return good


def degrade(
    spectrum: Spectrum, pixels: slice, good: np.ndarray, step: dict
) -> tuple[np.ndarray, int]:
    """Mean of each bin and the number of bins that had no usable pixel."""
    centres, edges = grid(step["first"], step["last"], step["resolving_power"])
    flux = spectrum.flux[pixels]
    weights = {
        "uniform": np.isfinite(flux).astype(float),
        "good": good.astype(float),
        "ivar": np.where(good, spectrum.ivar[pixels], 0.0),
    }[step["weighting"]]
    bins = np.searchsorted(edges, spectrum.wave[pixels], side="right") - 1
    use = weights > 0
    total = np.bincount(bins[use], weights[use] * flux[use], minlength=len(centres))
    weight = np.bincount(bins[use], weights[use], minlength=len(centres))
    known = weight > 0
    empty = int(np.count_nonzero(~known))
    if empty > step["max_empty_bins"] or not known.any():
        raise Reject("too_many_bad_pixels")
    # numpy.interp repeats the nearest value beyond either end.
    return np.interp(centres, centres[known], total[known] / weight[known]), empty


def zscore(values: np.ndarray) -> np.ndarray:
    """Scale to zero mean and unit population standard deviation."""
    mean, deviation = values.mean(), values.std()
    if not np.isfinite(deviation) or deviation <= 1e-7 * abs(mean):
        raise Reject("flat_spectrum")
    return (values - mean) / deviation


def prepare(spectrum: Spectrum, recipe: list[dict]) -> Prepared:
    """Apply the steps of a manifest's `recipe` (mask, degrade, zscore).

    Raises Reject where a step's rule excludes the spectrum.
    """
    mask_step, degrade_step, _ = recipe
    pixels = window(spectrum.wave, degrade_step)
    good = good_pixels(spectrum, pixels, mask_step)
    degraded, empty = degrade(spectrum, pixels, good, degrade_step)
    return Prepared(pixels, good, degraded, empty, zscore(degraded))
