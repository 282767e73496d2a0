"""The recipe for medium-resolution spectra, in float64: the reference for other implementations.

Steps and constants are those of Xiong et al. 2022 (RRNet, section 2.2) and of the code that they
published; where the paper is silent, the code decides. Speed is no aim here.

snr         reject or flag a low signal-to-noise ratio; the worse arm counts
rest_frame  lambda / (1 + RV / c), equation 1
bad_pixels  reject spectra with many unusable pixels, or with many in a row
resample    linear interpolation to windows of constant step, each [first, last)
despike     pixels far from the running median of 3 become the median
continuum   divide by a polynomial in standardised log10(lambda), fitted until nothing is far off
clip        limit the values
scale       pixel by pixel, with mean and standard deviation of the training set
"""

from dataclasses import dataclass

import numpy as np

SPEED_OF_LIGHT = 299_792.458
"""km/s, exact."""

FASTEST = 3000.0
"""km/s: what is faster is a slip in a catalogue and no star."""

WIDEST_GAP = 10.0
"""Steps of the window between two native pixels; beyond it an interpolation would invent flux."""

DIGITS = 1e-6
"""Scatter round the polynomial, in standard deviations of the flux, that is rounding alone."""


class Reject(Exception):
    """A spectrum that the recipe excludes; `code` says why in one word."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass
class Spectrum:
    """Blue pixels, then red ones: vacuum Angstrom, flux, inverse variance, the two pixel masks."""

    wave: np.ndarray
    flux: np.ndarray
    ivar: np.ndarray
    andmask: np.ndarray
    ormask: np.ndarray
    snr_b: float | None = None
    snr_r: float | None = None
    rv_kms: float | None = None


def check_snr(spectrum: Spectrum, step: dict) -> None:
    """Reject a spectrum whose worse arm is below the limit, if the recipe says so."""
    known = [snr for snr in (spectrum.snr_b, spectrum.snr_r) if snr is not None]
    if step["below"] == "reject" and known and min(known) < step["min"]:
        raise Reject("low_snr")


def rest_frame(wave: np.ndarray, rv_kms: float | None, step: dict) -> np.ndarray:
    """Wavelengths in the rest frame of the star."""
    if rv_kms is None or not abs(rv_kms) <= FASTEST:
        if step["missing"] == "reject":
            raise Reject("no_radial_velocity")
        rv_kms = 0.0
    return wave / (1 + rv_kms / SPEED_OF_LIGHT)


def grid(window: list[float]) -> np.ndarray:
    """Pixels of one window `[first, last, step]`; `last` itself is no pixel."""
    first, last, step = window
    return first + step * np.arange(round((last - first) / step))


def is_bad(spectrum: Spectrum, step: dict) -> np.ndarray:
    """Which native pixels are unusable by their ivar or by the mask that the step names."""
    bad = ~np.isfinite(spectrum.flux) | ~np.isfinite(spectrum.ivar) | ~(spectrum.ivar > 0)
    if step["pixels"] != "none":
        bad |= getattr(spectrum, step["pixels"]) != 0
    return bad


def longest_run(flags: np.ndarray) -> int:
    """Most neighbours that are true."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(int)))
    return int((edges[1::2] - edges[::2]).max(initial=0))


def native(wave: np.ndarray, window: list[float]) -> slice:
    """The pixels that serve a window: those inside it and one more at either end."""
    pixels = grid(window)
    inside = (wave >= pixels[0]) & (wave <= pixels[-1])
    if not inside.any():
        raise Reject("missing_arm")
    start = int(np.searchsorted(wave, pixels[0], side="right")) - 1
    end = int(np.searchsorted(wave, pixels[-1], side="left"))
    if start < 0 or end == len(wave):
        raise Reject("wavelength_coverage")
    served = slice(start, end + 1)
    if np.diff(wave[served]).max(initial=0) > WIDEST_GAP * window[2]:
        raise Reject("wavelength_coverage")
    return served


def resample(
    wave: np.ndarray, flux: np.ndarray, drop: np.ndarray, window: list[float]
) -> np.ndarray:
    """Interpolate linearly between the native pixels of a window that are not dropped."""
    served = native(wave, window)
    kept = np.flatnonzero(~drop)
    # A dropped pixel at the edge of a window is bridged from the nearest one beyond it.
    before, after = kept[kept <= served.start], kept[kept >= served.stop - 1]
    if not len(before) or not len(after):
        raise Reject("wavelength_coverage")
    first, last = before[-1], after[0]
    if np.diff(wave[first : last + 1]).max() > WIDEST_GAP * window[2]:
        raise Reject("wavelength_coverage")
    kept = kept[(kept >= first) & (kept <= last)]
    return np.interp(grid(window), wave[kept], flux[kept])


def despike(flux: np.ndarray, step: dict) -> np.ndarray:
    """Replace what is far from the running median of 3; zeros stand beyond the ends."""
    padded = np.concatenate([[0.0], flux, [0.0]])
    median = np.median(np.stack([padded[:-2], padded[1:-1], padded[2:]]), axis=0)
    above = median - flux
    sigma = above.std()
    stays = (above > -step["upper"] * sigma) & (above < step["lower"] * sigma)
    return np.where(stays, flux, median)


def continuum(wave: np.ndarray, flux: np.ndarray, step: dict) -> tuple[np.ndarray, int]:
    """Fit the polynomial, replacing outliers by the fit until there are none.

    Returns it with the number of fits.
    """
    centre, spread = flux.mean(), flux.std()
    if not spread > 1e-7 * abs(centre):
        raise Reject("flat_spectrum")
    log = np.log10(wave)
    x = (log - log.mean()) / log.std()
    y = (flux - centre) / spread
    fits = 0
    while True:
        fits += 1
        fitted = np.polyval(np.polyfit(x, y, step["order"]), x)
        above = fitted - y
        sigma = above.std()
        stays = (above > -step["upper"] * sigma) & (above < step["lower"] * sigma)
        if stays.all() or sigma <= DIGITS:
            break
        if fits == step["max_iterations"]:
            raise Reject("bad_continuum")
        y = np.where(stays, y, fitted)
    polynomial = fitted * spread + centre
    if not polynomial.min() > 0:
        raise Reject("bad_continuum")
    return polynomial, fits


def scale_vectors(content: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Means and standard deviations from a file of the model: little-endian float32."""
    means, deviations = np.frombuffer(content, "<f4").astype(float).reshape(2, -1)
    return means, deviations


def prepare(
    spectrum: Spectrum, recipe: list[dict], scale: tuple[np.ndarray, np.ndarray] | None = None
) -> np.ndarray:
    """Apply the steps of a manifest's `recipe`.

    Raises Reject where a rule excludes the spectrum.
    """
    wave, drop = spectrum.wave, ~np.isfinite(spectrum.flux)
    windows, parts = [], []
    masked = None
    for step in recipe:
        match step["step"]:
            case "snr":
                check_snr(spectrum, step)
            case "rest_frame":
                wave = rest_frame(wave, spectrum.rv_kms, step)
            case "bad_pixels":
                masked = step
            case "resample":
                windows = step["windows"]
                served = [native(wave, window) for window in windows]
                if masked:
                    bad = is_bad(spectrum, masked)
                    check_bad([bad[pixels] for pixels in served], masked)
                    drop = bad if masked["fill"] == "linear" else drop
                parts = [resample(wave, spectrum.flux, drop, window) for window in windows]
            case "despike":
                parts = [despike(part, step) for part in parts]
            case "continuum":
                fits = [continuum(grid(w), p, step)[0] for w, p in zip(windows, parts, strict=True)]
                parts = [part / fit for part, fit in zip(parts, fits, strict=True)]
            case "clip":
                parts = [np.clip(part, step["low"], step["high"]) for part in parts]
            case "scale":
                means, deviations = scale
                parts = [(np.concatenate(parts) - means) / deviations]
    return np.concatenate(parts)


def check_bad(windows: list[np.ndarray], step: dict) -> None:
    """Reject a spectrum with more bad pixels than the step allows, in all or in a row."""
    if sum(bad.sum() for bad in windows) > step["max_bad"]:
        raise Reject("too_many_bad_pixels")
    if max(longest_run(bad) for bad in windows) > step["max_run"]:
        raise Reject("too_many_bad_pixels")
