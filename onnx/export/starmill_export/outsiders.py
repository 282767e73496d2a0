"""What is no star, or none of the model's: spectra that novelty is to tell apart.

Some are real, the others drawn here after what is known of such objects; the card says which.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.io import fits

from starmill_export import instrument, prepare
from starmill_export.instrument import FIRST_LOG, LIGHT_SPEED, LOG_STEP
from starmill_export.prepare import Spectrum

PIXELS = 3909
"""Of a LAMOST file."""

WAVE = 10 ** (FIRST_LOG + LOG_STEP * np.arange(PIXELS))
SNR = (20.0, 150.0)
DRAWN = 200
"""Spectra of each synthetic kind."""

# Rest wavelength (vacuum, A), equivalent width (A) and width (km/s, FWHM) of a quasar's lines, of
# the size of the composite of Vanden Berk et al. 2001.
QUASAR_LINES = [
    (1215.7, 90.0, 6000.0),
    (1549.1, 24.0, 5500.0),
    (1908.7, 21.0, 6500.0),
    (2798.8, 32.0, 4500.0),
    (4341.7, 13.0, 4000.0),
    (4862.7, 46.0, 4500.0),
    (4960.3, 3.5, 900.0),
    (5008.2, 13.0, 900.0),
    (6564.6, 190.0, 4500.0),
]
REDSHIFT = (0.1, 3.5)


@dataclass
class Kind:
    """Prepared spectra [n, pixels] of one kind, and whether they are real."""

    inputs: np.ndarray
    real: bool


def synthetic(recipe: list[dict], seed: int, count: int = DRAWN) -> dict[str, Kind]:
    """Quasars, lamps and garbage, `count` of each kind."""
    rng = np.random.default_rng(seed)
    kinds = {}
    for name, draw in DRAWS.items():
        inputs = []
        for _ in range(count):
            flux = draw(rng)
            sigma = np.abs(flux).mean() / np.exp(rng.uniform(*np.log(SNR)))
            noisy = flux + sigma * rng.standard_normal(PIXELS)
            masks = np.zeros((2, PIXELS), np.int64)
            spectrum = Spectrum(WAVE, noisy, np.full(PIXELS, sigma**-2), *masks)
            inputs.append(prepare.prepare(spectrum, recipe).input)
        kinds[name] = Kind(np.array(inputs), real=False)
    return kinds


def other_surveys(data: Path, recipe: list[dict]) -> dict[str, Kind]:
    """Spectra of SDSS and DESI: at their wavelengths, and read as if their pixels were LAMOST's."""
    spectra = [sdss(path) for path in sorted(data.glob("sdss/*.fits*"))]
    for path in sorted(data.glob("desi/*.fits*")):
        spectra += desi(path)
    misread = [taken_for_lamost(spectrum) for spectrum in spectra]
    kinds = {}
    for name, given in (
        ("SDSS and DESI, at their wavelengths", spectra),
        ("SDSS and DESI, misread pixel by pixel", misread),
    ):
        inputs = []
        for spectrum in given:
            try:
                inputs.append(prepare.prepare(spectrum, recipe).input)
            except prepare.Reject:
                continue
        kinds[name] = Kind(np.array(inputs), real=True)
    return kinds


def sdss(path: Path) -> Spectrum:
    """A spectrum of SDSS, vacuum wavelengths."""
    with fits.open(path, memmap=False) as hdus:
        table = hdus["COADD"].data
        wave, flux, ivar = (np.asarray(table[name], float) for name in ("loglam", "flux", "ivar"))
        masks = np.zeros((2, len(wave)), np.int64)
    return Spectrum(10**wave, flux, ivar, *masks)


def desi(path: Path) -> list[Spectrum]:
    """The spectra of a coadd of DESI, all arms in the order of wavelength."""
    with fits.open(path, memmap=False) as hdus:
        arms = [
            [np.asarray(hdus[f"{arm}_{name}"].data, float) for arm in "BRZ"]
            for name in ("WAVELENGTH", "FLUX", "IVAR")
        ]
    wave = np.concatenate(arms[0])
    flux, ivar = (np.concatenate(values, axis=1) for values in arms[1:])
    order = np.argsort(wave)
    masks = np.zeros((2, len(wave)), np.int64)
    return [
        Spectrum(wave[order], row[order], weight[order], *masks)
        for row, weight in zip(flux, ivar, strict=True)
    ]


def taken_for_lamost(spectrum: Spectrum) -> Spectrum:
    """Its pixels, one after the other, under LAMOST's wavelengths."""
    count = min(PIXELS, len(spectrum.wave))
    rows = slice(0, count)
    masks = np.zeros((2, PIXELS), np.int64)
    flux, ivar = np.zeros(PIXELS), np.zeros(PIXELS)
    flux[:count], ivar[:count] = spectrum.flux[rows], spectrum.ivar[rows]
    return Spectrum(WAVE, flux, ivar, *masks)


def _quasar(rng: np.random.Generator) -> np.ndarray:
    redshift = rng.uniform(*REDSHIFT)
    rest = WAVE / (1 + redshift)
    continuum = (rest / 3000) ** rng.normal(-1.5, 0.3)
    strength = rng.lognormal(0, 0.3)
    flux = np.ones(PIXELS)
    for line, width, velocity in QUASAR_LINES:
        sigma = line * velocity / LIGHT_SPEED / 2.3548
        profile = np.exp(-0.5 * ((rest - line) / sigma) ** 2) / (sigma * np.sqrt(2 * np.pi))
        flux += strength * width * profile
    # The forest of intergalactic hydrogen.
    flux[rest < 1215.7] *= 0.7
    return continuum * flux * _calibration(rng)


def _lamp(rng: np.random.Generator) -> np.ndarray:
    """A flat field: a thermal lamp, seen through the instrument."""
    kelvin = rng.uniform(2800, 3600)
    return WAVE**-5.0 / np.expm1(1.4388e8 / (WAVE * kelvin)) * 1e20 * _calibration(rng)


def _white(rng: np.random.Generator) -> np.ndarray:
    """A flat field that was divided by itself."""
    return _calibration(rng)


def _noise(rng: np.random.Generator) -> np.ndarray:
    """A fibre that saw nothing: noise around next to no light."""
    return rng.uniform(-0.2, 0.2) + rng.standard_normal(PIXELS)


def _sky(rng: np.random.Generator) -> np.ndarray:
    """A sky spectrum: faint, with emission lines."""
    flux = 0.3 + 0.1 * (WAVE / 6000)
    for line in (5578.9, 5891.6, 5897.6, 6302.0, 6365.5):
        flux += rng.lognormal(1, 0.5) * np.exp(-0.5 * ((WAVE - line) / 1.5) ** 2)
    for line in rng.uniform(6800, 8900, 60):
        flux += rng.lognormal(0, 0.7) * np.exp(-0.5 * ((WAVE - line) / 1.5) ** 2)
    return flux * _calibration(rng)


def _steps(rng: np.random.Generator) -> np.ndarray:
    """Arms, or readouts of amplifiers, that do not meet."""
    edges = np.sort(rng.choice(np.arange(500, PIXELS - 500), 3, replace=False))
    return np.repeat(rng.uniform(0.2, 2, 4), np.diff([0, *edges, PIXELS])) * _calibration(rng)


def _fringes(rng: np.random.Generator) -> np.ndarray:
    waves = rng.uniform(8, 40)
    return (1 + rng.uniform(0.2, 0.6) * np.sin(waves * WAVE / 1000)) * _calibration(rng)


def _calibration(rng: np.random.Generator) -> np.ndarray:
    """An error of the flux calibration, held constant beyond the window of the recipe."""
    return np.interp(WAVE, instrument.NATIVE, instrument.calibration(1, rng)[0])


DRAWS: dict[str, Callable[[np.random.Generator], np.ndarray]] = {
    "quasars": _quasar,
    "flats: a lamp": _lamp,
    "flats: white": _white,
    "garbage: noise alone": _noise,
    "garbage: the sky": _sky,
    "garbage: steps": _steps,
    "garbage: fringes": _fringes,
}
