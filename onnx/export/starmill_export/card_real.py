"""The section of the card on real spectra, and how figures become tables."""

import numpy as np

from starmill_export import instrument
from starmill_export.findings import Outside, RealFindings

HEADINGS = ["Teff (K)", "log g", "[Fe/H]", "[C/Fe]", "[N/Fe]", "[Mg/Fe]"]


def section(real: RealFindings) -> str:
    """The section in Markdown."""
    agreements = []
    for name, found in real.agreements.items():
        count = str(found.count)
        agreements.append([f"{name}: median", count, *values(found.median)])
        agreements.append([f"{name}: spread", count, *values(found.spread)])
        shares = [f"{one:.0%}, {two:.0%}" for one, two in found.within.T]
        agreements.append([f"{name}: within errors", count, *shares])
    repeats = []
    for name, found in real.repeats.items():
        repeats.append([f"{name}: scatter", str(found.pairs), *values(found.spread)])
        shares = [f"{one:.0%}, {two:.0%}" for one, two in found.within.T]
        repeats.append([f"{name}: within errors", str(found.pairs), *shares])
    smooth, fine = real.calibration
    calibration = [
        ["assumed", *(number(value) for value in instrument.CALIBRATION_TERMS), "-"],
        ["repeat visits", *(number(value) for value in smooth), number(fine)],
    ]
    terms = [str(degree) for degree in range(1, len(smooth) + 1)]
    rejected = ", ".join(f"{count} {code}" for code, count in sorted(real.rejected.items()))
    return f"""## Real spectra

{real.spectra} LAMOST low-resolution spectra of DR1 to DR10; rejected: {rejected or "none"}.

These figures are not blind. The training set of the giants was chosen among four, with dwarfs
among five more (errors of line strength of none, 5 % and 10 %, and the line lists of either region
for both), its calibration errors have the size of the differences between these repeat visits, and
its bands of the air are divided out, as they are in these files (before 2.1.0 they were not);
the number of components and Gaussians of the novelty and its S/N limit were chosen with these
groups in view. On other spectra expect worse.

Agreement with LASP (*real*), model less LASP; spread is 1.4826 times the median absolute deviation;
the last line of a group has the shares within one and two errors, the model's and LASP's in
quadrature. The giants are few and half of them faint: a spread of five or eleven spectra may well
be off by a factor of two.

{table(["LASP", "spectra", *HEADINGS[:3]], agreements)}

Scatter of one visit from pairs of visits of the same star (*real*), by the lower S/N_g of the pair,
and the shares of pairs whose difference is within one and two of its errors. Errors that all
visits of a star share do not show here, so these shares are to be larger than 68 % and 95 %.

{table(["S/N_g", "pairs", *HEADINGS], repeats)}

The same pairs, spectrum against spectrum (*real*): spread of the Legendre terms of ln flux, by
degree, and of what they leave in a bin; beside it what the training spectra were given.

{table(["ln flux", *terms, "rest"], calibration)}

Told apart as unlike the training spectra (*real*): novelty above 1, and novelty above 1 or a label
outside its valid range. Stars for which the model is made:

{_outside(real.outside)}

And what it is not made for. A star of SDSS or DESI at its true wavelengths looks, in bins of
25 A, like a star of LAMOST: it is the reader that tells surveys apart, by their headers.

{_outside(real.kinds)}

The ROC of novelty on the plate of `lrs_dr7_plate` (*real*): its galaxies and unknowns against its
stars. A limit above which a given share of the stars lie, and the share of the others above it.
There are few of them, most of them faint.

{_rocs(real)}"""


def _outside(groups: dict[str, Outside]) -> str:
    rows = [
        [name, str(found.count), f"{found.novel:.0%}", f"{found.flagged:.0%}"]
        for name, found in groups.items()
    ]
    return table(["spectra", "count", "novelty > 1", "or outside a range"], rows)


def _rocs(real: RealFindings) -> str:
    rows = []
    for name, found in real.rocs.items():
        title = f"{name} ({found.stars}), area {found.area:.3f}"
        for rate, limit, detected in found.rows:
            share = f"{detected:.0%} of {found.others}"
            rows.append([title, f"{rate:.0%}", number(limit, 2), share])
    return table(["stars", "above the limit", "limit", "galaxies and unknowns above it"], rows)


def values(row: np.ndarray) -> list[str]:
    """The cells of a row of labels: whole kelvins, then dex."""
    return [number(value, 0 if index == 0 else 3) for index, value in enumerate(row)]


def number(value: float, digits: int = 3) -> str:
    """A number as a cell shows it."""
    return "-" if np.isnan(value) else f"{value:.{digits}f}"


def table(heading: list[str], rows: list[list[str]]) -> str:
    """A table in Markdown."""
    lines = [heading, ["---"] * len(heading), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
