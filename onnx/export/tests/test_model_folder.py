"""The model in the repository: whole, and equal to what its golden files say."""

import hashlib
import json
import tomllib

import numpy as np
import pytest
from conftest import MODEL

from starmill_export import cli, manifest, prepare
from starmill_export.prepare import Spectrum

MANIFEST = tomllib.loads((MODEL / "manifest.toml").read_text())


def test_files_have_their_hashes():
    assert set(MANIFEST["files"]) == set(manifest.FILE_NAMES)
    for entry in MANIFEST["files"].values():
        content = (MODEL / entry["path"]).read_bytes()
        assert hashlib.sha256(content).hexdigest() == entry["sha256"], entry["path"]


def test_the_recipe_survives_the_manifest():
    assert manifest.recipe(MODEL / "manifest.toml") == manifest.RECIPE


def test_golden_cases_are_met_by_the_graph():
    runtime = pytest.importorskip("onnxruntime")
    session = runtime.InferenceSession(MODEL / "model.onnx")
    cases = json.loads((MODEL / "golden.json").read_text())["cases"]
    assert len(cases) >= 16
    inputs = np.array([case["input"] for case in cases], np.float32)
    labels, novelty = session.run(["labels", "novelty"], {"spectrum": inputs})
    difference = labels - np.array([case["labels"] for case in cases])
    golden = MANIFEST["golden"]
    assert (np.abs(difference) / golden["scale"]).max() < golden["tolerance"]
    np.testing.assert_allclose(novelty, [case["novelty"] for case in cases], rtol=1e-4)


def test_golden_spectra_are_met_by_the_recipe():
    for case in json.loads((MODEL / "recipe_golden.json").read_text())["cases"]:
        spectrum = read_case(case)
        result = prepare.prepare(spectrum, MANIFEST["recipe"])
        expected = case["expected"]
        assert [result.window.start, result.window.stop] == expected["window"]
        bad = np.flatnonzero(~result.good) + result.window.start
        assert bad.tolist() == expected["bad"], case["name"]
        assert result.empty_bins == expected["empty_bins"]
        np.testing.assert_allclose(result.degraded, expected["degraded"], rtol=1e-10)
        np.testing.assert_allclose(result.input, expected["input"], atol=1e-9)


def read_case(case):
    wave, pixels = case["wave"], np.arange(case["wave"]["n"])
    masks = {name: np.zeros(len(pixels), int) for name in ("andmask", "ormask")}
    for name, mask in masks.items():
        for pixel, bits in case[name].items():
            mask[int(pixel)] = bits
    flux, ivar = (np.array(case[name], np.float32).astype(float) for name in ("flux", "ivar"))
    return Spectrum(10 ** (wave["coeff0"] + wave["coeff1"] * pixels), flux, ivar, **masks)


def test_files_are_prepared_from_the_command_line(real_data, tmp_path):
    files = sorted(map(str, real_data.glob("lrs_dr10_table/*.fits")))
    out = tmp_path / "prepared.json"
    arguments = ["prepare", "--manifest", str(MODEL / "manifest.toml"), "--out", str(out), *files]
    assert cli.main(arguments) == 0
    results = json.loads(out.read_text())
    assert [result["file"] for result in results] == files
    for result in results:
        assert result["reject"] is None
        assert abs(np.mean(result["input"])) < 1e-9
