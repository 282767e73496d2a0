"""The model folder: graph, pixel scaling, golden rows, card and the manifest that binds them."""

import hashlib
import json
from typing import Any

import numpy as np

from starmill_export import consistency, manifest
from starmill_export.rrnet import batch_prepare, card_tables, evaluate, labels
from starmill_export.rrnet.joined import Joined
from starmill_export.rrnet.network_file import (
    FACTORS,
    LABELS,
    NOVELTY,
    REGION,
    SIGMA,
    VOTES,
    Ensemble,
)

FALSE_ALARM = 0.01
TOLERANCE = 1e-3
"""Of a label, in units of its spread in the training set: what other kernels may differ by."""

GOLDEN_ROWS = 4
LEAST_SNR = 10.0
FILE_NAMES = {
    "onnx": "model.onnx",
    "scale": "scale.f32",
    "golden": "golden.json",
    "recipe_golden": "recipe_golden.json",
    "card": "CARD.md",
    "templates": "templates.fits.gz",
}

PAPERS = {
    "rrnet": "Xiong et al. 2022, A Model RRNet for Spectral Information Exploitation and LAMOST "
    "Medium-resolution Spectrum Parameter Estimation",
    "spemr": "Li et al. 2023, Parameter Estimation of LAMOST Medium-resolution Stellar Spectra",
}

TITLES = {
    "rrnet": "RRNet: seventeen labels from LAMOST medium-resolution spectra",
    "spemr": "SPEMR: sixteen labels from LAMOST medium-resolution spectra, four regions",
}

VALID_TEFF = {"rrnet": [4000.0, 6500.0], "spemr": [3750.0, 6950.0]}

_WINDOWS = [[*window, batch_prepare.STEP] for window in batch_prepare.WINDOWS]

RECIPE = [
    {"step": "snr", "min": LEAST_SNR, "below": "reject"},
    {"step": "rest_frame", "frame": "rv", "missing": "zero"},
    {"step": "bad_pixels", "pixels": "ormask", "max_bad": 100, "max_run": 30, "fill": "none"},
    {"step": "resample", "windows": _WINDOWS},
    {"step": "despike", "lower": batch_prepare.LOWER, "upper": batch_prepare.UPPER},
    {
        "step": "continuum",
        "order": batch_prepare.ORDER,
        "lower": batch_prepare.LOWER,
        "upper": batch_prepare.UPPER,
        "max_iterations": batch_prepare.MOST_FITS,
    },
    {"step": "clip", "low": batch_prepare.CLIP[0], "high": batch_prepare.CLIP[1]},
    {"step": "scale"},
]
"""Sections 2.1 and 2.2 of the paper, with the constants of its code."""


def recipe(variant: str) -> list[dict]:
    """The recipe of a radial-velocity variant: u and ur leave the velocity in."""
    corrected = variant in ("c", "cp")
    return [step for step in RECIPE if corrected or step["step"] != "rest_frame"]


def label_tables(
    family: str, names: list[str], ignorance: dict[str, float]
) -> list[dict[str, Any]]:
    """What the manifest says of each label, with a word of warning where spectra say little of it.

    `ignorance` is that of `evaluate.figures`, by name; a label that it lacks was not measured.
    """
    symbols = {"fe_h": "Fe"} | {f"{symbol.lower()}_h": symbol for symbol in labels.ELEMENTS}
    known = {
        "teff": ("K", "phys.temperature.effective", "Effective temperature", VALID_TEFF[family]),
        "logg": ("dex", "phys.gravity", "Logarithm of the surface gravity in cm/s2", [0.5, 4.8]),
        "rv": ("km/s", "spect.dopplerVeloc", "Radial velocity", [-400.0, 400.0]),
    }
    tables = []
    for name in names:
        if name in known:
            unit, ucd, description, valid = known[name]
        else:
            unit, ucd = "dex", "phys.abund.Fe" if name == "fe_h" else "phys.abund"
            description, valid = f"{symbols[name]} abundance [{symbols[name]}/H]", [-2.4, 1.0]
            if name == "fe_h":
                valid = [-1.9, 0.45]
        if amount := evaluate.information(ignorance.get(name, 0.0)):
            description += f"; {amount} in these windows"
        table = {"name": name, "unit": unit, "ucd": ucd, "description": description}
        # The column of the published catalogue, its Table 3.
        alias = {"teff": "Teff[K]", "logg": "Logg"}.get(name)
        if name in symbols:
            alias = f"{symbols[name]}H"
        tables.append(table | ({"alias": alias} if alias else {}) | {"valid": valid})
    return tables


def further_columns(regions: int, count: int) -> list[dict[str, Any]]:
    """The outputs of SPEMR that become columns: who won its `count` labels, and the votes."""
    if regions == 1:
        return []
    first, last = labels.REGIONS[0], labels.REGIONS[-1]
    return [
        {
            "output": REGION,
            "name": REGION,
            "shape": [count],
            "integer": True,
            "ucd": "meta.code",
            "description": f"Region that won each label, 1 to {regions} for {first} to {last}",
        },
        {
            "output": VOTES,
            "name": VOTES,
            "shape": [regions, 2, count],
            "on_request": True,
            "description": f"Labels, then errors (eq. 3), of regions {first} to {last}",
        },
    ]


def golden(model: Ensemble | Joined, spectra: np.ndarray) -> bytes:
    """Some standardised spectra with labels, sigma and novelty of a float64 forward pass."""
    rows = {f"held-out {row}": spectra[row] for row in range(GOLDEN_ROWS)}
    rows["zeros"] = np.zeros(spectra.shape[1])
    cases = []
    for name, values in rows.items():
        single = np.round(values, 4).astype(np.float32)
        found = model(single[None])
        case = {
            "name": name,
            "input": [float(f"{value:.6g}") for value in single],
            "labels": [float(f"{value:.9g}") for value in found[LABELS][0]],
            "sigma": [float(f"{value:.9g}") for value in found[SIGMA][0]],
        }
        if NOVELTY in found:
            case["novelty"] = float(f"{found[NOVELTY][0]:.9g}")
        cases.append(case)
    return (json.dumps({"cases": cases}, separators=(",", ":")) + "\n").encode()


def manifest_text(
    family: str,
    names: list[str],
    variant: str,
    version: str,
    files: dict[str, bytes],
    model: Ensemble | Joined,
    ignorance: dict[str, float],
    provenance: dict[str, str],
    trained_on: str = "synthetic",
) -> str:
    """The manifest of a folder that holds `files`, by the roles of FILE_NAMES.

    `ignorance` is that of `evaluate.figures`, by label.
    """
    top = {
        "schema": 1,
        "name": family,
        "version": version,
        "title": TITLES[family],
        "paper": PAPERS[family],
        "license": "Apache-2.0",
        "surveys": ["lamost-mrs"],
        "trained_on": trained_on,
    }
    lines = ["# Written by onnx/export/train-rrnet.sh; do not edit.", *manifest.pairs(top)]
    lines += ["", "[files]"]
    lines += [_entry(role, content) for role, content in files.items()]
    lines += manifest.table("[input]", {"name": "spectrum", "pixels": model.shape.pixels})
    outputs: dict[str, str | float] = {LABELS: LABELS, SIGMA: SIGMA}
    if model.novelty is not None:
        outputs |= {NOVELTY: NOVELTY, "novelty_false_alarm": FALSE_ALARM}
    lines += manifest.table("[output]", outputs)
    covariance = {"factor": FACTORS, "rank": model.rank}
    lines += manifest.table("[output.covariance]", covariance)
    parts = {
        "output.column": further_columns(len(model.regions), len(names)),
        "recipe": recipe(variant),
        "label": label_tables(family, names, ignorance),
    }
    for header, entries in parts.items():
        for entry in entries:
            lines += manifest.table(f"[[{header}]]", entry)
    spread = [float(f"{value:.6g}") for value in model.scaling.label_spread]
    lines += manifest.table("[quality]", {"min_snr": LEAST_SNR})
    lines += manifest.table("[consistency]", consistency.section(family, names))
    lines += manifest.table("[golden]", {"tolerance": TOLERANCE, "scale": spread})
    lines += manifest.table("[provenance]", provenance)
    return "\n".join(lines) + "\n"


def _entry(role: str, content: bytes) -> str:
    digest = hashlib.sha256(content).hexdigest()
    return f'{role} = {{ path = "{FILE_NAMES[role]}", sha256 = "{digest}" }}'


def with_file(text: str, role: str, content: bytes) -> str:
    """A manifest with this content as its file of this role, and all else as it is."""
    kept = [line for line in text.splitlines() if not line.startswith(f"{role} = {{")]
    kept.insert(kept.index("[files]") + 1, _entry(role, content))
    return "\n".join(kept) + "\n"


def card(family: str, summary: dict, emulator_errors: list[dict]) -> str:
    """What the model is, what it was trained on, and what is known of its errors."""
    lines = [
        f"# {TITLES[family]}",
        "",
        f"{PAPERS[family]}. {summary['regions']} x {summary['members']} nets of "
        f"{summary['parameters_of_a_member']:,} parameters.",
        "",
        "**Trained on synthetic spectra alone**: SYNSPEC54 (one-dimensional LTE), through an",
        "emulator, with rotation, resolution, noise, velocity errors and spoilt pixels added. The",
        "figures below are of held-out spectra made alike. They are no survey precision.",
        "",
        "- Labels of which these windows say nothing or little are in a table below, and their",
        "  columns say so. Abundances were scattered freely in training, so sigma is as large as",
        "  that scatter; published precisions of them come from correlations between labels.",
        f"- Cool stars (below {labels.COOL:.0f} K) with [C/O] above {labels.MOST_CARBON} dex are",
        "  outside the training set: carbon stars.",
        "- Below 4500 K the emulator is the limit, not the noise.",
        "",
        "## The emulator on syntheses it has not seen",
        "",
        "Error of normalised flux at R = 7500.",
        "",
        "| Teff (K) | stars | median | rms | rms of the worst star | spread of flux |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for row in emulator_errors:
        low, high = row["teff"]
        figures = ("median_absolute", "rms", "worst_star_rms", "spread_of_flux")
        values = " | ".join(f"{row[name]:.4f}" for name in figures)
        lines.append(f"| {low}-{high} | {row['stars']} | {values} |")
    lines += ["", "## Held-out synthetic spectra", ""]
    ranges = summary["held_out"]
    lines.append("MAE (and the pull: residuals in units of sigma), by S/N per pixel in the blue.")
    lines += ["", "| label | prior | " + " | ".join(ranges) + " |"]
    lines.append("| --- " * (len(ranges) + 2) + "|")
    for name in summary["labels"]:
        prior = next(iter(ranges.values()))[name]["prior"]
        cells = [f"{part[name]['mae']:.3g} ({part[name]['pull']:.2f})" for part in ranges.values()]
        lines.append(f"| {name} | {prior:.3g} | " + " | ".join(cells) + " |")
    lines += _information(*evaluate.ignorance(ranges))
    lines += [*card_tables.calibration(summary), *card_tables.eight_bits(summary)]
    if summary["regions"] > 1:
        lines += _regions()
    lines += [
        "",
        "## Speed",
        "",
        "Spectra per CPU second on one core, ONNX Runtime alone: of the graph with kernels, which",
        "is shipped, it runs the functions. `ops/bench.sh rrnet` measures Starmill's kernels.",
        "",
    ]
    batches = {key: value for key, value in summary["speed"].items() if key.startswith("batch")}
    graphs = list(next(iter(batches.values())))
    lines += ["| | " + " | ".join(graphs) + " |", "| --- " * (len(graphs) + 1) + "|"]
    for title, speeds in batches.items():
        lines.append(f"| {title} | " + " | ".join(f"{speeds[name]:.0f}" for name in graphs) + " |")
    return "\n".join(lines) + "\n"


def _information(title: str, ignorance: dict[str, float]) -> list[str]:
    """Of which labels the windows say little, decided by held-out errors."""
    lines = [
        "",
        "## What these windows say of each label",
        "",
        f"Root mean square error of held-out spectra of {title} over the spread that is left when",
        "[Fe/H] is known: that of [X/Fe]; of temperature, gravity and [Fe/H] their own. A guess",
        f"reaches 1. From {evaluate.NO_INFORMATION} on a label has no information, from",
        f"{evaluate.LITTLE_INFORMATION} on little.",
        "",
        "| label | error over spread | |",
        "| --- | --- | --- |",
    ]
    for name, value in ignorance.items():
        lines.append(f"| {name} | {value:.2f} | {evaluate.information(value) or ''} |")
    return lines


def _regions() -> list[str]:
    """What the numbers in the column `region` stand for."""
    lines = ["", "## Regions", "", "The column `region` has the number of the one that won."]
    lines += ["", "| number | name | tuned on stars |", "| --- | --- | --- |"]
    for number, name in enumerate(labels.REGIONS, start=1):
        lines.append(f"| {number} | {name} | {labels.REGION_MEANINGS[name]} |")
    return lines
