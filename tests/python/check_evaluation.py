"""Holds `starmill evaluate --repeats --json` against numpy and scipy.

check_evaluation.py CATALOGUE.parquet REFERENCE.csv FOUND.json: matches both tables, and the visits
of the catalogue with each other, by comparing all places with all; works out every statistic anew,
and ends with an error where one differs. The reference has the columns that
tests/evaluate/reference.rs gives it.
"""

import csv
import json
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from scipy import stats

COLUMNS = {"teff": "Teff[K]", "logg": "LOGG", "fe_h": "[Fe/H]"}


def distance(ra: np.ndarray, dec: np.ndarray, ra2: np.ndarray, dec2: np.ndarray) -> np.ndarray:
    """Return arcseconds between every place of the first and every one of the second."""
    ra, dec, ra2, dec2 = (np.radians(part) for part in (ra, dec, ra2, dec2))
    half = (
        np.sin((dec[:, None] - dec2) / 2) ** 2
        + np.cos(dec[:, None]) * np.cos(dec2) * np.sin((ra[:, None] - ra2) / 2) ** 2
    )
    return np.degrees(2 * np.arcsin(np.sqrt(half))) * 3600


def summary(values: np.ndarray) -> dict:
    """Return the statistics of residuals."""
    median, sigma = np.median(values), stats.median_abs_deviation(values, scale="normal")
    return {
        "count": len(values),
        "mean": values.mean(),
        "std": values.std(),
        "mae": np.abs(values).mean(),
        "median": median,
        "robust_sigma": sigma,
        "outliers": (np.abs(values - median) > 3 * sigma).mean(),
    }


def pulls(values: np.ndarray) -> dict:
    """Return the statistics of pulls."""
    found = summary(values)
    kept = {key: found[key] for key in ("count", "mean", "std", "median", "robust_sigma")}
    within = stats.norm.ppf(0.975)
    return kept | {
        "coverage_68": (np.abs(values) <= 1).mean(),
        "coverage_95": (np.abs(values) <= within).mean(),
    }


def scatter(difference: np.ndarray, error: np.ndarray) -> dict:
    """Return what pairs of visits say."""
    factor = 1 / stats.norm.ppf(0.75)
    pull = np.abs(difference / error)
    return {
        "pairs": len(difference),
        "scatter": np.sqrt((difference**2).mean() / 2),
        "robust_scatter": factor * np.median(np.abs(difference)) / np.sqrt(2),
        "quoted": np.sqrt((error**2).mean() / 2),
        "pulls": {
            "pairs": len(difference),
            "robust_sigma": factor * np.median(pull),
            "coverage_68": (pull <= 1).mean(),
            "coverage_95": (pull <= stats.norm.ppf(0.975)).mean(),
        },
    }


def same(found: object, expected: object, where: str) -> None:
    """Raise unless two objects are equal, numbers to nine digits."""
    if isinstance(expected, dict):
        if not isinstance(found, dict) or set(found) != set(expected):
            raise SystemExit(f"{where}: {found} should be {expected}")
        for key, value in expected.items():
            same(found[key], value, f"{where}.{key}")
    elif not np.isclose(found, expected, rtol=1e-9, atol=1e-9):
        raise SystemExit(f"{where}: {found} should be {expected}")


def inside(bin_: dict, values: np.ndarray) -> np.ndarray:
    """Return which values lie in a bin."""
    low = -np.inf if bin_["low"] is None else bin_["low"]
    high = np.inf if bin_["high"] is None else bin_["high"]
    return (values >= low) & (values < high)


def check(rows: dict, reference: dict, found: dict) -> int:
    """Compare all labels and return how many there are."""
    near = distance(rows["ra"], rows["dec"], reference["RAJ2000"], reference["DEJ2000"])
    own, other = np.arange(len(near)), near.argmin(axis=1)
    matched = near[own, other] <= 1.0
    own, other = own[matched], other[matched]
    ra, dec = rows["ra"], rows["dec"]
    first, second = np.nonzero(np.triu(distance(ra, dec, ra, dec) <= 1, k=1))
    snr = rows["snr_g"]
    pair_snr = np.sqrt(2 / (snr[first] ** -2.0 + snr[second] ** -2.0))
    same(found["agreement"]["matched"], len(own), "matched")
    single = {label: reference[column].astype(np.float32) for label, column in COLUMNS.items()}
    for number, label in enumerate(COLUMNS):
        value, error = rows[label], rows[f"{label}_err"]
        residual = value[own] - single[label][other].astype(np.float64)
        agreement = found["agreement"]["labels"][number]
        same(agreement["all"], summary(residual), label)
        same(agreement["pulls"], pulls(residual / error[own]), label)
        for binned in agreement["bins"]:
            by = binned["by"]
            quantity = snr[own] if by == "snr" else single[by][other]
            for bin_ in binned["bins"]:
                chosen = residual[inside(bin_, quantity)]
                if bin_["summary"] is None:
                    same(len(chosen), 0, f"{label} by {by}")
                else:
                    same(bin_["summary"], summary(chosen), f"{label} by {by}")
        repeats = found["repeats"]["labels"][number]
        difference, pair_error = value[first] - value[second], np.hypot(error[first], error[second])
        same(repeats["all"], scatter(difference, pair_error), f"repeats of {label}")
        for bin_ in repeats["by_snr"]:
            chosen = inside(bin_, pair_snr)
            if bin_["scatter"] is None:
                same(chosen.sum(), 0, f"repeats of {label}")
            else:
                expected = scatter(difference[chosen], pair_error[chosen])
                same(bin_["scatter"], expected, f"repeats of {label}")
                same(bin_["snr"], np.median(pair_snr[chosen]), f"repeats of {label}")
    return len(COLUMNS)


def main() -> None:
    """Read the three files and compare."""
    catalogue, table, report = map(Path, sys.argv[1:])
    names = ["ra", "dec", "snr_g", *COLUMNS, *(f"{label}_err" for label in COLUMNS)]
    columns = pq.read_table(catalogue, columns=names).to_pydict()
    rows = {name: np.array(values, dtype=np.float64) for name, values in columns.items()}
    with table.open(newline="") as file:
        lines = list(csv.DictReader(file))
    wanted = ["RAJ2000", "DEJ2000", *COLUMNS.values()]
    reference = {name: np.array([float(line[name]) for line in lines]) for name in wanted}
    print(check(rows, reference, json.loads(report.read_text())), "labels agree")


if __name__ == "__main__":
    main()
