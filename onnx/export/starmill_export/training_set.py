"""Synthetic stars: spectra as a LAMOST file would hold them, and as the recipe leaves them."""

from dataclasses import dataclass

import numpy as np

from starmill_export import instrument
from starmill_export.bossbrain import WAVELENGTH_AIR
from starmill_export.prepare import Spectrum, grid
from starmill_export.stars import OnlyGiants, Stars

LABELS = ["teff", "logg", "fe_h", "c_fe", "n_fe", "mg_fe"]
EMULATOR_LABELS = ["teff", "logg", "mh", "cm", "nm", "mgm"]
"""The same labels as bossbrain names them: it has no iron apart from [M/H]."""

SNR_G = (8.0, 250.0)
BATCH = 500


@dataclass
class Batch:
    """Simulated native spectra: flux and ivar [n, native], ivar 0 where there is no measurement."""

    flux: np.ndarray
    ivar: np.ndarray
    snr_g: np.ndarray


@dataclass
class Examples:
    """Prepared inputs [n, pixels] with their labels [n, LABELS].

    `free` marks the rows whose labels follow no trend, `dwarf` those drawn as dwarfs or subgiants.
    """

    inputs: np.ndarray
    labels: np.ndarray
    snr_g: np.ndarray
    free: np.ndarray
    dwarf: np.ndarray

    def part(self, first: float, last: float) -> "Examples":
        """The rows between two fractions of the whole."""
        return self._rows(slice(round(first * len(self.inputs)), round(last * len(self.inputs))))

    def above(self, snr_g: float) -> "Examples":
        """The rows of at least this S/N."""
        return self._rows(self.snr_g >= snr_g)

    def ordinary(self) -> "Examples":
        """The rows that follow the trends of the Galaxy."""
        return self._rows(~self.free)

    def _rows(self, rows: slice | np.ndarray) -> "Examples":
        return Examples(*(column[rows] for column in vars(self).values()))


def generate(count: int, stars: Stars | OnlyGiants, recipe: list[dict], seed: int) -> Examples:
    """Simulate `count` stars, one spectrum each, and keep those that the recipe accepts."""
    rng = np.random.default_rng(seed)
    labels, free, dwarf = stars.sample(count, rng)
    inputs, snr_g = [], []
    for start in range(0, count, BATCH):
        batch = simulate(labels[start : start + BATCH], stars, rng)
        inputs.append(prepare_batch(batch, recipe).astype(np.float32))
        snr_g.append(batch.snr_g)
    stacked = np.concatenate(inputs)
    kept = np.isfinite(stacked).all(axis=1)
    columns = [stars.labels.index(name) for name in EMULATOR_LABELS]
    snr = np.concatenate(snr_g)[kept]
    return Examples(stacked[kept], labels[kept][:, columns], snr, free[kept], dwarf[kept])


def simulate(labels: np.ndarray, stars: Stars | OnlyGiants, rng: np.random.Generator) -> Batch:
    """Observe stars of `labels` [n, stars.labels]."""
    count = len(labels)
    air = WAVELENGTH_AIR[stars.pixels]
    flux = instrument.observe_lines(
        instrument.line_errors(stars.flux(labels), air, rng),
        air,
        instrument.radial_velocity(count, rng),
        rng.uniform(1500, 2100, count),
    )
    flux *= np.exp(stars.log_continuum(labels, instrument.NATIVE))
    flux *= instrument.reddening(rng.exponential(0.2, count).clip(0, 1.5))
    flux *= instrument.telluric(count, rng)
    flux *= instrument.calibration(count, rng)
    flux /= flux.mean(axis=1, keepdims=True)
    snr_g = np.exp(rng.uniform(*np.log(SNR_G), count))
    sigma = instrument.noise_level(flux, snr_g)
    flux += sigma * rng.standard_normal(flux.shape) + instrument.sky_residuals(sigma, rng)
    bad = instrument.bad_pixels(count, rng)
    # Some releases leave a flux where the ivar is zero, some do not.
    emptied = bad & (rng.random(count) < 0.5)[:, None]
    return Batch(np.where(emptied, 0, flux), np.where(bad, 0, sigma**-2), snr_g)


def prepare_batch(batch: Batch, recipe: list[dict]) -> np.ndarray:
    """The recipe for many spectra at once: inputs [n, pixels], NaN where the recipe rejects."""
    mask, step, _ = recipe
    centres, edges = grid(step["first"], step["last"], step["resolving_power"])
    starts = np.searchsorted(instrument.NATIVE, edges[:-1])
    good = batch.ivar > 0
    weights = {"uniform": np.ones_like(batch.flux), "good": good, "ivar": batch.ivar}
    weight = weights[step["weighting"]]
    total = np.add.reduceat(batch.flux * weight, starts, axis=1, dtype=float)
    norm = np.add.reduceat(weight, starts, axis=1, dtype=float)
    known = norm > 0
    with np.errstate(invalid="ignore"):
        means = total / norm
    for row in np.flatnonzero(~known.all(axis=1) & known.any(axis=1)):
        have = known[row]
        means[row] = np.interp(centres, centres[have], means[row, have])
    inputs = means - means.mean(axis=1, keepdims=True)
    inputs /= means.std(axis=1, keepdims=True)
    rejected = (~known).sum(axis=1) > step["max_empty_bins"]
    rejected |= (~good).mean(axis=1) > mask["max_bad_fraction"]
    inputs[rejected] = np.nan
    return inputs


def native_spectrum(batch: Batch, row: int) -> Spectrum:
    """One row of a batch in the form that the single-spectrum recipe takes."""
    no_bits = np.zeros(instrument.WINDOW_PIXELS, np.int64)
    return Spectrum(instrument.NATIVE, batch.flux[row], batch.ivar[row], no_bits, no_bits)
