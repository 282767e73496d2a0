"""Fluxes of stars of any gravity: bossbrain's giants and the dwarfs of SYNSPEC, joined."""

from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np

from starmill_export import sampling
from starmill_export.continuum import Continuum

GIANT_PIXELS = slice(820, 9420)
"""Of bossbrain's wavelengths: 3910 to 8210 A in air."""

JOIN_LOGG = (3.3, 3.6)
JOIN_TEFF = (5750.0, 5950.0)
"""From one to the other, between these values, giants give way to dwarfs."""


class Giants(Protocol):
    """What `Stars` asks of bossbrain."""

    labels: list[str]

    def flux(self, labels: np.ndarray, pixels: slice) -> np.ndarray:
        """Normalised flux [n, pixels] of labels [n, labels]."""


class Dwarfs(Protocol):
    """What `Stars` asks of the emulator of dwarfs."""

    def flux(self, labels: np.ndarray) -> np.ndarray:
        """Normalised flux on the pixels of `Stars`."""


@dataclass
class Stars:
    """Both emulators on `pixels` of bossbrain's wavelengths, with the continua of both."""

    giants: Giants
    dwarfs: Dwarfs
    pixels: slice
    giant_continuum: Continuum
    dwarf_continuum: Continuum

    @property
    def labels(self) -> list[str]:
        """The names of an array's columns: teff, logg and mh first."""
        return self.giants.labels

    def sample(
        self, count: int, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Labels [count, labels], which rows are free of trends, and which are dwarfs."""
        return sampling.stars(count, self.labels, rng)

    def flux(self, labels: np.ndarray) -> np.ndarray:
        """Continuum-normalised flux, float32 [n, pixels], for `labels` [n, labels]."""
        share = share_of_dwarf(labels)
        result = np.zeros((len(labels), self.pixels.stop - self.pixels.start), np.float32)
        giant, dwarf = share < 1, share > 0
        if giant.any():
            part = (1 - share[giant, None]).astype(np.float32)
            result[giant] += part * self.giants.flux(labels[giant], self.pixels)
        if dwarf.any():
            part = share[dwarf, None].astype(np.float32)
            result[dwarf] += part * self.dwarfs.flux(labels[dwarf])
        return result

    def log_continuum(self, labels: np.ndarray, wavelength: np.ndarray) -> np.ndarray:
        """Natural logarithm of the continuum up to a constant, [n, wavelengths]."""
        share = share_of_dwarf(labels)[:, None]
        result = np.zeros((len(labels), len(wavelength)))
        for part, continuum in (
            (1 - share, self.giant_continuum),
            (share, self.dwarf_continuum),
        ):
            rows = part[:, 0] > 0
            shape = continuum.logarithm(labels[rows, :3], wavelength)
            result[rows] += part[rows] * (shape - shape.mean(axis=1, keepdims=True))
        return result


@dataclass
class OnlyGiants:
    """As `Stars`, of giants alone."""

    giants: Giants
    continuum: Continuum
    pixels: ClassVar[slice] = GIANT_PIXELS

    @property
    def labels(self) -> list[str]:
        """As of `Stars`."""
        return self.giants.labels

    def sample(
        self, count: int, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """As of `Stars`."""
        return *sampling.giants(count, self.labels, rng), np.zeros(count, bool)

    def flux(self, labels: np.ndarray) -> np.ndarray:
        """As of `Stars`."""
        return self.giants.flux(labels, self.pixels)

    def log_continuum(self, labels: np.ndarray, wavelength: np.ndarray) -> np.ndarray:
        """As of `Stars`."""
        return self.continuum.logarithm(labels[:, :3], wavelength)


def share_of_dwarf(labels: np.ndarray) -> np.ndarray:
    """How much of a star [n] of `labels` (teff and logg first) is taken from the dwarfs: 0 to 1."""
    teff, logg = labels[:, 0], labels[:, 1]
    by_gravity = _ramp(logg, JOIN_LOGG)
    # Bossbrain ends at 6000 K; hotter stars are dwarfs or subgiants here.
    by_heat = np.where(logg >= JOIN_LOGG[0], _ramp(teff, JOIN_TEFF), 0.0)
    return np.maximum(by_gravity, by_heat)


def _ramp(values: np.ndarray, ends: tuple[float, float]) -> np.ndarray:
    return np.clip((values - ends[0]) / (ends[1] - ends[0]), 0, 1)
