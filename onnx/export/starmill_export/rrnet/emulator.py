"""From labels to normalised flux: a Gaussian process per pixel over a grid of syntheses.

Its place is that of the Payne (Ting et al. 2019): spectra of any label, fast, and differentiable.
The Payne's own net of a few hundred values a pixel wants thousands of syntheses; a few hundred are
enough for a process whose covariance knows the physics. The logarithm of the flux is a smooth
function of the atmosphere, plus one of each abundance whose strength depends on the atmosphere:

    k(x, x') = k_A + k_B (s + sum_e c_e q_e (a_e a'_e)^2 + p s^2),   s = sum_e c_e a_e a'_e

where k_A and k_B are squared exponentials of the atmospheric coordinates and a_e is [X_e/M]. All
pixels share the covariance, so that one matrix product gives a spectrum.
"""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np

from starmill_export.process import STEPS, PixelProcess, squared_distance
from starmill_export.rrnet import labels as names
from starmill_export.rrnet.syntheses import Syntheses

COORDINATES = 6


def coordinates(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scaled atmospheric coordinates [n, 6] and abundances [n, 14] of labels [n, SYNTHESIS].

    The last two coordinates act in cool stars alone: how cool, and what CO leaves of carbon.
    """
    teff, logg, metallicity, vmicro = labels[:, :4].T
    carbon, oxygen = (labels[:, names.SYNTHESIS.index(name)] for name in ("c_m", "o_m"))
    cool = 1 / (1 + np.exp((teff - 4700) / 150))
    atmosphere = np.column_stack(
        [
            5 * (5040 / teff - 1),
            (logg - 3) / 1.5,
            (metallicity + 0.7) / 0.8,
            (vmicro - 1.3) / 0.5,
            2 * cool,
            3 * cool * np.clip(carbon - oxygen, -1, 0.3),
        ]
    )
    return atmosphere, labels[:, 4:] / 0.3


class Emulator(PixelProcess):
    """Flux at air wavelengths of labels [n, SYNTHESIS]."""

    START = np.concatenate(
        [
            np.full(COORDINATES, -0.7),
            [-0.5],
            np.full(len(names.ELEMENTS), -3.0),
            np.full(len(names.ELEMENTS), -2.0),
            [-1.0, -8.0],
        ]
    )

    @staticmethod
    def coordinates(labels: np.ndarray) -> tuple[np.ndarray, ...]:
        """See the function of this name."""
        return coordinates(labels)

    @staticmethod
    def covariance(
        library: ModuleType, constants: np.ndarray, first: tuple, second: tuple
    ) -> np.ndarray:
        """The covariance of the head of this file."""
        return _covariance(library, constants, first, second)


def load(path: Path) -> Emulator:
    """Read what `Emulator.save` wrote."""
    return Emulator.load(path)


def fit(grid: Syntheses, report: Callable[[str], None], steps: int = STEPS) -> Emulator:
    """An emulator of all stars of a grid."""
    return Emulator.fit(grid.labels, grid.flux, grid.air, report, steps)


def _covariance(
    library: ModuleType, constants: np.ndarray, first: tuple, second: tuple
) -> np.ndarray:
    """The covariance of two sets of coordinates; `library` is numpy or jax.numpy."""
    lengths, common, pairs = constants[:COORDINATES], constants[COORDINATES], constants[-2]
    elements = len(names.ELEMENTS)
    linear = library.exp(constants[COORDINATES + 1 : COORDINATES + 1 + elements])
    square = linear * library.exp(constants[COORDINATES + 1 + elements : -2])
    (left, left_abundance), (right, right_abundance) = first, second
    distance = squared_distance(left * library.exp(lengths), right * library.exp(lengths))
    shared = (left_abundance * linear) @ right_abundance.T
    bent = (left_abundance**2 * square) @ (right_abundance**2).T
    abundance = shared + bent + library.exp(pairs) * shared**2
    return library.exp(-0.5 * distance) + abundance * library.exp(
        -0.5 * distance * library.exp(2 * common)
    )


def held_out_error(
    grid: Syntheses,
    report: Callable[[str], None],
    seed: int = 0,
    share: float = 0.15,
    steps: int = STEPS,
) -> list[dict]:
    """Errors by range of Teff on syntheses that the emulator has not seen."""
    order = np.random.default_rng(seed).permutation(len(grid.labels))
    count = round(share * len(order))
    test = grid.rows(order[:count])
    emulator = fit(grid.rows(order[count:]), report, steps)
    error = emulator(test.labels) - test.flux
    rows = []
    for low, high in ((3700, 4500), (4500, 5500), (5500, 6500), (6500, 7000)):
        inside = (test.labels[:, 0] >= low) & (test.labels[:, 0] < high)
        chosen = error[inside]
        rows.append(
            {
                "teff": [low, high],
                "stars": int(inside.sum()),
                "median_absolute": float(np.median(np.abs(chosen))),
                "rms": float(np.sqrt(np.mean(chosen**2))),
                "worst_star_rms": float(np.sqrt((chosen**2).mean(axis=1)).max()),
                "spread_of_flux": float(test.flux[inside].std(axis=0).mean()),
            }
        )
    return rows


def responses(emulator: Emulator, labels: np.ndarray, step: float = 0.2) -> np.ndarray:
    """Change of flux [elements, pixels] when one [X/M] of a star [SYNTHESIS] grows by `step`."""
    raised = np.tile(labels, (len(names.ELEMENTS) + 1, 1))
    for index in range(len(names.ELEMENTS)):
        raised[index + 1, 4 + index] += step
    flux = emulator(raised)
    return flux[1:] - flux[0]


def left_out(emulator: Emulator) -> tuple[np.ndarray, np.ndarray]:
    """Flux [stars, pixels] of the syntheses, and what it would be without each in its turn.

    One inverse gives all of it (Rasmussen & Williams 2006, equation 5.12); the constants of the
    covariance are those of all stars.
    """
    points = coordinates(emulator.labels)
    covariance = _covariance(np, emulator.constants, points, points)
    covariance[np.diag_indices(len(covariance))] += np.exp(emulator.constants[-1])
    depth = covariance @ emulator.weights + emulator.mean
    missed = emulator.weights / np.diag(np.linalg.inv(covariance))[:, None]
    return np.exp(-depth).astype(np.float32), np.exp(missed - depth).astype(np.float32)
