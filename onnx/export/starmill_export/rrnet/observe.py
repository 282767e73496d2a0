"""What lies between a star's atmosphere and the resampled spectrum of a LAMOST plate at R = 7500.

The spectrum is put on the native pixels of the survey, where noise is independent, and resampled
from there as the recipe does. Amplitudes are assumptions unless a comment says otherwise.
"""

from dataclasses import dataclass

import numpy as np
from numpy.polynomial import legendre

from starmill_export.instrument import LIGHT_SPEED, vacuum
from starmill_export.rrnet import batch_prepare, syntheses

EMULATED_RESOLUTION = 9500.0
"""Resolving power of the emulator: finer than any plate's, so that every plate can be reached."""

RESOLUTION, RESOLUTION_SCATTER = 7500.0, 350.0
LOG_STEP = 1e-5
"""Native pixels of LAMOST's medium-resolution coadds, in log10 of wavelength."""

SHAPE_TERMS = np.array([0.25, 0.12, 0.04, 0.02, 0.012, 0.008, 0.005])
"""Standard deviation of the Legendre terms, degree 1 and up, of ln(response) in one arm."""

SNR = (9.0, 200.0)
SPIKES = 1.5
RUN_SHARE, LONGEST_RUN = 0.1, 30


@dataclass
class Conditions:
    """What varies from spectrum to spectrum beside the labels; velocities in km/s."""

    rotation: np.ndarray
    resolution: np.ndarray
    velocity: np.ndarray
    velocity_error: np.ndarray
    snr: np.ndarray

    def rows(self, chosen: slice) -> "Conditions":
        """Only these rows."""
        return Conditions(**{name: values[chosen] for name, values in vars(self).items()})


def conditions(labels: np.ndarray, variant: str, rng: np.random.Generator) -> Conditions:
    """Draw them for labels [n, >= 2].

    `variant` is the paper's appendix C: `c` corrects velocities with a catalogue's errors, `cp`
    adds a perturbation of the size that training is to be robust against, `u` and `ur` leave
    the velocity in.
    """
    count = len(labels)
    teff = labels[:, 0]
    # Cool stars turn slowly; above about 6200 K convection no longer brakes them.
    rotation = rng.exponential(np.interp(teff, [5000, 6200, 7000], [3.0, 6.0, 35.0]))
    snr = np.exp(rng.normal(np.log(35), 0.75, (count, 1)) + np.array([0, 0.35]))
    # Cool stars are brighter in the red arm.
    snr[:, 1] *= np.interp(teff, [3700, 7000], [1.4, 0.95])
    snr = np.clip(snr, *SNR)
    # Formal errors of the survey's velocities are about 1 km/s and grow at low S/N.
    error = rng.normal(0, np.hypot(0.8, 25 / snr[:, 0]))
    velocity = rng.normal(0, np.where(rng.random(count) < 0.15, 120.0, 40.0))
    match variant:
        case "c":
            pass
        case "cp":
            error += rng.normal(0, 5.0, count)
        case "u" | "ur":
            error = velocity
        case _:
            raise ValueError(f"unknown variant {variant}: choose c, cp, u or ur")
    return Conditions(
        np.minimum(rotation, 100.0),
        np.clip(rng.normal(RESOLUTION, RESOLUTION_SCATTER, count), 6400, 9000),
        velocity,
        error,
        snr,
    )


def observe(
    flux: np.ndarray, air: np.ndarray, given: Conditions, rng: np.random.Generator
) -> np.ndarray:
    """Resampled flux [n, PIXELS] of emulated spectra [n, air] under the given conditions."""
    result = np.empty((len(flux), batch_prepare.PIXELS), np.float32)
    start = 0
    for arm, (source, wave) in enumerate(
        zip(syntheses.windows(air), batch_prepare.GRIDS, strict=True)
    ):
        broadened = resolve(flux[:, source], air[source], given)
        rest = vacuum(air[source])
        log = np.log10(wave[0]) - 2e-4, np.log10(wave[-1]) + 2e-4
        native_log = np.arange(log[0], log[1], LOG_STEP)
        response = _response(len(flux), len(native_log), rng)
        noisy = np.empty((len(flux), len(native_log)))
        # Every star has its own place on the pixels: the grid is shifted by a random part of one.
        phase = rng.random(len(flux)) * LOG_STEP
        grids = 10 ** (native_log + phase[:, None])
        left = 1 + given.velocity_error / LIGHT_SPEED
        for row in range(len(flux)):
            noisy[row] = np.interp(grids[row], rest * left[row], broadened[row])
        noisy *= response
        noisy += _noise(noisy, given.snr[:, arm], rng)
        _spoil(noisy, given.snr[:, arm], rng)
        for row in range(len(flux)):
            result[row, start : start + len(wave)] = np.interp(wave, grids[row], noisy[row])
        start += len(wave)
    return result


def resolve(flux: np.ndarray, air: np.ndarray, given: Conditions) -> np.ndarray:
    """Rotation and the resolution of the plate, as if the arm were at its middle wavelength."""
    step, centre = air[1] - air[0], air.mean()
    width = centre * np.sqrt(given.resolution**-2.0 - EMULATED_RESOLUTION**-2.0)
    sigma = width * syntheses.SIGMA_OF_FWHM / step
    return broaden(flux, sigma, given.rotation / LIGHT_SPEED * centre / step, margin=64)


def broaden(flux: np.ndarray, sigma: np.ndarray, rotation: np.ndarray, margin: int) -> np.ndarray:
    """Convolve row by row with a Gaussian and with a rotation profile, in Fourier space.

    `sigma` of the Gaussian and the half width of the rotation are in pixels; the spectra are held
    constant for `margin` pixels beyond their ends.
    """
    padded = np.pad(flux, ((0, 0), (margin, margin)), mode="edge")
    frequency = np.fft.rfftfreq(padded.shape[1])
    transfer = np.exp(-2 * (np.pi * sigma[:, None] * frequency) ** 2)
    transfer *= rotation_transfer(rotation, frequency)
    smooth = np.fft.irfft(np.fft.rfft(padded, axis=1) * transfer, n=padded.shape[1], axis=1)
    return smooth[:, margin:-margin]


def rotation_transfer(width: np.ndarray, frequency: np.ndarray) -> np.ndarray:
    """Fourier transform of Gray's rotation profile, limb darkening 0.6; half width in pixels."""
    darkening = 0.6
    # Points and angles enough for the fastest rotator: too few would make a comb of the profile.
    x = np.linspace(-1, 1, max(41, int(1.5 * width.max())))
    profile = 2 * (1 - darkening) * np.sqrt(1 - x**2) + 0.5 * np.pi * darkening * (1 - x**2)
    profile /= profile.sum()
    last = 2 * np.pi * width.max() * frequency[-1] + 1e-9
    turns = np.linspace(0, last, max(2000, int(25 * last)))
    table = np.cos(turns[:, None] * x) @ profile
    return np.interp(2 * np.pi * width[:, None] * frequency, turns, table)


def _response(count: int, pixels: int, rng: np.random.Generator) -> np.ndarray:
    """Counts per unit of normalised flux, mean near one: continuum, blaze and throughput."""
    terms = legendre.legvander(np.linspace(-1, 1, pixels), len(SHAPE_TERMS))[:, 1:]
    return np.exp((rng.normal(size=(count, len(SHAPE_TERMS))) * SHAPE_TERMS) @ terms.T)


def _noise(flux: np.ndarray, snr: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Photon noise, and that of the sky and the detector, for a mean S/N per native pixel."""
    level = flux.mean(axis=1, keepdims=True)
    sigma = level / snr[:, None] * np.sqrt(0.85 * np.maximum(flux / level, 0) + 0.15)
    return sigma * rng.standard_normal(flux.shape, dtype=np.float32)


def _spoil(flux: np.ndarray, snr: np.ndarray, rng: np.random.Generator) -> None:
    """Cosmic rays that the pipeline left, and runs of lost pixels that the survey bridges."""
    level = flux.mean(axis=1)
    for row, spikes in enumerate(rng.poisson(SPIKES, len(flux))):
        for pixel in rng.integers(1, flux.shape[1] - 2, spikes):
            height = level[row] * rng.exponential(20) / snr[row]
            flux[row, pixel : pixel + rng.integers(1, 3)] += height
    for row in np.flatnonzero(rng.random(len(flux)) < RUN_SHARE):
        length = rng.integers(2, LONGEST_RUN + 1)
        first = rng.integers(0, flux.shape[1] - length)
        run = slice(first, first + length)
        flux[row, run] = np.linspace(flux[row, first], flux[row, first + length - 1], length)
