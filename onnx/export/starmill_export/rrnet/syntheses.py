"""The grid of SYNSPEC spectra that the emulator learns from."""

import itertools
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from starmill_export.rrnet import labels as names

FWHM = 0.2
"""Width of the grid's line profiles in Angstrom."""

SIGMA_OF_FWHM = 1 / np.sqrt(8 * np.log(2))


@dataclass
class Syntheses:
    """Continuum-normalised flux [n, pixels] at air wavelengths, for labels [n, SYNTHESIS]."""

    labels: np.ndarray
    flux: np.ndarray
    air: np.ndarray

    def rows(self, chosen: np.ndarray) -> "Syntheses":
        """Only these rows."""
        return Syntheses(self.labels[chosen], self.flux[chosen], self.air)


def load(paths: list[Path]) -> Syntheses:
    """The grid of RRNet, without its carbon stars; raises ValueError as `read` does."""
    stacked = read(paths, names.SYNTHESIS)
    return stacked.rows(~names.is_carbon_star(stacked.labels))


def read(paths: list[Path], label_names: list[str]) -> Syntheses:
    """Read and stack archives of the arrays labels, label_names, flux and wavelength_air.

    Raises ValueError where an archive has other labels or pixels.
    """
    parts = []
    for path in paths:
        with np.load(path, allow_pickle=False) as archive:
            if archive["label_names"].tolist() != label_names:
                raise ValueError(f"{path}: other labels than {label_names}: compute it anew")
            parts.append(
                Syntheses(
                    archive["labels"].astype(float),
                    archive["flux"].astype(np.float32),
                    archive["wavelength_air"],
                )
            )
    if any(not np.array_equal(part.air, parts[0].air) for part in parts):
        raise ValueError("the archives have different pixels: compute them with one command")
    return Syntheses(
        np.concatenate([part.labels for part in parts]),
        np.concatenate([part.flux for part in parts]),
        parts[0].air,
    )


def windows(air: np.ndarray) -> list[slice]:
    """The stretches of constant step, which a gap parts."""
    step = air[1] - air[0]
    ends = [0, *(np.flatnonzero(np.diff(air) > 1.5 * step) + 1), len(air)]
    return [slice(first, last) for first, last in itertools.pairwise(ends)]


def at_resolution(flux: np.ndarray, air: np.ndarray, resolving_power: float) -> np.ndarray:
    """Smooth spectra of the grid's own FWHM to a resolving power, window by window."""
    result = np.empty_like(flux)
    for window in windows(air):
        wave = air[window]
        wanted = wave.mean() / resolving_power
        if wanted < FWHM:
            raise ValueError(f"R = {resolving_power} is finer than the grid: at most 24000")
        sigma = np.sqrt(wanted**2 - FWHM**2) * SIGMA_OF_FWHM / (wave[1] - wave[0])
        result[:, window] = gaussian(flux[:, window], sigma)
    return result


def gaussian(flux: np.ndarray, sigma: float | np.ndarray) -> np.ndarray:
    """Convolve rows with a Gaussian of `sigma` pixels (one for all, or one a row).

    The ends are held constant beyond the last pixel.
    """
    widths = np.broadcast_to(np.asarray(sigma, float), len(flux))
    margin = int(np.ceil(5 * widths.max())) + 1
    padded = np.pad(flux, ((0, 0), (margin, margin)), mode="edge")
    frequency = np.fft.rfftfreq(padded.shape[1])
    transfer = np.exp(-2 * (np.pi * widths[:, None] * frequency) ** 2)
    smooth = np.fft.irfft(np.fft.rfft(padded, axis=1) * transfer, n=padded.shape[1], axis=1)
    return smooth[:, margin:-margin].astype(flux.dtype)
