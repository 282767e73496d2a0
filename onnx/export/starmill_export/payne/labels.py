"""The labels of the two models: their tables for the manifest, and coordinates to train in."""

from dataclasses import dataclass

import numpy as np

ELEMENTS = {
    "C": "Carbon",
    "N": "Nitrogen",
    "O": "Oxygen",
    "Mg": "Magnesium",
    "Al": "Aluminium",
    "Si": "Silicon",
    "S": "Sulphur",
    "K": "Potassium",
    "Ca": "Calcium",
    "Ti": "Titanium",
    "V": "Vanadium",
    "Cr": "Chromium",
    "Mn": "Manganese",
    "Fe": "Iron",
    "Co": "Cobalt",
    "Ni": "Nickel",
    "Cu": "Copper",
}

STEPS = {"teff": 200.0, "logg": 0.5}
ABUNDANCE_STEP = 0.2
"""Steps of the gradient spectra, section 2 of the paper: K, dex and dex."""


@dataclass(frozen=True)
class Box:
    """The trained range of each label; abundances stay within `scatter` (dex) of iron's.

    `within` says so for a reader.
    """

    teff: tuple[float, float]
    logg: tuple[float, float]
    iron: tuple[float, float]
    scatter: float
    default: tuple[float, float, float]
    within: str

    def valid(self, name: str) -> tuple[float, float]:
        """The range of one label by itself."""
        known = {"teff": self.teff, "logg": self.logg, "fe_h": self.iron}
        low, high = self.iron
        return known.get(name, (round(low - self.scatter, 3), round(high + self.scatter, 3)))


def steps(names: list[str]) -> np.ndarray:
    """The steps of labels, in their order."""
    return np.array([STEPS.get(name, ABUNDANCE_STEP) for name in names])


def tables(names: list[str], box: Box) -> list[dict]:
    """What the manifest says of each label."""
    teff, logg, iron = box.default
    known = {
        "teff": ("K", "phys.temperature.effective", "Effective temperature", teff),
        "logg": ("dex", "phys.gravity", "Logarithm of the surface gravity in cm/s2", logg),
        "fe_h": ("dex", "phys.abund.Fe", "Iron abundance [Fe/H], which [M/H] follows", iron),
    }
    symbols = {f"{symbol.lower()}_h": symbol for symbol in ELEMENTS}
    result = []
    for name, step in zip(names, steps(names), strict=True):
        if name in known:
            unit, ucd, description, default = known[name]
        else:
            unit, ucd, default, symbol = "dex", "phys.abund", iron, symbols[name]
            description = f"{ELEMENTS[symbol]} abundance [{symbol}/H], trained {box.within}"
        result.append(
            {
                "name": name,
                "unit": unit,
                "ucd": ucd,
                "description": description,
                "valid": list(box.valid(name)),
                "default": default,
                "step": float(step),
            }
        )
    return result


def coordinates(names: list[str], box: Box) -> tuple[np.ndarray, np.ndarray]:
    """`matrix`, `offset`: labels @ matrix + offset lie within -1 to 1, abundances as [X/Fe].

    Against iron the abundances are independent, so that the steps of training are of one size.
    """
    matrix, offset = np.zeros((len(names), len(names))), np.zeros(len(names))
    iron = names.index("fe_h")
    for column, name in enumerate(names):
        if name in ("teff", "logg", "fe_h"):
            low, high = box.valid(name)
            matrix[column, column] = 2 / (high - low)
            offset[column] = -(high + low) / (high - low)
        else:
            matrix[column, column] = 1 / box.scatter
            matrix[iron, column] = -1 / box.scatter
    return matrix, offset
