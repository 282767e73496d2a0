"""The paper's schedule: Adam, batches of 128, the rate cut tenfold where validation stalls."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from starmill_export import network

BATCH = 128
FIRST_RATE = 1e-3
LAST_RATE = 1e-8
RATE_FACTOR = 0.1
PATIENCE = 20


@dataclass
class Trained:
    """The parameters of the best validation epoch and how training went."""

    parameters: network.Parameters
    epochs: int
    best_epoch: int
    training_loss: float
    validation_loss: float


def train(
    training: tuple[np.ndarray, np.ndarray],
    validation: tuple[np.ndarray, np.ndarray],
    rng: np.random.Generator,
    most_epochs: int,
    report: Callable[[str], None],
    patience: int = PATIENCE,
    last_rate: float = LAST_RATE,
) -> Trained:
    """Minimise the MSE of scaled labels; each set is (spectra [n, pixels], labels [n, outputs])."""
    spectra, labels = training
    parameters = network.initial(spectra.shape[1], labels.shape[1], rng)
    optimiser = network.Adam()
    rate, stalled = FIRST_RATE, 0
    best = Trained([], 0, 0, np.inf, np.inf)
    for epoch in range(1, most_epochs + 1):
        losses = []
        for rows in np.array_split(rng.permutation(len(spectra)), -(-len(spectra) // BATCH)):
            loss, gradient = network.loss_and_gradient(parameters, spectra[rows], labels[rows])
            optimiser.update(parameters, gradient, rate)
            losses.append(loss)
        validation_loss = _mean_squared_error(parameters, *validation)
        if validation_loss < best.validation_loss:
            kept = [(weight.copy(), bias.copy()) for weight, bias in parameters]
            best = Trained(kept, epoch, epoch, float(np.mean(losses)), validation_loss)
            stalled = 0
        else:
            stalled += 1
        best.epochs = epoch
        if stalled >= patience:
            if rate <= last_rate * 1.01:
                break
            rate, stalled = rate * RATE_FACTOR, 0
            report(f"epoch {epoch}: learning rate {rate:.0e}, best {best.validation_loss:.5f}")
    return best


def _mean_squared_error(
    parameters: network.Parameters, spectra: np.ndarray, labels: np.ndarray
) -> float:
    return float(np.mean((network.forward(parameters, spectra) - labels) ** 2))
