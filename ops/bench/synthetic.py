"""Synthetic stellar spectra on the LAMOST low-resolution grid: quick, plausible, reproducible.

They load a pipeline as real spectra do (pixel counts, noise in every digit, masks), but carry no
physics to learn from: a black body, a fixed list of absorption lines and counting noise.
"""

from dataclasses import dataclass

import numpy as np

LOG_FIRST = 3.5682
LOG_STEP = 1e-4
# Pixel counts of real files; nearly all have the first.
PIXELS = (3909, 3908, 3904, 3890)
PIXEL_ODDS = (0.91, 0.05, 0.03, 0.01)

TEMPERATURES = np.linspace(3900.0, 5900.0, 11)
LINE_STRENGTHS = np.linspace(0.3, 1.2, 6)
# Vacuum wavelength (Angstrom), depth, width (Angstrom): Balmer lines, Ca H and K, the G band,
# Mg b, Na D, TiO-like troughs and the Ca triplet.
LINES = np.array(
    [
        (3934.8, 0.70, 8.0),
        (3969.6, 0.65, 8.0),
        (4102.9, 0.25, 4.0),
        (4227.9, 0.35, 4.0),
        (4305.0, 0.40, 14.0),
        (4341.7, 0.25, 4.0),
        (4384.8, 0.30, 3.0),
        (4862.7, 0.25, 4.0),
        (5168.8, 0.35, 4.0),
        (5174.1, 0.40, 4.0),
        (5185.0, 0.45, 5.0),
        (5270.0, 0.25, 5.0),
        (5329.0, 0.20, 4.0),
        (5891.6, 0.35, 3.0),
        (5897.6, 0.30, 3.0),
        (6163.9, 0.12, 3.0),
        (6496.7, 0.12, 3.0),
        (6564.6, 0.35, 4.0),
        (7100.0, 0.08, 60.0),
        (8500.4, 0.30, 4.0),
        (8544.4, 0.45, 5.0),
        (8664.5, 0.40, 5.0),
    ]
)
# Bands in which the survey states signal-to-noise ratios, Angstrom.
BANDS = {
    "u": (3700, 4000),
    "g": (4000, 5500),
    "r": (5600, 7000),
    "i": (6900, 8200),
    "z": (8200, 9100),
}
BAD_CCD, NO_SKY = 1, 4
MISSING = -9999.0


@dataclass
class Spectrum:
    """One spectrum as its file holds it: arrays of one length, and values for the header."""

    flux: np.ndarray
    ivar: np.ndarray
    wavelength: np.ndarray
    andmask: np.ndarray
    ormask: np.ndarray
    continuum: np.ndarray
    snr: dict[str, float]
    fibermask: int
    redshift: float


class Universe:
    """Templates, sky and throughput, computed once and shared by every spectrum."""

    def __init__(self) -> None:
        self.wave = 10.0 ** (LOG_FIRST + LOG_STEP * np.arange(max(PIXELS)))
        micron = self.wave / 1e4
        self.continua = [micron**-5 / np.expm1(14387.77 / (micron * teff)) for teff in TEMPERATURES]
        self.continua = [continuum / np.median(continuum) for continuum in self.continua]
        centre, depth, width = LINES.T[:, :, None]
        self.line_profile = np.sum(
            depth * np.exp(-0.5 * ((self.wave - centre) / width) ** 2), axis=0
        )
        # Weak lines everywhere, the same for every star.
        forest = np.random.default_rng(1).gamma(0.5, 0.06, self.wave.size)
        self.line_profile += np.convolve(forest, np.ones(5) / 5, mode="same")
        # Two arms that meet at 5900 Angstrom, and a sky that brightens to the red.
        self.throughput = 0.15 + 0.85 * (
            np.exp(-0.5 * ((self.wave - 5000.0) / 650.0) ** 2)
            + np.exp(-0.5 * ((self.wave - 7300.0) / 900.0) ** 2)
        )
        airglow = np.random.default_rng(2).pareto(1.5, self.wave.size) * 0.05
        self.sky = 0.2 + airglow * (self.wave > 5500.0) * (self.wave / 7000.0) ** 3

    def spectrum(self, rng: np.random.Generator) -> Spectrum:
        """Draw one spectrum."""
        n = int(rng.choice(PIXELS, p=PIXEL_ODDS))
        wave = self.wave[:n]
        continuum = self.continua[rng.integers(len(self.continua))][:n]
        # Reddening and imperfect flux calibration.
        tilt = rng.normal(0.0, 0.15, 2)
        x = np.linspace(-1.0, 1.0, n)
        continuum = continuum * np.exp(tilt[0] * x + tilt[1] * x**2)
        shift = int(rng.normal(0.0, 1.0))
        lines = LINE_STRENGTHS[rng.integers(LINE_STRENGTHS.size)] * self.line_profile
        truth = continuum * np.exp(-np.roll(lines, shift)[:n])

        wanted_snr = float(np.clip(rng.lognormal(np.log(45.0), 0.8), 4.0, 300.0))
        relative = truth * self.throughput[:n] + self.sky[:n]
        variance = relative / (wanted_snr * self.throughput[:n]) ** 2
        noise = rng.standard_normal(n) * np.sqrt(variance)
        # The pipeline's variance is itself an estimate.
        ivar = rng.normal(1.0, 0.02, n) / variance
        scale = rng.lognormal(np.log(300.0), 1.0)
        flux = scale * (truth + noise)
        ivar = ivar / scale**2

        andmask, ormask = draw_masks(rng, n)
        dead = andmask > 0
        flux[dead] = 0.0
        ivar[dead] = 0.0
        snr_pixel = flux * np.sqrt(ivar)
        snr = {
            band: float(np.median(snr_pixel[(wave > low) & (wave < high)]))
            for band, (low, high) in BANDS.items()
        }
        return Spectrum(
            flux=flux,
            ivar=ivar,
            wavelength=wave,
            andmask=andmask,
            ormask=ormask,
            continuum=scale * continuum,
            snr=snr,
            fibermask=int(rng.choice([0, 64, 128], p=[0.97, 0.02, 0.01])),
            redshift=shift * LOG_STEP * np.log(10.0),
        )


def draw_masks(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw the masks of a spectrum: most have none, some a few pixels, a few a bad stretch."""
    andmask = np.zeros(n)
    ormask = np.zeros(n)
    if rng.random() < 0.3:
        pixels = rng.integers(0, n, rng.integers(1, 30))
        ormask[pixels] = rng.choice([BAD_CCD, NO_SKY], pixels.size)
        lasting = pixels[rng.random(pixels.size) < 0.3]
        andmask[lasting] = ormask[lasting]
    if rng.random() < 0.02:
        first = rng.integers(0, n - 200)
        stretch = slice(first, first + int(rng.integers(20, 200)))
        andmask[stretch] = ormask[stretch] = NO_SKY
    return andmask, ormask
