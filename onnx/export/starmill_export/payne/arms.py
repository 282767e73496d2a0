"""The windows of RRNet and SPEMR at R = 7500, over the continuum of the model atmosphere.

The spectra are those of RRNet's emulator (`rrnet/emulator.py`), so that labels of RRNet and SPEMR
can be turned back into the spectra they stand for. Stars do not rotate here.
"""

import numpy as np
from scipy import sparse

from starmill_export.instrument import vacuum
from starmill_export.payne import smoothing
from starmill_export.payne.labels import Box
from starmill_export.rrnet import batch_prepare, emulator, examples, observe, syntheses
from starmill_export.rrnet import labels as rrnet_labels
from starmill_export.rrnet.emulator import Emulator

NAMES = rrnet_labels.RRNET

BOX = Box(
    teff=(4000.0, 6500.0),
    logg=(0.5, 4.8),
    iron=(-1.9, 0.45),
    scatter=0.7,
    default=(5200.0, 3.4, -0.2),
    within=f"within {examples.SCATTER} dex of the Galaxy's trend with [Fe/H]",
)

RESOLVING_POWER = observe.RESOLUTION
TRUSTED = 4500.0
"""K: below it the emulator's errors are several times larger, and would hide those of the rest."""

MARGIN = 5.0
"""Angstrom beyond RRNet's windows, for what velocity errors and smoothing need."""

REFERENCES = np.array(
    [
        [4800, 2.5, 0.0],
        [5800, 4.4, 0.0],
        [4400, 1.8, 0.0],
        [5200, 3.2, -0.5],
        [6200, 4.2, -0.3],
        [5000, 2.6, -1.2],
    ]
)
"""teff, logg and one [X/H]: the paper's K giant, the Sun, and others on both loci."""


def microturbulence(logg: np.ndarray) -> np.ndarray:
    """km/s: the trend of the grid of syntheses, whose scatter is no label here."""
    return np.clip(2.0 - 0.25 * logg, 0.6, 2.6)


class Arms:
    """Normalised spectra at R = 7500 of labels [n, NAMES]."""

    name = "payne-mrs"
    names, box = NAMES, BOX

    def __init__(self, fitted: Emulator) -> None:
        self.emulator = fitted
        grids, blocks = [], []
        for window, (first, last) in zip(
            syntheses.windows(fitted.air), batch_prepare.WINDOWS, strict=True
        ):
            air = fitted.air[window]
            grid = batch_prepare.grid((first - MARGIN, last + MARGIN))
            own = air.mean() / observe.EMULATED_RESOLUTION
            blocks.append(smoothing.to_resolution(vacuum(air), grid, RESOLVING_POWER, own))
            grids.append(grid)
        self.wave = np.concatenate(grids)
        self._resolve = sparse.block_diag(blocks, format="csr").astype(np.float32)

    @property
    def references(self) -> np.ndarray:
        """Where gradients are held against theory."""
        repeated = np.repeat(REFERENCES[:, 2:], len(NAMES) - 2, axis=1)
        return np.column_stack([REFERENCES[:, :2], repeated])

    def sample(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """Labels as RRNet's training set has them."""
        return rrnet_labels.of_synthesis(examples.sample_labels(count, "rrnet", rng))

    def spectra(self, given: np.ndarray) -> np.ndarray:
        """Flux over the continuum, float32 [n, pixels]."""
        iron = given[:, 2:3]
        rows = np.column_stack([given[:, :3], microturbulence(given[:, 1]), given[:, 3:] - iron])
        return self.resolve(self.emulator(rows))

    def resolve(self, flux: np.ndarray) -> np.ndarray:
        """Emulated flux [n, air] at R = 7500 on the pixels of the model."""
        return np.ascontiguousarray((self._resolve @ flux.T).T)

    def left_out(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Teff, error and flux [stars, pixels] of the syntheses of the box, each left out."""
        teff = self.emulator.labels[:, 0]
        inside = (teff >= BOX.teff[0]) & (teff <= BOX.teff[1])
        given, predicted = (self.resolve(flux[inside]) for flux in emulator.left_out(self.emulator))
        return teff[inside], predicted - given, given
