"""By how much repeat visits of a star differ beyond their noise, by wavelength as observed.

Labels and models play no part in it: what differs is the air, the sky and the reduction. Both
visits are normalised with the Gaussian of the comparison. What it finds stands, smoothed by hand,
in `data/consistency.json`: `skip` where it is far beyond the noise, `unmodelled` elsewhere.

    python -m starmill_export.consistency.visits FOLDER      # spectra and groups.csv
"""

import argparse
import csv
import itertools
import sys
from pathlib import Path

import numpy as np
from scipy.ndimage import convolve1d

from starmill_export import lamost
from starmill_export.consistency.compare import FWHM, IN_FWHM, REACH

WIDTH = 25.0
LEAST_SNR = 15.0
FEWEST = 10
LOG_STEP = 1e-4
KERNEL = 2.0 ** (-4 * (np.arange(-REACH, REACH + 1) / IN_FWHM) ** 2)


def main(arguments: list[str] | None = None) -> int:
    """Print a table by wavelength."""
    parser = argparse.ArgumentParser(prog="starmill_export.consistency.visits", description=__doc__)
    parser.add_argument("folder", type=Path)
    options = parser.parse_args(arguments)
    found: dict[float, list[tuple[float, float]]] = {}
    pairs = 0
    for one, other in visits(options.folder):
        rows = differences(one, other)
        pairs += bool(rows)
        for wave, chi2, excess in rows:
            found.setdefault(wave, []).append((chi2, excess))
    print(f"{pairs} pairs of visits, median")
    print("| from (A) | chi2_red | error beside the noise |")
    print("|---:|---:|---:|")
    for wave, values in sorted(found.items()):
        chi2, excess = np.median(values, axis=0)
        print(f"| {wave:.0f} | {chi2:.2f} | {max(excess, 0) ** 0.5:.4f} |")
    return 0


def visits(folder: Path) -> list[tuple[lamost.Observation, lamost.Observation]]:
    """All pairs of visits of the same star."""
    groups: dict[str, list[Path]] = {}
    with (folder / "groups.csv").open(encoding="utf-8") as rows:
        for row in csv.DictReader(rows):
            groups.setdefault(row["group"], []).append(folder / row["filename"])
    both = (itertools.combinations(paths, 2) for paths in groups.values())
    return [(lamost.read(one), lamost.read(other)) for pairs in both for one, other in pairs]


def differences(
    one: lamost.Observation, other: lamost.Observation
) -> list[tuple[float, float, float]]:
    """First wavelength, reduced chi-square and squared error beside the noise, range by range."""
    first, second = one.spectrum, other.spectrum
    late = round((np.log10(second.wave[0]) - np.log10(first.wave[0])) / LOG_STEP)
    begins = max(0, late), max(0, -late)
    pixels = min(len(first.wave) - begins[0], len(second.wave) - begins[1])
    at = [slice(begin, begin + pixels) for begin in begins]
    pair = list(zip((first, second), at, strict=True))
    wave = first.wave[at[0]]
    good = np.all([(s.ivar[a] > 0) & (s.andmask[a] == 0) for s, a in pair], axis=0)
    flux = [s.flux[a][good] for s, a in pair]
    noise = [s.ivar[a][good] ** -0.5 for s, a in pair]
    if min(np.median(f / n) for f, n in zip(flux, noise, strict=True)) < LEAST_SNR:
        return []
    wave = wave[good]
    # The same weights for both, or lines would be normalised differently.
    weight = 1 / (noise[0] ** 2 + noise[1] ** 2)
    continuum = [_smooth(wave, f, weight) for f in flux]
    apart = flux[0] / continuum[0] - flux[1] / continuum[1]
    expected = sum((n / c) ** 2 for n, c in zip(noise, continuum, strict=True))
    place = np.floor(wave / WIDTH).astype(int)
    found = []
    for here in np.unique(place):
        inside = place == here
        if inside.sum() >= FEWEST:
            squared, noisy = apart[inside] ** 2, expected[inside]
            excess = np.mean(squared - noisy) / 2
            found.append((here * WIDTH, np.mean(squared / noisy), excess))
    return found


def _smooth(wave: np.ndarray, flux: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """The weighted mean under a Gaussian, from sums of groups of a quarter of its FWHM."""
    width = FWHM / IN_FWHM
    group = np.floor(wave / width).astype(int)
    first = group[0]
    sums = [
        convolve1d(np.bincount(group - first, values), KERNEL, mode="constant")
        for values in (weight * flux, weight)
    ]
    middle = (np.arange(len(sums[0])) + first + 0.5) * width
    known = sums[1] > 0
    return np.interp(wave, middle[known], sums[0][known] / sums[1][known])


if __name__ == "__main__":
    sys.exit(main())
