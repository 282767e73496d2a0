"""The training set: spectra of random stars, kept as coefficients of their principal components.

The nets see spectra only through dense layers, and what these do to directions in which no spectrum
varies is of no account. So the nets are trained on the leading components, a sixteenth of the work,
and the components are multiplied into the outer layers when a graph is written.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from starmill_export.generator import labels, observe
from starmill_export.generator.emulator import Emulator

COMPONENTS = 256
BASIS_SPECTRA = 2500
BATCH = 500


@dataclass
class Examples:
    """Labels [n, 6] and coefficients [n, components] of spectra = mean + coefficients @ basis.

    `lost` is the mean squared flux that the basis leaves out.
    """

    labels: np.ndarray
    coefficients: np.ndarray
    mean: np.ndarray
    basis: np.ndarray
    lost: float

    def rows(self, chosen: slice) -> "Examples":
        """Only these rows."""
        return Examples(
            self.labels[chosen], self.coefficients[chosen], self.mean, self.basis, self.lost
        )

    def project(self, spectra: np.ndarray) -> np.ndarray:
        """Coefficients of spectra [n, 4000]."""
        return (spectra - self.mean) @ self.basis.T

    def spectra(self, coefficients: np.ndarray) -> np.ndarray:
        """Flux [n, 4000]."""
        return coefficients @ self.basis + self.mean


def generate(path: Path, count: int, emulator: Emulator, report: Callable[[str], None]) -> None:
    """Simulate `count` spectra into the archive `path`."""
    onto = observe.interpolation(emulator.air)
    rng = np.random.default_rng(count)
    drawn = labels.sample(count, rng)

    def simulated(rows: slice) -> np.ndarray:
        flux = emulator(labels.of_synthesis(drawn[rows]))
        return observe.observed(flux, drawn[rows], onto)

    first = min(BASIS_SPECTRA, count)
    parts = [simulated(slice(at, min(at + BATCH, first))) for at in range(0, first, BATCH)]
    mean, basis = principal_components(np.concatenate(parts), COMPONENTS)
    coefficients, lost = np.empty((count, len(basis)), np.float32), 0.0
    for number, at in enumerate(range(0, count, BATCH)):
        rows = slice(at, min(at + BATCH, count))
        centred = simulated(rows) - mean
        coefficients[rows] = centred @ basis.T
        lost += float((centred**2).sum() - (coefficients[rows] ** 2).sum())
        if number % 20 == 19:
            report(f"{rows.stop} of {count} spectra")
    lost = max(lost, 0.0) / (count * observe.PIXELS)
    temporary = path.with_suffix(".tmp.npz")
    np.savez(temporary, labels=drawn, coefficients=coefficients, mean=mean, basis=basis, lost=lost)
    temporary.replace(path)


def load(path: Path) -> Examples:
    """What `generate` wrote."""
    with np.load(path, allow_pickle=False) as archive:
        values = {name: archive[name] for name in archive.files}
    return Examples(**values | {"lost": float(values["lost"])})


def principal_components(spectra: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean and orthonormal leading components [most, pixels], float32."""
    mean = spectra.mean(axis=0, dtype=float)
    centred = spectra - mean
    # Of the smaller Gram matrix, in float64: the last components are a millionth of the first.
    values, vectors = np.linalg.eigh(centred @ centred.T)
    leading = np.argsort(values)[::-1][: min(most, len(spectra) - 1)]
    basis = vectors[:, leading].T @ centred / np.sqrt(values[leading])[:, None]
    return mean.astype(np.float32), basis.astype(np.float32)
