"""Figures of the model: on held-out synthetic spectra, and on real ones where they are at hand."""

import csv
import itertools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.polynomial import legendre

from starmill_export import lamost, prepare
from starmill_export.ensembles import Ensemble
from starmill_export.graph import Model

SNR_BINS = [(8, 20), (20, 40), (40, 80), (80, 250)]
GIANT_LOGG = 3.5
GIANT_TEFF = (3700.0, 5900.0)
LASP_COLUMNS = ["teff", "logg", "feh"]
ABOVE = "S/N_g above 20"
"""The name of the group of spectra that the figures in short are of."""


@dataclass
class RealSpectra:
    """Real observations that the recipe accepts, their degraded spectra and the model's output."""

    observations: list[lamost.Observation]
    degraded: np.ndarray
    labels: np.ndarray
    novelty: np.ndarray
    sigma: np.ndarray | None
    rejected: dict[str, int]

    def rows(self, folder: str) -> np.ndarray:
        """Which rows come from `folder`."""
        return np.array([seen.path.parent.name == folder for seen in self.observations])


def snr_rows(snr_g: np.ndarray) -> dict[str, np.ndarray]:
    """Which spectra lie in each S/N bin, and above 20."""
    rows = {f"S/N_g {low}-{high}": (snr_g >= low) & (snr_g < high) for low, high in SNR_BINS}
    return rows | {ABOVE: snr_g >= 20}


def read_real(data: Path, model: Model | Ensemble, recipe: list[dict]) -> RealSpectra:
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
    inputs = np.array([result.input for result in results])
    labels, novelty = model(inputs)
    sigma = model.outputs(inputs)["sigma"] if isinstance(model, Ensemble) else None
    degraded = np.array([result.degraded for result in results])
    return RealSpectra(observations, degraded, labels, novelty, sigma, rejected)


def lasp_labels(data: Path, real: RealSpectra) -> tuple[np.ndarray, np.ndarray]:
    """LASP's teff, logg and [Fe/H] and their errors [n, 3]; NaN for rows without them."""
    columns = LASP_COLUMNS + [f"{column}_err" for column in LASP_COLUMNS]
    known = {}
    for path in sorted(data.glob("lrs_*/lasp_labels.csv")):
        with open(path, newline="") as stream:
            for row in csv.DictReader(stream):
                key = path.parent.name, row["filename"]
                known[key] = [float(row[column]) for column in columns]
    missing = [np.nan] * len(columns)
    keys = [(seen.path.parent.name, seen.path.name) for seen in real.observations]
    found = np.array([known.get(key, missing) for key in keys])
    return found[:, : len(LASP_COLUMNS)], found[:, len(LASP_COLUMNS) :]


def is_giant(lasp: np.ndarray) -> np.ndarray:
    """Rows within the trained range by LASP's own labels; NaN rows are not."""
    teff, logg = lasp[:, 0], lasp[:, 1]
    return (logg < GIANT_LOGG) & (teff > GIANT_TEFF[0]) & (teff < GIANT_TEFF[1])


def is_cool_dwarf(subclass: str) -> bool:
    """M dwarfs in the words of LAMOST: M0, dM3, sdM1 and so on, but gM0 is a giant."""
    return subclass.lstrip("sd").startswith("M")


@dataclass
class Agreement:
    """Difference model less LASP of `count` spectra: median and robust spread of 3 labels.

    `within` [2, 3] are the shares within one and two of the errors of both, in quadrature.
    """

    count: int
    median: np.ndarray
    spread: np.ndarray
    within: np.ndarray


def agreement(
    real: RealSpectra, lasp: np.ndarray, lasp_errors: np.ndarray, rows: np.ndarray
) -> Agreement:
    """Compare the first three labels with LASP's over the chosen rows."""
    rows = rows & np.isfinite(lasp).all(axis=1)
    count = lasp.shape[1]
    difference = real.labels[rows, :count] - lasp[rows]
    # A missing error of LASP's counts as none.
    both = np.hypot(real.sigma[rows, :count], np.nan_to_num(lasp_errors[rows]))
    within = np.array([np.mean(np.abs(difference) < times * both, axis=0) for times in (1, 2)])
    return Agreement(
        int(rows.sum()), np.median(difference, axis=0), robust_spread(difference), within
    )


@dataclass
class RepeatScatter:
    """Scatter of one visit, from pairs of visits of the same star.

    `within` [2, labels] are the shares of pairs within one and two errors of their difference.
    """

    pairs: int
    spread: np.ndarray
    within: np.ndarray


def repeat_pairs(
    data: Path, real: RealSpectra, snr_range: tuple[float, float], rows: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """First and second [pairs] of visits of one star, both of them in `rows`.

    The lower S/N_g of the pair lies within `snr_range`.
    """
    pairs = [
        (first, second)
        for first, second in visit_pairs(data, real)
        if snr_range[0] <= min(real.observations[i].snr_g for i in (first, second)) < snr_range[1]
        and (rows is None or (rows[first] and rows[second]))
    ]
    first, second = np.array(pairs, int).reshape(-1, 2).T
    return first, second


def repeat_scatter(
    data: Path, real: RealSpectra, snr_range: tuple[float, float], rows: np.ndarray | None = None
) -> RepeatScatter:
    """Scatter of one visit, from the pairs that `repeat_pairs` finds."""
    first, second = repeat_pairs(data, real, snr_range, rows)
    differences = real.labels[first] - real.labels[second]
    errors = np.hypot(real.sigma[first], real.sigma[second])
    within = np.array([np.mean(np.abs(differences) < times * errors, axis=0) for times in (1, 2)])
    return RepeatScatter(len(differences), visit_spread(differences), within)


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
