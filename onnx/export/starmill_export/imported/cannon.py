"""Models of The Cannon as the package annieslasso pickles them, such as those of thedoppler.

The pickle is a dictionary of arrays, strings and numbers. The scales of the labels are not in it:
that package makes them from the labels of the training set, and so does this module.
"""

from pathlib import Path
from typing import Any

import numpy as np

from starmill_export import pickles
from starmill_export.imported import folder, label_table
from starmill_export.imported.folder import Imported, Origin
from starmill_export.imported.polynomial import Polynomial

PARTS = {
    "coolstars": "cannongrid_3000_18000_coolstars_norm_cubic_model.pkl",
    "hotdwarfs": "cannongrid_3000_18000_hotdwarfs_norm_cubic_model.pkl",
}
"""Files of the package thedoppler."""

WINDOW = (3600.0, 10400.0)
"""Vacuum Angstrom: the published models go from 3000 to 18000, more than one spectrum may have."""

PAPER = "Nidever, Doppler (PyPI package thedoppler 1.1.32); The Cannon: Ness et al. 2015"
MOST_DEGREE = 8


def read(path: Path, part: str, origin: Origin, window: tuple[float, float] | None) -> Imported:
    """The model of one pickle; `part` names it.

    Raises ValueError for what is no model of this layout; pickle.UnpicklingError where the file
    asks for anything but arrays.
    """
    content = pickles.load(folder.limited(path), pickles.NUMPY_GLOBALS)
    if not isinstance(content, dict):
        raise ValueError(f"{path}: holds no dictionary: not a model of The Cannon")
    try:
        names, terms = _vectorizer(content["vectorizer"], path)
        theta = np.asarray(content["theta"], float)
        scatter = np.asarray(content["s2"], float)
        dispersion = np.asarray(content["dispersion"], float)
        training = np.asarray(content["training_set_labels"], float)
        in_vacuum, fwhm = bool(content["wavevac"]), float(content["fwhm"])
    except KeyError as missing:
        raise ValueError(f"{path}: lacks {missing}: not a model of thedoppler") from missing
    pixels = len(dispersion)
    shapes = theta.shape, scatter.shape, training.shape[1:]
    if shapes != ((pixels, len(terms) + 1), (pixels,), (len(names),)):
        raise ValueError(f"{path}: arrays of {shapes} do not fit together: fetch the file again")
    if in_vacuum:
        chosen = folder.cut(dispersion, window)
        wavelength = dispersion[chosen]
    else:
        wavelength, chosen = folder.within(dispersion, window)
    theta, scatter = theta[chosen], scatter[chosen]
    if not (
        np.isfinite(theta).all() and np.isfinite(scatter).all() and np.isfinite(training).all()
    ):
        raise ValueError(f"{path}: holds values that are not finite: fetch the file again")
    errors = np.sqrt(scatter.clip(0))
    edges = np.percentile(training, [2.5, 97.5], axis=0)
    model = Polynomial(theta, terms, np.median(training, axis=0), np.ptp(edges, axis=0))
    middle = len(wavelength) // 2
    step = wavelength[middle] - wavelength[middle - 1]
    valid = np.column_stack([training.min(0), training.max(0)])
    return Imported(
        name=f"thedoppler-{part}",
        title=f"thedoppler: spectra from {len(names)} labels by The Cannon, {part}",
        origin=origin,
        model=model,
        labels=label_table.tables([label_table.ours(name) for name in names], valid),
        wavelength=wavelength,
        resolving_power=wavelength[middle] / max(fwhm, step),
        error=float(np.sqrt(np.mean(errors**2))),
        error_from="the scatter of the training spectra around the polynomial, which the file has",
        errors=errors,
        provenance={
            "command": f"./onnx/export/import-model.sh thedoppler --part {part}",
            "weights_sha256": folder.digest([path]),
        },
        notes=[
            f"A polynomial of degree {max(len(term) for term in terms)} of the labels for each "
            f"pixel, fitted to {len(training)} spectra. It smooths over a wide range of "
            "temperatures, and the error is large where lines are strong. The range of the table "
            "is a box around the training spectra, which do not fill it: at the corners the "
            "polynomial runs on freely. Flux above the continuum is cut off at 1, as the package "
            "does, and its derivatives are 0 there.",
            f"The file gives profiles a width of {fwhm:g} A; R is that of a pixel, {step:.2g} A. "
            "The published model of the continuum is left out: spectra are normalised ones.",
        ],
    )


def _vectorizer(described: Any, path: Path) -> tuple[list[str], list[list[int]]]:
    """Names of the labels, and each term as its labels, once for each power."""
    match described:
        case ("PolynomialVectorizer", {"label_names": [*names], "terms": [*terms]}) if terms:
            pass
        case _:
            raise ValueError(f"{path}: no polynomial of labels: not a model that can be taken")
    spelled = [_term(term, len(names), path) for term in terms]
    return [str(name) for name in names], spelled


def _term(term: Any, labels: int, path: Path) -> list[int]:
    spelled: list[int] = []
    try:
        for label, power in term:
            is_power = float(power).is_integer() and 1 <= power <= MOST_DEGREE
            if not is_power or label not in range(labels):
                raise ValueError
            spelled += [int(label)] * int(power)
        if not 1 <= len(spelled) <= MOST_DEGREE:
            raise ValueError
    except (TypeError, ValueError):
        raise ValueError(
            f"{path}: {term!r} is no product of labels up to degree {MOST_DEGREE}: "
            "fetch the file again"
        ) from None
    return spelled
