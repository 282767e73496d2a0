"""Published names of labels, and what the manifest says of each label."""

import re

import numpy as np

from starmill_export.payne.labels import ELEMENTS

MORE_ELEMENTS = {
    "Na": "Sodium",
    "P": "Phosphorus",
    "Sc": "Scandium",
    "Zn": "Zinc",
    "Ge": "Germanium",
    "Sr": "Strontium",
    "Y": "Yttrium",
    "Zr": "Zirconium",
    "Ba": "Barium",
    "La": "Lanthanum",
    "Ce": "Cerium",
    "Nd": "Neodymium",
    "Eu": "Europium",
}
SYMBOLS = {symbol.lower(): (symbol, name) for symbol, name in (ELEMENTS | MORE_ELEMENTS).items()}

KNOWN = {
    "teff": ("K", "phys.temperature.effective", "Effective temperature", 200.0),
    "logg": ("dex", "phys.gravity", "Logarithm of the surface gravity in cm/s2", 0.5),
    "m_h": ("dex", "phys.abund.Z", "Abundance of all metals [M/H], scaled from the Sun's", 0.2),
    "fe_h": ("dex", "phys.abund.Fe", "Iron abundance [Fe/H]", 0.2),
    "alpha_m": ("dex", "phys.abund", "Alpha elements relative to all metals [alpha/M]", 0.2),
    "alpha_fe": ("dex", "phys.abund", "Alpha elements relative to iron [alpha/Fe]", 0.2),
    "vmicro": ("km/s", "phys.veloc.microTurb", "Microturbulent velocity", 0.5),
    "vmacro": ("km/s", "phys.veloc", "Macroturbulent velocity", 5.0),
    "vsini": ("km/s", "phys.veloc.rotat", "Projected rotational velocity", 10.0),
    "c12_c13": ("", "phys.abund", "Ratio of the carbon isotopes 12 and 13", 10.0),
}
"""Unit, UCD, description and the step by which a fit divides."""

OTHER_NAMES = {
    "mh": "m_h",
    "metals": "m_h",
    "alpham": "alpha_m",
    "alpha": "alpha_m",
    "alphafe": "alpha_fe",
    "v_turb": "vmicro",
    "vturb": "vmicro",
    "v_micro": "vmicro",
    "v_macro": "vmacro",
    "c12c13": "c12_c13",
}

APOGEE = [
    "teff", "logg", "vmicro", "c_h", "n_h", "o_h", "na_h", "mg_h", "al_h", "si_h", "p_h", "s_h",
    "k_h", "ca_h", "ti_h", "v_h", "cr_h", "mn_h", "fe_h", "co_h", "ni_h", "cu_h", "ge_h",
    "c12_c13", "vmacro",
]  # fmt: skip
"""The 25 labels of the nets for APOGEE of Ting et al. 2019, whose files do not name them."""


def ours(published: str) -> str:
    """Our name of a published label: TEFF, FEH, [Mg/Fe], cm (that is [C/M]), ...

    Raises ValueError for what is no name.
    """
    name = re.sub(r"[^a-z0-9_]", "", published.lower().replace("/", "_").replace("-", "_"))
    name = OTHER_NAMES.get(name, name)
    if name in KNOWN:
        return name
    found = re.fullmatch(r"([a-z]{1,2})_?(h|fe|m)", name)
    if found and found[1] in SYMBOLS:
        return f"{found[1]}_{found[2]}"
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise ValueError(f"label {published!r} is not a name: give names by --labels")
    return name


def tables(names: list[str], valid: np.ndarray) -> list[dict]:
    """What the manifest says of each label; `valid` [labels, 2] are the trained ranges."""
    if len(set(names)) != len(names):
        raise ValueError(f"labels {', '.join(names)} are not different: give names by --labels")
    return [
        _table(name, float(low), float(high))
        for name, (low, high) in zip(names, valid, strict=True)
    ]


def _table(name: str, low: float, high: float) -> dict:
    if not low < high:
        raise ValueError(f"label {name} has the range {low} to {high}: fetch the file again")
    unit, ucd, description, step = KNOWN.get(name) or _abundance(name, high - low)
    is_abundance = ucd.startswith("phys.abund") and unit == "dex"
    middle = float(f"{(low + high) / 2:.3g}")
    default = 0.0 if is_abundance and low <= 0 <= high else middle
    return {
        "name": name,
        "unit": unit,
        "ucd": ucd,
        "description": description,
        "valid": [low, high],
        "default": min(max(default, low), high),
        "step": step,
    }


def _abundance(name: str, spread: float) -> tuple[str, str, str, float]:
    symbol, _, of = name.rpartition("_")
    if symbol in SYMBOLS and of in ("h", "fe", "m"):
        short, element = SYMBOLS[symbol]
        of = {"h": "H", "fe": "Fe", "m": "M"}[of]
        return "dex", "phys.abund", f"{element} abundance [{short}/{of}]", 0.2
    return "", "", f"As published: {name}", float(f"{spread / 10:.3g}")
