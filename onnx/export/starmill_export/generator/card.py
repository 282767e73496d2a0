"""The card: what the generator is, and its errors beside those of the paper."""

import textwrap

from starmill_export.generator import labels
from starmill_export.generator.folder import PAPER, TITLE

PUBLISHED = {"mse": 4e-6, "mae": 0.0013, "variance_score": 0.998, "r2": 0.999}
"""Of the auto-encoder, section 2.2."""

TITLES = {
    "encoded_validation": "auto-encoder, validation spectra",
    "encoded_test": "auto-encoder, SYNSPEC test spectra",
    "separate": "labels to flux, label net trained apart (as in the paper)",
    "together": "labels to flux, as shipped",
}


def text(summary: dict) -> str:
    """The card of a summary as `pipeline.evaluated` gives it."""
    parts = [_head(summary), _trained(summary), _flux(summary), _closure(summary), _limits()]
    return "\n".join(line for part in parts for line in part)


def _head(summary: dict) -> list[str]:
    box = ", ".join(
        f"`{label.name}` {label.valid[0]:g} to {label.valid[1]:g}" for label in labels.LABELS
    )
    megabytes = summary["bytes"]["forward"] / 1e6
    return [
        f"# {TITLE}",
        *_paragraph(
            f"{PAPER}. Made by one command, `./onnx/export/train-generator.sh`; every figure here",
            "that is not the paper's was computed by that command in the same run, on *synthetic*",
            "spectra: there is no other kind in this card.",
        ),
        *_paragraph(f"Labels in, flux over the true continuum out, with the Jacobian: {box}."),
        *_paragraph(
            "4,000 pixels of 0.1 A from 8400.0 to 8799.9 A. **Wavelengths are vacuum**, rest",
            "frame, as Gaia's are; the grid that the nets learnt from is in air and was converted.",
            "The paper does not say which it uses.",
        ),
        *_paragraph(
            f"Size `{summary['size']}`: {summary['parameters']['forward']:,} parameters from",
            f"labels to flux (the paper's: 15.9 million), {megabytes:.1f} MB in float16. Rounding",
            f"the weights to float16 changes the flux by {summary['rounding']:.1e} (rms).",
            "`--size published` makes the nets of the paper's Tables 2, 3 and 4.",
        ),
    ]


def _trained(summary: dict) -> list[str]:
    return [
        "",
        "## Training",
        *_paragraph(
            f"{summary['syntheses']['known']} SYNSPEC54 spectra of atmosnet atmospheres",
            "(one-dimensional LTE, all metals scaled together) without rotation, at an even",
            "spread of labels. These are few for a net, so",
            f"{summary['spectra']:,} training spectra are drawn from a Gaussian process over them,",
            "with rotation (Gray's profile, limb darkening 0.6) and resolution (a Gaussian)",
            "applied afterwards.",
            f"{summary['syntheses']['held_out']} syntheses were held out of everything. The",
            "process on these, before rotation, at R = 16000:",
        ),
        "",
        "| Teff (K) | syntheses | MAE | rms | rms of the worst |",
        "| --- | --- | --- | --- | --- |",
        *_by_temperature(summary["emulator"]),
        *_paragraph(
            f"The nets are trained on the leading {summary['components']} principal components of",
            f"the spectra, which leave out a mean square of {summary['lost']:.0e}; they are",
            "multiplied into the outer layers. Auto-encoder with Adam, label net with Adamax to",
            "the latent space, as in the paper, but for a rate that falls along half a cosine over",
            "a fixed number of epochs, and no dropout in the narrow net. **Beyond the paper**,",
            "label net and decoder are then trained on, together, from labels to flux. Epochs: "
            + ", ".join(f"{name} {count}" for name, count in summary["epochs"].items())
            + ".",
        ),
    ]


def _flux(summary: dict) -> list[str]:
    return [
        "",
        "## Errors of the flux",
        *_paragraph(
            "Against SYNSPEC spectra that are held out, each ten times, with rotations and",
            "resolutions of their own; nothing of them went through the process or the nets.",
            "Validation spectra are of the process. The two scores are means over pixels.",
        ),
        "",
        "| | MSE | MAE | variance score | R2 |",
        "| --- | --- | --- | --- | --- |",
        _agreement("the paper's auto-encoder", PUBLISHED),
        *(_agreement(title, summary["flux"][name]) for name, title in TITLES.items()),
        *_paragraph("Labels to flux, as shipped, by temperature:"),
        "",
        "| Teff (K) | spectra | MAE | rms | rms of the worst |",
        "| --- | --- | --- | --- | --- |",
        *_by_temperature(summary["generated"]),
        *_paragraph(
            f"`model_error` of the manifest is the rms of all, {summary['model_error']:.4f};",
            f"`model_error.f32` is that of each pixel. {summary['alive']} of the 10 units of the",
            "auto-encoder's latent space are in use; the ReLUs of the others died in training.",
        ),
    ]


def _closure(summary: dict) -> list[str]:
    closure = summary["closure"]
    lines = [
        "",
        "## Closure (the paper's Table 5)",
        *_paragraph(
            "Fifteen principal components to each label by a net of its own, trained on spectra",
            "half of which have noise of S/N 20 to 500. Root mean square errors; test spectra are",
            "held-out SYNSPEC spectra, generated ones are this model's, of the same labels. The",
            "column before the paper's is the spread of the labels themselves.",
        ),
        "",
        "| label | " + " | ".join(closure) + " | paper, test | paper, generated |",
        "| --- " * (len(closure) + 3) + "|",
    ]
    for number, label in enumerate(labels.LABELS):
        ours = " | ".join(f"{values[number]:.3g}" for values in closure.values())
        paper = label.accuracy or ("-", "-")
        name = f"{label.name} ({label.unit})" if label.unit else label.name
        lines.append(f"| {name} | {ours} | {paper[0]} | {paper[1]} |")
    lines += _paragraph(
        "What is to be compared are test and generated: where they agree, generated spectra are as",
        "good as computed ones for this purpose. The paper calls its figures accuracies and does",
        "not say of which kind. The inversion serves this test alone and is not shipped.",
    )
    return lines


def _limits() -> list[str]:
    points = [
        f"Stars above {labels.HOT:.0f} K with log g below {labels.LEAST_LOGG_HOT}, and [M/H] above "
        f"{labels.RICH} with log g below {labels.LEAST_LOGG_RICH}: there are no model atmospheres. "
        "The box of the manifest cannot say so, and the nets extrapolate.",
        "Stars above 10,000 K where He I matters: its line data have not been checked, and a grid "
        "that the command computes itself has no He I lines.",
        "Stars below 4500 K to better than the tables above: molecular bands change too fast for "
        "so few syntheses.",
        "Abundances of single elements, and departures from LTE, as in the cores of the Ca II "
        "triplet.",
    ]
    wrapped = [textwrap.wrap(f"- {point}", 100, subsequent_indent="  ") for point in points]
    return ["", "## Not for", "", *(line for lines in wrapped for line in lines), ""]


def _paragraph(*sentences: str) -> list[str]:
    """Text below a blank line, in lines of one width."""
    return ["", *textwrap.wrap(" ".join(sentences), 100, break_on_hyphens=False)]


def _agreement(title: str, values: dict) -> str:
    return (
        f"| {title} | {values['mse']:.1e} | {values['mae']:.4f} | "
        f"{values['variance_score']:.3f} | {values['r2']:.3f} |"
    )


def _by_temperature(rows: list[dict]) -> list[str]:
    return [
        f"| {row['teff'][0]}-{row['teff'][1]} | {row['spectra']} | {row['mae']:.4f} | "
        f"{row['rms']:.4f} | {row['worst_rms']:.4f} |"
        for row in rows
    ]
