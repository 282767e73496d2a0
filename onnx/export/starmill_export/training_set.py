"""Synthetic giants: their labels, and their spectra as a LAMOST file would hold them."""

from dataclasses import dataclass

import numpy as np

from starmill_export import instrument
from starmill_export.bossbrain import WAVELENGTH_AIR, Bossbrain
from starmill_export.continuum import Continuum
from starmill_export.prepare import Spectrum, grid

LABELS = ["teff", "logg", "fe_h", "c_fe", "n_fe", "mg_fe"]
EMULATOR_LABELS = ["teff", "logg", "mh", "cm", "nm", "mgm"]
"""The same labels as bossbrain names them: it has no iron apart from [M/H]."""

TEFF = (3600.0, 5990.0)
LOGG = (0.0, 3.5)
METALLICITY = (-2.45, 0.5)
ABUNDANCE = (-0.6, 0.6)
FREE_SHARE = 0.35
SNR_G = (8.0, 250.0)
BATCH = 500
EMULATED = slice(820, 9420)


@dataclass
class Batch:
    """Simulated native spectra: flux and ivar [n, native], ivar 0 where there is no measurement."""

    flux: np.ndarray
    ivar: np.ndarray
    snr_g: np.ndarray


@dataclass
class Examples:
    """Prepared inputs [n, pixels] with their labels [n, LABELS].

    `free` marks the rows whose labels follow no trend.
    """

    inputs: np.ndarray
    labels: np.ndarray
    snr_g: np.ndarray
    free: np.ndarray

    def part(self, first: float, last: float) -> "Examples":
        """The rows between two fractions of the whole."""
        return self._rows(slice(round(first * len(self.inputs)), round(last * len(self.inputs))))

    def above(self, snr_g: float) -> "Examples":
        """The rows of at least this S/N."""
        return self._rows(self.snr_g >= snr_g)

    def _rows(self, rows: slice | np.ndarray) -> "Examples":
        return Examples(self.inputs[rows], self.labels[rows], self.snr_g[rows], self.free[rows])


def generate(
    count: int, emulator: Bossbrain, continuum: Continuum, recipe: list[dict], seed: int
) -> Examples:
    """Simulate `count` stars, one spectrum each, and keep those that the recipe accepts."""
    rng = np.random.default_rng(seed)
    labels, free = sample_labels(count, emulator, rng)
    inputs, snr_g = [], []
    for start in range(0, count, BATCH):
        batch = simulate(labels[start : start + BATCH], emulator, continuum, rng)
        inputs.append(prepare_batch(batch, recipe).astype(np.float32))
        snr_g.append(batch.snr_g)
    stacked = np.concatenate(inputs)
    kept = np.isfinite(stacked).all(axis=1)
    columns = [emulator.labels.index(name) for name in EMULATOR_LABELS]
    return Examples(
        stacked[kept], labels[kept][:, columns], np.concatenate(snr_g)[kept], free[kept]
    )


def sample_labels(
    count: int, emulator: Bossbrain, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Labels [count, 22] of the emulator, and which rows are free of astrophysical trends.

    Most rows follow the giant branch and the trends of the Galaxy with generous scatter; the rest
    (`FREE_SHARE`) are uniform and independent in every label, so that a label cannot be read off
    its correlation with another.
    """
    labels = np.zeros((count, len(emulator.labels)))
    column = {name: labels[:, index] for index, name in enumerate(emulator.labels)}
    teff = rng.uniform(*TEFF, count)
    branch = 3.4 - (5050 - teff) / 1000 * 1.9 + rng.normal(0, 0.4, count)
    column["teff"][:] = teff
    column["logg"][:] = np.where(teff > 5100, rng.uniform(1.5, 3.5, count), branch).clip(*LOGG)
    populations = rng.choice([-0.1, -0.45, -1.2], count, p=[0.5, 0.35, 0.15])
    metallicity = (populations + rng.normal(0, 0.25, count)).clip(*METALLICITY)
    column["mh"][:] = metallicity
    rich = np.where(rng.random(count) < 0.6, 0.03, 0.25)
    alpha = (rich - 0.05 * metallicity + rng.normal(0, 0.05, count)).clip(-0.3, 0.5)
    mixing = np.clip((3.2 - column["logg"]) / 2.5, 0, 1)
    column["cm"][:] = -0.05 - 0.15 * mixing + rng.normal(0, 0.14, count)
    column["nm"][:] = 0.05 + 0.30 * mixing + rng.normal(0, 0.15, count)
    for name in ("om", "mgm", "sim", "cam", "tim"):
        column[name][:] = alpha + rng.normal(0, 0.07, count)
    for name in ("nam", "alm", "vm", "crm", "mnm", "com", "nim", "scm", "bam", "cem", "ndm", "zrm"):
        column[name][:] = rng.normal(0, 0.1, count)
    free = rng.random(count) < FREE_SHARE
    rows = int(free.sum())
    column["logg"][free] = rng.uniform(*LOGG, rows)
    column["mh"][free] = rng.uniform(*METALLICITY, rows)
    labels[free, 3:] = rng.uniform(*ABUNDANCE, (rows, labels.shape[1] - 3))
    labels[:, 3:] = labels[:, 3:].clip(*ABUNDANCE)
    return labels, free


def simulate(
    labels: np.ndarray, emulator: Bossbrain, continuum: Continuum, rng: np.random.Generator
) -> Batch:
    """Observe stars of `labels` [n, 22]."""
    count = len(labels)
    air = WAVELENGTH_AIR[EMULATED]
    flux = instrument.observe_lines(
        emulator.flux(labels, EMULATED),
        air,
        instrument.radial_velocity(count, rng),
        rng.uniform(1500, 2100, count),
    )
    flux *= np.exp(continuum.logarithm(labels[:, :3], instrument.NATIVE))
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
