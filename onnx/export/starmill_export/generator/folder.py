"""The model folder: graph, wavelengths, errors, golden rows, card and manifest."""

import hashlib
import json
from typing import Any

import numpy as np

from starmill_export import manifest
from starmill_export.generator import labels, observe
from starmill_export.generator.network_file import FLUX, JACOBIAN, LABELS, Generator

NAME = "generator"
TITLE = "Generator: spectra of B to K stars from 8400 to 8800 A, from five labels and a resolution"
PAPER = "Gebran 2024, Generating Stellar Spectra Using Neural Networks"
TOLERANCE = 1e-4
FILE_NAMES = {
    "onnx": "model.onnx",
    "golden": "golden.json",
    "card": "CARD.md",
    "wavelength": "wavelength.f64",
    "model_error": "model_error.f32",
}

GOLDEN_STARS = [
    [5777.0, 4.44, 2.0, 0.0, 1.0, 11500.0],
    [4200.0, 2.3, 3.0, -0.5, 2.0, 7500.0],
    [9950.0, 3.5, 120.0, 0.5, 1.3, 11500.0],
]


def golden(model: Generator) -> bytes:
    """Flux of some stars by a float64 forward pass, of the first one the Jacobian too."""
    cases: list[dict[str, Any]] = []
    for star in GOLDEN_STARS:
        single = np.array([star])
        cases.append({"labels": star, "flux": np.round(model(single)[0], 6).tolist()})
        if len(cases) == 1:
            rows = model.jacobian(single)[0]
            cases[0]["jacobian"] = [[float(f"{value:.5g}") for value in row] for row in rows]
    return (json.dumps({"cases": cases}, separators=(",", ":")) + "\n").encode()


def wavelength() -> bytes:
    """Little-endian float64, vacuum Angstrom."""
    return observe.wavelength().astype("<f8").tobytes()


def manifest_text(
    version: str, files: dict[str, bytes], error: float, provenance: dict[str, str]
) -> str:
    """The manifest of a folder that holds `files`, by the roles of FILE_NAMES."""
    top = {
        "schema": 1,
        "kind": "forward",
        "name": NAME,
        "version": version,
        "title": TITLE,
        "paper": PAPER,
        "license": "Apache-2.0",
        "surveys": [],
        "trained_on": "synthetic",
    }
    lines = ["# Written by onnx/export/train-generator.sh; do not edit.", *manifest.pairs(top)]
    lines += ["", "[files]"]
    for role, content in files.items():
        digest = hashlib.sha256(content).hexdigest()
        lines.append(f'{role} = {{ path = "{FILE_NAMES[role]}", sha256 = "{digest}" }}')
    lines += manifest.table("[input]", {"name": LABELS})
    lines += manifest.table("[output]", {"flux": FLUX, "jacobian": JACOBIAN})
    lines += manifest.table("[spectrum]", {"pixels": observe.PIXELS})
    # The resolving power is a label.
    lines += ['normalisation = { kind = "continuum" }', f"model_error = {error:.4g}"]
    for label in labels.LABELS:
        entry = {
            "name": label.name,
            "unit": label.unit,
            "ucd": label.ucd,
            "description": label.description,
            "valid": list(label.valid),
            "default": label.default,
            "step": label.step,
        }
        lines += manifest.table("[[label]]", entry)
    lines += manifest.table("[golden]", {"tolerance": TOLERANCE})
    lines += manifest.table("[provenance]", provenance)
    return "\n".join(lines) + "\n"
