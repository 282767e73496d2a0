"""Fits of a forward model with SciPy, to hold those of Starmill against.

Written apart from the Rust code: the Gaussian smoothing is computed at every pixel instead of at
nodes, the splines are SciPy's, and `scipy.optimize.least_squares` searches. Run it with

    python -m starmill_export.scipy_fit onnx/models/payne tests/fit/golden.json

It makes noisy spectra with the model itself, fits them, and writes spectra and fits.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
import tomllib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.polynomial import Legendre
from scipy.interpolate import CubicSpline
from scipy.optimize import OptimizeResult, least_squares
from scipy.sparse import csr_array

SPEED_OF_LIGHT = 299_792.458
MAX_RV = 600.0
RV_STEP = 5.0
#: Pixels on either side that give the value between two.
SINC_REACH = 8
#: Where the kernel ends, in standard deviations.
REACH = 4.0


def spline(wave: np.ndarray, values: np.ndarray) -> CubicSpline:
    """Splines along the last axis, through pixels and values of a windowed sinc between."""
    steps = np.arange(-SINC_REACH, SINC_REACH) + 0.5
    sinc = np.sinc(steps) * np.sinc(steps / SINC_REACH)
    width = [(0, 0)] * (values.ndim - 1) + [(SINC_REACH, SINC_REACH)]
    padded = np.pad(values, width, mode="edge")
    between = np.apply_along_axis(np.convolve, -1, padded, sinc / sinc.sum(), "valid")[..., 1:-1]
    both = np.empty((*values.shape[:-1], 2 * len(wave) - 1))
    both[..., ::2], both[..., 1::2] = values, between
    at = np.empty(2 * len(wave) - 1)
    at[::2], at[1::2] = wave, (wave[1:] + wave[:-1]) / 2
    return CubicSpline(at, both, axis=-1, bc_type="natural")


@dataclass
class ForwardModel:
    """A folder of a forward model."""

    folder: Path

    def __post_init__(self) -> None:
        self.manifest = tomllib.loads((self.folder / "manifest.toml").read_text())
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(self.folder / "model.onnx", options)
        self.wave = np.fromfile(self.folder / "wavelength.f64", "<f8")
        labels = self.manifest["label"]
        self.valid = np.array([label["valid"] for label in labels])
        self.step = np.array([label["step"] for label in labels])
        self.fwhm = self.manifest["spectrum"]["normalisation"].get("fwhm", 50.0)
        errors = self.folder / "model_error.f32"
        rms = self.manifest["spectrum"]["model_error"]
        self.error = np.fromfile(errors, "<f4") if errors.exists() else np.full(len(self.wave), rms)

    @property
    def digest(self) -> str:
        """SHA-256 of the network."""
        return hashlib.sha256((self.folder / "model.onnx").read_bytes()).hexdigest()

    def run(self, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Flux and its derivatives, shape [labels, pixels]."""
        names = self.manifest["output"]
        feed = {self.manifest["input"]["name"]: labels[None].astype("f4")}
        flux, jacobian = self.session.run([names["flux"], names["jacobian"]], feed)
        return flux[0].astype("f8"), jacobian[0].astype("f8")


@dataclass
class Observed:
    """A spectrum on pixels of equal steps in the logarithm; masked where ivar is zero."""

    log_first: float
    flux: np.ndarray
    ivar: np.ndarray

    @property
    def wave(self) -> np.ndarray:
        """Vacuum wavelengths as observed, Angstrom."""
        return 10 ** (self.log_first + 1e-4 * np.arange(len(self.flux)))


class Fit:
    """The residuals of a spectrum, and their derivatives."""

    def __init__(self, model: ForwardModel, observed: Observed, rv: float) -> None:
        shift = MAX_RV / SPEED_OF_LIGHT
        wave = observed.wave
        window = (wave >= model.wave[0] * (1 + shift)) & (wave <= model.wave[-1] * (1 - shift))
        self.model, self.wave = model, wave[window]
        self.flux, ivar = observed.flux[window], observed.ivar[window]
        sigma = model.fwhm / np.sqrt(8 * np.log(2))
        distance = (self.wave[:, None] - self.wave[None]) / sigma
        kernel = np.where(np.abs(distance) <= REACH, np.exp(-0.5 * distance**2), 0.0)
        self.kernel = csr_array(kernel)
        self.start, continuum = self.begin(ivar, rv)
        nearest = np.abs(model.wave[None] - self.wave[:, None]).argmin(axis=1)
        self.flux, self.ivar = self.flux / continuum, ivar * continuum**2
        self.error = model.error[nearest]
        self.weigh()

    def weigh(self) -> None:
        """Weights with the error of the model, and the smoothed data."""
        self.weight = self.ivar / (1 + self.ivar * self.error**2)
        self.data = self.kernel @ (self.weight * self.flux)
        self.last: tuple[bytes, np.ndarray, np.ndarray] | None = None

    def begin(self, ivar: np.ndarray, rv: float) -> tuple[np.ndarray, np.ndarray]:
        """The starting point that fits best, and the broad shape of its continuum."""
        rest = self.wave / (1 + rv / SPEED_OF_LIGHT)
        best = (np.inf, None, None)
        for labels in np.array(self.model.manifest["fit"]["starts"]):
            flux = spline(self.model.wave, self.model.run(labels)[0])(rest)
            continuum = (self.kernel @ (ivar * self.flux)) / (self.kernel @ (ivar * flux))
            chi2 = np.sum(ivar * (self.flux - flux * continuum) ** 2)
            if chi2 < best[0]:
                best = (chi2, np.append(labels, rv), continuum)
        _, start, continuum = best
        # Its broad shape: one degree for every ten widths of the kernel.
        degree = int(np.ptp(self.wave) / (10 * self.model.fwhm))
        return start, Legendre.fit(self.wave, continuum, degree)(self.wave)

    def both(self, place: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Residuals and derivatives at labels and velocity in units of their steps."""
        if self.last is not None and self.last[0] == place.tobytes():
            return self.last[1:]
        flux, jacobian = self.model.run(place[:-1] * self.model.step)
        doppler = 1 + place[-1] * RV_STEP / SPEED_OF_LIGHT
        rest = self.wave / doppler
        curve = spline(self.model.wave, flux)
        by_label = spline(self.model.wave, jacobian)
        model = curve(rest)
        by_rv = -curve(rest, 1) * rest / doppler * RV_STEP / SPEED_OF_LIGHT
        raw = np.column_stack([by_label(rest).T * self.model.step, by_rv])
        mean = self.kernel @ (self.weight * model)
        ratio = self.data / mean
        by_ratio = -(ratio / mean)[:, None] * (self.kernel @ (self.weight[:, None] * raw))
        root = np.sqrt(self.weight)
        residuals = root * (model * ratio - self.flux)
        derivatives = root[:, None] * (raw * ratio[:, None] + model[:, None] * by_ratio)
        self.last = (place.tobytes(), residuals, derivatives)
        return residuals, derivatives

    def fit(self) -> tuple[np.ndarray, np.ndarray, float]:
        """Labels with velocity, their errors and chi-square."""
        scale = np.append(self.model.step, RV_STEP)
        bounds = np.vstack([self.model.valid, [[-MAX_RV, MAX_RV]]]) / scale[:, None]
        found = self.search(self.start / scale, bounds)
        covariance = np.linalg.inv(found.jac.T @ found.jac)
        return found.x * scale, np.sqrt(np.diag(covariance)) * scale, 2 * found.cost

    def search(self, start: np.ndarray, bounds: np.ndarray) -> OptimizeResult:
        """Run SciPy from a place in units of the steps."""
        return least_squares(
            lambda place: self.both(place)[0],
            start,
            jac=lambda place: self.both(place)[1],
            bounds=(bounds[:, 0], bounds[:, 1]),
            xtol=1e-10,
            ftol=1e-12,
            gtol=1e-10,
        )


def make(model: ForwardModel, labels: np.ndarray, rv: float, snr: float, seed: int) -> Observed:
    """A noisy spectrum under a smooth continuum, with bad pixels."""
    random = np.random.default_rng(seed)
    log_first = 3.5682
    wave = 10 ** (log_first + 1e-4 * np.arange(3900))
    rest = np.clip(wave / (1 + rv / SPEED_OF_LIGHT), model.wave[0], model.wave[-1])
    flux = spline(model.wave, model.run(labels)[0])(rest)
    continuum = 1000 * (wave / 5500) ** 1.5
    sigma = continuum / snr
    observed = continuum * flux + sigma * random.standard_normal(len(wave))
    ivar = sigma**-2
    for pixel in random.integers(500, 3300, 6):
        ivar[pixel : pixel + 5] = 0
    return Observed(log_first, np.round(observed, 2), ivar)


def main() -> None:
    """Make spectra, fit them and write both."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("golden", type=Path)
    parser.add_argument("--stars", type=int, default=4)
    arguments = parser.parse_args()
    model = ForwardModel(arguments.model)
    starts = np.array(model.manifest["fit"]["starts"])
    cases, seconds = [], 0.0
    for seed in range(arguments.stars):
        random = np.random.default_rng(1000 + seed)
        start = starts[random.integers(len(starts))]
        labels = start + random.uniform(-0.5, 0.5, len(start)) * model.step
        low, high = model.valid.T + np.array([[0.1], [-0.1]]) * np.ptp(model.valid, axis=1)
        labels = np.clip(labels, low, high)
        rv = random.uniform(-150, 150)
        observed = make(model, labels, rv, 50.0 * 2**seed, seed)
        begin = time.perf_counter()
        found, errors, chi2 = Fit(model, observed, rv + 5).fit()
        seconds += time.perf_counter() - begin
        cases.append(
            {
                "log_first": observed.log_first,
                "flux": observed.flux.tolist(),
                "snr": 50.0 * 2**seed,
                "masked": np.flatnonzero(observed.ivar == 0).tolist(),
                "rv_start": rv + 5,
                "labels": found[:-1].tolist(),
                "rv": found[-1],
                "errors": errors.tolist(),
                "chi2": chi2,
            }
        )
    golden = {
        "model_sha256": model.digest,
        "scipy_seconds_per_spectrum": round(seconds / len(cases), 4),
        "cases": cases,
    }
    arguments.golden.parent.mkdir(parents=True, exist_ok=True)
    arguments.golden.write_text(json.dumps(golden, separators=(",", ":")) + "\n")
    print(f"{len(cases)} fits, {seconds / len(cases):.3f} s each")


if __name__ == "__main__":
    main()
