"""The labels of RRNet and SPEMR, and those of the syntheses that they come from."""

import numpy as np

ELEMENTS = ["C", "N", "O", "Mg", "Al", "Si", "S", "K", "Ca", "Ti", "Cr", "Mn", "Ni", "Cu"]
"""In the order of the grid of syntheses; iron follows [M/H] there."""

RRNET = ["teff", "logg", "fe_h"] + [f"{symbol.lower()}_h" for symbol in ELEMENTS]
"""K, dex and [X/H] in dex: the order in which the published code stacks its outputs."""

SPEMR = [name for name in RRNET if name != "cu_h"]

SYNTHESIS = ["teff", "logg", "m_h", "vmicro"] + [f"{symbol.lower()}_m" for symbol in ELEMENTS]

COOL = 5300.0
"""K: below it molecules tie carbon and oxygen together."""

MOST_CARBON = 0.2
"""Largest [C/O] (dex) in cool stars. The Sun has log C/O = -0.27: beyond it, all oxygen is bound in
CO, and C2 and CN take over the blue window. Too few syntheses lie there to interpolate."""

REGIONS = ["S1", "S2", "S3", "S4"]

REGION_MEANINGS = {
    "S1": "4000 to 6500 K and [Fe/H] of -1 or more",
    "S2": "below 4000 K or above 6500 K",
    "S3": "[Fe/H] below -1",
    "S4": "below 5000 K and log g above 2.5",
}
"""Section 2.1 of SPEMR's paper; `in_region` decides."""


def of_synthesis(labels: np.ndarray) -> np.ndarray:
    """Labels [n, RRNET] of syntheses [n, SYNTHESIS]: [X/H] = [X/M] + [M/H], [Fe/H] = [M/H]."""
    return np.column_stack([labels[:, :3], labels[:, 4:] + labels[:, 2:3]])


def is_carbon_star(labels: np.ndarray) -> np.ndarray:
    """Which syntheses [n, SYNTHESIS] are cool and have too much carbon for their oxygen."""
    carbon, oxygen = (labels[:, SYNTHESIS.index(name)] for name in ("c_m", "o_m"))
    return (labels[:, 0] < COOL) & (carbon - oxygen > MOST_CARBON)


def in_region(labels: np.ndarray, region: str) -> np.ndarray:
    """Which labels (teff, logg, fe_h first) belong to a region of SPEMR, its section 2.1."""
    teff, logg, iron = labels[:, 0], labels[:, 1], labels[:, 2]
    common = (teff >= 4000) & (teff <= 6500)
    match region:
        case "S1":
            return common & (iron >= -1)
        case "S2":
            return ~common
        case "S3":
            return iron < -1
        case "S4":
            return (teff < 5000) & (logg > 2.5)
    raise ValueError(f"SPEMR has no region {region}: choose one of {REGIONS}")
