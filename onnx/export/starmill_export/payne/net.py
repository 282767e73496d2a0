"""The nets: one hidden layer of sigmoid nodes, for all pixels alike or for each its own.

The paper's equation 1 gives every pixel a hidden layer of its own, which is `PerPixel`. `Shared`
has one hidden layer for all pixels: a hundredth of the weights, which fits beside the program.
"""

from dataclasses import dataclass

import numpy as np

NODES = 100
"""The paper's."""


@dataclass
class Shared:
    """flux = g(labels @ hidden + hidden_bias) @ out + out_bias, labels in physical units."""

    hidden: np.ndarray
    hidden_bias: np.ndarray
    out: np.ndarray
    out_bias: np.ndarray

    def __call__(self, labels: np.ndarray) -> np.ndarray:
        """Flux [n, pixels] in float64: the reference for the graph."""
        return self._nodes(labels) @ self.out.astype(float) + self.out_bias

    def jacobian(self, labels: np.ndarray) -> np.ndarray:
        """Derivatives [n, labels, pixels] in float64."""
        nodes = self._nodes(labels)
        slopes = (nodes * (1 - nodes))[:, None, :] * self.hidden.astype(float)
        return slopes @ self.out.astype(float)

    def _nodes(self, labels: np.ndarray) -> np.ndarray:
        return sigmoid(labels @ self.hidden.astype(float) + self.hidden_bias)

    @property
    def parameters(self) -> int:
        """How many numbers training adjusts."""
        return sum(array.size for array in vars(self).values())


@dataclass
class PerPixel(Shared):
    """The same with a layer for each pixel: hidden [pixels, labels, nodes], out [pixels, nodes]."""

    def __call__(self, labels: np.ndarray) -> np.ndarray:
        """Flux [n, pixels] in float64."""
        return np.einsum("pnh,ph->np", self._nodes(labels), self.out) + self.out_bias

    def jacobian(self, labels: np.ndarray) -> np.ndarray:
        """Derivatives [n, labels, pixels] in float64."""
        nodes = self._nodes(labels)
        slopes = nodes * (1 - nodes) * self.out.astype(float)[:, None, :]
        return np.einsum("pnh,plh->nlp", slopes, self.hidden.astype(float))

    def _nodes(self, labels: np.ndarray) -> np.ndarray:
        return sigmoid(
            np.einsum("nl,plh->pnh", labels, self.hidden.astype(float))
            + self.hidden_bias[:, None, :]
        )


def sigmoid(value: np.ndarray) -> np.ndarray:
    """The paper's activation function g."""
    return 1 / (1 + np.exp(-value))


def rounded(model: Shared) -> Shared:
    """The net as the graph stores it: the output layer in half precision, the rest in single."""
    return type(model)(
        model.hidden.astype(np.float32),
        model.hidden_bias.astype(np.float32),
        model.out.astype(np.float16),
        model.out_bias.astype(np.float32),
    )
