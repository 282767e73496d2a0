"""Native spectra with what each step of the model's recipe makes of them, for other programs.

Both arms lie on the survey's logarithmic pixels, given by their first pixel, step and number. Of
each step the file has some pixels: every 24th, and those that despiking changes.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from starmill_export import mrs_prepare
from starmill_export.mrs_prepare import Reject, Spectrum
from starmill_export.rrnet.observe import LOG_STEP

SEED = 20220901
MARGIN = 12.0
"""Angstrom beyond the windows on either side: a star of 500 km/s stays covered."""

EVERY, MOST_SPIKES = 24, 60
LINES = 260
MOST_BYTES = 400_000


@dataclass(frozen=True)
class Arm:
    """log10 of the first vacuum wavelength, and the number of pixels from there."""

    first: float
    pixels: int

    def wave(self) -> np.ndarray:
        """Vacuum wavelengths in Angstrom."""
        return 10 ** (self.first + LOG_STEP * np.arange(self.pixels))


def content(steps: list[dict], scale: bytes) -> bytes:
    """The file for a manifest's `recipe` and the bytes of its scale file."""
    vectors = mrs_prepare.scale_vectors(scale)
    windows = next(step["windows"] for step in steps if step["step"] == "resample")
    arms = [_arm(window) for window in windows]
    cases = [_case(name, spoil, arms, steps, vectors) for name, spoil in SPOILERS.items()]
    written = (json.dumps({"cases": cases}, separators=(",", ":")) + "\n").encode()
    if len(written) > MOST_BYTES:
        raise ValueError(f"{len(written)} bytes of golden spectra: raise EVERY")
    return written


def spectrum_of(case: dict) -> Spectrum:
    """The spectrum of a case that was written."""
    wave = np.concatenate([Arm(arm["log_first"], arm["n"]).wave() for arm in case["arms"]])
    ivar = np.ones(len(wave))
    ivar[case["ivar_zero"]] = 0
    masks = []
    for name in ("andmask", "ormask"):
        masks.append(np.zeros(len(wave), int))
        for pixel, bits in case[name].items():
            masks[-1][int(pixel)] = bits
    known = (case[name] for name in ("snr_b", "snr_r", "rv_kms"))
    return Spectrum(wave, np.array(case["flux"], float), ivar, *masks, *known)


def _arm(window: list[float]) -> Arm:
    first = round(np.log10(window[0] - MARGIN), 4)
    return Arm(first, int((np.log10(window[1] + MARGIN) - first) / LOG_STEP))


def _case(
    name: str,
    spoil: Callable[[Spectrum], None],
    arms: list[Arm],
    steps: list[dict],
    scale: tuple[np.ndarray, np.ndarray],
) -> dict:
    spectrum = _star(arms, np.random.default_rng(SEED))
    spoil(spectrum)
    case = {
        "name": name,
        "arms": [{"log_first": arm.first, "log_step": LOG_STEP, "n": arm.pixels} for arm in arms],
        "flux": [float(f"{value:.7g}") for value in spectrum.flux],
        "ivar_zero": np.flatnonzero(spectrum.ivar == 0).tolist(),
        "andmask": _sparse(spectrum.andmask),
        "ormask": _sparse(spectrum.ormask),
        "snr_b": spectrum.snr_b,
        "snr_r": spectrum.snr_r,
        "rv_kms": spectrum.rv_kms,
    }
    return case | expected(spectrum_of(case), steps, scale)


def expected(spectrum: Spectrum, steps: list[dict], scale: tuple[np.ndarray, np.ndarray]) -> dict:
    """`pixels` and the values there after each step that changes the flux, or the `reject`."""
    first = next(at for at, step in enumerate(steps) if step["step"] == "resample")
    try:
        values = {
            steps[end]["step"]: mrs_prepare.prepare(spectrum, steps[: end + 1], scale)
            for end in range(first, len(steps))
        }
    except Reject as reject:
        return {"expected": None, "reject": reject.code}
    spikes = np.flatnonzero(values["resample"] != values["despike"])[:MOST_SPIKES]
    pixels = np.union1d(np.arange(0, len(values["resample"]), EVERY), spikes)
    found = {
        name: [float(f"{value:.9g}") for value in column[pixels]] for name, column in values.items()
    }
    return {"expected": {"pixels": pixels.tolist()} | found, "reject": None}


def _star(arms: list[Arm], rng: np.random.Generator) -> Spectrum:
    """Lines of many depths on a curved continuum, with noise, in whole hundredths of a count."""
    waves = [arm.wave() for arm in arms]
    flux = []
    for wave in waves:
        depth = np.ones(len(wave))
        for centre in rng.choice(wave, LINES // len(waves), replace=False):
            depth -= rng.uniform(0.05, 0.4) * np.exp(-0.5 * ((wave - centre) / 0.3) ** 2)
        level = 500 + 90 * np.sin((wave - wave[0]) / 120)
        flux.append(level * np.maximum(depth, 0.02) * (1 + 0.01 * rng.standard_normal(len(wave))))
    single = np.concatenate(flux).round(2).astype(np.float32).astype(float)
    zeros = np.zeros(len(single), int)
    ivar = np.ones(len(single))
    return Spectrum(np.concatenate(waves), single, ivar, zeros, zeros.copy(), 80.0, 100.0, None)


def _still(_spectrum: Spectrum) -> None:
    """Nothing wrong, and no velocity."""


def _moving(spectrum: Spectrum) -> None:
    """Fast, with cosmic rays and dead pixels that the masks do not know."""
    spectrum.rv_kms = -142.7
    spectrum.flux[[270, 1151, 1152, 2000, 4420]] = [9000, 2500, 2400, 0, -700]


def _masked(spectrum: Spectrum) -> None:
    """Just as many bad pixels as may be, and just as many in a row."""
    spectrum.rv_kms = 63.25
    spectrum.ivar[600:630] = 0
    spectrum.ormask[1000:1100:2] = 4
    spectrum.andmask[1200:1400] = 1
    spectrum.ormask[4000:4020] = 2


def _one_too_many(spectrum: Spectrum) -> None:
    _masked(spectrum)
    spectrum.ormask[4030] = 2


def _long_run(spectrum: Spectrum) -> None:
    spectrum.ivar[600:631] = 0


def _faint(spectrum: Spectrum) -> None:
    spectrum.snr_b = 9.9


SPOILERS = {
    "still": _still,
    "moving": _moving,
    "masked": _masked,
    "one bad pixel too many": _one_too_many,
    "a long run": _long_run,
    "faint": _faint,
}


def _sparse(mask: np.ndarray) -> dict[str, int]:
    """Nonzero mask bits by pixel."""
    return {str(pixel): int(mask[pixel]) for pixel in np.flatnonzero(mask)}
