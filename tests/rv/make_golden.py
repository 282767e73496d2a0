#!/usr/bin/env python3
"""Measures the velocities in golden.json: astropy, numpy and scipy, nothing of the program.

    python tests/rv/make_golden.py FOLDER-OF-REAL-SPECTRA > tests/rv/golden.json

Every arm by itself, by brute force: the templates are shifted in wavelength by trial velocities and
correlated with the native pixels, which a running median has normalised. The program does it in
Fourier space, on bins, with weights and a polynomial, and both arms at once.
"""

import json
import sys
from pathlib import Path

import numpy as np
from astropy.io import fits
from scipy.ndimage import median_filter
from scipy.optimize import minimize_scalar

LIGHT_SPEED = 299_792.458
STEP, BLUE, RED, SCALE = 2e-5, (184_784, 186_364), (190_084, 191_329), 40_000
TEMPLATES = Path(__file__).parents[2] / "src/rv/measure/templates.bin"


def templates() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    count = BLUE[1] - BLUE[0] + RED[1] - RED[0]
    records = np.fromfile(TEMPLATES, np.dtype([("star", "<f4", 4), ("flux", "<u2", count)]))
    flux = records["flux"] / SCALE
    split = BLUE[1] - BLUE[0]
    waves = [10 ** (STEP * np.arange(*bins)) for bins in (BLUE, RED)]
    return {"B": (waves[0], flux[:, :split]), "R": (waves[1], flux[:, split:])}


def measure(table: fits.FITS_rec, arm: tuple[np.ndarray, np.ndarray]) -> float:
    wave, models = arm
    order = np.argsort(table["LOGLAM"])
    log, flux, ivar = (table[name][order].astype(float) for name in ("LOGLAM", "FLUX", "IVAR"))
    observed = 10**log
    inside = (observed > wave[0] * 1.0022) & (observed < wave[-1] / 1.0022) & (ivar > 0)
    observed, flux = observed[inside], flux[inside]
    normal = flux / median_filter(flux, 401, mode="nearest")
    level = np.median(np.abs(normal - np.median(normal)))
    kept = np.abs(normal - np.median(normal)) < 40 * level
    observed, normal = observed[kept], np.clip(normal[kept], 0, 1.1)

    def correlation(velocity: float, model: np.ndarray) -> float:
        shifted = np.interp(observed / (1 + velocity / LIGHT_SPEED), wave, model)
        return np.corrcoef(shifted / median_filter(shifted, 401, mode="nearest"), normal)[0, 1]

    trial = np.arange(-600.0, 601.0, 12.0)
    coarse = np.array([[correlation(v, model) for v in trial] for model in models[::3]])
    best = trial[np.unravel_index(coarse.argmax(), coarse.shape)[1]]
    near = [max(correlation(best + d, model) for d in (-5, 0, 5)) for model in models]
    model = models[int(np.argmax(near))]
    found = minimize_scalar(
        lambda v: -correlation(v, model), bounds=(best - 20, best + 20), method="bounded"
    )
    return round(float(found.x), 2)


def main(folder: Path) -> None:
    arms = templates()
    result = {}
    for path in sorted(folder.glob("med-58[06]*.fits.gz")):
        with fits.open(path) as hdus:
            values = {}
            for hdu in hdus[1:]:
                if hdu.header["SNR"] > 0:
                    arm = hdu.name[0] if hdu.name[1] == "-" else hdu.name[-1]
                    values[hdu.name] = measure(hdu.data, arms[arm])
            result[path.name] = values
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
