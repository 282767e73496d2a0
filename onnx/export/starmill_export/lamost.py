"""Reader of LAMOST low-resolution spectra, all three file layouts.

Data model: https://www.lamost.org/dr10/v2.0/doc/lr-data-production-description
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy.io import fits

from starmill_export.prepare import Spectrum

ALL_BITS = 65535


@dataclass
class Observation:
    """A spectrum with the header values that the evaluation uses."""

    path: Path
    obsid: int | None
    snr_g: float
    object_class: str
    subclass: str
    redshift: float
    spectrum: Spectrum


def read(path: Path) -> Observation:
    """Read one file; `.gz` is fine. Raises ValueError for a layout that is not LAMOST LRS."""
    with fits.open(path, memmap=False) as hdus:
        header = hdus[0].header
        if header.get("TELESCOP") != "LAMOST":
            raise ValueError(f"{path}: TELESCOP is {header.get('TELESCOP')}")
        if "COADD" in hdus:
            wave, flux, ivar, andmask, ormask = _table_rows(hdus["COADD"].data)
        else:
            wave, flux, ivar, andmask, ormask = _image_rows(path, hdus[0])
    fibermask = header.get("FIB_MASK", header.get("FIBERMAS", 0))
    spectrum = Spectrum(
        np.asarray(wave, float),
        np.asarray(flux, float),
        np.asarray(ivar, float),
        _mask_bits(andmask),
        _mask_bits(ormask),
        int(fibermask),
    )
    return Observation(
        path,
        header.get("OBSID"),
        float(header.get("SNRG", header.get("SN_G", -9999.0))),
        str(header.get("CLASS", "")).strip(),
        str(header.get("SUBCLASS", "")).strip(),
        float(header.get("Z", -9999.0)),
        spectrum,
    )


def _table_rows(table: fits.FITS_rec) -> list[np.ndarray]:
    return [table[name][0] for name in ("WAVELENGTH", "FLUX", "IVAR", "ANDMASK", "ORMASK")]


def _image_rows(path: Path, hdu: fits.PrimaryHDU) -> list[np.ndarray]:
    if hdu.data is None or hdu.data.ndim != 2 or len(hdu.data) != 5:
        raise ValueError(f"{path}: neither a COADD table nor an image of five rows")
    flux, ivar, third, andmask, ormask = hdu.data
    if "wavelength" in hdu.header.get("EXTEN0", "").lower():
        return [third, flux, ivar, andmask, ormask]
    # In the pilot survey and DR1 the third row is the flux less its continuum.
    pixels = np.arange(len(flux))
    wave = 10 ** (hdu.header["COEFF0"] + hdu.header["COEFF1"] * pixels)
    return [wave, flux, ivar, andmask, ormask]


def _mask_bits(values: np.ndarray) -> np.ndarray:
    """Masks are stored as floats; what is no small whole number is a defect and sets every bit."""
    whole = np.isfinite(values) & (values >= 0) & (values <= ALL_BITS) & (values % 1 == 0)
    return np.where(whole, values, ALL_BITS).astype(np.int64)
