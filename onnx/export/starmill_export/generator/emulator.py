"""Spectra between the nodes of the grid, at a resolving power finer than any that is asked for.

1,024 nodes are few for a net to learn from; a Gaussian process knows that spectra change smoothly.
Pixels are even in the logarithm of the vacuum wavelength, where rotation and resolution are one
convolution from end to end.
"""

from types import ModuleType

import numpy as np
from scipy.interpolate import CubicSpline

from starmill_export.instrument import vacuum
from starmill_export.process import PixelProcess, squared_distance
from starmill_export.rrnet import syntheses

RESOLUTION = 16000.0
LOG_STEP = 1.1e-5
"""Of the natural logarithm: six pixels to the finest profile."""


def log_pixels(air: np.ndarray) -> np.ndarray:
    """Logarithms of vacuum wavelengths, within those of the grid."""
    first, last = np.log(vacuum(air[[0, -1]]))
    return first + LOG_STEP * np.arange(int((last - first) / LOG_STEP))


def prepared(flux: np.ndarray, air: np.ndarray) -> np.ndarray:
    """Spectra of the grid [n, air] on `log_pixels`, at RESOLUTION."""
    at = log_pixels(air)
    resampled = CubicSpline(np.log(vacuum(air)), flux, axis=1)(at)
    already = syntheses.FWHM / np.exp(at.mean())
    width = np.sqrt(RESOLUTION**-2 - already**2)
    sigma = width * syntheses.SIGMA_OF_FWHM / LOG_STEP
    return syntheses.gaussian(resampled, sigma).astype(np.float32)


class Emulator(PixelProcess):
    """Flux on `log_pixels` of labels [n, SYNTHESIS].

    The covariance is Matern's of 5/2. The last two coordinates move where molecules and ionisation
    turn spectra over.
    """

    START = np.array([-0.5, -1.0, -1.0, -1.5, -1.0, -1.0, -9.0])

    @staticmethod
    def coordinates(labels: np.ndarray) -> tuple[np.ndarray, ...]:
        """Six coordinates [n, 6]."""
        teff, logg, metallicity, vmicro = labels.T
        logarithm = np.log(teff / 7000)
        return (
            np.column_stack(
                [
                    2.8 * logarithm,
                    (logg - 3.5) / 1.5,
                    metallicity / 1.5,
                    (vmicro - 2) / 2,
                    np.tanh((logarithm + 0.53) / 0.06),
                    np.tanh((logarithm - 0.2) / 0.2),
                ]
            ),
        )

    @staticmethod
    def covariance(
        library: ModuleType, constants: np.ndarray, first: tuple, second: tuple
    ) -> np.ndarray:
        """One at no distance; the constants but the last are logarithms of inverse lengths."""
        lengths = library.exp(constants[:6])
        squared = squared_distance(first[0] * lengths, second[0] * lengths)
        # The small number keeps the slope of the root finite where a star meets itself.
        distance = library.sqrt(5 * library.maximum(squared, 0) + 1e-10)
        return (1 + distance + distance**2 / 3) * library.exp(-distance)
