"""The labels of the generator: five of the star and the resolving power (the paper's Table 1)."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Label:
    """What the manifest says of a label; `accuracy` is that of the paper's Table 5."""

    name: str
    unit: str
    ucd: str
    description: str
    valid: tuple[float, float]
    default: float
    step: float
    accuracy: tuple[float, float] | None = None


LABELS = [
    Label(
        "teff", "K", "phys.temperature.effective", "Effective temperature",
        (3600.0, 15000.0), 6000.0, 200.0, (120, 119),
    ),
    Label(
        "logg", "dex", "phys.gravity", "Logarithm of the surface gravity in cm/s2",
        (2.0, 5.0), 4.0, 0.5, (0.03, 0.05),
    ),
    Label(
        "vsini", "km/s", "phys.veloc.rotat", "Projected rotational velocity",
        (0.0, 300.0), 5.0, 10.0, (6.5, 7.0),
    ),
    Label(
        "m_h", "dex", "phys.abund.Z", "Abundance of all metals [M/H], scaled from the Sun's",
        (-1.5, 1.5), 0.0, 0.2, (0.15, 0.15),
    ),
    Label(
        "vmicro", "km/s", "phys.veloc.microTurb", "Microturbulent velocity",
        (0.0, 4.0), 1.5, 0.5, (0.17, 0.20),
    ),
    Label(
        "resolution", "", "spect.resolution", "Resolving power, wavelength over FWHM",
        (5000.0, 14500.0), 11500.0, 500.0,
    ),
]  # fmt: skip
"""In the order of the network's input."""

NAMES = [label.name for label in LABELS]
SYNTHESIS = ["teff", "logg", "m_h", "vmicro"]
"""Labels of the grid of syntheses, in its order."""

TEFF, LOGG, VSINI, M_H, VMICRO, RESOLUTION = range(6)
LOWER, UPPER = (np.array([label.valid[side] for label in LABELS]) for side in (0, 1))
HOT, LEAST_LOGG_HOT = 10500.0, 2.5
RICH, LEAST_LOGG_RICH = 0.8, 3.3


def of_synthesis(labels: np.ndarray) -> np.ndarray:
    """The labels [n, SYNTHESIS] of the star without rotation and instrument."""
    return labels[:, [TEFF, LOGG, M_H, VMICRO]]


def has_atmosphere(teff: np.ndarray, logg: np.ndarray, metallicity: np.ndarray) -> np.ndarray:
    """Which stars the grid of model atmospheres knows: it has holes at low gravity."""
    return ((teff <= HOT) | (logg >= LEAST_LOGG_HOT)) & (
        (metallicity <= RICH) | (logg >= LEAST_LOGG_RICH)
    )


def sample(count: int, rng: np.random.Generator) -> np.ndarray:
    """Labels [count, 6] drawn evenly from the box, without the holes of the atmospheres.

    Temperatures are even in their logarithm, as in the grid. Half of the rotations are even in
    their square root: slow rotators differ from each other most.
    """
    kept = np.empty((0, len(LABELS)))
    while len(kept) < count:
        unit = rng.random((count, len(LABELS)))
        slow = rng.random(count) < 0.5
        unit[slow, VSINI] **= 2
        drawn = LOWER + (UPPER - LOWER) * unit
        drawn[:, TEFF] = LOWER[TEFF] * (UPPER[TEFF] / LOWER[TEFF]) ** unit[:, TEFF]
        known = has_atmosphere(drawn[:, TEFF], drawn[:, LOGG], drawn[:, M_H])
        kept = np.concatenate([kept, drawn[known]])
    return kept[:count]


def logarithmic_box() -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper ends of the box, of the temperature the logarithms."""
    low, high = LOWER.copy(), UPPER.copy()
    low[TEFF], high[TEFF] = np.log(low[TEFF]), np.log(high[TEFF])
    return low, high


def scaled(labels: np.ndarray) -> np.ndarray:
    """Labels from -1 to 1 over the box, the temperature by its logarithm: the nets' input."""
    values = np.array(labels, float)
    values[..., TEFF] = np.log(values[..., TEFF])
    low, high = logarithmic_box()
    return (2 * values - low - high) / (high - low)


def slope(labels: np.ndarray) -> np.ndarray:
    """Derivatives [n, 6] of `scaled`."""
    low, high = logarithmic_box()
    slopes = np.tile(2 / (high - low), (len(labels), 1))
    slopes[:, TEFF] /= labels[:, TEFF]
    return slopes


def physical(scaled_labels: np.ndarray) -> np.ndarray:
    """The inverse of `scaled`."""
    low, high = logarithmic_box()
    values = ((high - low) * scaled_labels + low + high) / 2
    values[..., TEFF] = np.exp(values[..., TEFF])
    return values
