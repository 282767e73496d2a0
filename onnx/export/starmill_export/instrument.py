"""What lies between a star's atmosphere and a LAMOST file, in batches on the native pixels.

The calibration errors have the size of the differences between repeat visits of one star in LAMOST
DR8, which the model card lists beside them; the other amplitudes are assumptions.
"""

import numpy as np
from numpy.polynomial import legendre

from starmill_export.bossbrain import FWHM

LIGHT_SPEED = 299792.458
FIRST_LOG, LOG_STEP = 3.5682, 1e-4
WINDOW_START, WINDOW_PIXELS = 339, 3076

NATIVE = 10 ** (FIRST_LOG + LOG_STEP * (WINDOW_START + np.arange(WINDOW_PIXELS)))
"""LAMOST's log-linear pixels from 4000.4 to 8120.8 A (vacuum): the window of the recipe."""

# Standard deviation of the Legendre terms, degree 1 and up, of ln(flux calibration error).
CALIBRATION_TERMS = np.array([0.13, 0.045, 0.02, 0.02, 0.014, 0.010, 0.009, 0.008, 0.007, 0.008])
# The error left on the scale of a bin of the recipe, and within the join of the two arms.
FINE_ERROR, FINE_PIXELS = 0.010, 25
# The blue and the red arm of the spectrographs meet here.
ARM_JOIN, ARM_JOIN_WINDOW, ARM_JOIN_ERROR = 5900.0, (5650.0, 6000.0), 0.02

# Absorption bands of the atmosphere: first and last wavelength (vacuum), mean depth, gas.
TELLURIC_BANDS = [
    (6278.0, 6320.0, 0.03, "oxygen"),
    (6869.0, 6945.0, 0.13, "oxygen"),
    (7595.0, 7705.0, 0.33, "oxygen"),
    (5885.0, 5990.0, 0.015, "water"),
    (6475.0, 6590.0, 0.015, "water"),
    (6945.0, 7080.0, 0.015, "water"),
    (7165.0, 7345.0, 0.08, "water"),
    (8115.0, 8370.0, 0.12, "water"),
]

# The pipeline divides them out: in spectra of DR1 to DR10 the flux in the bands of oxygen and water
# is that beside them within 2 %. So large is the part that it leaves or takes too much.
TELLURIC_ERROR = {"oxygen": 0.1, "water": 0.25}

DARKEST = 1e-3
"""Normalised flux below which there is none."""

LINE_ERROR, LINE_REGION = 0.07, 50.0
"""Of the logarithm of normalised flux, and over how many Angstrom it changes."""

WRONG_LINES = [(4150.0, 4225.0, 0.15), (4265.0, 4330.0, 0.15), (4965.0, 5030.0, 0.25)]
"""The same where real stars differ more: CN, CH, and what the lists of dwarfs have at 5000 A."""

A_BAND = (7580.0, 7680.0)
SODIUM = (5891.6, 5897.6)
SKY_LINES = [5578.9, 6302.0, 6365.5]


def vacuum(air: np.ndarray) -> np.ndarray:
    """Vacuum wavelength of an air wavelength, Angstrom (Edlen 1953)."""
    squared = (1e4 / air) ** 2
    return air * (1 + 6.4328e-5 + 2.94981e-2 / (146 - squared) + 2.5540e-4 / (41 - squared))


def radial_velocity(count: int, rng: np.random.Generator) -> np.ndarray:
    """Velocities in km/s: disc stars, and one in five from the halo."""
    spread = np.where(rng.random(count) < 0.2, 150.0, 45.0)
    return rng.normal(0.0, spread)


def line_errors(flux: np.ndarray, air: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Normalised spectra [n, air] with lines somewhat stronger or weaker, region by region.

    Line lists and one-dimensional LTE are wrong so; a net that is not to lean on details which no
    star has must not find them alike in all of its training stars.
    """
    nodes = np.arange(air[0], air[-1] + LINE_REGION, LINE_REGION)
    hats = np.array([np.interp(air, nodes, row) for row in np.eye(len(nodes))], np.float32)
    errors = np.full(len(nodes), LINE_ERROR)
    for first, last, error in WRONG_LINES:
        errors[(nodes >= first) & (nodes <= last)] = error
    strengths = rng.normal(0, errors, (len(flux), len(nodes))).astype(np.float32)
    # Emulators may go below zero in the darkest lines.
    return np.maximum(flux, DARKEST) ** (1 + strengths @ hats)


def observe_lines(
    flux: np.ndarray, air: np.ndarray, velocity: np.ndarray, resolving_power: np.ndarray
) -> np.ndarray:
    """Shift and broaden normalised spectra [n, air] onto the native pixels, [n, native]."""
    margin = 40
    logs = FIRST_LOG + LOG_STEP * (WINDOW_START + np.arange(-margin, WINDOW_PIXELS + margin))
    pixels = logs * np.log(10)
    source = np.log(vacuum(air))
    shift = velocity / LIGHT_SPEED
    shifted = np.array(
        [np.interp(pixels, source + v, row) for v, row in zip(shift, flux, strict=True)]
    )
    centre = NATIVE[WINDOW_PIXELS // 2]
    width = np.sqrt(np.maximum(1 / resolving_power**2 - (FWHM / centre) ** 2, 0)) / 2.3548
    sigma = width / (LOG_STEP * np.log(10))
    frequency = np.fft.rfftfreq(shifted.shape[1])
    transfer = np.exp(-2 * (np.pi * sigma[:, None] * frequency) ** 2)
    broadened = np.fft.irfft(np.fft.rfft(shifted) * transfer, n=shifted.shape[1])
    return broadened[:, margin:-margin]


def reddening(excess: np.ndarray) -> np.ndarray:
    """Interstellar transmission [n, native] for E(B-V): O'Donnell 1994, R_V = 3.1, and Na D."""
    y = 1e4 / NATIVE - 1.82
    a = np.polyval([-0.505, 1.647, -0.827, -1.718, 1.137, 0.701, -0.609, 0.104, 1], y)
    b = np.polyval([3.347, -10.805, 5.491, 11.102, -7.985, -3.989, 2.908, 1.952, 0], y)
    transmission = 10 ** (-0.4 * excess[:, None] * (3.1 * a + b))
    # Equivalent width of each line in Angstrom, which saturates at about half an Angstrom.
    strength = 0.5 * (1 - np.exp(-3 * excess))
    for line in SODIUM:
        profile = np.exp(-0.5 * ((NATIVE - line) / 1.4) ** 2) / (1.4 * np.sqrt(2 * np.pi))
        transmission *= 1 - strength[:, None] * profile
    return transmission


def telluric(count: int, rng: np.random.Generator) -> np.ndarray:
    """What the pipeline's correction leaves of the atmosphere's bands, either way [n, native]."""
    amount = {gas: rng.normal(0, error, count) for gas, error in TELLURIC_ERROR.items()}
    depth = np.zeros((count, WINDOW_PIXELS))
    for first, last, mean, gas in TELLURIC_BANDS:
        inside = _between(first, last)
        position = (NATIVE[inside] - first) / (last - first)
        shape = 1.6 * (1 - position) ** 0.5 if gas == "oxygen" else 1.5 * np.sin(np.pi * position)
        depth[:, inside] -= np.log1p(-mean) * amount[gas][:, None] * shape
    return np.exp(-depth)


def calibration(count: int, rng: np.random.Generator) -> np.ndarray:
    """Flux-calibration error [n, native]: smooth terms, and what is left on the scale of bins."""
    scaled = np.linspace(-1, 1, WINDOW_PIXELS)
    terms = legendre.legvander(scaled, len(CALIBRATION_TERMS))[:, 1:]
    logarithm = (rng.normal(size=(count, terms.shape[1])) * CALIBRATION_TERMS) @ terms.T
    pixels = np.arange(WINDOW_PIXELS)
    nodes = np.arange(0, WINDOW_PIXELS + FINE_PIXELS, FINE_PIXELS)
    hats = np.array([np.interp(pixels, nodes, row) for row in np.eye(len(nodes))])
    fine = rng.normal(0, FINE_ERROR, (count, len(nodes))) @ hats
    fine[:, _between(*ARM_JOIN_WINDOW)] *= ARM_JOIN_ERROR / FINE_ERROR
    return np.exp(logarithm + fine)


def noise_level(flux: np.ndarray, snr_g: np.ndarray) -> np.ndarray:
    """Standard deviation of each pixel [n, native], for a mean S/N per pixel in the g band."""
    blue_arm = np.interp(NATIVE, [4000, 4700, 5600, 5900], [0.45, 1.0, 1.0, 0.45])
    red_arm = np.interp(NATIVE, [5900, 6400, 8122], [0.45, 1.1, 1.1])
    throughput = np.where(NATIVE < ARM_JOIN, blue_arm, red_arm)
    green = _between(4000.0, 5500.0)
    reference = flux[:, green].mean(axis=1, keepdims=True)
    photons = np.maximum(flux / reference, 0.02) + 0.1
    return reference / snr_g[:, None] * np.sqrt(photons / throughput)


def sky_residuals(sigma: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Badly subtracted sky lines [n, native], in units of the noise around them."""
    residual = np.zeros_like(sigma)
    for line in SKY_LINES:
        profile = np.exp(-0.5 * ((NATIVE - line) / 2.0) ** 2)
        residual += rng.normal(0, 5, (len(sigma), 1)) * profile * sigma
    return residual


def bad_pixels(count: int, rng: np.random.Generator) -> np.ndarray:
    """Pixels without a measurement, bool [n, native].

    Runs of them in about a third of the spectra; and, as in the pilot survey, the oxygen A band in
    some.
    """
    bad = np.zeros((count, WINDOW_PIXELS), bool)
    for row in np.flatnonzero(rng.random(count) < 0.35):
        for _ in range(rng.integers(1, 6)):
            start = rng.integers(0, WINDOW_PIXELS)
            bad[row, start : start + int(np.ceil(rng.exponential(12)))] = True
    masked = rng.random(count) < 0.2
    bad[masked] |= _between(*A_BAND)
    return bad


def _between(first: float, last: float) -> np.ndarray:
    """Which native pixels lie between two wavelengths."""
    return (first <= NATIVE) & (last >= NATIVE)
