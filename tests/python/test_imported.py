"""Folders of published weights, through the program: verified, and spectra made with them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

ROOT = Path(__file__).resolve().parents[2]
pytest.importorskip("onnx")


def run(*command: object) -> str:
    environment = os.environ | {"PYTHONPATH": str(ROOT / "onnx/export")}
    words = [str(word) for word in command]
    done = subprocess.run(
        words, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    if "no ONNX Runtime library" in done.stderr:
        pytest.skip("skipped: ONNX Runtime is missing; ops/fetch-onnxruntime.sh gets it")
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_net_of_the_payne_makes_spectra(starmill: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(7)
    shapes = [(6, 3), (6,), (5, 6), (5,), (60, 5), (60,)]
    arrays = {
        f"{'wb'[number % 2]}_array_{number // 2}": rng.normal(0, 0.3, shape)
        for number, shape in enumerate(shapes)
    }
    lowest, highest = np.array([4000.0, 0.0, -2.0]), np.array([7000.0, 5.0, 0.5])
    wavelength = 5000 + 0.5 * np.arange(60)
    np.savez(tmp_path / "nn.npz", **arrays, x_min=lowest, x_max=highest, wavelength=wavelength)
    models = tmp_path / "models"
    options = ["--resolving-power", "5000", "--license", "MIT", "--model-error", "0.01"]
    run(
        sys.executable, "-m", "starmill_export.imported.cli", "payne-npz", tmp_path / "nn.npz",
        *options, "--labels", "teff,logg,feh", "--name", "payne-npz", "--out", models / "payne-npz",
    )  # fmt: skip
    config = tmp_path / "starmill.toml"
    config.write_text(f"[models]\ndir = {json.dumps(str(models))}\n", encoding="utf-8")
    assert "reproduced" in run(starmill, "--config", config, "models", "verify", "payne-npz")
    out = tmp_path / "spectra.fits"
    words = ["generate", "--model", "payne-npz", "--sobol", "3", "--out", out]
    run(starmill, "--config", config, *words)
    stars = Table.read(out, hdu="SPECTRA")
    np.testing.assert_array_equal(fits.getdata(out, "WAVELENGTH"), wavelength)
    for star in stars:
        value = np.array([star["teff"], star["logg"], star["fe_h"]])
        value = (value - lowest) / (highest - lowest) - 0.5
        for number in (0, 1):
            value = arrays[f"w_array_{number}"] @ value + arrays[f"b_array_{number}"]
            value = np.where(value > 0, value, 0.01 * value)
        expected = arrays["w_array_2"] @ value + arrays["b_array_2"]
        np.testing.assert_allclose(star["flux"], expected, atol=1e-5)
