"""Reference spectra of a model, one of which `starmill explain` lays over a star (SPEMR 3.5).

The paper takes the training spectrum whose labels are nearest. Training spectra here have noise and
abundances scattered freely, so the references are made apart: without noise, with the abundances
that stars of the Galaxy have on average, and spread evenly over Teff, log g and [Fe/H].
"""

import gzip
import io
from collections.abc import Callable

import numpy as np
from astropy.io import fits

from starmill_export.instrument import vacuum
from starmill_export.rrnet import batch_prepare, examples, labels, observe, syntheses
from starmill_export.rrnet.emulator import Emulator

COUNT = 200
DRAWN = 6000
SEED = 3
DISTANCE = np.array([150.0, 0.35, 0.15])
"""Of Teff (K), log g and [Fe/H] (dex): steps that change a spectrum about alike."""

ROTATION = 3.0
"""km/s: below what R = 7500 resolves."""

QUANTUM = 0.002
"""Step of the flux in the file: a fifth of the noise at S/N 100, below the emulator's error."""


def choose(count: int, family: str) -> np.ndarray:
    """Labels [count, SYNTHESIS], each chosen as far from those before as can be."""
    drawn = examples.sample_labels(DRAWN, family, np.random.default_rng(SEED))
    drawn[:, 3] = np.clip(2.0 - 0.25 * drawn[:, 1], 0.6, 2.6)
    drawn[:, 4:] = examples.trends(drawn[:, 2])
    places = drawn[:, :3] / DISTANCE
    chosen = [int(np.argmin(((places - np.median(places, axis=0)) ** 2).sum(axis=1)))]
    nearest = np.full(len(places), np.inf)
    while len(chosen) < count:
        nearest = np.minimum(nearest, ((places - places[chosen[-1]]) ** 2).sum(axis=1))
        chosen.append(int(np.argmax(nearest)))
    return drawn[np.sort(chosen)]


def prepared(emulator: Emulator, chosen: np.ndarray) -> np.ndarray:
    """Flux [n, PIXELS] of labels [n, SYNTHESIS], as the recipe leaves it before `scale`."""
    count = len(chosen)
    still = np.zeros(count)
    given = observe.Conditions(
        np.full(count, ROTATION), np.full(count, observe.RESOLUTION), still, still, still[:, None]
    )
    flux = emulator(chosen)
    resampled = np.empty((count, batch_prepare.PIXELS))
    start = 0
    arms = zip(syntheses.windows(emulator.air), batch_prepare.GRIDS, strict=True)
    for source, wave in arms:
        air = emulator.air[source]
        broadened = observe.resolve(flux[:, source], air, given)
        for row in range(count):
            resampled[row, start : start + len(wave)] = np.interp(wave, vacuum(air), broadened[row])
        start += len(wave)
    normalised, usable = batch_prepare.normalise(resampled)
    if not usable.all():
        raise ValueError(f"{(~usable).sum()} templates have no continuum: fit the emulator anew")
    return normalised


def file(
    emulator: Emulator,
    family: str,
    names: list[str],
    report: Callable[[str], None],
    count: int = COUNT,
) -> bytes:
    """A gzipped FITS table: NAME, one column a label, and FLUX in steps of QUANTUM."""
    chosen = choose(count, family)
    flux = prepared(emulator, chosen)
    # The spectra are at rest, so a label of velocity is zero.
    known = dict(zip(labels.RRNET, labels.of_synthesis(chosen).T, strict=True)) | {
        "rv": np.zeros(len(chosen))
    }
    title = [f"{star[0]:.0f} K, log g {star[1]:.2f}, [Fe/H] {star[2]:+.2f}" for star in chosen]
    units = {"teff": "K", "rv": "km/s"}
    columns = [fits.Column("NAME", "36A", array=title)]
    columns += [
        fits.Column(name.upper(), "E", unit=units.get(name, "dex"), array=known[name])
        for name in names
    ]
    # Written by hand: the library would scale a copy of what it takes for physical values.
    stored = np.round(flux / QUANTUM).astype(np.int16)
    columns.append(fits.Column("FLUX", f"{flux.shape[1]}I", array=stored))
    table = fits.BinTableHDU.from_columns(columns, name="TEMPLATES")
    number = len(columns)
    table.header[f"TSCAL{number}"] = (QUANTUM, "pseudo-continuum is 1")
    content = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(content)
    # No time in the header of gzip: equal spectra give equal bytes.
    packed = gzip.compress(content.getvalue(), 9, mtime=0)
    report(f"{len(chosen)} templates in {len(packed) / 1e6:.2f} MB")
    return packed
