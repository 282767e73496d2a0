"""The reader, on one file of each layout made here and on real files where they are at hand."""

import numpy as np
import pytest
from astropy.io import fits

from starmill_export import lamost

PIXELS = 50
WAVE = (10 ** (3.5682 + 1e-4 * np.arange(PIXELS))).astype(np.float32)
FLUX = np.linspace(1, 2, PIXELS, dtype=np.float32)
IVAR = np.full(PIXELS, 4, np.float32)
MASK = np.zeros(PIXELS, np.float32)
MASK[3] = 4


def header(hdu, **cards):
    hdu.header["TELESCOP"] = "LAMOST"
    for key, value in cards.items():
        hdu.header[key] = value
    return hdu


def pilot():
    image = fits.PrimaryHDU(np.array([FLUX, IVAR, FLUX - 1, MASK, MASK]))
    cards = {"COEFF0": 3.5682, "COEFF1": 1e-4, "SN_G": 30.0}
    return [header(image, EXTEN0="Flux Inverse Subcontinuum Andmask Ormask", **cards)]


def image():
    rows = fits.PrimaryHDU(np.array([FLUX, IVAR, WAVE, MASK, MASK]))
    listed = "Flux, Inverse, Wavelength, Andmask, Ormask"
    return [header(rows, EXTEN0=listed, SNRG=30.0, OBSID=5, FIBERMAS=64)]


def table():
    arrays = {"FLUX": FLUX, "IVAR": IVAR, "WAVELENGTH": WAVE, "ANDMASK": MASK, "ORMASK": MASK}
    columns = [
        fits.Column(name, f"{PIXELS}E", array=values[None, :]) for name, values in arrays.items()
    ]
    coadd = fits.BinTableHDU.from_columns(columns, name="COADD")
    return [header(fits.PrimaryHDU(), SNRG=30.0, OBSID=5, FIB_MASK=64), coadd]


@pytest.mark.parametrize(("layout", "fibermask"), [(pilot, 0), (image, 64), (table, 64)])
def test_each_layout(tmp_path, layout, fibermask):
    path = tmp_path / "spec.fits.gz"
    fits.HDUList(layout()).writeto(path)
    seen = lamost.read(path)
    np.testing.assert_allclose(seen.spectrum.wave, WAVE, rtol=1e-7)
    np.testing.assert_array_equal(seen.spectrum.flux, FLUX)
    np.testing.assert_array_equal(seen.spectrum.ivar, IVAR)
    np.testing.assert_array_equal(np.flatnonzero(seen.spectrum.ormask), [3])
    assert (seen.snr_g, seen.spectrum.fibermask) == (30.0, fibermask)


def test_other_telescopes_are_refused(tmp_path):
    path = tmp_path / "other.fits"
    fits.HDUList([fits.PrimaryHDU(np.zeros((5, 10), np.float32))]).writeto(path)
    with pytest.raises(ValueError, match="TELESCOP"):
        lamost.read(path)


def test_two_releases_of_one_observation_are_equal(real_data):
    old = lamost.read(real_data / "lrs_dr7_image/spec-55859-F5902_sp01-001_dr7.fits.gz")
    new = lamost.read(real_data / "lrs_dr9_table/spec-55859-F5902_sp01-001.fits.gz")
    for name in ("wave", "flux", "ivar", "andmask", "ormask"):
        np.testing.assert_array_equal(getattr(old.spectrum, name), getattr(new.spectrum, name))
