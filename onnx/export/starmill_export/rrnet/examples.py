"""Synthetic spectra to train on: labels within a box, and prepared inputs in an archive."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from starmill_export.rrnet import batch_prepare, labels, observe
from starmill_export.rrnet.emulator import Emulator

BATCH = 250
TEFF = {"rrnet": (3950.0, 6550.0), "spemr": (3720.0, 6980.0)}
"""K: a little more than the range that a model is to serve."""

SCATTER = 0.42
"""Half width of the free scatter of each [X/M] (dex): without it a net learns the trends of the
Galaxy instead of lines."""

PARTS = (0.7, 0.8)
"""The paper's 7 : 1 : 2, training, validation and test, by star."""


@dataclass
class Examples:
    """Inputs [n, pixels] float16 before scaling, labels [n, labels], S/N [n, 2], S/N ascending arm.

    The arrays may be views of files.
    """

    inputs: np.ndarray
    labels: np.ndarray
    snr: np.ndarray

    def part(self, name: str) -> "Examples":
        """The rows of `training`, `validation` or `test`."""
        first, second = (round(share * len(self.labels)) for share in PARTS)
        rows = {
            "training": slice(0, first),
            "validation": slice(first, second),
            "test": slice(second, None),
        }[name]
        return Examples(self.inputs[rows], self.labels[rows], self.snr[rows])


@dataclass(frozen=True)
class Scaling:
    """Mean and deviation of the training set, of each pixel and of each label."""

    pixel_mean: np.ndarray
    pixel_spread: np.ndarray
    label_mean: np.ndarray
    label_spread: np.ndarray

    def inputs(self, spectra: np.ndarray) -> np.ndarray:
        """Standardised pixels, float32."""
        return ((spectra.astype(np.float32) - self.pixel_mean) / self.pixel_spread).astype("f4")

    def labels(self, labels: np.ndarray) -> np.ndarray:
        """Standardised labels, float32."""
        return ((labels - self.label_mean) / self.label_spread).astype(np.float32)


def sample_labels(count: int, family: str, rng: np.random.Generator) -> np.ndarray:
    """Labels [count, SYNTHESIS] on the loci of dwarfs and giants that the grid covers."""
    kept: list[np.ndarray] = []
    total = 0
    while total < count:
        drawn = _draw(2 * count, family, rng)
        drawn = drawn[~labels.is_carbon_star(drawn)]
        kept.append(drawn)
        total += len(drawn)
    return np.concatenate(kept)[:count]


def _draw(count: int, family: str, rng: np.random.Generator) -> np.ndarray:
    teff = rng.uniform(*TEFF[family], count)
    dwarf = (teff > 5600) | (rng.random(count) < 0.4)
    bend = np.maximum(0, teff - 5600) / 1400 * 0.35
    spread = rng.uniform(-0.5, 0.5, count)
    giant = np.clip(3.5 - (5100 - teff) / 1000 * 1.9 + 1.15 * spread, 0.5, 4.0)
    logg = np.where(dwarf, 4.45 - bend + 0.65 * spread, giant)
    metallicity = -1.95 + 2.4 * rng.random(count) ** 0.6
    vmicro = np.clip(2.0 - 0.25 * logg + rng.uniform(-0.28, 0.28, count), 0.6, 2.6)
    abundance = rng.uniform(-SCATTER, SCATTER, (count, len(labels.ELEMENTS)))
    abundance += trends(metallicity)
    return np.column_stack([teff, logg, metallicity, vmicro, abundance])


def trends(metallicity: np.ndarray) -> np.ndarray:
    """[X/M] [n, ELEMENTS] that stars of the Galaxy have on average: alpha elements follow iron."""
    alpha = np.select([metallicity < -0.8, metallicity < -0.2], [0.3, 0.15], 0.0)
    enhanced = np.array(
        [symbol in ("O", "Mg", "Si", "S", "Ca", "Ti") for symbol in labels.ELEMENTS]
    )
    return alpha[:, None] * enhanced


def generate(
    folder: Path,
    count: int,
    emulator: Emulator,
    family: str,
    variant: str,
    seed: int,
    report: Callable[[str], None],
) -> None:
    """Simulate `count` spectra into `folder`; a part already there is kept, so this resumes."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn = sample_labels(count, family, np.random.default_rng(seed))
    inputs = np.lib.format.open_memmap(
        folder / "inputs.npy", "w+", np.float16, (count, batch_prepare.PIXELS)
    )
    snr, usable, velocity = [], [], []
    for number, start in enumerate(range(0, count, BATCH)):
        # A generator of its own for each batch: the bytes do not depend on what came before.
        rng = np.random.default_rng([seed, number])
        rows = slice(start, start + BATCH)
        given = observe.conditions(drawn[rows], variant, rng)
        seen = observe.observe(emulator(drawn[rows]), emulator.air, given, rng)
        inputs[rows], good = batch_prepare.normalise(seen)
        snr.append(given.snr)
        usable.append(good)
        velocity.append(given.velocity)
        if number % 20 == 19:
            report(f"{start + BATCH} of {count} spectra")
    target = labels.of_synthesis(drawn)
    if variant == "ur":
        target = np.column_stack([target, np.concatenate(velocity)])
    inputs.flush()
    np.savez(
        folder / "labels.npz",
        labels=target.astype(np.float32),
        snr=np.concatenate(snr).astype(np.float32),
        usable=np.concatenate(usable),
    )


def load(folder: Path) -> Examples:
    """What `generate` wrote, the inputs mapped from the file."""
    inputs = np.load(folder / "inputs.npy", mmap_mode="r")
    with np.load(folder / "labels.npz", allow_pickle=False) as archive:
        if not archive["usable"].all():
            # So few that a copy is cheaper than an index in every batch.
            kept = archive["usable"]
            return Examples(inputs[kept], archive["labels"][kept], archive["snr"][kept])
        return Examples(inputs, archive["labels"], archive["snr"])


def scaling(inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each pixel, float32, read in blocks."""
    count, first, second = 0, 0.0, 0.0
    for start in range(0, len(inputs), 2000):
        block = inputs[start : start + 2000].astype(np.float64)
        count += len(block)
        first = first + block.sum(axis=0)
        second = second + (block**2).sum(axis=0)
    mean = first / count
    return mean.astype(np.float32), np.sqrt(second / count - mean**2).astype(np.float32)
