"""The nets of the paper's Tables 2, 3 and 4, and narrower ones of the same build."""

import itertools
from dataclasses import dataclass
from types import ModuleType

import numpy as np

LATENT = 10
INVERTED_COMPONENTS = 15

Layers = list[tuple[np.ndarray, np.ndarray]]
"""Weight [inputs, outputs] and bias of each dense layer."""


@dataclass(frozen=True)
class Size:
    """Nodes of the hidden layers; the decoder mirrors the encoder.

    `dropout` acts behind the first three hidden layers of the label net.
    """

    encoder: tuple[int, ...]
    label_net: tuple[int, ...]
    inversion: tuple[int, ...]
    dropout: float = 0.0

    @property
    def decoder(self) -> tuple[int, ...]:
        """Hidden layers from the latent space on."""
        return self.encoder[::-1]


SIZES = {
    "published": Size(
        (1024, 512, 256, 64, 32), (5000, 2000, 512, 32), (5000, 2000, 1000, 512, 64), 0.3
    ),
    "small": Size((320, 192, 128, 64, 32), (512, 256, 128, 32), (256, 256, 128, 96, 64)),
    "smoke": Size((24, 16), (24, 16), (16, 8)),
}


def initial(widths: tuple[int, ...], rng: np.random.Generator, last_bias: float = 0.0) -> Layers:
    """Normal weights for ReLU (He et al. 2015), float32."""
    layers = [
        (
            rng.normal(0, np.sqrt(2 / inputs), (inputs, outputs)).astype(np.float32),
            np.zeros(outputs, np.float32),
        )
        for inputs, outputs in itertools.pairwise(widths)
    ]
    layers[-1][1][:] = last_bias
    return layers


def forward(layers: Layers, values: np.ndarray, library: ModuleType) -> np.ndarray:
    """ReLU behind every layer but the last; `library` is numpy or jax.numpy."""
    for weight, bias in layers[:-1]:
        values = library.maximum(values @ weight + bias, 0)
    weight, bias = layers[-1]
    return values @ weight + bias


def encode(layers: Layers, values: np.ndarray, library: ModuleType) -> np.ndarray:
    """The latent space, which has a ReLU of its own (Table 2)."""
    return library.maximum(forward(layers, values, library), 0)


def jacobian(layers: Layers, values: np.ndarray) -> np.ndarray:
    """Derivatives [n, inputs, outputs] of `forward` at values [n, inputs]."""
    slopes = np.broadcast_to(np.eye(values.shape[1]), (len(values), *[values.shape[1]] * 2))
    for weight, bias in layers[:-1]:
        values = values @ weight + bias
        slopes = (slopes @ weight) * (values > 0)[:, None, :]
        values = np.maximum(values, 0)
    return slopes @ layers[-1][0]


def count(layers: Layers) -> int:
    """Number of parameters."""
    return sum(weight.size + bias.size for weight, bias in layers)
