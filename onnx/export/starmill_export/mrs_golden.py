"""What each step of the medium-resolution recipe gives, for other implementations to compare with.

`python -m starmill_export.mrs_golden --out FILE` writes cases of synthetic spectra in small
windows; with FITS files of LAMOST's medium resolution behind it, cases of those in the published
windows.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np

from starmill_export import mrs_prepare
from starmill_export.mrs_prepare import Reject, Spectrum

PUBLISHED_WINDOWS = [[4968.0, 5328.0, 0.1], [6339.0, 6699.0, 0.1]]
SMALL_WINDOWS = [[5160.0, 5176.0, 0.1], [6555.0, 6571.0, 0.1]]
LOG_STEP = 1e-5
CLIP = {"step": "clip", "low": -0.5, "high": 2.5}
MARGIN = 60
"""Native pixels beyond the windows on either side."""


def recipe(windows: list[list[float]], fill: str = "none", snr: float = 10.0) -> list[dict]:
    """Every step, with the constants of the paper and its code."""
    outliers = {"lower": 3.0, "upper": 4.0}
    return [
        {"step": "snr", "min": snr, "below": "reject"},
        {"step": "rest_frame", "frame": "rv", "missing": "zero"},
        {"step": "bad_pixels", "pixels": "ormask", "max_bad": 100, "max_run": 30, "fill": fill},
        {"step": "resample", "windows": windows},
        {"step": "despike"} | outliers,
        {"step": "continuum", "order": 5, "max_iterations": 100} | outliers,
        CLIP,
        {"step": "scale"},
    ]


def prefixes(steps: list[dict]) -> list[list[dict]]:
    """The recipe up to each step that changes the flux."""
    first = next(at for at, step in enumerate(steps) if step["step"] == "resample")
    return [steps[: end + 1] for end in range(first, len(steps))]


def synthetic(rng: np.random.Generator, windows: list[list[float]], lines: int = 24) -> Spectrum:
    """Both arms of a star with so many lines, noise and a curved continuum."""
    parts = []
    for first, end, _ in windows:
        logs = np.arange(np.log10(first), np.log10(end), LOG_STEP)
        margin = LOG_STEP * np.arange(1, MARGIN + 1)
        parts.append(10 ** np.concatenate([logs[0] - margin[::-1], logs, logs[-1] + margin]))
    wave = np.concatenate(parts).round(5)
    level = np.concatenate([500 + 40 * np.sin((part - part[0]) / 9) for part in parts])
    depth = np.ones(len(wave))
    for centre in rng.choice(wave, lines, replace=False):
        depth -= rng.uniform(0.05, 0.5) * np.exp(-0.5 * ((wave - centre) / 0.35) ** 2)
    flux = level * np.maximum(depth, 0.02) * (1 + 0.01 * rng.standard_normal(len(wave)))
    zeros = np.zeros(len(wave), int)
    flux = np.round(flux, 2).astype(np.float32).astype(float)
    return Spectrum(wave, flux, np.ones(len(wave)), zeros, zeros.copy(), 80.0, 100.0, None)


def clean(_spectrum: Spectrum) -> None:
    """Nothing wrong, and no velocity."""


def moving(spectrum: Spectrum) -> None:
    """Fast, with cosmic rays and dead pixels that the masks do not know."""
    spectrum.rv_kms = -142.7
    spectrum.flux[[70, 151, 152, 300, 420]] = [9000, 2500, 2400, 0, -700]


def masked(spectrum: Spectrum) -> None:
    """Bad pixels of each kind, also where the windows begin."""
    spectrum.rv_kms = 63.25
    spectrum.flux[100:120] = 0
    spectrum.ivar[100:120] = 0
    spectrum.ormask[[58, 59, 60, 61, 62, 63, 64, 65, 340, 341]] = 4
    spectrum.flux[58:66] = 1e6
    spectrum.andmask[200] = 1
    spectrum.flux[250:253] = np.nan


SPOILERS = {"clean": (clean, "none"), "moving": (moving, "none"), "masked": (masked, "linear")}


def scale_of(pixels: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A mean and a deviation for each pixel, as a training set would give them."""
    rng = np.random.default_rng(seed)
    means = rng.uniform(0.8, 1.0, pixels).round(3)
    return means, rng.uniform(0.02, 0.1, pixels).round(4)


def case(
    name: str, spectrum: Spectrum, steps: list[dict], scale: tuple[np.ndarray, np.ndarray]
) -> dict:
    """A spectrum, its recipe and what each prefix of the recipe gives, or why it is a reject."""
    single = [values.astype(np.float32).astype(float) for values in scale]
    result = {
        "name": name,
        "wave": spectrum.wave.tolist(),
        "flux": [_single(value) for value in spectrum.flux],
        "ivar": [_single(value) for value in spectrum.ivar],
        "andmask": spectrum.andmask.tolist(),
        "ormask": spectrum.ormask.tolist(),
        "snr_b": spectrum.snr_b,
        "snr_r": spectrum.snr_r,
        "rv_kms": spectrum.rv_kms,
        "recipe": steps,
        "steps": {},
        "reject": None,
    }
    try:
        for prefix in prefixes(steps):
            values = mrs_prepare.prepare(spectrum, prefix, tuple(single))
            result["steps"][prefix[-1]["step"]] = [float(f"{value:.9g}") for value in values]
    except Reject as reject:
        result["reject"] = reject.code
    return result


def spectrum_of(case: dict) -> Spectrum:
    """The spectrum of a case that was written."""
    flux, ivar = (np.array(case[name], float) for name in ("flux", "ivar"))
    andmask, ormask = (np.array(case[name], int) for name in ("andmask", "ormask"))
    known = (case[name] for name in ("snr_b", "snr_r", "rv_kms"))
    return Spectrum(np.array(case["wave"]), flux, ivar, andmask, ormask, *known)


def synthetic_cases(seed: int = 20220901) -> dict:
    """Cases that need no data."""
    pixels = sum(len(mrs_prepare.grid(window)) for window in SMALL_WINDOWS)
    scale = scale_of(pixels, seed)
    cases = []
    for name, (spoil, fill) in SPOILERS.items():
        spectrum = synthetic(np.random.default_rng(seed), SMALL_WINDOWS)
        spoil(spectrum)
        cases.append(case(name, spectrum, recipe(SMALL_WINDOWS, fill), scale))
    return {"scale": [values.tolist() for values in scale], "cases": cases}


def real_cases(paths: list[Path], seed: int = 20220901) -> dict:
    """Cases of the coadds of files, as the published code reads them: both arms, no velocity known.

    To try the shift as well, each file gets a made-up velocity.
    """
    scale = scale_of(sum(len(mrs_prepare.grid(w)) for w in PUBLISHED_WINDOWS), seed)
    cases = []
    for number, path in enumerate(paths):
        spectrum = read_coadds(path)
        spectrum.rv_kms = 37.5 * number - 60.0
        steps = recipe(PUBLISHED_WINDOWS, ["none", "linear"][number % 2])
        cases.append(case(path.name, spectrum, steps, scale))
    return {"scale": [values.tolist() for values in scale], "cases": cases}


def read_coadds(path: Path) -> Spectrum:
    """Read the two coadds of a file of one row a pixel."""
    from astropy.io import fits

    with fits.open(path, memmap=False) as hdus:
        arms = [hdus[name] for name in ("COADD_B", "COADD_R")]
        wave, flux, ivar, andmask, ormask = (
            np.concatenate([np.asarray(arm.data[name], float) for arm in arms])
            for name in ("LOGLAM", "FLUX", "IVAR", "ANDMASK", "ORMASK")
        )
        snr_b, snr_r = (float(arm.header["SNR"]) for arm in arms)
    return Spectrum(10**wave, flux, ivar, andmask.astype(int), ormask.astype(int), snr_b, snr_r)


def _single(value: float) -> float | None:
    """The shortest number that is this one in single precision; None if it is no number."""
    return float(str(np.float32(value))) if np.isfinite(value) else None


def main(arguments: list[str] | None = None) -> int:
    """Write the cases and return the exit code."""
    parser = argparse.ArgumentParser(prog="starmill_export.mrs_golden", description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("files", type=Path, nargs="*")
    options = parser.parse_args(arguments)
    cases = real_cases(options.files) if options.files else synthetic_cases()
    options.out.write_text(json.dumps(cases, separators=(",", ":")) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
