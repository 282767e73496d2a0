"""Which mean of a bin's pixels serves: the measurement behind the recipe's `weighting`."""

import copy
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from starmill_export import evaluate, prepare
from starmill_export.graph import Model

WEIGHTINGS = ["uniform", "good", "ivar"]
BLANKED_RUNS, BLANKED_LENGTH = 15, 10
RESAMPLES = 500


@dataclass
class Comparison:
    """Figures of a small model per weighting, in units of the labels' spread, mean over labels.

    `held_out` is the synthetic precision at S/N_g above 20; `repeats` the scatter of repeat
    visits and `repeats_error` its bootstrap error; `blanked` how far labels of real spectra move
    when some pixels are lost. All but the first are NaN without real spectra.
    """

    held_out: float
    repeats: float
    repeats_error: float
    blanked: float


def recipe_with(recipe: list[dict], weighting: str) -> list[dict]:
    """The recipe with another weighting in its degrade step."""
    changed = copy.deepcopy(recipe)
    changed[1]["weighting"] = weighting
    return changed


def compare(
    model: Model, recipe: list[dict], held_out: np.ndarray, data: Path | None, seed: int
) -> Comparison:
    """Measure one model; `held_out` is its precision per label on synthetic spectra."""
    precision = float(np.mean(held_out / model.spread))
    if data is None:
        return Comparison(precision, np.nan, np.nan, np.nan)
    real = evaluate.read_real(data, model, recipe)
    rng = np.random.default_rng(seed)
    first, second = evaluate.repeat_pairs(data, real, (20.0, np.inf))
    differences = (real.labels[first] - real.labels[second]) / model.spread
    draws = rng.integers(len(differences), size=(RESAMPLES, len(differences)))
    resampled = [evaluate.visit_spread(differences[rows]).mean() for rows in draws]
    moved = blanking_shift(model, recipe, real, rng)
    return Comparison(
        precision,
        float(evaluate.visit_spread(differences).mean()),
        float(np.std(resampled)),
        float(np.mean(moved / model.spread)),
    )


def blanking_shift(
    model: Model, recipe: list[dict], real: evaluate.RealSpectra, rng: np.random.Generator
) -> np.ndarray:
    """Robust shift of each label when about 150 pixels, in runs, lose their flux and ivar.

    Measured on the spectra of S/N_g above 50, where noise does not hide it.
    """
    shifts = []
    for seen, labels in zip(real.observations, real.labels, strict=True):
        if seen.snr_g < 50:
            continue
        spectrum = copy.deepcopy(seen.spectrum)
        pixels = prepare.window(spectrum.wave, recipe[1])
        for start in rng.integers(pixels.start, pixels.stop - BLANKED_LENGTH, BLANKED_RUNS):
            spectrum.flux[start : start + BLANKED_LENGTH] = 0
            spectrum.ivar[start : start + BLANKED_LENGTH] = 0
        changed = model(prepare.prepare(spectrum, recipe).input[None, :])[0][0]
        shifts.append(changed - labels)
    mirrored = np.concatenate([shifts, -np.array(shifts)])
    return evaluate.robust_spread(mirrored)
