"""The nodes: SYNSPEC54 spectra of dwarfs and subgiants over the window of LAMOST.

They have the wavelengths and the line width of bossbrain, so that both make one training set.
"""

from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import numpy as np

from starmill_export import bossbrain
from starmill_export.rrnet import grid, syntheses

ELEMENTS = {
    "C": 6, "N": 7, "O": 8, "Na": 11, "Mg": 12, "Si": 14,
    "Ca": 20, "Ti": 22, "Cr": 24, "Mn": 25, "Ni": 28,
}  # fmt: skip
"""Free abundances and their atomic numbers; all others follow [M/H]."""

LABELS = ["teff", "logg", "m_h", "vmicro"] + [f"{symbol.lower()}_m" for symbol in ELEMENTS]

TEFF = (4150.0, 7600.0)
LOGG = (3.2, 5.05)
METALLICITY = (-2.5, 0.55)
ABUNDANCE = 0.6

COOL, MOST_CARBON = 5300.0, 0.2
"""Below this temperature (K) a larger [C/O] (dex) makes a carbon star."""

PIXELS = slice(940, 9361)
"""Of bossbrain's wavelengths: 3970 to 8180 A in air."""

COUNT = 320
PRIMES = [2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43]
"""One for each label but the microturbulence."""


def sample(count: int = COUNT) -> np.ndarray:
    """Labels [count, LABELS], even however many: multiples of roots of primes, modulo 1."""
    unit = (0.5 + np.arange(1, count + 1)[:, None] * np.sqrt(PRIMES)) % 1
    teff = TEFF[0] + (TEFF[1] - TEFF[0]) * unit[:, 0]
    logg = LOGG[0] + (LOGG[1] - LOGG[0]) * unit[:, 1]
    # Denser where lines are many and strong.
    metallicity = METALLICITY[0] + (METALLICITY[1] - METALLICITY[0]) * unit[:, 2] ** 0.6
    abundance = ABUNDANCE * (2 * unit[:, 3:] - 1)
    names = list(ELEMENTS)
    carbon, oxygen = names.index("C"), names.index("O")
    swapped = (teff < COOL) & (abundance[:, carbon] - abundance[:, oxygen] > MOST_CARBON)
    pair = [carbon, oxygen]
    abundance[np.ix_(swapped, pair)] = abundance[np.ix_(swapped, pair[::-1])]
    return np.column_stack([teff, logg, metallicity, microturbulence(teff, logg), abundance])


def microturbulence(teff: np.ndarray, logg: np.ndarray) -> np.ndarray:
    """km/s: falls with log g, as for giants; grows in F stars, after Bruntt et al. 2010."""
    return np.clip(2.0 - 0.25 * logg, 0.6, 2.6) + 4.5e-4 * np.maximum(teff - 5700, 0)


class Synthesis(grid.Synthesis):
    """Normalised flux on bossbrain's wavelengths and at its line width."""

    # Against 0.02 and 1e-4 the flux of a K dwarf changes by 0.0025 rms at R = 1800 and by 0.0015 at
    # R = 200, that of metal-poor stars by a third of it; it takes half of the time.
    spacing, weakest = 0.1, 1e-3
    atomic_numbers: ClassVar[list[int]] = list(ELEMENTS.values())

    def __init__(self, cache: Path) -> None:
        air = bossbrain.WAVELENGTH_AIR[PIXELS]
        super().__init__(cache, [(float(air[0]), float(air[-1]))])
        self.air = air

    def __call__(self, star: np.ndarray) -> np.ndarray:
        """Normalised flux of one star [LABELS] on `air`; raises as its parent does."""
        wave, flux = self.raw(star)[0]
        fine = np.arange(self.air[0] - grid.MARGIN, self.air[-1] + grid.MARGIN, grid.FINE_STEP)
        sigma = bossbrain.FWHM * syntheses.SIGMA_OF_FWHM / grid.FINE_STEP
        smooth = syntheses.gaussian(np.interp(fine, wave, flux)[None], sigma)[0]
        return np.interp(self.air, fine, smooth)


def compute(
    target: Path, cache: Path, workers: int, report: Callable[[str], None], count: int = COUNT
) -> None:
    """Compute the nodes into `target`; those that are there already are kept."""
    grid.compute(target, sample(count), LABELS, Synthesis(cache), workers, report)
