"""Theoretical gradient spectra, and what a model's departure from them costs."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from starmill_export.payne import labels
from starmill_export.payne.labels import Box

D_SCALE = 10.0
"""The paper's weight of the prior."""

NOISE = 1 / 200
"""Of normalised flux: S/N 200, the paper's training spectra."""

FAINTEST = 0.1 * NOISE
"""A theoretical gradient below this counts as this: no pixel is forbidden to change at all."""


class Source(Protocol):
    """Where spectra of given labels come from."""

    name: str
    names: list[str]
    box: Box
    wave: np.ndarray
    references: np.ndarray

    def sample(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """Labels [count, names] to train on."""

    def spectra(self, given: np.ndarray) -> np.ndarray:
        """Normalised flux [n, pixels] of labels [n, names]."""


@dataclass(frozen=True)
class Prior:
    """Labels half a step below and above each reference, and the gradients between them.

    `below` and `above` are [references * labels, labels]; `gradients` [references * labels, pixels]
    is the change of flux over a whole step.
    """

    below: np.ndarray
    above: np.ndarray
    gradients: np.ndarray

    def at(self, pixels: slice) -> "Prior":
        """The same for some of the pixels."""
        return Prior(self.below, self.above, self.gradients[:, pixels])

    def of_paper(self) -> "Prior":
        """Only the first reference, the paper's."""
        rows = slice(0, self.below.shape[1])
        return Prior(self.below[rows], self.above[rows], self.gradients[rows])


def theoretical(source: Source) -> Prior:
    """Gradient spectra of the source at its references, with the steps of the paper."""
    halves = np.diag(labels.steps(source.names)) / 2
    below = (source.references[:, None, :] - halves).reshape(-1, len(source.names))
    above = (source.references[:, None, :] + halves).reshape(-1, len(source.names))
    return Prior(below, above, source.spectra(above) - source.spectra(below))


def weights(gradients: np.ndarray) -> np.ndarray:
    """Weight of a squared departure from `gradients` [.., pixels].

    The paper describes equation 2 in words: where theory sees nothing, a small departure costs
    much; where it sees a strong feature, the data determine how strong. Here a departure costs one
    unit of chi-square where it is the geometric mean of the noise and the theoretical gradient.
    """
    return 1 / (NOISE * np.maximum(np.abs(gradients), FAINTEST))


def correlation(found: np.ndarray, theory: np.ndarray) -> np.ndarray:
    """Of gradient spectra [.., pixels], the paper's figure 3: 1 where they have one shape."""
    product = (found * theory).sum(axis=-1)
    return product / np.sqrt((found**2).sum(axis=-1) * (theory**2).sum(axis=-1))
