"""Normalised spectra of giants from the Synspec-trained networks of the package bossbrain.

The package (MIT) holds three networks, one per range of effective temperature, pickled as torch
modules. They are read here without torch: 22 labels -> 300 -> 300 -> 14,001 pixels, leaky ReLU.
"""

import collections
from pathlib import Path

import numpy as np

from starmill_export import pickles

WAVELENGTH_AIR = 3500.0 + 0.5 * np.arange(14001)
"""Air wavelengths of the networks' pixels in Angstrom."""

FWHM = 1.0
"""Width of the line profiles the networks were trained on, Angstrom."""

FILES = ["ann_22pars_3500-4200.pkl", "ann_22pars_4000-5000.pkl", "ann_22pars_4900-6000.pkl"]
TEFF_SPLITS = np.array([4100.0, 4950.0])
LEAK = np.float32(0.01)


def _tensor(storage: bytes, _offset: int, shape: tuple[int, ...], *_rest: object) -> np.ndarray:
    """Read a tensor off a torch storage stream, which ends in its count and its raw float32."""
    count = int(np.prod(shape))
    stored = int(np.frombuffer(storage[-(4 * count + 8) : -4 * count], "<i8")[0])
    if stored != count:
        raise ValueError(f"tensor of shape {shape} holds {stored} values")
    return np.frombuffer(storage[-4 * count :], "<f4").reshape(shape).copy()


def _array(create: object, args: tuple, state: object, *_rest: object) -> np.ndarray:
    array = create(*args)
    array.__setstate__(state)
    return array


ALLOWED = pickles.NUMPY_GLOBALS | {
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("dill._dill", "_create_array"): _array,
    ("theborg.emulator", "Emulator"): pickles.Record,
    ("theborg.emulator", "MultiEmulatorModel"): pickles.Record,
    ("torch._utils", "_rebuild_parameter"): lambda data, *_rest: data,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch.nn.modules.activation", "LeakyReLU"): pickles.Record,
    ("torch.nn.modules.container", "Sequential"): pickles.Record,
    ("torch.nn.modules.linear", "Linear"): pickles.Record,
    ("torch.storage", "_load_from_bytes"): lambda raw: raw,
}


class Bossbrain:
    """The three networks as plain arrays.

    `labels` names the 22 columns of a label array: teff (K), logg (dex), mh ([M/H], dex) and 19
    abundances [X/M] in dex.
    """

    def __init__(self, folder: Path) -> None:
        self.networks = []
        for name in FILES:
            emulator = pickles.load(folder / name, ALLOWED)
            modules = emulator.model._modules["features"]._modules.values()
            layers = [
                (module._parameters["weight"].T.copy(), module._parameters["bias"])
                for module in modules
                if "weight" in module._parameters
            ]
            self.networks.append((layers, np.array(emulator.xmin), np.array(emulator.xmax)))
            self.labels = [str(label) for label in emulator.label_names]

    def flux(self, labels: np.ndarray, pixels: slice) -> np.ndarray:
        """Continuum-normalised flux, float32 [n, pixels], for `labels` [n, 22]."""
        length = len(WAVELENGTH_AIR[pixels])
        result = np.empty((len(labels), length), np.float32)
        which = np.searchsorted(TEFF_SPLITS, labels[:, 0])
        for index, network in enumerate(self.networks):
            rows = which == index
            if not rows.any():
                continue
            weight, bias = network[0][-1]
            result[rows] = hidden(network, labels[rows]) @ weight[:, pixels] + bias[pixels]
        return result


def hidden(network: tuple, labels: np.ndarray) -> np.ndarray:
    """What enters the last layer of one of the networks, float32 [n, 300]."""
    layers, lowest, highest = network
    value = ((labels - lowest) / (highest - lowest) - 0.5).astype(np.float32)
    for weight, bias in layers[:-1]:
        value = value @ weight + bias
        value = np.where(value > 0, value, LEAK * value)
    return value
