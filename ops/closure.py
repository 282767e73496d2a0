"""Hold what a run made of simulated spectra against the truth they were made from.

Prints Markdown, a section for each catalogue: by label the median quoted error, the mean pull (the
bias in quoted errors) with its standard error, and the width of the pulls.
"""

import argparse
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.table import Table, join
from astropy.units import UnitsWarning

INTRO = """# Closure

Written by `./ops/closure.sh --docs`; do not edit.

`starmill simulate-night` draws labels evenly in the trained box, computes spectra by a forward
model, moves, degrades and stains them, and writes files as the survey does. `starmill run` reads
them. Here is what came out against what went in. A pull is (found - true) / quoted error: its mean
is the bias in quoted errors, given with its standard error, its width half the range of the central
68.3 %. A bias is to be within 0.1; "not shown" is one that is beyond it by less than two standard
errors.

The fit of payne adds the error that the network has against syntheses to that of each pixel. These
spectra are the network's own and do not have it, so that pulls are narrower than 1.

The fit and the simulation both interpolate the network's pixels, each in its own way, and lines of
two and a half pixels are easily made too shallow, which makes iron too high: splines through the
pixels alone gave a bias of +0.14 in iron. Below a table of fits stands what is left of it. There is
nothing to interpolate where the velocity is a whole number of pixels.

Spectra for rrnet come from payne-mrs, another network that learnt from the same syntheses: what the
two make of them differently is in the bias.
"""

MOST_BIAS = 0.1
# Low-resolution pixels, in log10 of the wavelength.
STEP = 1e-4
SPEED_OF_LIGHT = 299792.458
# Half of the pulls' range that holds 68.3 %, which a few lost fits do not move.
ONE_SIGMA = (15.865, 84.135)


@dataclass
class Closure:
    """Deviations of one label in quoted errors."""

    label: str
    error: float
    pulls: np.ndarray

    @property
    def bias(self) -> float:
        """The mean pull; what lies beyond ten errors counts as ten."""
        return float(np.mean(np.clip(self.pulls, -10, 10)))

    @property
    def uncertainty(self) -> float:
        """Standard error of the bias."""
        return float(np.std(np.clip(self.pulls, -10, 10)) / np.sqrt(len(self.pulls)))

    @property
    def width(self) -> float:
        """Half the range of the central 68.3 %."""
        low, high = np.percentile(self.pulls, ONE_SIGMA)
        return float(high - low) / 2

    @property
    def verdict(self) -> str:
        """Whether the bias is within the limit, as far as so many spectra tell."""
        if abs(self.bias) <= MOST_BIAS:
            return "yes"
        return "no" if abs(self.bias) > MOST_BIAS + 2 * self.uncertainty else "not shown"


def matched(night: Path, catalogue: Path) -> tuple[Table, int, int]:
    """Rows that are not flagged bad beside their truth; how many are; stars without a row."""
    truth = Table.read(night / "truth.csv")
    truth = truth[(truth["class"] == "STAR") & (truth["outcome"] == "row")]
    # Stars have a velocity instead.
    truth.remove_column("z")
    rows = Table.read(catalogue / "catalogue.fits")
    both = join(truth, rows, keys="spectrum_id", table_names=["true", "found"])
    good = both[~both["flag_bad"]]
    return good, len(both) - len(good), len(truth) - len(both)


def closures(rows: Table) -> list[Closure]:
    """Return every label that the truth knows and the model quotes an error of."""
    found = []
    names = [name.removesuffix("_found") for name in rows.colnames if name.endswith("_found")]
    for name in names:
        if f"{name}_err" not in rows.colnames:
            continue
        true, label, error = (
            np.ma.filled(np.ma.asarray(rows[column], float), np.nan)
            for column in (f"{name}_true", f"{name}_found", f"{name}_err")
        )
        known = np.isfinite(true) & np.isfinite(label) & (error > 0)
        pulls = (label[known] - true[known]) / error[known]
        if pulls.size:
            found.append(Closure(name, float(np.median(error[known])), pulls))
    return found


def section(title: str, night: Path, catalogue: Path) -> str:
    """Return the table of one catalogue."""
    rows, bad, without = matched(night, catalogue)
    lines = [
        f"## {title}",
        "",
        f"{len(rows)} rows; left out: {bad} flagged bad, {without} rejects.",
        "",
        "| label | quoted error | bias, quoted errors | width of pulls | within 0.1 |",
        "| --- | --- | --- | --- | --- |",
    ]
    for one in closures(rows):
        error = f"{one.error:.3f}" if one.error < 1 else f"{one.error:.1f}"
        bias = f"{one.bias:+.3f} ± {one.uncertainty:.3f}"
        lines.append(f"| {one.label} | {error} | {bias} | {one.width:.2f} | {one.verdict} |")
    if "iterations" in rows.colnames:
        lines += ["", interpolation(rows)]
    return "\n".join([*lines, ""])


def interpolation(rows: Table) -> str:
    """Say what iron is worth with and without interpolation between pixels."""
    speed = np.asarray(rows["rv_true"], float) / SPEED_OF_LIGHT
    shift = 0.5 * np.log10((1 + speed) / (1 - speed)) / STEP
    whole = np.abs(shift - np.round(shift)) < 1 / 8
    iron = [
        next(one for one in closures(part) if one.label == "fe_h")
        for part in (rows[whole], rows[~whole])
    ]
    on, between = (f"{one.bias:+.3f} ± {one.uncertainty:.3f}" for one in iron)
    return (
        f"Bias of fe_h where the velocity is a whole number of pixels, to an eighth: {on}; "
        f"elsewhere {between}."
    )


def main() -> None:
    """Print the report."""
    # The FITS standard has no unit dex.
    warnings.simplefilter("ignore", UnitsWarning)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("case", nargs="+", help="TITLE=NIGHT=CATALOGUE")
    print(INTRO)
    for case in parser.parse_args().case:
        title, night, catalogue = case.split("=")
        print(section(title, Path(night), Path(catalogue)))


if __name__ == "__main__":
    main()
