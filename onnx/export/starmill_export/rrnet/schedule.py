"""How the published nets are trained: rates, epochs and noise."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Schedule:
    """Learning rate divided by 10 every `rate_epochs`; noise from the epoch `noise_from` on."""

    epochs: int = 30
    batch: int = 256
    rate: float = 5e-4
    rate_epochs: int = 10
    noise_from: int = 6
    noise_share: float = 0.25
    head_only: bool = False


PUBLISHED = Schedule()
PRETRAINED = Schedule(rate=1e-4)
"""SPEMR, its section 3.2.1."""

FINE_TUNED = Schedule(epochs=10, rate=1e-5, rate_epochs=10, noise_from=1, head_only=True)
"""SPEMR, its section 3.2.2: the trunk stays, the dense layers go on."""


def add_noise(inputs: np.ndarray, share: float, rng: np.random.Generator) -> None:
    """Add N(0, 1) to a random share of the standardised pixels, in place."""
    chosen = np.flatnonzero(rng.random(inputs.size, dtype=np.float32) < share)
    inputs.reshape(-1)[chosen] += rng.standard_normal(len(chosen), dtype=np.float32)
