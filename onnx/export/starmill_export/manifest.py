"""The manifest of the model folder: the contract with the crate that runs the model."""

import hashlib
import json
import os
import tempfile
import tomllib
from pathlib import Path

from starmill_export import consistency

NAME = "fcresnet"
VERSION = "2.1.0"
TITLE = "FCResNet: six labels of dwarfs and giants from LAMOST low-resolution spectra at R = 200"
PAPER = (
    "Li et al. 2025, Estimating Stellar Atmospheric Parameters and Elemental Abundances "
    "Using Fully Connected Residual Network"
)
FALSE_ALARM = 0.01
TOLERANCE = 1e-4
MIN_SNR = 20.0

# The first and the last LAMOST pixel within 4000 to 8122 A.
FIRST, LAST = 10**3.6021, 10**3.9096

RECIPE = [
    {
        "step": "mask",
        "pixels": "andmask",
        "fibermask": "flag",
        "ormask": "flag",
        "max_bad_fraction": 0.2,
    },
    {
        "step": "degrade",
        "first": FIRST,
        "last": LAST,
        "resolving_power": 200.0,
        "weighting": "good",
        "max_empty_bins": 5,
    },
    {"step": "zscore"},
]

LABELS = [
    {
        "name": "teff",
        "unit": "K",
        "ucd": "phys.temperature.effective",
        "description": "Effective temperature",
        "valid": [3700.0, 7300.0],
    },
    {
        "name": "logg",
        "unit": "dex",
        "ucd": "phys.gravity",
        "description": "Logarithm of the surface gravity in cm/s2",
        "valid": [0.0, 4.9],
    },
    {
        "name": "fe_h",
        "unit": "dex",
        "ucd": "phys.abund.Fe",
        "description": "Iron abundance [Fe/H]",
        "valid": [-2.4, 0.5],
    },
] + [
    {
        "name": f"{symbol.lower()}_fe",
        "unit": "dex",
        "ucd": "phys.abund",
        "description": f"{element} abundance [{symbol}/Fe]",
        "valid": [-0.6, 0.6],
    }
    for symbol, element in (("C", "Carbon"), ("N", "Nitrogen"), ("Mg", "Magnesium"))
]

DERIVED = [
    {
        "name": f"{symbol.lower()}_h",
        "sum": [f"{symbol.lower()}_fe", "fe_h"],
        "unit": "dex",
        "ucd": "phys.abund",
        "description": f"[{symbol}/H] = [{symbol}/Fe] + [Fe/H]",
    }
    for symbol in ("C", "N", "Mg")
]


def text(
    files: dict[str, bytes],
    outputs: list[tuple[str, dict]],
    scale: list[float],
    errors: list[float],
    provenance: dict[str, str],
) -> str:
    """The manifest of a folder that holds `files`, by their role: onnx, golden, card, ...

    `outputs` are the tables of the graph's outputs; `errors` of the labels on held-out spectra are
    what the consistency of rows is measured by.
    """
    top = {
        "schema": 1,
        "name": NAME,
        "version": VERSION,
        "title": TITLE,
        "paper": PAPER,
        "license": "Apache-2.0",
        "surveys": ["lamost-lrs"],
        "trained_on": "synthetic",
    }
    lines = ["# Written by onnx/export/train-fcresnet.sh; do not edit.", *pairs(top)]
    lines += ["", "[files]"]
    for role, content in files.items():
        digest = hashlib.sha256(content).hexdigest()
        lines.append(f'{role} = {{ path = "{FILE_NAMES[role]}", sha256 = "{digest}" }}')
    lines += table("[input]", {"name": "spectrum", "pixels": 143})
    for header, entry in outputs:
        lines += table(header, entry)
    for header, tables in (("recipe", RECIPE), ("label", LABELS), ("derived", DERIVED)):
        for entry in tables:
            lines += table(f"[[{header}]]", entry)
    lines += table("[quality]", {"min_snr": MIN_SNR})
    # The limits are those of the last calibration, the errors those of this model.
    stated = consistency.section(NAME, [label["name"] for label in LABELS])
    lines += table("[consistency]", stated | {"errors": errors})
    lines += table("[golden]", {"tolerance": TOLERANCE, "scale": scale})
    lines += table("[provenance]", provenance)
    return "\n".join(lines) + "\n"


FILE_NAMES = {
    "onnx": "model.onnx",
    "golden": "golden.json",
    "recipe_golden": "recipe_golden.json",
    "card": "CARD.md",
}


def write_folder(
    folder: Path, files: dict[str, bytes], manifest: str, names: dict[str, str] = FILE_NAMES
) -> None:
    """Replace the folder's files one by one, the manifest last, each by a rename."""
    folder.mkdir(parents=True, exist_ok=True)
    named = {names[role]: content for role, content in files.items()}
    named["manifest.toml"] = manifest.encode()
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        for name, content in named.items():
            (Path(temporary) / name).write_bytes(content)
        for name in named:
            os.replace(Path(temporary) / name, folder / name)


def recipe(path: Path) -> list[dict]:
    """The recipe of a manifest file."""
    return tomllib.loads(path.read_text())["recipe"]


def table(header: str, values: dict) -> list[str]:
    """The lines of a TOML table below a blank one."""
    return ["", header, *pairs(values)]


def pairs(values: dict) -> list[str]:
    """Keys and values as TOML writes them."""
    # Strings, numbers and lists of them are written alike in JSON and in TOML.
    return [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in values.items()]
