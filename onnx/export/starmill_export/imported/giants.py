"""The package bossbrain as published: three nets of giants, each for a range of temperatures."""

from pathlib import Path

import numpy as np

from starmill_export import bossbrain, pickles
from starmill_export.imported import folder, label_table
from starmill_export.imported.folder import Imported, Origin
from starmill_export.imported.nets import Dense, Switched

PAPER = "Nidever, bossbrain (PyPI package 1.0.12)"
LOSS_UNIT = 1e-4
"""theborg, which trained the nets, records mean absolute errors of the flux times 10,000."""


def read(data: Path, origin: Origin, window: tuple[float, float] | None) -> Imported:
    """The model of the folder that holds the package's three pickles.

    Raises ValueError where the files do not fit together; pickle.UnpicklingError where one asks for
    anything but arrays and records.
    """
    paths = [folder.limited(data / name) for name in bossbrain.FILES]
    emulator = bossbrain.Bossbrain(data)
    wavelength, pixels = folder.within(bossbrain.WAVELENGTH_AIR, window)
    nets = []
    for layers, lowest, highest in emulator.networks:
        weight, bias = layers[-1]
        if weight.shape[1] != len(bossbrain.WAVELENGTH_AIR):
            raise ValueError(f"{data}: {weight.shape[1]} pixels: take bossbrain 1.0.12")
        nets.append(Dense([*layers[:-1], (weight[:, pixels], bias[pixels])], lowest, highest))
    valid = _ranges(nets)
    middle = wavelength[len(wavelength) // 2]
    return Imported(
        name="bossbrain",
        title="bossbrain: spectra of giants from 22 labels",
        origin=origin,
        model=Switched(nets, bossbrain.TEFF_SPLITS.tolist()),
        labels=label_table.tables([label_table.ours(name) for name in emulator.labels], valid),
        wavelength=wavelength,
        resolving_power=middle / bossbrain.FWHM,
        error=max(_recorded_errors(paths)),
        error_from="the mean absolute error of the worst net, as its training recorded it",
        provenance={
            "command": "./onnx/export/import-model.sh bossbrain",
            "weights_sha256": folder.digest(paths),
        },
        notes=[
            "Profiles have a width of 1 A at all wavelengths, so R grows with wavelength. The net "
            f"changes at {' and '.join(f'{edge:g}' for edge in bossbrain.TEFF_SPLITS)} K, as in "
            "the package, and the flux has a small step there. Abundances are relative to [M/H].",
        ],
    )


def _ranges(nets: list[Dense]) -> np.ndarray:
    """What the package takes: all temperatures, of other labels what all nets were trained on."""
    lowest = np.array([net.lowest for net in nets])
    highest = np.array([net.highest for net in nets])
    low, high = lowest.max(0), highest.min(0)
    low[0], high[0] = lowest[0, 0], highest[-1, 0]
    # Training labels were drawn at random, so that their limits end in 0.00001 or 0.99999.
    return np.column_stack([np.ceil(low * 1e3) / 1e3, np.floor(high * 1e3) / 1e3])


def _recorded_errors(paths: list[Path]) -> list[float]:
    losses = [pickles.load(path, bossbrain.ALLOWED).validation_loss for path in paths]
    return [LOSS_UNIT * min(float(loss) for loss in each) for each in losses]
