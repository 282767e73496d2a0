"""The model folder of fcresnet-xp: its files, and the manifest that binds them."""

import hashlib
import json

import numpy as np

from starmill_export import ensemble_graph, manifest
from starmill_export.ensembles import Ensemble
from starmill_export.gaia_xp.table import FIRST, LABELS, PIXELS, SPACING, Stars
from starmill_export.gaia_xp.training import FALSE_ALARM

NAME, VERSION = "fcresnet-xp", "1.0.0"
TITLE = "FCResNet on Gaia XP sampled spectra: three parameters and [alpha/M], with errors"
COMMAND = "./onnx/export/train-fcresnet-xp.sh"
MIN_SNR = 10.0
TOLERANCE = 1e-3
"""Of a label, in units of its spread: float32 sums of 343 terms against float64."""

GOLDEN_ROWS = 6
FILE_NAMES = {"onnx": "model.onnx", "golden": "golden.json", "card": "CARD.md"}

RECIPE = [
    {
        "step": "native_grid",
        "first": FIRST,
        "spacing": SPACING,
        "pixels": PIXELS,
        "max_bad_fraction": 0.0,
    },
    {"step": "zscore"},
]

_UNITS = ["K", "dex", "dex", "dex"]
_UCDS = ["phys.temperature.effective", "phys.gravity", "phys.abund.Fe", "phys.abund"]
_DESCRIPTIONS = [
    "Effective temperature",
    "Logarithm of the surface gravity in cm/s2",
    "Iron abundance [Fe/H]",
    "Abundance of the alpha elements [alpha/M]",
]
VALID = [[3200.0, 6750.0], [-0.3, 5.0], [-2.3, 0.5], [-0.4, 0.45]]
"""What all but a few in a thousand of the training stars keep to."""

LABEL_TABLES = [
    {"name": name, "unit": unit, "ucd": ucd, "description": description, "valid": valid}
    for name, unit, ucd, description, valid in zip(
        LABELS, _UNITS, _UCDS, _DESCRIPTIONS, VALID, strict=True
    )
]


def files(model: Ensemble, test: Stars, card: str) -> dict[str, bytes]:
    """The folder's files by role."""
    cases = {f"held-out {row}": test.inputs[row] for row in range(GOLDEN_ROWS)}
    cases |= {
        "zeros": np.zeros(PIXELS),
        "ramp": np.linspace(-1, 1, PIXELS) * np.sqrt(3),
        "comb": np.where(np.arange(PIXELS) % 2, 1.0, -1.0),
    }
    golden = ensemble_graph.golden_cases(model, cases)
    exported = ensemble_graph.build(model, NAME, VERSION, "starmill_export")
    return {
        "onnx": exported.SerializeToString(deterministic=True),
        "golden": (json.dumps(golden, separators=(",", ":")) + "\n").encode(),
        "card": card.encode(),
    }


def manifest_text(content: dict[str, bytes], model: Ensemble, provenance: dict[str, str]) -> str:
    """The manifest of a folder with these files."""
    top = {
        "schema": 1,
        "name": NAME,
        "version": VERSION,
        "title": TITLE,
        "paper": manifest.PAPER,
        "license": "Apache-2.0",
        "surveys": ["gaia-xp"],
        "trained_on": "real",
    }
    lines = [f"# Written by {COMMAND.removeprefix('./')}; do not edit.", *manifest.pairs(top)]
    lines += ["", "[files]"]
    for role, data in content.items():
        digest = hashlib.sha256(data).hexdigest()
        lines.append(f'{role} = {{ path = "{FILE_NAMES[role]}", sha256 = "{digest}" }}')
    lines += manifest.table("[input]", {"name": "spectrum", "pixels": PIXELS})
    outputs = ensemble_graph.OUTPUT | {"novelty_false_alarm": FALSE_ALARM}
    lines += manifest.table("[output]", outputs)
    lines += manifest.table("[output.covariance]", ensemble_graph.covariance(len(LABELS)))
    lines += manifest.table("[[output.column]]", ensemble_graph.raw_column(LABELS))
    for header, tables in (("recipe", RECIPE), ("label", LABEL_TABLES)):
        for entry in tables:
            lines += manifest.table(f"[[{header}]]", entry)
    lines += manifest.table("[quality]", {"min_snr": MIN_SNR})
    scale = [float(f"{value:.6g}") for value in model.spread]
    lines += manifest.table("[golden]", {"tolerance": TOLERANCE, "scale": scale})
    lines += manifest.table("[provenance]", provenance)
    return "\n".join(lines) + "\n"
