"""Nets of The Payne, `NN_normalized_spectra.npz` and files like it.

Three layouts of the arrays w_array_0, b_array_0, ..., x_min, x_max are in use, told apart by shape:

- one net for all pixels with two hidden layers (The_Payne since 2019, its relatives for other
  surveys, thedoppler): w_array_0 [nodes, labels], w_array_2 [pixels, nodes]; leaky ReLU, in some
  relatives a sigmoid;
- a net for each pixel with two layers (Ting et al. 2018): w_array_0 [pixels, nodes, labels],
  w_array_2 [pixels]; sigmoid;
- a net for each pixel with one hidden layer (El-Badry et al. 2018, binspec): no w_array_2; sigmoid.

The package theborg writes the first of them by other names, features.0.weight and so on. Of further
keys labels, wavelength, wavevac and validation_loss are read where a file has them.
"""

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from starmill_export.imported import folder, label_table
from starmill_export.imported.folder import Imported, Origin
from starmill_export.imported.nets import LEAKY_RELU, Curved, Dense
from starmill_export.instrument import vacuum
from starmill_export.payne.net import PerPixel

PAPER = "Ting et al. 2019, The Payne: Self-consistent ab initio Fitting of Stellar Spectra"
LOSS_UNIT = 1e-4
"""The published trainer records mean absolute errors of the flux times 10,000."""

KILO = 1000.0

NAMES_OF_THEBORG = {
    f"features.{2 * number}.{kind}": f"{short}_array_{number}"
    for number in range(3)
    for kind, short in (("weight", "w"), ("bias", "b"))
} | {"xmin": "x_min", "xmax": "x_max", "label_names": "labels"}


@dataclass
class Said:
    """What is said of a file because the file does not say it; None leaves it to the file."""

    name: str
    license: str
    resolving_power: float
    paper: str = PAPER
    trained_on: str = "synthetic"
    labels: list[str] | None = None
    wavelength: Path | None = None
    in_air: bool = False
    activation: str = LEAKY_RELU
    smoothing: float | None = None
    error: float | None = None


def read(path: Path, said: Said, window: tuple[float, float] | None) -> Imported:
    """The model of one file.

    Raises ValueError where the file is not of this layout, holds pickles, or leaves open what
    `said` does not say.
    """
    arrays = load(path)
    lowest, highest = _vector(arrays, "x_min", path), _vector(arrays, "x_max", path)
    names = _names(arrays, said, len(lowest), path)
    for column, name in enumerate(names):
        # Some nets take thousands of Kelvin.
        if name == "teff" and highest[column] < KILO:
            lowest[column], highest[column] = KILO * lowest[column], KILO * highest[column]
    labels = label_table.tables(names, np.column_stack([lowest, highest]))
    model, pixels = net(arrays, lowest, highest, said.activation, path)
    wavelength, chosen = _wavelength(arrays, said, pixels, path, window)
    error, error_from = _error(arrays, said, path)
    normalisation = {"kind": "continuum"}
    if said.smoothing is not None:
        normalisation = {"kind": "gaussian", "fwhm": said.smoothing}
    return Imported(
        name=said.name,
        title=f"{said.name}: spectra from {len(names)} labels by a net of The Payne",
        origin=Origin(path.name, said.paper, said.license),
        model=_windowed(model, chosen),
        labels=labels,
        wavelength=wavelength,
        resolving_power=said.resolving_power,
        error=error,
        error_from=error_from,
        normalisation=normalisation,
        trained_on=said.trained_on,
        provenance={
            "command": "./onnx/export/import-model.sh payne-npz",
            "weights_sha256": folder.digest([path]),
        },
        notes=[
            "Resolving power, normalisation, licence and what the net was trained on are as given "
            "to the command, and names of labels and wavelengths where the file lacks them.",
        ],
    )


def load(path: Path) -> dict[str, np.ndarray]:
    """The arrays of an npz file by the names of The Payne, none of them made by a pickle.

    Raises ValueError for what is no such file or holds Python objects.
    """
    if not zipfile.is_zipfile(folder.limited(path)):
        raise ValueError(f"{path}: not an npz file: name the one with w_array_0")
    with zipfile.ZipFile(path) as archive:
        if sum(info.file_size for info in archive.infolist()) > folder.MOST_BYTES:
            raise ValueError(f"{path}: more than {folder.MOST_BYTES} bytes: not a net of The Payne")
    try:
        with np.load(path, allow_pickle=False) as stored:
            found = {name: stored[name] for name in stored.files}
    except (ValueError, EOFError, MemoryError, zipfile.BadZipFile) as cause:
        raise ValueError(
            f"{path}: refused, an array is pickled or broken ({cause}): save plain arrays anew"
        ) from cause
    found = {NAMES_OF_THEBORG.get(name, name): value for name, value in found.items()}
    for name, value in found.items():
        if not isinstance(value, np.ndarray):
            raise ValueError(f"{path}: {name} is no array: save plain arrays anew")
        if value.dtype.kind == "f" and not np.isfinite(value).all():
            raise ValueError(f"{path}: {name} is not finite throughout: fetch the file again")
    return found


def _vector(arrays: dict[str, np.ndarray], name: str, path: Path) -> np.ndarray:
    value = arrays.get(name)
    if value is None or value.ndim != 1 or value.dtype.kind not in "fiu":
        raise ValueError(f"{path}: lacks the numbers {name}: not a net of The Payne")
    return value.astype(float)


def _names(arrays: dict[str, np.ndarray], said: Said, count: int, path: Path) -> list[str]:
    published = said.labels
    if published is None and arrays.get("labels", np.zeros(0)).dtype.kind == "U":
        published = arrays["labels"].ravel().tolist()
    if published is None and count == len(label_table.APOGEE):
        published = label_table.APOGEE
    if published is None or len(published) != count:
        given = "names none" if published is None else f"there are {len(published)} names"
        raise ValueError(f"{path}: takes {count} labels, {given}: name them by --labels A,B,...")
    return [label_table.ours(name) for name in published]


def net(
    arrays: dict[str, np.ndarray],
    lowest: np.ndarray,
    highest: np.ndarray,
    activation: str,
    path: Path,
) -> tuple[Dense | PerPixel | Curved, int]:
    """The net of the arrays, and how many pixels it has.

    Raises ValueError where they are of none of the layouts.
    """
    layers = 3 if "w_array_2" in arrays else 2
    try:
        weights = [arrays[f"w_array_{number}"].astype(float) for number in range(layers)]
        biases = [arrays[f"b_array_{number}"].astype(float) for number in range(layers)]
    except KeyError as missing:
        raise ValueError(f"{path}: lacks {missing}: not a net of The Payne") from missing
    found = [array.shape for pair in zip(weights, biases, strict=True) for array in pair]
    labels = len(lowest)
    match weights[0].shape, layers:
        case (nodes, _), 3:
            second, pixels = weights[1].shape[0], weights[2].shape[0]
            expected = [(nodes, labels), (nodes,), (second, nodes), (second,)]
            expected += [(pixels, second), (pixels,)]
        case (pixels, nodes, _), _:
            expected = [(pixels, nodes, labels), (pixels, nodes), (pixels, nodes), (pixels,)]
            expected += [(pixels,), (pixels,)] if layers == 3 else []
        case _:
            expected = []
    if found != expected:
        raise ValueError(
            f"{path}: arrays of {found} are no known net of The Payne for {labels} labels"
        )
    if weights[0].ndim == 2:
        pairs = [(weight.T, bias) for weight, bias in zip(weights, biases, strict=True)]
        return Dense(pairs, lowest, highest, activation), pixels
    # The scaling of the labels is linear, so the first layer takes it in.
    spread = highest - lowest
    hidden = weights[0].transpose(0, 2, 1) / spread[:, None]
    bias = biases[0] - np.einsum("pln,l->pn", hidden, lowest + spread / 2)
    inner = PerPixel(hidden, bias, weights[1], biases[1])
    return (Curved(inner, weights[2], biases[2]) if layers == 3 else inner), pixels


def _windowed(model: Dense | PerPixel | Curved, chosen: slice) -> Dense | PerPixel | Curved:
    """The net with the pixels that are chosen."""
    match model:
        case Dense(layers=[*hidden, (weight, bias)]):
            last = weight[:, chosen], bias[chosen]
            return Dense([*hidden, last], model.lowest, model.highest, model.activation)
        case Curved():
            inner = _windowed(model.inner, chosen)
            return Curved(inner, model.scale[chosen], model.offset[chosen])
    return PerPixel(*(array[chosen] for array in vars(model).values()))


def _wavelength(
    arrays: dict[str, np.ndarray],
    said: Said,
    pixels: int,
    path: Path,
    window: tuple[float, float] | None,
) -> tuple[np.ndarray, slice]:
    in_air = said.in_air or not bool(arrays.get("wavevac", True))
    if said.wavelength is not None:
        values = _vector(load(said.wavelength), "wavelength", said.wavelength)
    elif "wavelength" in arrays:
        values = _vector(arrays, "wavelength", path)
    else:
        raise ValueError(f"{path}: has no wavelengths: name the file that has by --wavelength")
    if len(values) != pixels:
        raise ValueError(
            f"{len(values)} wavelengths for {pixels} pixels: name another --wavelength"
        )
    values = vacuum(values) if in_air else values
    chosen = folder.cut(values, window)
    return values[chosen], chosen


def _error(arrays: dict[str, np.ndarray], said: Said, path: Path) -> tuple[float, str]:
    if said.error is not None:
        return said.error, "as given to the command"
    losses = arrays.get("validation_loss", np.zeros(0))
    if losses.dtype.kind not in "fiu" or losses.size == 0:
        raise ValueError(f"{path}: does not say how large its errors are: give --model-error")
    recorded = LOSS_UNIT * float(losses.min())
    return recorded, "the mean absolute error on validation spectra, as its training recorded it"
