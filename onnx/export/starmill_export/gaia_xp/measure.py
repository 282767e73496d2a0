"""How good fcresnet-xp is on stars that it has not seen, beside gradient-boosted trees."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from starmill_export import ensembles
from starmill_export.ensembles import Ensemble
from starmill_export.evaluate import robust_spread
from starmill_export.gaia_xp.table import Stars
from starmill_export.gaia_xp.training import HOT, Scaling, Settings
from starmill_export.table1 import methods

MAGNITUDES = {
    "below 11": (0.0, 11.0),
    "11 to 12": (11.0, 12.0),
    "12 to 13": (12.0, 13.0),
    "13 to 14": (13.0, 14.0),
    "14 to 15": (14.0, 16.0),
    "below 14": (0.0, 14.0),
    "all": (0.0, 16.0),
}
"""Ranges of G. The faintest star has 15.01."""

BRIGHT = "below 14"
HOTTER = 10_000.0


@dataclass
class Precision:
    """Of `count` residuals: robust sigma, mean absolute and standard deviation, by label."""

    count: int
    robust: np.ndarray
    absolute: np.ndarray
    deviation: np.ndarray

    @classmethod
    def of(cls, residuals: np.ndarray) -> "Precision":
        """Of residuals [n, labels]."""
        absolute = np.abs(residuals).mean(axis=0)
        return cls(len(residuals), robust_spread(residuals), absolute, residuals.std(axis=0))


@dataclass
class Findings:
    """What the card reports; precision and coverage by range of G."""

    model: dict[str, Precision]
    single: dict[str, Precision]
    baseline: dict[str, Precision]
    baseline_settings: str
    coverage: dict[str, dict[str, np.ndarray]]
    novel: dict[str, tuple[int, float, float]]

    @classmethod
    def measure(
        cls,
        stars: Stars,
        model: Ensemble,
        valid: np.ndarray,
        settings: Settings,
        work: Path,
        report: Callable[[str], None],
    ) -> "Findings":
        """On the test stars, with the label ranges `valid` [labels, 2].

        What the baseline says of them is kept in `work`.
        """
        test = stars.part("test").labelled()
        found = model.outputs(test.inputs)
        residuals = found["labels"] - test.labels
        alone = Ensemble(
            model.members[:1] * 2, model.mean, model.spread, model.novelty, model.errors
        )
        baseline, grown = _baseline(stars, settings, work, report)
        coverage = {}
        for name, bounds in MAGNITUDES.items():
            rows = _within(test.magnitude, bounds)
            part = {key: value[rows] for key, value in found.items()}
            coverage[name] = ensembles.coverage(residuals[rows], part)
        return cls(
            _by_magnitude(residuals, test),
            _by_magnitude(alone(test.inputs)[0] - test.labels, test),
            _by_magnitude(baseline - test.labels, test),
            grown,
            coverage,
            _novelty(stars, model, valid),
        )


def _baseline(
    stars: Stars, settings: Settings, work: Path, report: Callable[[str], None]
) -> tuple[np.ndarray, str]:
    """Labels of the test stars by trees that were grown on the training stars, and how."""
    kept = work / f"baseline-{settings.trees}.npz"
    if not kept.exists():
        report("growing the baseline's trees")
        training, validation, test = (
            stars.part(name).labelled() for name in ("training", "validation", "test")
        )
        scaling = Scaling.of(training)
        sets = [(part.inputs, scaling.labels(part)) for part in (training, validation)]
        fitted = methods.boosted_trees(*sets, settings.trees)
        labels = fitted.predict(test.inputs) * scaling.label_spread + scaling.label_mean
        temporary = kept.with_suffix(".tmp.npz")
        np.savez(temporary, labels=labels, settings=fitted.settings)
        temporary.replace(kept)
    with np.load(kept, allow_pickle=False) as archive:
        return archive["labels"], str(archive["settings"])


def _by_magnitude(residuals: np.ndarray, stars: Stars) -> dict[str, Precision]:
    return {
        name: Precision.of(residuals[_within(stars.magnitude, bounds)])
        for name, bounds in MAGNITUDES.items()
    }


def _within(magnitude: np.ndarray, bounds: tuple[float, float]) -> np.ndarray:
    return (magnitude >= bounds[0]) & (magnitude < bounds[1])


def _novelty(
    stars: Stars, model: Ensemble, valid: np.ndarray
) -> dict[str, tuple[int, float, float]]:
    """Number of spectra, share with novelty above 1, and share with that or a label outside."""
    test, all_test = stars.part("test").labelled(), stars.part("test")
    temperature = all_test.labels[:, 0]
    garbage = np.random.default_rng(1).standard_normal(test.inputs.shape).astype(np.float32)
    groups = {
        "test stars": test.inputs,
        f"test stars of {HOT:.0f} to {HOTTER:.0f} K, without [Fe/H]": all_test.inputs[
            (temperature > HOT) & (temperature <= HOTTER)
        ],
        f"test stars above {HOTTER:.0f} K": all_test.inputs[temperature > HOTTER],
        "test stars, read from red to blue": test.inputs[:, ::-1],
        "noise alone": garbage,
    }
    result = {}
    for name, inputs in groups.items():
        labels, distance = model(inputs)
        outside = ((labels < valid[:, 0]) | (labels > valid[:, 1])).any(axis=1)
        novel = distance > 1
        result[name] = len(inputs), float(novel.mean()), float((novel | outside).mean())
    return result
