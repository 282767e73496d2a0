"""Reference values for other implementations: of each step of the recipe."""

import numpy as np

from starmill_export import prepare
from starmill_export.prepare import Spectrum

FIRST_LOG, LOG_STEP, PIXELS = 3.5682, 1e-4, 3909


def recipe_cases(recipe: list[dict], seed: int) -> dict:
    """Four native spectra, easy and awkward, with what each step of the recipe makes of them."""
    rng = np.random.default_rng(seed)
    wave = 10 ** (FIRST_LOG + LOG_STEP * np.arange(PIXELS))
    smooth = 100 * np.exp(-(((wave - 6000) / 3000) ** 2))
    cases = []
    for name, spoil in SPOILERS.items():
        flux = np.round(smooth * (1 + 0.05 * rng.standard_normal(PIXELS)), 3)
        ivar = np.round(rng.uniform(0.02, 0.08, PIXELS), 4)
        spectrum = Spectrum(wave, flux, ivar, np.zeros(PIXELS, int), np.zeros(PIXELS, int))
        spoil(spectrum, rng)
        cases.append({"name": name} | _recipe_case(spectrum, recipe))
    return {"cases": cases}


def _recipe_case(spectrum: Spectrum, recipe: list[dict]) -> dict:
    # Fluxes and ivars are stored as float32, as in a file.
    spectrum.flux = spectrum.flux.astype(np.float32).astype(float)
    spectrum.ivar = spectrum.ivar.astype(np.float32).astype(float)
    result = prepare.prepare(spectrum, recipe)
    return {
        "wave": {"coeff0": FIRST_LOG, "coeff1": LOG_STEP, "n": PIXELS},
        "flux": _shortest(spectrum.flux),
        "ivar": _shortest(spectrum.ivar),
        "andmask": _sparse(spectrum.andmask),
        "ormask": _sparse(spectrum.ormask),
        "expected": {
            "window": [result.window.start, result.window.stop],
            "bad": (np.flatnonzero(~result.good) + result.window.start).tolist(),
            "empty_bins": result.empty_bins,
            "degraded": [float(f"{value:.12g}") for value in result.degraded],
            "input": [float(f"{value:.10g}") for value in result.input],
        },
    }


def _clean(_spectrum: Spectrum, _rng: np.random.Generator) -> None:
    pass


def _scattered(spectrum: Spectrum, rng: np.random.Generator) -> None:
    """Zero ivar with wild fluxes, and both masks, here and there."""
    wild = rng.choice(PIXELS, 150, replace=False)
    spectrum.flux[wild[:100]] = 1e6
    spectrum.ivar[wild[:100]] = 0
    spectrum.andmask[wild[100:125]] = 4
    spectrum.ormask[wild[100:]] = 4


def _emptied(spectrum: Spectrum, _rng: np.random.Generator) -> None:
    """No usable pixel in two neighbouring bins, and none in the last bin."""
    spectrum.ivar[(spectrum.wave > 5000) & (spectrum.wave < 5075)] = 0
    spectrum.ivar[spectrum.wave > 8090] = 0


def _edges(spectrum: Spectrum, _rng: np.random.Generator) -> None:
    """Zero flux with zero ivar at the blue end, and a faint negative stretch."""
    spectrum.flux[:345] = 0
    spectrum.ivar[:345] = 0
    spectrum.flux[2000:2040] *= -0.1


SPOILERS = {"clean": _clean, "scattered": _scattered, "emptied": _emptied, "edges": _edges}


def _shortest(values: np.ndarray) -> list[float]:
    return [float(np.format_float_positional(np.float32(v), unique=True)) for v in values]


def _sparse(mask: np.ndarray) -> dict[str, int]:
    """Nonzero mask bits by pixel."""
    return {str(pixel): int(mask[pixel]) for pixel in np.flatnonzero(mask)}
