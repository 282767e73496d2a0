"""Continuum shapes of stars: SYNSPEC continua on a grid, and the polynomial that stands for them.

At each wavelength of SYNSPEC's own continuum grid a polynomial in the scaled variables of
`_label_terms` gives the natural logarithm of the continuum, up to a constant common to all
wavelengths; between them it is interpolated.
"""

import itertools
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from starmill_export import synspec
from starmill_export.atmosphere import Atmospheres

GIANTS = [
    [3600.0, 3850.0, 4200.0, 4650.0, 5100.0, 5550.0, 6000.0],
    [0.3, 1.9, 3.5],
    [-2.45, -1.5, -0.5, 0.5],
]
DWARFS = [
    [4150.0, 4600.0, 5150.0, 5800.0, 6600.0, 7600.0],
    [3.2, 4.1, 5.05],
    [-2.5, -1.5, -0.5, 0.55],
]
"""Teff (K), log g and [M/H] of the models, all combinations."""

WINDOW = (3950.0, 8210.0)


@dataclass
class Continuum:
    """Coefficients [label terms, wavelengths] at air wavelengths in Angstrom."""

    wavelength: np.ndarray
    coefficients: np.ndarray

    def logarithm(self, labels: np.ndarray, wavelength: np.ndarray) -> np.ndarray:
        """Natural logarithm of the continuum up to a constant, [n, wavelengths].

        `labels` [n, 3] are teff, logg and [M/H]; `wavelength` is air Angstrom within WINDOW.
        """
        nodes = _label_terms(labels) @ self.coefficients
        hats = [np.interp(wavelength, self.wavelength, row) for row in np.eye(len(self.wavelength))]
        return nodes @ np.array(hats)


def compute(
    executable: Path,
    atomic_data: Path,
    atmospheres: Atmospheres,
    grid: list[list[float]],
    workers: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """SYNSPEC continua over a grid, GIANTS or DWARFS.

    Returns the grid points [n, 3] (teff, logg, [M/H]), air wavelengths [m] and fluxes [n, m].
    Points without a usable model atmosphere are left out.
    """

    def one(point: tuple[float, float, float]) -> tuple[np.ndarray, np.ndarray] | None:
        try:
            layers = atmospheres.layers(*point)
        except ValueError:
            return None
        return synspec.continuum(executable, atomic_data, point, layers, WINDOW)

    points = list(itertools.product(*grid))
    with ThreadPoolExecutor(workers) as pool:
        results = list(pool.map(one, points))
    kept = [(point, result) for point, result in zip(points, results, strict=True) if result]
    wavelength = kept[0][1][0]
    flux = np.array([result[1] for _, result in kept])
    return np.array([point for point, _ in kept]), wavelength, flux


def fit(
    points: np.ndarray, wavelength: np.ndarray, flux: np.ndarray
) -> tuple[Continuum, dict[str, float]]:
    """Least-squares fit, and its quality: number of models, rms and largest residual of ln flux."""
    # A z-scored spectrum does not hold the level of the continuum.
    shape = np.log(flux / flux.mean(axis=1, keepdims=True))
    terms = _label_terms(points)
    coefficients = np.linalg.lstsq(terms, shape, rcond=None)[0]
    residual = terms @ coefficients - shape
    quality = {
        "models": len(points),
        "rms": round(float(residual.std()), 5),
        "largest": round(float(np.abs(residual).max()), 5),
    }
    return Continuum(wavelength, coefficients), quality


def save(path: Path, continuum: Continuum, quality: dict[str, float], stars: str) -> None:
    """Write the polynomial as JSON."""
    content = {
        "about": f"ln continuum of {stars} (SYNSPEC54): label terms x air wavelengths (Angstrom)",
        "fit": quality,
        "wavelength": continuum.wavelength.round(3).tolist(),
        "coefficients": continuum.coefficients.round(6).tolist(),
    }
    path.write_text(json.dumps(content) + "\n")


def load(path: Path) -> Continuum:
    """The polynomial as `save` wrote it."""
    content = json.loads(path.read_text())
    return Continuum(np.array(content["wavelength"]), np.array(content["coefficients"]))


def _label_terms(labels: np.ndarray) -> np.ndarray:
    temperature = (5000.0 / labels[:, 0] - 1.0) * 3.0
    gravity = (labels[:, 1] - 1.75) / 1.75
    metallicity = (labels[:, 2] + 1.0) / 1.4
    powers = itertools.product(range(5), range(3), range(4))
    return np.array([temperature**i * gravity**j * metallicity**k for i, j, k in powers]).T
