"""Nets from labels to flux as they were published, in float64: the reference for their graphs."""

from dataclasses import dataclass

import numpy as np

from starmill_export.payne.net import PerPixel, sigmoid

LEAK = 0.01
"""Slope of the published leaky ReLU below zero."""

LEAKY_RELU, SIGMOID = "leaky_relu", "sigmoid"


@dataclass
class Dense:
    """One net for all pixels: `layers` are weight [inputs, outputs] and bias, the last is linear.

    Labels enter as (label - lowest) / (highest - lowest) - 0.5.
    """

    layers: list[tuple[np.ndarray, np.ndarray]]
    lowest: np.ndarray
    highest: np.ndarray
    activation: str = LEAKY_RELU

    def __call__(self, labels: np.ndarray) -> np.ndarray:
        """Flux [n, pixels]."""
        value = (labels - self.lowest) / (self.highest - self.lowest) - 0.5
        for weight, bias in self.layers[:-1]:
            value, _ = _activated(value @ weight.astype(float) + bias, self.activation)
        weight, bias = self.layers[-1]
        return value @ weight.astype(float) + bias

    def jacobian(self, labels: np.ndarray) -> np.ndarray:
        """Derivatives [n, labels, pixels]."""
        value = (labels - self.lowest) / (self.highest - self.lowest) - 0.5
        chain = np.repeat(np.diag(1 / (self.highest - self.lowest))[None], len(labels), axis=0)
        for weight, bias in self.layers[:-1]:
            value, slope = _activated(value @ weight.astype(float) + bias, self.activation)
            chain = chain @ weight.astype(float) * slope[:, None, :]
        return chain @ self.layers[-1][0].astype(float)


@dataclass
class Switched:
    """Several nets, each for a range of the first label: the n-th one up to and with `upto[n]`."""

    nets: list[Dense]
    upto: list[float]

    def __call__(self, labels: np.ndarray) -> np.ndarray:
        """Flux [n, pixels]."""
        return self._chosen(labels, [net(labels) for net in self.nets])

    def jacobian(self, labels: np.ndarray) -> np.ndarray:
        """Derivatives [n, labels, pixels], those of the net that is chosen."""
        return self._chosen(labels, [net.jacobian(labels) for net in self.nets])

    def _chosen(self, labels: np.ndarray, of_nets: list[np.ndarray]) -> np.ndarray:
        which = np.searchsorted(self.upto, labels[:, 0])
        return np.array(of_nets)[which, np.arange(len(labels))]


@dataclass
class Curved:
    """A second sigmoid behind a net for each pixel: flux = scale g(inner) + offset."""

    inner: PerPixel
    scale: np.ndarray
    offset: np.ndarray

    def __call__(self, labels: np.ndarray) -> np.ndarray:
        """Flux [n, pixels]."""
        return self.scale * sigmoid(self.inner(labels)) + self.offset

    def jacobian(self, labels: np.ndarray) -> np.ndarray:
        """Derivatives [n, labels, pixels]."""
        nodes = sigmoid(self.inner(labels))
        return (self.scale * nodes * (1 - nodes))[:, None, :] * self.inner.jacobian(labels)


def _activated(value: np.ndarray, activation: str) -> tuple[np.ndarray, np.ndarray]:
    """An activation function and its slope."""
    if activation == SIGMOID:
        nodes = sigmoid(value)
        return nodes, nodes * (1 - nodes)
    return np.where(value > 0, value, LEAK * value), np.where(value > 0, 1.0, LEAK)
