"""Spectra that `starmill generate` wrote, read as an astronomer reads them."""

import hashlib
import json
import subprocess
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from astropy.io import fits
from astropy.table import Table

DATA = Path(__file__).resolve().parents[2] / "onnx" / "tests" / "data"
FILES = ["forward.onnx", "forward.json", "forward.f64", "CARD.md"]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Return a configuration whose folder of models holds one small forward model."""
    folder = tmp_path / "models" / "tiny_forward"
    folder.mkdir(parents=True)
    manifest = (DATA / "forward.toml").read_text(encoding="utf-8")
    for name in FILES:
        content = (DATA / name).read_bytes()
        (folder / name).write_bytes(content)
        manifest = manifest.replace(f"<{name}>", hashlib.sha256(content).hexdigest())
    (folder / "manifest.toml").write_text(manifest, encoding="utf-8")
    path = tmp_path / "starmill.toml"
    path.write_text(f"[models]\ndir = {json.dumps(str(tmp_path / 'models'))}\n", encoding="utf-8")
    return path


def generate(starmill: Path, config: Path, out: Path, *more: str) -> None:
    command = [starmill, "--config", config, "generate", "--model", "tiny_forward", "--out", out]
    root = DATA.parents[2]
    done = subprocess.run([*command, *more], cwd=root, capture_output=True, text=True, check=False)
    if "no ONNX Runtime library" in done.stderr:
        pytest.skip("skipped: ONNX Runtime is missing; ops/fetch-onnxruntime.sh gets it")
    assert done.returncode == 0, done.stdout + done.stderr


def test_astropy_reads_labels_spectra_and_wavelengths(starmill: Path, config: Path) -> None:
    out = config.with_name("spectra.fits")
    generate(starmill, config, out, "--sobol", "70", "--snr", "100", "--seed", "3")
    stars = Table.read(out, hdu="SPECTRA")
    wavelength = fits.getdata(out, "WAVELENGTH")
    assert stars["flux"].shape == (70, wavelength.size) == (70, 33)
    assert stars.colnames == ["row", "teff", "logg", "fe_h", "flux", "ivar"]
    assert str(stars["teff"].unit) == "K"
    np.testing.assert_array_equal(stars["row"], np.arange(1, 71))
    np.testing.assert_array_equal(wavelength, np.fromfile(DATA / "forward.f64", "<f8"))
    np.testing.assert_allclose(stars["ivar"], 1e4)
    with fits.open(out, checksum=True) as hdus:
        # astropy warns of a sum that differs, and the warning would be an error here.
        assert all("CHECKSUM" in hdu.header and "DATASUM" in hdu.header for hdu in hdus)
        assert hdus[0].header["MODEL"] == "tiny_forward"
        assert hdus["WAVELENGTH"].header["BUNIT"] == "Angstrom"
        for hdu in hdus:
            assert hdu.verify_checksum() == 1
            assert hdu.verify_datasum() == 1


def test_parquet_holds_what_fits_holds(starmill: Path, config: Path) -> None:
    for ending in ["fits", "parquet"]:
        generate(starmill, config, config.with_name(f"x.{ending}"), "--sobol", "70", "--rv", "30")
    stars = Table.read(config.with_name("x.fits"), hdu="SPECTRA")
    table = pq.read_table(config.with_name("x.parquet"))
    assert table.column_names == stars.colnames
    for name in stars.colnames:
        values = np.array(table[name].to_pylist(), dtype=stars[name].dtype)
        np.testing.assert_array_equal(values, stars[name], err_msg=name)
    axis = json.loads(table.schema.field("flux").metadata[b"wavelength"])
    np.testing.assert_array_equal(axis, fits.getdata(config.with_name("x.fits"), "WAVELENGTH"))


def test_fitsverify_finds_nothing(starmill: Path, config: Path) -> None:
    out = config.with_name("spectra.fits")
    generate(starmill, config, out, "--grid", "--range", "teff=4000:5000:500", "--snr", "20")
    try:
        done = subprocess.run(
            ["fitsverify", "-q", out], capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        pytest.skip("skipped: fitsverify is missing; ops/setup.sh --test installs it")
    assert done.stdout.startswith("verification OK"), done.stdout + done.stderr
