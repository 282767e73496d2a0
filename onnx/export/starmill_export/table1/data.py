"""The two sets of spectra that every method learns from, and the paper's split of them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from starmill_export import bossbrain, continuum, fetch, manifest, training_set
from starmill_export.gaia_xp import table
from starmill_export.stars import OnlyGiants
from starmill_export.table1.methods import Set

COUNT = 30_500
"""Synthetic stars, of whom about as many are bright enough as the paper has real ones: 22,632."""

SEED = 20251018
EXPORT = Path(__file__).resolve().parents[2]


@dataclass
class Task:
    """Prepared spectra with scaled labels; `mean` and `spread` are those of the training labels."""

    labels: list[str]
    training: Set
    validation: Set
    test: Set
    mean: np.ndarray
    spread: np.ndarray

    @classmethod
    def of(cls, labels: list[str], parts: list[Set]) -> "Task":
        """From training, validation and test spectra with labels in their units."""
        mean, spread = parts[0][1].mean(axis=0), parts[0][1].std(axis=0)
        scaled = [
            (np.asarray(spectra, np.float32), ((given - mean) / spread).astype(np.float32))
            for spectra, given in parts
        ]
        return cls(labels, *scaled, mean, spread)

    def thinned(self, most: int) -> "Task":
        """With `most` spectra in a part at most."""
        sets = [tuple(part[:most] for part in one) for one in self.sets]
        return Task(self.labels, *sets, self.mean, self.spread)

    @property
    def sets(self) -> list[Set]:
        """Training, validation and test."""
        return [self.training, self.validation, self.test]


def lrs(cache: Path) -> Task:
    """Synthetic giants as fcresnet 1.0 learns from, prepared by its recipe: 143 pixels."""
    emulator = bossbrain.Bossbrain(fetch.opened(fetch.BOSSBRAIN, cache) / "bossbrain/data")
    stored = continuum.load(EXPORT / "data/continuum-giants.json")
    giants = OnlyGiants(emulator, stored)
    examples = training_set.generate(COUNT, giants, manifest.RECIPE, SEED)
    bounds = [(0.0, 0.6), (0.6, 0.8), (0.8, 1.0)]
    parts = [examples.part(*ends).above(manifest.MIN_SNR) for ends in bounds]
    return Task.of(training_set.LABELS, [(part.inputs, part.labels) for part in parts])


def xp(cache: Path) -> Task:
    """Real Gaia XP spectra with APOGEE's labels, split by star: 343 pixels."""
    stars = table.read(table.fetched(cache)).labelled()
    parts = [stars.part(name) for name in table.PARTS]
    return Task.of(table.LABELS, [(part.inputs, part.labels) for part in parts])


TASKS = {"lrs": lrs, "xp": xp}
