"""Spectra against which the program measures radial velocities, from the emulator of a grid.

The bins are those of `src/rv/measure/bins.rs`: 2e-5 in log10 of vacuum wavelength, each centred
on a whole number of steps, so that a velocity is a number of bins. A record is teff, logg, m_h and
vsini as little-endian float32, then the flux of the blue and the red bins, 40,000 times, as
little-endian unsigned 16-bit integers.
"""

from pathlib import Path

import numpy as np

from starmill_export.instrument import LIGHT_SPEED, vacuum
from starmill_export.rrnet import labels as names
from starmill_export.rrnet import observe, syntheses
from starmill_export.rrnet.emulator import Emulator

STEP = 2e-5
BLUE, RED = (184_784, 186_364), (190_084, 191_329)
"""First bin and the one behind the last, in steps: as far as the grid of syntheses reaches."""

SCALE = 40_000
RESOLUTION = 7500.0
SLOW = 5.0
"""km/s: rotation of most stars."""

TEST_STARS = 24

STARS = np.array(
    [
        # teff, logg, m_h, vsini
        (3900, 4.7, 0.0, SLOW),
        (3900, 1.0, 0.0, SLOW),
        (4300, 4.6, 0.0, SLOW),
        (4300, 1.8, 0.0, SLOW),
        (4800, 4.5, 0.0, SLOW),
        (4800, 2.5, 0.0, SLOW),
        (5300, 4.5, 0.0, SLOW),
        (5300, 3.3, 0.0, SLOW),
        (5800, 4.3, 0.0, SLOW),
        (6300, 4.2, 0.0, SLOW),
        (6800, 4.1, 0.0, SLOW),
        (6300, 4.2, 0.0, 60),
        (6800, 4.1, 0.0, 60),
        (6800, 4.1, 0.0, 120),
        (4300, 1.5, -1.0, SLOW),
        (4800, 2.2, -1.0, SLOW),
        (5300, 4.5, -1.0, SLOW),
        (5800, 4.3, -1.0, SLOW),
        (6400, 4.1, -1.0, SLOW),
        (4500, 1.2, -1.8, SLOW),
        (5000, 2.2, -1.8, SLOW),
        (5900, 4.2, -1.8, SLOW),
    ],
    float,
)
"""They span the grid; a star between two of them matches both nearly as well as its own."""


def emulated(emulator: Emulator, stars: np.ndarray) -> np.ndarray:
    """Flux [n, air] of stars [n, 4] at the emulator's resolution, with the usual alpha elements."""
    logg, metallicity = stars[:, 1:3].T
    labels = np.zeros((len(stars), len(names.SYNTHESIS)))
    labels[:, :3] = stars[:, :3]
    labels[:, 3] = np.clip(2 - 0.25 * logg, 0.6, 2.6)
    for element in ("o", "mg", "si", "s", "ca", "ti"):
        labels[:, names.SYNTHESIS.index(f"{element}_m")] = np.where(metallicity < -0.8, 0.3, 0.0)
    return emulator(labels)


def binned(
    flux: np.ndarray, air: np.ndarray, rotation: np.ndarray, emulated_at: float
) -> np.ndarray:
    """Mean flux [n, bins] of spectra of the resolution `emulated_at`, as the survey sees them."""
    parts = []
    for source, (first, last) in zip(syntheses.windows(air), (BLUE, RED), strict=True):
        step, centre = air[source][1] - air[source][0], air[source].mean()
        width = centre * np.sqrt(RESOLUTION**-2.0 - emulated_at**-2.0)
        smooth = syntheses.gaussian(
            flux[:, source].astype(float), width * syntheses.SIGMA_OF_FWHM / step
        )
        smooth = _rotated(smooth, rotation / LIGHT_SPEED * centre / step)
        # The mean over a bin, from ten points in it.
        fine = STEP * (np.arange(10 * (last - first)) / 10 + first - 0.45)
        rest = np.log10(vacuum(air[source]))
        means = [np.interp(fine, rest, row).reshape(-1, 10).mean(axis=1) for row in smooth]
        parts.append(np.array(means))
    return np.hstack(parts)


def _rotated(flux: np.ndarray, width: np.ndarray) -> np.ndarray:
    """Rotation profiles of half width `width` in pixels."""
    margin = 64
    padded = np.pad(flux, ((0, 0), (margin, margin)), mode="edge")
    transfer = observe.rotation_transfer(width, np.fft.rfftfreq(padded.shape[1]))
    turned = np.fft.irfft(np.fft.rfft(padded, axis=1) * transfer, n=padded.shape[1], axis=1)
    return turned[:, margin:-margin]


def write(path: Path, stars: np.ndarray, flux: np.ndarray) -> None:
    """Write stars [n, 4] with their flux [n, bins]."""
    with open(path, "wb") as file:
        for star, row in zip(stars, flux, strict=True):
            file.write(star.astype("<f4").tobytes())
            file.write(np.clip(np.round(SCALE * row), 0, 65_535).astype("<u2").tobytes())


def read(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """What `write` wrote."""
    bins = BLUE[1] - BLUE[0] + RED[1] - RED[0]
    record = np.dtype([("star", "<f4", 4), ("flux", "<u2", bins)])
    records = np.fromfile(path, record)
    return records["star"], records["flux"] / SCALE


def make(emulator: Emulator, grid: syntheses.Syntheses, templates: Path, stars: Path) -> None:
    """Write the templates, and syntheses between them for tests of the program."""
    air = emulator.air
    flux = binned(emulated(emulator, STARS), air, STARS[:, 3], observe.EMULATED_RESOLUTION)
    write(templates, STARS, flux)
    rng = np.random.default_rng(5)
    chosen = grid.rows(np.sort(rng.permutation(len(grid.labels))[:TEST_STARS]))
    fine = syntheses.at_resolution(chosen.flux, grid.air, observe.EMULATED_RESOLUTION)
    rotation = np.minimum(rng.exponential(6.0, TEST_STARS), 40.0)
    labels = np.column_stack([chosen.labels[:, :3], rotation])
    write(stars, labels, binned(fine, grid.air, rotation, observe.EMULATED_RESOLUTION))
