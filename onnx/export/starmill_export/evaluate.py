"""Figures of the model: on held-out synthetic spectra, and on real ones where they are at hand."""

import csv
import itertools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.polynomial import legendre

from starmill_export import lamost, prepare
from starmill_export.graph import Model

SNR_BINS = [(8, 20), (20, 40), (40, 80), (80, 250)]
GIANT_LOGG = 3.5
GIANT_TEFF = (3700.0, 5900.0)
LASP_COLUMNS = ["teff", "logg", "feh"]


@dataclass
class RealSpectra:
    """Real observations that the recipe accepts, their degraded spectra and the model's output."""

    observations: list[lamost.Observation]
    degraded: np.ndarray
    labels: np.ndarray
    novelty: np.ndarray
    rejected: dict[str, int]

    def rows(self, folder: str) -> np.ndarray:
        """Which rows come from `folder`."""
        return np.array([seen.path.parent.name == folder for seen in self.observations])


def precision(difference: np.ndarray, snr_g: np.ndarray) -> dict[str, np.ndarray]:
    """Standard deviation of predicted less true labels [n, labels], by S/N bin and above 20."""
    rows = {f"{low}-{high}": (snr_g >= low) & (snr_g < high) for low, high in SNR_BINS}
    rows["above 20"] = snr_g >= 20
    return {name: difference[chosen].std(axis=0) for name, chosen in rows.items()}


def read_real(data: Path, model: Model, recipe: list[dict]) -> RealSpectra:
    """Read every LRS file below `data`, prepare it and run the model."""
    observations, results, rejected = [], [], {}
    for path in sorted(data.glob("lrs_*/*.fits*")):
        observation = lamost.read(path)
        try:
            results.append(prepare.prepare(observation.spectrum, recipe))
        except prepare.Reject as reject:
            rejected[reject.code] = rejected.get(reject.code, 0) + 1
            continue
        observations.append(observation)
    labels, novelty = model(np.array([result.input for result in results]))
    degraded = np.array([result.degraded for result in results])
    return RealSpectra(observations, degraded, labels, novelty, rejected)


def lasp_labels(data: Path, real: RealSpectra) -> np.ndarray:
    """LASP's teff, logg and [Fe/H] [n, 3] for the rows that have them, else NaN."""
    known = {}
    for path in sorted(data.glob("lrs_*/lasp_labels.csv")):
        with open(path, newline="") as stream:
            for row in csv.DictReader(stream):
                key = path.parent.name, row["filename"]
                known[key] = [float(row[column]) for column in LASP_COLUMNS]
    missing = [np.nan] * len(LASP_COLUMNS)
    keys = [(seen.path.parent.name, seen.path.name) for seen in real.observations]
    return np.array([known.get(key, missing) for key in keys])


def is_giant(lasp: np.ndarray) -> np.ndarray:
    """Rows within the trained range by LASP's own labels; NaN rows are not."""
    teff, logg = lasp[:, 0], lasp[:, 1]
    return (logg < GIANT_LOGG) & (teff > GIANT_TEFF[0]) & (teff < GIANT_TEFF[1])


@dataclass
class Agreement:
    """Difference model less LASP of `count` spectra: median and robust spread of 3 labels."""

    count: int
    median: np.ndarray
    spread: np.ndarray


def agreement(real: RealSpectra, lasp: np.ndarray, rows: np.ndarray) -> Agreement:
    """Compare the first three labels with LASP's over the chosen rows."""
    rows = rows & np.isfinite(lasp).all(axis=1)
    difference = real.labels[rows, : lasp.shape[1]] - lasp[rows]
    return Agreement(int(rows.sum()), np.median(difference, axis=0), robust_spread(difference))


@dataclass
class RepeatScatter:
    """Scatter of one visit, from pairs of visits of the same star."""

    pairs: int
    spread: np.ndarray


def repeat_differences(
    data: Path, real: RealSpectra, snr_range: tuple[float, float], rows: np.ndarray | None = None
) -> np.ndarray:
    """Label differences [pairs, labels] of visits of one star, both of them in `rows`.

    The lower S/N_g of the pair lies within `snr_range`.
    """
    pairs = [
        (first, second)
        for first, second in visit_pairs(data, real)
        if snr_range[0] <= min(real.observations[i].snr_g for i in (first, second)) < snr_range[1]
        and (rows is None or (rows[first] and rows[second]))
    ]
    first, second = np.array(pairs, int).reshape(-1, 2).T
    return real.labels[first] - real.labels[second]


def repeat_scatter(
    data: Path, real: RealSpectra, snr_range: tuple[float, float], rows: np.ndarray | None = None
) -> RepeatScatter:
    """Scatter of one visit, from the pairs that `repeat_differences` finds."""
    differences = repeat_differences(data, real, snr_range, rows)
    return RepeatScatter(len(differences), visit_spread(differences))


def calibration_scatter(data: Path, real: RealSpectra, degree: int) -> tuple[np.ndarray, float]:
    """How one visit's spectrum differs from another's, in ln flux of the degraded spectra.

    Robust spread of the Legendre terms 1 to `degree`, and of what they leave. Both visits share
    the star and its reddening, so this is calibration, sky and noise.
    """
    terms = legendre.legvander(np.linspace(-1, 1, real.degraded.shape[1]), degree)
    pairs = np.array(visit_pairs(data, real))
    pairs = pairs[(real.degraded > 0).all(axis=1)[pairs].all(axis=1)]
    ratios = np.log(real.degraded[pairs[:, 0]] / real.degraded[pairs[:, 1]]).T
    coefficients = np.linalg.lstsq(terms, ratios, rcond=None)[0]
    left = (ratios - terms @ coefficients).reshape(-1, 1)
    return visit_spread(coefficients[1:].T), float(visit_spread(left)[0])


def visit_spread(differences: np.ndarray) -> np.ndarray:
    """Robust spread of one visit from differences of two, whose mean is zero by symmetry."""
    return robust_spread(np.concatenate([differences, -differences])) / np.sqrt(2)


def visit_pairs(data: Path, real: RealSpectra) -> list[tuple[int, int]]:
    """Rows of consecutive visits of the same star."""
    folder = data / "lrs_dr8_repeats"
    with open(folder / "groups.csv", newline="") as stream:
        group_of = {row["filename"]: row["group"] for row in csv.DictReader(stream)}
    groups: dict[str, list[int]] = {}
    for index in np.flatnonzero(real.rows(folder.name)):
        group = group_of.get(real.observations[index].path.name)
        groups.setdefault(group, []).append(int(index))
    groups.pop(None, None)
    return [pair for rows in groups.values() for pair in itertools.pairwise(rows)]


def robust_spread(values: np.ndarray) -> np.ndarray:
    """1.4826 times the median absolute deviation of each column; NaN for no rows."""
    if len(values) == 0:
        return np.full(values.shape[1], np.nan)
    return 1.4826 * np.median(np.abs(values - np.median(values, axis=0)), axis=0)
