"""Figures for the card: reconstruction, generated spectra, and the closure test of Table 5."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from starmill_export.generator import net, train
from starmill_export.generator.examples import Examples
from starmill_export.generator.train import Autoencoder, Inversion

CLOSURE_SNR = 100.0
MOST = 4000
"""Spectra of a set that are looked at."""


@dataclass
class Agreement:
    """Of spectra with others, as the paper's section 2.2 has it."""

    mse: float
    mae: float
    variance_score: float
    r2: float


def agreement(found: np.ndarray, true: np.ndarray) -> Agreement:
    """Means over spectra and pixels; the scores are means over pixels, as scikit-learn's are."""
    error = found.astype(float) - true
    spread = true.var(axis=0, dtype=float)
    return Agreement(
        float(np.mean(error**2)),
        float(np.abs(error).mean()),
        float(np.mean(1 - error.var(axis=0) / spread)),
        float(np.mean(1 - (error**2).mean(axis=0) / spread)),
    )


def reconstructed(model: Autoencoder, data: Examples, spectra: np.ndarray) -> np.ndarray:
    """Spectra [n, 4000] through encoder and decoder."""
    latent = net.encode(model.encoder, data.project(spectra) / model.scale, np)
    return data.spectra(net.forward(model.decoder, latent, np) * model.scale)


def closure(
    inversion: Inversion,
    training: Examples,
    validation: Examples,
    test: tuple[np.ndarray, np.ndarray],
    generate: Callable[[np.ndarray], np.ndarray],
) -> dict[str, list[float]]:
    """Table 5: rms errors of the inverted labels, by set.

    `test` are labels and spectra of syntheses that are held out, which no emulator has touched;
    `generate` makes spectra of the same labels. A last column adds noise to the test spectra.
    """
    known, spectra = test
    coefficients = training.project(spectra)
    noise = np.random.default_rng(train.SEED).normal(size=(len(known), training.basis.shape[0]))
    sets = {
        "training": (training.labels[:MOST], training.coefficients[:MOST]),
        "validation": (validation.labels[:MOST], validation.coefficients[:MOST]),
        "test": (known, coefficients),
        "generated": (known, training.project(generate(known))),
        f"test at S/N {CLOSURE_SNR:g}": (known, coefficients + noise / CLOSURE_SNR),
    }
    result = {}
    for name, (true, seen) in sets.items():
        error = train.inverted(inversion, seen) - true
        result[name] = np.sqrt(np.mean(error**2, axis=0)).tolist()
    known_spread = training.labels.std(axis=0)
    return result | {"knowing nothing": known_spread.tolist()}
