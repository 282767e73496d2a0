"""Computes the grid of syntheses of the paper's Table 1, from packages alone."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from starmill_export.generator import labels
from starmill_export.rrnet import grid

WINDOW = (8385.0, 8815.0)
"""Air wavelengths in Angstrom, the last included: half a profile of 300 km/s beyond the pixels."""

STARS = 1024
DIMENSIONS = 20
LEAST_VMICRO = 0.05


def sample(count: int, seed: int) -> np.ndarray:
    """Labels [count, SYNTHESIS] of a Sobol sequence; gravities are raised out of the holes."""
    from scipy.stats import qmc

    unit = qmc.Sobol(DIMENSIONS, seed=seed).random(count)[:, :4]
    low, high = (labels.of_synthesis(side[None])[0] for side in (labels.LOWER, labels.UPPER))
    stars = low + (high - low) * unit
    stars[:, 0] = low[0] * (high[0] / low[0]) ** unit[:, 0]
    hot, rich = stars[:, 0] > labels.HOT, stars[:, 2] > labels.RICH
    stars[hot, 1] = np.maximum(stars[hot, 1], labels.LEAST_LOGG_HOT)
    stars[rich, 1] = np.maximum(stars[rich, 1], labels.LEAST_LOGG_RICH)
    return stars


def compute(
    target: Path, count: int, seed: int, cache: Path, workers: int, report: Callable[[str], None]
) -> None:
    """Compute `count` stars into `target`, about 3 CPU seconds each."""
    stars = sample(count, seed)
    # All elements follow [M/H]; without any turbulence SYNSPEC has no line width to sample.
    free = np.zeros((count, len(grid.ATOMIC_NUMBERS)))
    complete = np.column_stack([stars, free])
    complete[:, 3] = np.maximum(complete[:, 3], LEAST_VMICRO)
    synthesis = grid.Synthesis(cache, [WINDOW])
    grid.compute(target, complete, labels.SYNTHESIS, synthesis, workers, report)
