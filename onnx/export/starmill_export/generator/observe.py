"""Rotation and resolution, and the pixels of the paper: 4,000 from 8400 A on, 0.1 A apart."""

import numpy as np
from scipy import sparse

from starmill_export.generator import emulator
from starmill_export.generator.labels import RESOLUTION, VSINI
from starmill_export.instrument import LIGHT_SPEED
from starmill_export.rrnet import observe, syntheses

FIRST, STEP, PIXELS = 8400.0, 0.1, 4000
MARGIN = 160
"""Pixels of the emulator: half a profile of 300 km/s, and five widths at R = 5000."""

POINTS = 6


def wavelength() -> np.ndarray:
    """Vacuum wavelengths in Angstrom, rest frame.

    The paper does not say which its wavelengths are; Gaia's are vacuum.
    """
    return FIRST + STEP * np.arange(PIXELS)


def observed(flux: np.ndarray, labels: np.ndarray, onto: sparse.csr_array) -> np.ndarray:
    """Spectra [n, 4000] of labels [n, 6], from those of the emulator [n, log_pixels]."""
    width = np.sqrt(labels[:, RESOLUTION] ** -2.0 - emulator.RESOLUTION**-2)
    sigma = width * syntheses.SIGMA_OF_FWHM / emulator.LOG_STEP
    rotation = labels[:, VSINI] / LIGHT_SPEED / emulator.LOG_STEP
    broadened = observe.broaden(flux, sigma, rotation, MARGIN)
    return (onto @ broadened.T).T.astype(np.float32)


def interpolation(air: np.ndarray) -> sparse.csr_array:
    """The matrix [4000, log_pixels] of Lagrange's polynomials through the six nearest pixels.

    `air` are the wavelengths of the grid. Raises ValueError where they do not suffice.
    """
    log_pixels = emulator.log_pixels(air)
    place = (np.log(wavelength()) - log_pixels[0]) / emulator.LOG_STEP
    first = np.floor(place).astype(int) - POINTS // 2 + 1
    if first.min() < 0 or first.max() + POINTS > len(log_pixels):
        raise ValueError("the grid does not cover 8400 to 8800 A: compute it anew")
    nodes = np.arange(POINTS)
    weights = np.ones((PIXELS, POINTS))
    for node in nodes:
        for other in nodes[nodes != node]:
            weights[:, node] *= (place - first - other) / (node - other)
    rows = np.repeat(np.arange(PIXELS), POINTS)
    columns = (first[:, None] + nodes).ravel()
    return sparse.csr_array((weights.ravel(), (rows, columns)), (PIXELS, len(log_pixels)))
