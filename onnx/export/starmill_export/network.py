"""FCResNet (Li et al. 2025, section 3.3): forward pass, gradient of the loss and the Adam step.

143 -> 128 ReLU; two residual blocks x + ReLU(FC(ReLU(FC(x)))); FC 128 ReLU; 6 outputs.
Seven dense layers are few enough to write the gradient out, which spares a framework; a test
holds it against finite differences.
"""

import itertools
import math
from dataclasses import dataclass, field

import numpy as np

HIDDEN = 128
LAYERS = 7

Parameters = list[tuple[np.ndarray, np.ndarray]]
"""Weight [inputs, outputs] and bias [outputs] of each dense layer, in order."""


def initial(inputs: int, outputs: int, rng: np.random.Generator) -> Parameters:
    """Uniform weights and biases within 1/sqrt(inputs) of a layer, float32."""
    widths = [inputs] + [HIDDEN] * (LAYERS - 1) + [outputs]
    parameters = []
    for rows, columns in itertools.pairwise(widths):
        bound = 1 / np.sqrt(rows)
        weight = rng.uniform(-bound, bound, (rows, columns)).astype(np.float32)
        bias = rng.uniform(-bound, bound, columns).astype(np.float32)
        parameters.append((weight, bias))
    return parameters


def count(parameters: Parameters) -> int:
    """Number of trainable values."""
    return sum(weight.size + bias.size for weight, bias in parameters)


def forward(parameters: Parameters, spectra: np.ndarray) -> np.ndarray:
    """Scaled labels [n, outputs] of prepared spectra [n, inputs]."""
    return _run(parameters, spectra).output


@dataclass
class _Pass:
    """One forward pass: what enters each dense layer, what the ReLUs of the blocks give."""

    inputs: list[np.ndarray]
    branches: list[np.ndarray]
    output: np.ndarray


def _run(parameters: Parameters, spectra: np.ndarray) -> _Pass:
    def dense(layer: int, value: np.ndarray) -> np.ndarray:
        weight, bias = parameters[layer]
        return value @ weight + bias

    inputs, branches = [spectra], []
    value = np.maximum(dense(0, spectra), 0)
    for layer in (1, 3):
        inner = np.maximum(dense(layer, value), 0)
        branch = np.maximum(dense(layer + 1, inner), 0)
        inputs += [value, inner]
        branches.append(branch)
        value = value + branch
    head = np.maximum(dense(5, value), 0)
    inputs += [value, head]
    return _Pass(inputs, branches, dense(6, head))


def loss_and_gradient(
    parameters: Parameters, spectra: np.ndarray, labels: np.ndarray
) -> tuple[float, Parameters]:
    """Mean squared error of scaled labels, and its gradient with respect to each parameter."""
    run = _run(parameters, spectra)
    residual = run.output - labels
    gradient: Parameters = [None] * LAYERS

    def back(layer: int, upstream: np.ndarray) -> np.ndarray:
        """Keep the gradient of a dense layer and return that of its input."""
        gradient[layer] = (run.inputs[layer].T @ upstream, upstream.sum(axis=0))
        return upstream @ parameters[layer][0].T

    upstream = back(6, 2 * residual / residual.size) * (run.inputs[6] > 0)
    upstream = back(5, upstream)
    for layer, branch in ((3, run.branches[1]), (1, run.branches[0])):
        inner = back(layer + 1, upstream * (branch > 0)) * (run.inputs[layer + 1] > 0)
        upstream = upstream + back(layer, inner)
    back(0, upstream * (run.inputs[1] > 0))
    return float(np.mean(residual**2)), gradient


@dataclass
class Adam:
    """Kingma & Ba 2015 with its usual constants; updates the parameters in place."""

    decay: tuple[float, float] = (0.9, 0.999)
    epsilon: float = 1e-8
    step: int = 0
    first: list[np.ndarray] = field(default_factory=list)
    second: list[np.ndarray] = field(default_factory=list)

    def update(self, parameters: Parameters, gradient: Parameters, rate: float) -> None:
        """One step of learning rate `rate`."""
        values = [array for pair in parameters for array in pair]
        slopes = [array for pair in gradient for array in pair]
        if not self.first:
            self.first = [np.zeros_like(value) for value in values]
            self.second = [np.zeros_like(value) for value in values]
        self.step += 1
        slow, fast = self.decay
        # A plain float: a numpy scalar would turn the whole step to double precision.
        scale = rate * math.sqrt(1 - fast**self.step) / (1 - slow**self.step)
        for value, slope, first, second in zip(
            values, slopes, self.first, self.second, strict=True
        ):
            first += (1 - slow) * (slope - first)
            second += (1 - fast) * (slope * slope - second)
            value -= scale * first / (np.sqrt(second) + self.epsilon)
