"""The model card: what the model is for, what it is not for, and every figure with its origin."""

import textwrap
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from starmill_export import evaluate, instrument, manifest, training_set
from starmill_export.evaluate import Agreement, RepeatScatter
from starmill_export.graph import Model
from starmill_export.train import Trained
from starmill_export.weighting import Comparison

HEADINGS = ["Teff (K)", "log g", "[Fe/H]", "[C/Fe]", "[N/Fe]", "[Mg/Fe]"]
REPEAT_BINS = [(20.0, 50.0), (50.0, np.inf), (20.0, np.inf)]
GOOD_SNR = 20.0


@dataclass
class Outside:
    """Of `count` spectra, the fractions with novelty above 1, and with that or a label outside."""

    count: int
    novel: float
    flagged: float


@dataclass
class RealFindings:
    """Figures on real LAMOST spectra."""

    spectra: int
    rejected: dict[str, int]
    agreements: dict[str, Agreement]
    repeats: dict[str, RepeatScatter]
    calibration: tuple[np.ndarray, float]
    outside: dict[str, Outside]

    @classmethod
    def measure(cls, data: Path, model: Model) -> "RealFindings":
        """Run the model over the real spectra below `data`."""
        real = evaluate.read_real(data, model, manifest.RECIPE)
        lasp = evaluate.lasp_labels(data, real)
        labelled, giants = np.isfinite(lasp).all(axis=1), evaluate.is_giant(lasp)
        dwarfs = labelled & (lasp[:, 1] >= evaluate.GIANT_LOGG)
        snr = np.array([seen.snr_g for seen in real.observations])
        star = np.array([seen.object_class == "STAR" for seen in real.observations])
        bright = snr >= GOOD_SNR
        compared = {
            "all": labelled,
            "giants": giants,
            "giants, S/N_g > 20": giants & bright,
            "dwarfs": dwarfs,
        }
        groups = {
            "giants by LASP": giants,
            "giants by LASP, S/N_g > 20": giants & bright,
            "dwarfs by LASP": dwarfs,
            "dwarfs by LASP, Teff > 6000 K": dwarfs & (lasp[:, 0] > 6000),
            "other stars, S/N_g > 20": star & ~labelled & bright,
            "galaxies and unknown": ~star,
        }
        ranges = np.array([label["valid"] for label in manifest.LABELS])
        off_range = ((real.labels < ranges[:, 0]) | (real.labels > ranges[:, 1])).any(axis=1)
        novel = real.novelty > 1
        usual = ~novel & ~off_range
        repeats = {
            _range(low, high): evaluate.repeat_scatter(data, real, (low, high))
            for low, high in REPEAT_BINS
        }
        repeats["above 20, within the model's range"] = evaluate.repeat_scatter(
            data, real, REPEAT_BINS[-1], usual
        )
        return cls(
            len(real.observations),
            real.rejected,
            {name: evaluate.agreement(real, lasp, rows) for name, rows in compared.items()},
            repeats,
            evaluate.calibration_scatter(data, real, len(instrument.CALIBRATION_TERMS)),
            {
                name: Outside(
                    int(rows.sum()),
                    float(np.mean(novel[rows])),
                    float(np.mean((novel | off_range)[rows])),
                )
                for name, rows in groups.items()
            },
        )


@dataclass
class Findings:
    """Everything the card reports; `precision` as from `evaluate.precision`, in label units."""

    examples: int
    parameters: int
    trained: Trained
    spread: np.ndarray
    precision: dict[str, np.ndarray]
    precision_free: np.ndarray
    outside: tuple[float, float]
    comparison: dict[str, Comparison]
    real: RealFindings | None


def text(findings: Findings) -> str:
    """The card in Markdown."""
    sections = [_purpose(), _data(findings), _synthetic(findings), _weighting(findings)]
    sections.append(_real(findings.real) if findings.real else NO_REAL)
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

**For**: giants (3700 K < Teff < 5900 K, log g < 3.5) with S/N_g above 20 in LAMOST low-resolution
spectra, to try the pipeline, to rank and to select, and as a first guess.

**Not for**: dwarfs, hot stars and anything that is not a star. The model knows giants alone and
makes a giant of whatever it is given: dwarfs come out too cool, too metal-poor and with far too
low a log g. Novelty and the label ranges tell only some of them apart (last table): select giants
by other means first, such as parallax. Not for abundances to be published: the spectra it learnt
from are one-dimensional LTE models, and the zero points of its labels are theirs, not those of
APOGEE or LASP."""


def _data(findings: Findings) -> str:
    trained = findings.trained
    return f"""## Training

{findings.examples} *synthetic* giants, split 60/20/20 by star into training, validation and test.
Lines: the bossbrain 1.0.12 emulator (Synspec). Continua: SYNSPEC54 through atmosnet 1.0.1
atmospheres. Then radial velocity, R = 1500 to 2100, reddening, interstellar Na D, telluric bands,
flux-calibration errors (smooth ones of the size seen in repeat visits, and
{instrument.FINE_ERROR:.1%} on the scale of a bin), noise at the native pixels for S/N_g
{training_set.SNR_G[0]:.0f} to {training_set.SNR_G[1]:.0f}, sky residuals and lost pixels; and then
the recipe of the manifest. The other amplitudes are assumptions.

In {training_set.FREE_SHARE:.0%} of the stars every label is drawn independently, in the others it
follows the trends of the Galaxy with generous scatter.
[Fe/H] is the [M/H] of the emulator.

{findings.parameters} parameters. MSE of z-scored labels, Adam from 1e-3, batches of 128, the rate
cut tenfold after 20 epochs without improvement down to 1e-8; {trained.epochs} epochs, the best was
{trained.best_epoch} (validation loss {trained.validation_loss:.4f}, training loss
{trained.training_loss:.4f})."""


def _synthetic(findings: Findings) -> str:
    rows = [[f"S/N_g {name}", *_values(row)] for name, row in findings.precision.items()]
    rows.append(["independent labels, S/N_g above 20", *_values(findings.precision_free)])
    rows.append(["spread of the training labels", *_values(findings.spread)])
    return f"""## Precision on held-out spectra (*synthetic*)

Standard deviation of predicted less true label. It says how much information the spectra hold and
how well the net finds it; **it is not survey precision**.

{_table(["held-out spectra", *HEADINGS], rows)}

Novelty is the larger of two distances in the space of the inputs, each over its own limit: within
the 20 leading principal components of the training inputs (Hotelling's T^2), and off them (Q). Its
limits were set on validation spectra of S/N_g above 20 for a rate of 1 % above 1; the rate is
{findings.outside[0]:.1%} of the held-out spectra of such S/N and {findings.outside[1]:.0%} of the
fainter ones (*synthetic*)."""


def _weighting(findings: Findings) -> str:
    rows = [
        [
            name,
            f"{found.held_out:.3f}",
            f"{_number(found.repeats)} ± {_number(found.repeats_error)}",
            _number(found.blanked),
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

{_table(["weighting", "held-out", "repeats", "lost pixels"], rows)}"""


def _real(real: RealFindings) -> str:
    agreements = []
    for name, found in real.agreements.items():
        agreements.append([f"{name}: median", str(found.count), *_values(found.median)])
        agreements.append([f"{name}: spread", str(found.count), *_values(found.spread)])
    repeats = [
        [name, str(found.pairs), *_values(found.spread)] for name, found in real.repeats.items()
    ]
    outside = [
        [name, str(found.count), f"{found.novel:.0%}", f"{found.flagged:.0%}"]
        for name, found in real.outside.items()
    ]
    smooth, fine = real.calibration
    calibration = [
        ["assumed", *(_number(value) for value in instrument.CALIBRATION_TERMS), "-"],
        ["repeat visits", *(_number(value) for value in smooth), _number(fine)],
    ]
    terms = [str(degree) for degree in range(1, len(smooth) + 1)]
    rejected = ", ".join(f"{count} {code}" for code, count in sorted(real.rejected.items()))
    return f"""## Real spectra

{real.spectra} LAMOST low-resolution spectra of DR1 to DR10; rejected: {rejected or "none"}.

These figures are not blind. Four versions of the training set were tried and their figures on these
spectra seen; its calibration errors have the size of the differences between these repeat visits,
and that version was kept because the repeats scatter less. The number of components of the novelty
(10 to 45 tried) and its S/N limit were chosen with these groups in view. On other spectra expect
worse.

Agreement with LASP (*real*), model less LASP; spread is 1.4826 times the median absolute
deviation. The giants are few and half of them faint: a spread of five or eleven spectra may well be
off by a factor of two. The figures of the dwarfs show what the model does outside its range.

{_table(["LASP", "spectra", *HEADINGS[:3]], agreements)}

Scatter of one visit from pairs of visits of the same star (*real*), by the
lower S/N_g of the pair; most of these stars are no giants:

{_table(["S/N_g", "pairs", *HEADINGS], repeats)}

The same pairs, spectrum against spectrum (*real*): spread of the Legendre terms of ln flux, by
degree, and of what they leave in a bin; beside it what the training spectra were given.

{_table(["ln flux", *terms, "rest"], calibration)}

Told apart as unlike the training spectra (*real*): novelty above 1, and novelty above 1 or a label
outside its trained range.

{_table(["spectra", "count", "novelty > 1", "or outside a range"], outside)}"""


def _values(row: np.ndarray) -> list[str]:
    return [_number(value, 0 if index == 0 else 3) for index, value in enumerate(row)]


def _number(value: float, digits: int = 3) -> str:
    return "-" if np.isnan(value) else f"{value:.{digits}f}"


def _range(low: float, high: float) -> str:
    return f"above {low:.0f}" if np.isinf(high) else f"{low:.0f}-{high:.0f}"


def _filled(block: str) -> str:
    """A paragraph broken at 100 characters; headings and tables as they are."""
    return block if block[0] in "#|" else textwrap.fill(" ".join(block.split()), 100)


def _table(heading: list[str], rows: list[list[str]]) -> str:
    lines = [heading, ["---"] * len(heading), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
