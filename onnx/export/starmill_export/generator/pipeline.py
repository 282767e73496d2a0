"""From the grid of syntheses to trained nets; what is in the work folder is kept."""

import itertools
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from starmill_export.generator import emulator as emulators
from starmill_export.generator import (
    evaluate,
    examples,
    labels,
    net,
    network_file,
    observe,
    train,
)
from starmill_export.generator.emulator import Emulator
from starmill_export.generator.examples import Examples
from starmill_export.generator.network_file import Generator
from starmill_export.generator.train import Autoencoder, Inversion
from starmill_export.rrnet import syntheses
from starmill_export.rrnet.syntheses import Syntheses

HELD_OUT = 0.1
"""Of the syntheses, which no part of the training sees."""

VARIATIONS = 10
"""Spectra of each held-out synthesis, with rotations and resolutions of their own."""

VALIDATION = 0.1
SEARCHED, SEARCH_STEPS = 500, 100
TEFF_RANGES = [3600, 4000, 4500, 5500, 7000, 9000, 11000, 15000]


@dataclass
class Trained:
    """Everything that training gave; coefficients are those of `basis`."""

    autoencoder: Autoencoder
    separate: train.Layers
    label_net: train.Layers
    decoder: train.Layers
    inversion: Inversion


def split(grid: Syntheses) -> tuple[Syntheses, Syntheses]:
    """Syntheses to learn from, and those held out."""
    order = np.random.default_rng(train.SEED).permutation(len(grid.labels))
    count = round(HELD_OUT * len(order))
    return grid.rows(order[count:]), grid.rows(order[:count])


def make_emulator(
    grid: Syntheses, folder: Path, steps: int, report: Callable[[str], None]
) -> Emulator:
    """Fit the emulator to the syntheses to learn from; its held-out errors go to a file."""
    path = folder / "emulator.npz"
    if path.exists():
        return Emulator.load(path)
    known, unseen = split(grid)
    flux = emulators.prepared(known.flux, known.air)
    fitted = Emulator.fit(known.labels, flux, known.air, report, steps, SEARCHED)
    error = fitted(unseen.labels) - emulators.prepared(unseen.flux, unseen.air)
    rows = error_by_temperature(unseen.labels[:, 0], error)
    for row in rows:
        report(f"emulator, held-out syntheses: {row}")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "emulator.json").write_text(json.dumps(rows, indent=1) + "\n")
    fitted.save(path)
    return fitted


def error_by_temperature(teff: np.ndarray, error: np.ndarray) -> list[dict]:
    """MAE, rms and the worst spectrum's rms of flux errors [n, pixels], by range of Teff."""
    rows = []
    for low, high in itertools.pairwise(TEFF_RANGES):
        chosen = error[(teff >= low) & (teff < high)]
        if len(chosen) == 0:
            continue
        squares = np.mean(chosen.astype(float) ** 2, axis=1)
        rows.append(
            {
                "teff": [low, high],
                "spectra": len(chosen),
                "mae": float(np.abs(chosen).mean()),
                "rms": float(np.sqrt(squares.mean())),
                "worst_rms": float(np.sqrt(squares.max())),
            }
        )
    return rows


def make_examples(
    path: Path, count: int, emulator: Callable[[], Emulator], report: Callable[[str], None]
) -> tuple[Examples, Examples]:
    """Training and validation spectra, simulated on the first call."""
    if not path.exists():
        examples.generate(path, count, emulator(), report)
    made = examples.load(path)
    if len(made.labels) != count:
        raise ValueError(f"{path} holds {len(made.labels)} spectra: remove it to make it anew")
    last = round((1 - VALIDATION) * count)
    return made.rows(slice(None, last)), made.rows(slice(last, None))


def synthesised(grid: Syntheses) -> tuple[np.ndarray, np.ndarray]:
    """Labels and spectra [n, 4000] of the held-out syntheses, broadened: no emulator, no net."""
    unseen = split(grid)[1]
    rng = np.random.default_rng(train.SEED)
    flux = emulators.prepared(unseen.flux, unseen.air)
    onto = observe.interpolation(unseen.air)
    drawn = labels.sample(VARIATIONS * len(flux), rng)
    star = np.repeat(unseen.labels, VARIATIONS, axis=0)
    drawn[:, [labels.TEFF, labels.LOGG, labels.M_H, labels.VMICRO]] = star
    spectra = observe.observed(np.repeat(flux, VARIATIONS, axis=0), drawn, onto)
    return drawn, spectra


def train_all(
    size_name: str,
    training: Examples,
    validation: Examples,
    folder: Path,
    report: Callable[[str], None],
) -> Trained:
    """All four trainings; finished ones are read from `folder`."""
    size, plan = net.SIZES[size_name], train.PLANS[size_name]
    data = training, validation
    encoded = train.autoencoder(folder, size, plan.autoencoder, *data, report)
    separate = train.label_net(folder, size, plan.label_net, encoded, *data, report)
    joint = train.together(folder, plan.together, encoded, separate, *data, report)
    inverse = train.inversion(folder, size, plan.inversion, *data, report)
    return Trained(encoded, separate, *joint, inverse)


def read_grid(paths: list[Path]) -> Syntheses:
    """The archives of syntheses; raises ValueError where they are of other labels or pixels."""
    return syntheses.read(paths, labels.SYNTHESIS)


def evaluated(
    trained: Trained, training: Examples, validation: Examples, test: tuple[np.ndarray, np.ndarray]
) -> tuple[Generator, np.ndarray, dict]:
    """The generator with rounded weights, its rms error by pixel, and the figures of the card."""
    encoded = trained.autoencoder
    exact = network_file.connected(trained.label_net, trained.decoder, encoded, training)
    model = exact.rounded()
    separate = network_file.connected(trained.separate, encoded.decoder, encoded, training)
    known, spectra = test
    checked = validation.spectra(validation.coefficients[: evaluate.MOST])
    generated = model(known)
    error = generated - spectra
    latent = net.encode(encoded.encoder, training.coefficients / encoded.scale, np)
    agreements = {
        "encoded_validation": (evaluate.reconstructed(encoded, validation, checked), checked),
        "encoded_test": (evaluate.reconstructed(encoded, training, spectra), spectra),
        "separate": (separate(known), spectra),
        "together": (generated, spectra),
    }
    summary = {
        "parameters": {"forward": net.count(model.layers)},
        "spectra": len(training.labels),
        "components": len(training.basis),
        "lost": training.lost,
        "rounding": float(np.sqrt(np.mean((generated - exact(known)) ** 2))),
        "alive": int((latent.std(axis=0) > 1e-3 * latent.std()).sum()),
        "flux": {name: vars(evaluate.agreement(*pair)) for name, pair in agreements.items()},
        "generated": error_by_temperature(known[:, labels.TEFF], error),
        "model_error": float(np.sqrt(np.mean(error**2))),
        "closure": evaluate.closure(trained.inversion, training, validation, test, model),
    }
    return model, np.sqrt(np.mean(error**2, axis=0)), summary
