"""Model atmospheres from the networks of the package atmosnet (MIT), trained on the C3K grid."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy._core import multiarray

from starmill_export import pickles

COOL_FILE = "atmosnet_c3k_300neurons_cool.pkl"
HOT_FILE = "atmosnet_c3k_300neurons_hot.pkl"
HOT = 8000.0
"""K: from here on the networks of the second file."""


def _import_module(name: str, *_rest: object) -> str:
    return name


def _get_attribute(module: str, name: str) -> Any:
    if (module, name) != ("numpy.core._multiarray_umath", "_reconstruct"):
        raise ValueError(f"refused to load {module}.{name}: it is not on the allow-list")
    return multiarray._reconstruct


ALLOWED = pickles.NUMPY_GLOBALS | {
    ("dill._dill", "_import_module"): _import_module,
    ("dill._dill", "_get_attr"): _get_attribute,
}


class Atmospheres:
    """Plane-parallel LTE atmospheres."""

    def __init__(self, folder: Path) -> None:
        self._cool, self._hot = (
            pickles.load(folder / name, ALLOWED)[:4] for name in (COOL_FILE, HOT_FILE)
        )

    def layers(self, teff: float, logg: float, metallicity: float) -> np.ndarray:
        """Column mass, temperature, gas pressure and electron density (cgs), [4, layers].

        Raises ValueError where the networks give a column mass that does not grow inwards.
        """
        point = np.array([teff, logg, metallicity, 0.0])
        # The package's own interface returns exp() of these outputs; they are decimal logarithms.
        networks = self._cool if teff < HOT else self._hot
        quantities = 10 ** np.array([_evaluate(network, point) for network in networks])
        if not (np.diff(quantities[0]) > 0).all():
            raise ValueError(f"column mass not monotonic at {teff} K, {logg}, {metallicity}")
        return quantities


def _evaluate(network: dict[str, np.ndarray], point: np.ndarray) -> np.ndarray:
    value = (point - network["x_min"]) / (network["x_max"] - network["x_min"]) - 0.5
    for layer in (0, 1):
        value = network[f"w_array_{layer}"] @ value + network[f"b_array_{layer}"]
        value = np.where(value > 0, value, 0.01 * value)
    return network["w_array_2"] @ value + network["b_array_2"]
