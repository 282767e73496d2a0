"""Synthetic spectra that the forward model did not make, and what a regressor may say of them.

Noise, what spectra have beside it, velocities and labels are off by what the manifest states, the
latter independently of one another, which is worse than what a network does: its errors compensate.
"""

import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
from scipy.ndimage import uniform_filter1d

from starmill_export.payne.prior import Source

SPEED_OF_LIGHT = 299_792.458
SMOOTH = 3
"""Pixels over which what is beside star and noise is alike: a resolution element."""

Truth = Callable[[int, np.random.Generator], tuple[np.ndarray, np.ndarray]]
"""So many stars: labels of the forward model [n, labels], and flux [n, pixels]."""


class Forward:
    """A forward model as a folder has it."""

    def __init__(self, folder: Path) -> None:
        self.about = tomllib.loads((folder / "manifest.toml").read_text(encoding="utf-8"))
        self.names = [label["name"] for label in self.about["label"]]
        self.box = np.array([label["valid"] for label in self.about["label"]])
        self.steps = np.array([label["step"] for label in self.about["label"]])
        self.wave = np.fromfile(folder / "wavelength.f64")
        self.error = np.fromfile(folder / "model_error.f32", "<f4").astype(float)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(folder / "model.onnx", options)

    @property
    def starts(self) -> np.ndarray:
        """Where fits start, and around which errors of labels are turned into those of flux."""
        default = [[label["default"] for label in self.about["label"]]]
        return np.array(self.about.get("fit", {}).get("starts", default))

    def flux(self, labels: np.ndarray) -> np.ndarray:
        """Spectra of labels [n, labels]."""
        return self._session.run(["flux"], {"labels": np.float32(labels)})[0]

    def jacobian(self, labels: np.ndarray) -> np.ndarray:
        """Derivatives [labels, pixels] of the flux at labels [labels]."""
        found = self._session.run(["jacobian"], {"labels": np.float32(labels[None])})[0][0]
        return found.astype(float)


@dataclass(frozen=True)
class Regressor:
    """What the manifest of a regressor says, in the order of its labels."""

    names: list[str]
    about: dict

    def sources(self, forward: Forward) -> list[tuple[list[int], bool]]:
        """Of each forward label: the labels of which it is the sum, and whether it is a guess."""
        found = []
        for name in forward.names:
            alone, over_iron = [name], [name.replace("_h", "_fe"), "fe_h"]
            given = next((n for n in (alone, over_iron) if set(n) <= set(self.names)), None)
            found.append(([self.names.index(n) for n in given or ["fe_h"]], given is None))
        return found

    def variances(self, forward: Forward) -> list[np.ndarray]:
        """The squared error of the model's flux at each of its starting points."""
        beside = np.zeros_like(forward.wave)
        for first, last, error in self.about["unmodelled"]:
            inside = (forward.wave >= first) & (forward.wave < last)
            beside[inside] = np.maximum(beside[inside], error)
        sources, found = self.sources(forward), []
        for start in forward.starts:
            slopes = forward.jacobian(start)
            flux = forward.flux(start[None])[0].astype(float)
            variance = forward.error**2 + beside**2
            variance += (_per_speed(flux, forward.wave) * self.about["rv_error"]) ** 2
            for number, error in enumerate(self.about["errors"]):
                follow = [at for at, (labels, _) in enumerate(sources) if number in labels]
                variance += (error * slopes[follow].sum(axis=0)) ** 2
            guessed = [at for at, (_, is_guess) in enumerate(sources) if is_guess]
            variance += ((self.about["scatter"] * slopes[guessed]) ** 2).sum(axis=0)
            found.append(variance)
        return found

    def labels(self, forward: Forward, truth: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Labels of the forward model as they come of erring labels of this one."""
        sources = self.sources(forward)
        errors = np.array(self.about["errors"]) * rng.normal(size=(len(truth), len(self.names)))
        iron = truth[:, [forward.names.index("fe_h")]]
        found = []
        for at, (labels, is_guess) in enumerate(sources):
            true = iron[:, 0] if is_guess else truth[:, at]
            found.append(true + errors[:, labels].sum(axis=1))
        return np.clip(np.column_stack(found), *forward.box.T)


def giants(source: Source, scatter: float) -> Truth:
    """Giants of the branch, whose spectra are bossbrain's; elements scatter around iron."""

    def draw(count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        teff = rng.uniform(4100, 5500, count)
        logg = 0.8 + 2.4 * (teff - 4000) / 1500 + rng.normal(0, 0.2, count)
        iron = rng.uniform(-1.5, 0.2, count)
        others = rng.normal(0, scatter, (count, len(source.names) - 2)).clip(-0.45, 0.45)
        others[:, source.names.index("fe_h") - 2] = 0
        given = np.column_stack([teff, logg.clip(0.4, 3.3), iron[:, None] + others])
        return given, source.spectra(given)

    return draw


def galaxy(source: Source) -> Truth:
    """Stars as RRNet was trained, by its emulator, with what that misses of whole syntheses.

    Microturbulence, which is no label, scatters.
    """
    from starmill_export.rrnet import examples
    from starmill_export.rrnet import labels as rrnet_labels

    teff, missed, _ = source.left_out()

    def draw(count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        rows = examples.sample_labels(count, "rrnet", rng)
        given = rrnet_labels.of_synthesis(rows)
        flux = source.resolve(source.emulator(rows))
        near = [rng.choice(np.argsort(np.abs(teff - row[0]))[:20]) for row in rows]
        return given, flux - missed[near]

    return draw


def observed(
    flux: np.ndarray, wave: np.ndarray, about: dict, snr: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Flux with noise and all else that a spectrum has, and the ivar of the noise alone.

    The S/N a pixel is `snr` in the middle of the window and differs from one end to the other.
    """
    count = len(flux)
    tilt = (wave / wave.mean()) ** rng.uniform(-1, 2, (count, 1))
    noise = 1 / (snr * tilt)
    speed = rng.normal(0, about["rv_error"], (count, 1))
    flux = flux + speed * _per_speed(flux, wave)
    for first, last, error in about["unmodelled"]:
        inside = (wave >= first) & (wave < last)
        pattern = rng.normal(size=(count, inside.sum()))
        pattern = uniform_filter1d(pattern, SMOOTH, axis=1) * SMOOTH**0.5
        flux[:, inside] += error * pattern * flux[:, inside]
    return flux + rng.normal(size=flux.shape) * noise, np.broadcast_to(noise**-2, flux.shape)


def _per_speed(flux: np.ndarray, wave: np.ndarray) -> np.ndarray:
    """By how much the flux of a pixel changes with the velocity, per km/s."""
    return np.gradient(flux, wave, axis=-1) * wave / SPEED_OF_LIGHT
