"""A model of The Cannon: flux is a polynomial of the scaled labels, for each pixel its own."""

from dataclasses import dataclass

import numpy as np


@dataclass
class Polynomial:
    """flux = min(terms(z) @ theta.T, ceiling), z = (labels - fiducials) / scales, in float64.

    `theta` [pixels, 1 + terms]; a term is a list of labels by their index, once for each power, and
    the first column of theta is the constant.
    """

    theta: np.ndarray
    terms: list[list[int]]
    fiducials: np.ndarray
    scales: np.ndarray
    ceiling: float = 1.0
    """The published code takes what exceeds the continuum for a spike, and cuts it off."""

    def __call__(self, labels: np.ndarray) -> np.ndarray:
        """Flux [n, pixels]."""
        return np.minimum(self._uncut(labels), self.ceiling)

    def jacobian(self, labels: np.ndarray) -> np.ndarray:
        """Derivatives [n, labels, pixels]; none where the flux is cut off."""
        scaled = (labels - self.fiducials) / self.scales
        slopes = np.zeros((*labels.shape, len(self.terms) + 1))
        for column, term in enumerate(self.terms, start=1):
            for label in set(term):
                rest = list(term)
                rest.remove(label)
                slopes[:, label, column] = term.count(label) * scaled[:, rest].prod(axis=1)
        found = slopes / self.scales[:, None] @ self.theta.T
        return np.where(self._uncut(labels)[:, None, :] < self.ceiling, found, 0.0)

    def _uncut(self, labels: np.ndarray) -> np.ndarray:
        scaled = (labels - self.fiducials) / self.scales
        columns = [np.ones(len(labels)), *(scaled[:, term].prod(axis=1) for term in self.terms)]
        return np.column_stack(columns) @ self.theta.T
