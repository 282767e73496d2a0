"""The model folder of a published model: graph, wavelengths, golden spectra, card and manifest."""

import hashlib
import json
import textwrap
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from starmill_export import manifest
from starmill_export.imported import graphs
from starmill_export.instrument import vacuum
from starmill_export.payne.folder import FILE_NAMES, JACOBIAN_PIXELS, TOLERANCE
from starmill_export.payne.graph import FLUX, JACOBIAN, LABELS

VERSION = "1.0.0"
MOST_PIXELS = 1 << 17
"""Of a spectrum, which is what the program takes."""

MOST_BYTES = 1 << 30
"""Of a file of weights, packed or not: the largest of these layouts has 50 MB."""

GOLDEN_ROWS, GOLDEN_PIXELS = 4, 4000
SEED, ATTEMPTS = 5, 100


@dataclass(frozen=True)
class Origin:
    """Where weights come from: file or archive, publication and SPDX licence."""

    source: str
    paper: str
    license: str


@dataclass
class Imported:
    """One published model; `labels` are tables of the manifest, `wavelength` is vacuum Angstrom.

    `error` is an error of normalised flux and `errors` one for each pixel, where they are known;
    `error_from` says in a phrase where from. `notes` are paragraphs of the card.
    """

    name: str
    title: str
    origin: Origin
    model: graphs.Model
    labels: list[dict]
    wavelength: np.ndarray
    resolving_power: float
    error: float
    error_from: str
    provenance: dict[str, str]
    errors: np.ndarray | None = None
    trained_on: str = "synthetic"
    normalisation: dict = field(default_factory=lambda: {"kind": "continuum"})
    notes: list[str] = field(default_factory=list)


def within(air: np.ndarray, window: tuple[float, float] | None) -> tuple[np.ndarray, slice]:
    """Vacuum wavelengths of those of `air` that lie in the vacuum window, and which pixels."""
    wavelength = vacuum(air)
    chosen = cut(wavelength, window)
    return wavelength[chosen], chosen


def cut(wavelength: np.ndarray, window: tuple[float, float] | None) -> slice:
    """The pixels in a window, all without one.

    Raises ValueError where wavelengths do not increase, or too few or too many pixels are left.
    """
    if wavelength.ndim != 1 or not (np.diff(wavelength) > 0).all() or not wavelength[0] > 0:
        raise ValueError("the wavelengths are not positive and increasing: name another file")
    first, last = window or (wavelength[0], wavelength[-1])
    chosen = slice(*np.searchsorted(wavelength, [first, np.nextafter(last, np.inf)]).tolist())
    count = chosen.stop - chosen.start
    if not 2 <= count <= MOST_PIXELS:
        raise ValueError(
            f"{count} pixels lie in {first:g} to {last:g} A, 2 to {MOST_PIXELS} can be taken: "
            "give a --window within "
            f"{wavelength[0]:g} and {wavelength[-1]:g}"
        )
    return chosen


def limited(path: Path) -> Path:
    """The path of a file that is not too large to be read.

    Raises ValueError for one that is, OSError for one that is not there.
    """
    if path.stat().st_size > MOST_BYTES:
        raise ValueError(f"{path}: more than {MOST_BYTES} bytes: not a model of this kind")
    return path


def digest(paths: list[Path]) -> str:
    """SHA-256 of all files, one after the other."""
    result = hashlib.sha256()
    for path in paths:
        result.update(path.read_bytes())
    return result.hexdigest()


def write(imported: Imported, target: Path) -> None:
    """Write the model folder."""
    shape = len(imported.labels), len(imported.wavelength)
    exported = graphs.build(imported.model, *shape, imported.name, VERSION)
    files = {
        "onnx": exported.SerializeToString(deterministic=True),
        "golden": _golden(imported),
        "card": _card(imported).encode(),
        "wavelength": imported.wavelength.astype("<f8").tobytes(),
    }
    if imported.errors is not None:
        files["model_error"] = imported.errors.astype("<f4").tobytes()
    manifest.write_folder(target, files, _manifest(imported, files), FILE_NAMES)


def _golden(imported: Imported) -> bytes:
    """Labels with flux by numpy in float64; of the first case derivatives of a few pixels too."""
    rng = np.random.default_rng(SEED)
    cases = []
    for number in range(GOLDEN_ROWS):
        row = _steady(imported, rng) if number == 0 else _row(imported, rng, number)
        width = JACOBIAN_PIXELS if number == 0 else GOLDEN_PIXELS
        flux = imported.model(row)[0, :width]
        case = {
            "labels": [float(f"{value:.8g}") for value in row[0]],
            "flux": [round(float(value), 7) for value in flux],
        }
        if number == 0:
            rows = imported.model.jacobian(row)[0, :, :width]
            case["jacobian"] = [[float(f"{value:.6g}") for value in line] for line in rows]
        cases.append(case)
    return (json.dumps({"cases": cases}, separators=(",", ":")) + "\n").encode()


def _row(imported: Imported, rng: np.random.Generator, stratum: int) -> np.ndarray:
    """Labels within the box as the graph gets them; the first label takes the strata in turn."""
    low, high = np.array([label["valid"] for label in imported.labels]).T
    share = rng.uniform(0.1, 0.9, len(low))
    share[0] = (stratum + 0.5) / GOLDEN_ROWS
    return np.float32(low + (high - low) * share)[None]


def _steady(imported: Imported, rng: np.random.Generator) -> np.ndarray:
    """A row at which derivatives do not jump by what rounding may move a label.

    Leaky units and fluxes that are cut off have a kink, where a graph in single precision may give
    either side.
    """
    steps = np.array([label["step"] for label in imported.labels])[:, None]
    for _ in range(ATTEMPTS):
        row = _row(imported, rng, 0)
        near = np.vstack([row, row * (1 - 3e-6), row * (1 + 3e-6)])
        found = imported.model.jacobian(near)[:, :, :JACOBIAN_PIXELS] * steps
        if np.abs(np.diff(found, axis=0)).max() < TOLERANCE / 2:
            return row
    raise ValueError("the derivatives jump everywhere: choose another --window")


def _manifest(imported: Imported, files: dict[str, bytes]) -> str:
    top = {
        "schema": 1,
        "kind": "forward",
        "name": imported.name,
        "version": VERSION,
        "title": imported.title,
        "paper": imported.origin.paper,
        "license": imported.origin.license,
        "surveys": [],
        "trained_on": imported.trained_on,
    }
    lines = ["# Written by onnx/export/import-model.sh; do not edit.", *manifest.pairs(top)]
    lines += ["", "[files]"]
    for role, content in files.items():
        sha256 = hashlib.sha256(content).hexdigest()
        lines.append(f'{role} = {{ path = "{FILE_NAMES[role]}", sha256 = "{sha256}" }}')
    lines += manifest.table("[input]", {"name": LABELS})
    lines += manifest.table("[output]", {"flux": FLUX, "jacobian": JACOBIAN})
    inner = ", ".join(manifest.pairs(imported.normalisation))
    lines += ["", "[spectrum]", f"pixels = {len(imported.wavelength)}"]
    lines += [f"normalisation = {{ {inner} }}"]
    numbers = {
        "resolving_power": float(f"{imported.resolving_power:.4g}"),
        "model_error": float(f"{imported.error:.3g}"),
    }
    lines += manifest.pairs(numbers)
    for table in imported.labels:
        lines += manifest.table("[[label]]", table)
    provenance = imported.provenance | {
        "source": imported.origin.source,
        "model_error": imported.error_from,
    }
    lines += manifest.table("[golden]", {"tolerance": TOLERANCE})
    lines += manifest.table("[provenance]", provenance)
    return "\n".join(lines) + "\n"


def _card(imported: Imported) -> str:
    wave, origin = imported.wavelength, imported.origin
    learnt = "computed" if imported.trained_on == "synthetic" else "observed"
    paragraphs = [
        f"# {imported.title}",
        f"{origin.paper}. Weights as published, read from {origin.source}: nothing was trained, "
        f"fitted or measured here. They learnt from {learnt} spectra.",
        f"{len(wave)} pixels from {wave[0]:.2f} to {wave[-1]:.2f} A (vacuum, at rest), R about "
        f"{imported.resolving_power:.0f} in the middle. Error of the normalised flux: "
        f"{imported.error:.2g}, {imported.error_from}.",
    ]
    table = ["| label | unit | trained from | to |", "|---|---|---|---|"]
    for label in imported.labels:
        low, high = label["valid"]
        table.append(f"| `{label['name']}` | {label['unit']} | {low:g} | {high:g} |")
    after = [*imported.notes, f"Licence of the weights: {origin.license}."]
    filled = [textwrap.fill(text, 100, break_long_words=False) for text in [*paragraphs, *after]]
    filled.insert(len(paragraphs), "\n".join(table))
    return "\n\n".join(filled) + "\n"
