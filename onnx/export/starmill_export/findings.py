"""What the card reports: figures on held-out spectra, on real ones, and on what is no star."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from starmill_export import ensembles, evaluate, instrument, manifest, outsiders
from starmill_export.dwarfs.emulator import NodeError
from starmill_export.ensembles import Ensemble
from starmill_export.evaluate import Agreement, RepeatScatter
from starmill_export.train import Trained
from starmill_export.training_set import Examples
from starmill_export.weighting import Comparison

REPEAT_BINS = [(20.0, 50.0), (50.0, np.inf), (20.0, np.inf)]
GOOD_SNR = 20.0
GIANTS = "giants, S/N_g above 20"
FALSE_ALARMS = [0.01, 0.02, 0.05, 0.1, 0.2]
"""Of the stars of a plate: where the table of the ROC has its rows."""


@dataclass
class Coverage:
    """Shares of `count` residuals within one and two errors, as `ensembles.coverage` gives them."""

    count: int
    raw: np.ndarray
    calibrated: np.ndarray
    joint: np.ndarray


@dataclass
class HeldOut:
    """Standard deviations of labels, and coverage of their errors, by groups of spectra."""

    precision: dict[str, np.ndarray]
    coverage: dict[str, Coverage]


@dataclass
class Outside:
    """Of `count` spectra, the fractions with novelty above 1, and with that or a label outside."""

    count: int
    novel: float
    flagged: float


@dataclass
class Roc:
    """Novelty as a classifier: galaxies and unknowns of a plate against its stars.

    `rows` are the rate of false alarms, the novelty above which so many stars lie, and the share of
    the others above it.
    """

    stars: int
    others: int
    area: float
    rows: list[tuple[float, float, float]]


@dataclass
class RealFindings:
    """Figures on real LAMOST spectra."""

    spectra: int
    rejected: dict[str, int]
    agreements: dict[str, Agreement]
    repeats: dict[str, RepeatScatter]
    calibration: tuple[np.ndarray, float]
    outside: dict[str, Outside]
    kinds: dict[str, Outside]
    rocs: dict[str, Roc]

    @classmethod
    def measure(cls, data: Path, model: Ensemble) -> "RealFindings":
        """Run the model over the real spectra below `data`."""
        real = evaluate.read_real(data, model, manifest.RECIPE)
        lasp, lasp_errors = evaluate.lasp_labels(data, real)
        labelled, giants = np.isfinite(lasp).all(axis=1), evaluate.is_giant(lasp)
        dwarfs = labelled & (lasp[:, 1] >= evaluate.GIANT_LOGG)
        modelled = (lasp[:, 0] > 4300) & (lasp[:, 0] < 7300)
        snr = np.array([seen.snr_g for seen in real.observations])
        star = np.array([seen.object_class == "STAR" for seen in real.observations])
        cool = np.array([evaluate.is_cool_dwarf(seen.subclass) for seen in real.observations])
        hot = np.array([seen.subclass[:1] in ("B", "A") for seen in real.observations])
        bright = snr >= GOOD_SNR
        compared = {
            "all": labelled,
            "giants": giants,
            "giants, S/N_g > 20": giants & bright,
            "dwarfs": dwarfs,
            "dwarfs, 4300 to 7300 K": dwarfs & modelled,
            "dwarfs, 4300 to 7300 K, S/N_g > 20": dwarfs & modelled & bright,
            "dwarfs, 4300 to 5300 K, S/N_g > 20": dwarfs & modelled & bright & (lasp[:, 0] < 5300),
        }
        groups = {
            "giants by LASP, S/N_g > 20": giants & bright,
            "dwarfs by LASP, 4300 to 7300 K, S/N_g > 20": dwarfs & modelled & bright,
            "F, G and K stars, S/N_g > 20": star & ~cool & ~hot & bright,
            "F, G and K stars, fainter": star & ~cool & ~hot & ~bright,
            "B and A stars, S/N_g > 20": hot & bright,
        }
        kinds = {
            "galaxies and unknown": outside(real.labels[~star], real.novelty[~star]),
            "M dwarfs": outside(real.labels[cool], real.novelty[cool]),
        }
        for name, kind in outsiders.other_surveys(data, manifest.RECIPE).items():
            kinds[name] = outside(*model(kind.inputs))
        usual = outside_rows(real.labels, real.novelty)
        repeats = {
            _range(low, high): evaluate.repeat_scatter(data, real, (low, high))
            for low, high in REPEAT_BINS
        }
        repeats["above 20, within the model's range"] = evaluate.repeat_scatter(
            data, real, REPEAT_BINS[-1], ~usual
        )
        plate = real.rows("lrs_dr7_plate")
        ordinary = star & ~cool
        return cls(
            len(real.observations),
            real.rejected,
            {
                name: evaluate.agreement(real, lasp, lasp_errors, rows)
                for name, rows in compared.items()
            },
            repeats,
            evaluate.calibration_scatter(data, real, len(instrument.CALIBRATION_TERMS)),
            {
                name: outside(real.labels[rows], real.novelty[rows])
                for name, rows in groups.items()
                if rows.any()
            },
            kinds,
            {
                "all stars of the plate but M": roc(
                    real.novelty[plate & ordinary], real.novelty[plate & ~star]
                ),
                "those of S/N_g above 20": roc(
                    real.novelty[plate & ordinary & bright], real.novelty[plate & ~star]
                ),
            },
        )


@dataclass
class Findings:
    """Everything the card reports; `spread` is that of the training labels."""

    examples: int
    parameters: int
    trained: list[Trained]
    patience: int
    last_rate: float
    spread: np.ndarray
    nodes: list[NodeError]
    held_out: HeldOut
    outside: tuple[float, float]
    kinds: dict[str, Outside]
    comparison: dict[str, Comparison]
    real: RealFindings | None


def held_out(model: Ensemble, examples: Examples) -> HeldOut:
    """Precision and coverage on spectra that no net has seen."""
    found = model.outputs(examples.inputs)
    residuals = found["labels"] - examples.labels
    bright = examples.snr_g >= GOOD_SNR
    by_snr = evaluate.snr_rows(examples.snr_g)
    by_star = {
        GIANTS: ~examples.dwarf & bright,
        "dwarfs and subgiants, S/N_g above 20": examples.dwarf & bright,
    }
    free = {"independent labels, S/N_g above 20": examples.free & bright}
    return HeldOut(
        {name: residuals[rows].std(axis=0) for name, rows in (by_snr | by_star | free).items()},
        {
            name: _coverage(residuals[rows], {key: value[rows] for key, value in found.items()})
            for name, rows in (by_snr | by_star).items()
        },
    )


def synthetic_kinds(model: Ensemble, recipe: list[dict], seed: int) -> dict[str, Outside]:
    """How many of the synthetic spectra of `outsiders` novelty and the label ranges tell apart."""
    result = {}
    for name, kind in outsiders.synthetic(recipe, seed).items():
        result[name] = outside(*model(kind.inputs))
    return result


def outside(labels: np.ndarray, novelty: np.ndarray) -> Outside:
    """How many of these spectra novelty and the label ranges tell apart."""
    flagged = outside_rows(labels, novelty)
    return Outside(len(labels), float(np.mean(novelty > 1)), float(np.mean(flagged)))


def outside_rows(labels: np.ndarray, novelty: np.ndarray) -> np.ndarray:
    """Which rows have novelty above 1 or a label outside its valid range."""
    ranges = np.array([label["valid"] for label in manifest.LABELS])
    return (novelty > 1) | ((labels < ranges[:, 0]) | (labels > ranges[:, 1])).any(axis=1)


def roc(stars: np.ndarray, others: np.ndarray) -> Roc:
    """Of the novelty of stars and of others."""
    above = (others[:, None] > stars).mean() + 0.5 * (others[:, None] == stars).mean()
    limits = np.quantile(stars, [1 - rate for rate in FALSE_ALARMS])
    rows = [
        (rate, float(limit), float(np.mean(others > limit)))
        for rate, limit in zip(FALSE_ALARMS, limits, strict=True)
    ]
    return Roc(len(stars), len(others), float(above), rows)


def _coverage(residuals: np.ndarray, found: dict[str, np.ndarray]) -> Coverage:
    shares = ensembles.coverage(residuals, found)
    return Coverage(len(residuals), shares["raw"], shares["calibrated"], shares["joint"])


def _range(low: float, high: float) -> str:
    return f"above {low:.0f}" if np.isinf(high) else f"{low:.0f}-{high:.0f}"
