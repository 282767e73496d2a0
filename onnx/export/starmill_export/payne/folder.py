"""The model folder: graph, wavelengths, errors, golden spectra, card and the manifest."""

import hashlib
import json
from dataclasses import dataclass

import numpy as np

from starmill_export import consistency, manifest
from starmill_export.payne import giants, graph, labels
from starmill_export.payne.net import Shared
from starmill_export.payne.prior import Source

VERSIONS = {"payne": "1.1.0", "payne-mrs": "1.0.0"}
TOLERANCE = 1e-4
"""Of flux: what other kernels may differ by."""

JACOBIAN_PIXELS, MOST_PIXELS = 400, 4000

FILE_NAMES = {
    "onnx": "model.onnx",
    "golden": "golden.json",
    "card": "CARD.md",
    "wavelength": "wavelength.f64",
    "model_error": "model_error.f32",
}

LIMITS = {"limit": [1.15, 4.0], "region_limit": [2.0, 8.5], "false_alarm": 0.01}
"""Reduced chi-squares beyond which a fit is flagged (all variance noise, all the model's), of the
whole spectrum and of its worst region: of 400 unseen spectra of bossbrain, S/N 20 to 400, so many
are beyond them."""

PAPER = "Ting et al. 2017, Measuring 14 Elemental Abundances with R = 1800 LAMOST Spectra"


@dataclass(frozen=True)
class Kind:
    """What the manifest says of one model; `starts` are teff, logg and one [X/H] each."""

    title: str
    surveys: list[str]
    normalisation: dict
    resolving_power: float
    starts: list[tuple[float, float, float]]


KINDS = {
    "payne": Kind(
        "Payne: spectra of giants at R = 1800 from sixteen labels",
        ["lamost-lrs"],
        {"kind": "gaussian", "fwhm": giants.SMOOTHING},
        giants.RESOLVING_POWER,
        [
            (4000.0, 1.0, -0.3),
            (4400.0, 1.8, 0.0),
            (4800.0, 2.5, 0.0),
            (4800.0, 2.0, -1.2),
            (5200.0, 2.9, -0.4),
            (5500.0, 2.8, -1.6),
            (5700.0, 3.0, 0.0),
        ],
    ),
    "payne-mrs": Kind(
        "Payne: medium-resolution spectra at R = 7500 from the labels of RRNet",
        ["lamost-mrs"],
        {"kind": "continuum"},
        7500.0,
        [],
    ),
}


def disagreed() -> list[list[float]]:
    """Ranges in which real repeat visits of low resolution differ by more than their noise."""
    return json.loads(consistency.DATA.read_text(encoding="utf-8"))["fcresnet"]["skip"]


def files(model: Shared, source: Source, errors: np.ndarray, card: str) -> dict[str, bytes]:
    """The files of the folder by the roles of FILE_NAMES; `errors` are rms by pixel."""
    exported = graph.build(model, source.name, VERSIONS[source.name])
    return {
        "onnx": exported.SerializeToString(deterministic=True),
        "golden": golden(model, source),
        "card": card.encode(),
        "wavelength": source.wave.astype("<f8").tobytes(),
        "model_error": errors.astype("<f4").tobytes(),
    }


def golden(model: Shared, source: Source) -> bytes:
    """Labels with flux and, of the first pixels of the first case, derivatives in float64."""
    drawn = source.sample(3, np.random.default_rng(5))
    # As the graph gets them, and short enough to read.
    rows = np.vstack([source.references[:1], np.round(drawn, 2)]).astype(np.float32)
    flux = model(rows)
    cases = []
    for number, row in enumerate(rows):
        width = JACOBIAN_PIXELS if number == 0 else MOST_PIXELS
        case = {
            "name": "reference" if number == 0 else f"star {number}",
            "labels": [float(f"{value:.8g}") for value in row],
            "flux": [round(float(value), 6) for value in flux[number, :width]],
        }
        if number == 0:
            derivatives = model.jacobian(rows[:1])[0, :, :width]
            case["jacobian"] = [[float(f"{value:.5g}") for value in line] for line in derivatives]
        cases.append(case)
    return (json.dumps({"cases": cases}, separators=(",", ":")) + "\n").encode()


def manifest_text(
    source: Source, contents: dict[str, bytes], errors: np.ndarray, provenance: dict[str, str]
) -> str:
    """The manifest of a folder that holds `contents`."""
    kind = KINDS[source.name]
    top = {
        "schema": 1,
        "kind": "forward",
        "name": source.name,
        "version": VERSIONS[source.name],
        "title": kind.title,
        "paper": PAPER,
        "license": "Apache-2.0",
        "surveys": kind.surveys,
        "trained_on": "synthetic",
    }
    lines = ["# Written by onnx/export/train-payne.sh; do not edit.", *manifest.pairs(top)]
    lines += ["", "[files]"]
    for role, content in contents.items():
        digest = hashlib.sha256(content).hexdigest()
        lines.append(f'{role} = {{ path = "{FILE_NAMES[role]}", sha256 = "{digest}" }}')
    lines += manifest.table("[input]", {"name": graph.LABELS})
    lines += manifest.table("[output]", {"flux": graph.FLUX, "jacobian": graph.JACOBIAN})
    inner = ", ".join(manifest.pairs(kind.normalisation))
    lines += ["", "[spectrum]", f"pixels = {len(source.wave)}"]
    lines += [f"normalisation = {{ {inner} }}"]
    rms = float(f"{np.sqrt(np.mean(errors.astype(float) ** 2)):.3g}")
    lines += manifest.pairs({"resolving_power": kind.resolving_power, "model_error": rms})
    for table in labels.tables(source.names, source.box):
        lines += manifest.table("[[label]]", table)
    if kind.starts:
        points = giants.of_points(np.array(kind.starts)).tolist()
        fit = {"starts": points, "max_iterations": 30, "skip": disagreed(), **LIMITS}
        lines += manifest.table("[fit]", fit)
    lines += manifest.table("[golden]", {"tolerance": TOLERANCE})
    lines += manifest.table("[provenance]", provenance)
    return "\n".join(lines) + "\n"
