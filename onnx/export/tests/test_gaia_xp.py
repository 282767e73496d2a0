"""fcresnet-xp: who is on which side, the chain on a small made table, and the shipped model."""

import hashlib
import json
import os
import tomllib
from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table
from conftest import REPOSITORY

from starmill_export import ensembles
from starmill_export.gaia_xp import cli, folder, table, training

SHIPPED = REPOSITORY / "onnx/models" / folder.NAME


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A table of the package's layout: the labels change the colour and the depth of lines."""
    count, twice, hot = 700, 30, 40
    rng = np.random.default_rng(3)
    labels = rng.uniform([4000, 0.5, -1.5, -0.1], [6000, 4.8, 0.4, 0.3], (count, 4))
    pixel = np.linspace(-1, 1, table.PIXELS)
    flux = np.exp(np.outer((labels[:, 0] - 5000) / 1500, pixel))
    for label, centre in zip(labels.T[1:], (-0.6, 0.0, 0.5), strict=True):
        depth = 0.3 * (label - label.min()) / np.ptp(label)
        flux *= 1 - np.outer(depth, np.exp(-(((pixel - centre) / 0.05) ** 2)))
    error = 0.01 * np.ones_like(flux)
    flux += error * rng.standard_normal(flux.shape)
    flux /= np.median(flux, axis=1, keepdims=True)
    labels[:hot, 2:] = np.nan
    labels[:hot, 0] += 5000
    columns = {
        "gaiaedr3_source_id": rng.integers(10**15, 10**18, count),
        "gaiaedr3_phot_g_mean_mag": rng.uniform(9, 15, count).astype("f4"),
        "flux": flux.astype("f4"),
        "flux_error": error.astype("f4"),
    }
    columns["gaiaedr3_source_id"][-twice:] = columns["gaiaedr3_source_id"][hot : hot + twice]
    columns |= {name: labels[:, index].astype("f4") for index, name in enumerate(table.LABELS)}
    path = tmp_path_factory.mktemp("gaia") / "table.fits.gz"
    Table(columns).write(path)
    return path


def test_the_place_of_a_star_is_that_of_its_id():
    digest = hashlib.sha256(b"4611686018427387904").hexdigest()
    assert table.place(4611686018427387904) == int(digest[:16], 16) / 2**64
    places = [table.place(star) for star in range(20_000)]
    for low, high in table.PARTS.values():
        share = np.mean([low <= place < high for place in places])
        assert share == pytest.approx(high - low, abs=0.015)


def test_rows_of_one_star_are_on_one_side_and_unlabelled_ones_on_none(written):
    stars = table.read(written)
    assert len(stars.labels) == 700
    parts = {name: stars.part(name).labelled() for name in table.PARTS}
    ids = {name: set(part.source_id.tolist()) for name, part in parts.items()}
    assert not ids["training"] & ids["validation"]
    assert not ids["test"] & (ids["training"] | ids["validation"])
    assert sum(len(part.labels) for part in parts.values()) == 660
    np.testing.assert_allclose(stars.inputs.mean(axis=1), 0, atol=1e-5)
    np.testing.assert_allclose(stars.inputs.std(axis=1), 1, atol=1e-5)


def test_the_first_layer_takes_the_scaling_in(written):
    stars = table.read(written).labelled()
    scaling = training.Scaling.of(stars)
    from starmill_export import network

    net = network.initial(table.PIXELS, 4, np.random.default_rng(1))
    expected = network.forward(net, scaling.inputs(stars.inputs))
    found = network.forward(scaling.unscaled(net), stars.inputs.astype(np.float64))
    # Half precision of the weights is all that differs.
    assert np.abs(found - expected).max() < 5e-3


def test_the_command_makes_a_whole_folder_and_goes_on_with_its_members(written, tmp_path):
    pytest.importorskip("xgboost")
    runtime = pytest.importorskip("onnxruntime")
    arguments = ["--smoke", "--table", str(written), "--work", str(tmp_path / "work")]
    assert cli.main([*arguments, "--out", str(tmp_path / "model")]) == 0
    manifest = check_folder(tmp_path / "model", runtime)
    assert [label["name"] for label in manifest["label"]] == table.LABELS
    stars = table.read(written)
    header, *ids = (tmp_path / "work/test.csv").read_text().split()
    assert header == "gaia_source_id"
    assert all(table.place(int(star)) >= 0.8 for star in ids)
    assert len(ids) == len(np.unique(stars.part("test").labelled().source_id))
    members = sorted((tmp_path / "work").glob("member-*.npz"))
    times = [path.stat().st_mtime_ns for path in members]
    assert cli.main([*arguments, "--out", str(tmp_path / "again")]) == 0
    assert [path.stat().st_mtime_ns for path in members] == times
    for name in (*folder.FILE_NAMES.values(), "manifest.toml"):
        again = (tmp_path / "again" / name).read_bytes()
        assert again == (tmp_path / "model" / name).read_bytes(), name


def test_the_shipped_model_is_whole_and_small():
    runtime = pytest.importorskip("onnxruntime")
    manifest = check_folder(SHIPPED, runtime)
    assert manifest["recipe"] == folder.RECIPE
    assert manifest["trained_on"] == "real"
    assert sum(path.stat().st_size for path in SHIPPED.iterdir()) < 2.5 * 2**20


def test_errors_of_the_shipped_model_cover_those_of_real_test_stars():
    runtime = pytest.importorskip("onnxruntime")
    if "STARMILL_GAIA_XP" not in os.environ:
        pytest.skip("skipped: STARMILL_GAIA_XP names no table; ops/fetch-gaia-xp.sh gets it")
    stars = table.read(Path(os.environ["STARMILL_GAIA_XP"])).part("test").labelled()
    session = runtime.InferenceSession(SHIPPED / "model.onnx")
    names = ["labels", "sigma", "factors", "sigma_raw"]
    found = dict(zip(names, session.run(names, {"spectrum": stars.inputs}), strict=True))
    residuals = found["labels"] - stars.labels
    bright = stars.magnitude < 14
    assert 1.4826 * np.median(np.abs(residuals[bright, 0])) < 75
    shares = ensembles.coverage(residuals, {name: found[name].astype(float) for name in names})
    assert (np.abs(shares["calibrated"][0] - 0.6827) < 0.03).all()
    # The tails are wider than a Gaussian's, and members alone know a part of an error.
    assert (shares["calibrated"][1] > 0.88).all()
    assert (shares["raw"][0] < 0.5).all()
    assert shares["joint"][0] == pytest.approx(0.6827, abs=0.04)


def check_folder(path, runtime):
    manifest = tomllib.loads((path / "manifest.toml").read_text())
    assert set(manifest["files"]) == set(folder.FILE_NAMES)
    for entry in manifest["files"].values():
        assert hashlib.sha256((path / entry["path"]).read_bytes()).hexdigest() == entry["sha256"]
    session = runtime.InferenceSession(path / "model.onnx")
    cases = json.loads((path / "golden.json").read_text())["cases"]
    spectra = np.array([case["input"] for case in cases], np.float32)
    output = manifest["output"]
    names = [output["labels"], output["sigma"], output["covariance"]["factor"]]
    labels, sigma, factors = session.run(names, {"spectrum": spectra})
    golden = manifest["golden"]
    difference = labels - np.array([case["labels"] for case in cases])
    assert (np.abs(difference) / golden["scale"]).max() < golden["tolerance"]
    np.testing.assert_allclose(sigma, [case["sigma"] for case in cases], rtol=5e-3)
    assert factors.shape == (len(cases), output["covariance"]["rank"], len(manifest["label"]))
    assert ((factors**2).sum(axis=1) < sigma**2).all()
    column = output["column"][0]
    assert session.run([column["output"]], {"spectrum": spectra})[0].shape[1:] == (4,)
    return manifest
