"""Weights of real packages, held against what the packages compute, and pickles that are traps."""

import json
import os
import pickle
import tomllib

import numpy as np
import pytest

pytest.importorskip("onnx")

from starmill_export import bossbrain, fetch, pickles
from starmill_export.imported import cannon, cli, folder, giants, payne_npz

ORIGIN = folder.Origin("a test", "none", "MIT")
CUBIC = [[0], [1], [2], [0, 0], [0, 1], [0, 2], [1, 1], [1, 2], [2, 2]]
CUBIC += [[0, 0, 0], [0, 0, 1], [0, 0, 2], [0, 1, 1], [0, 1, 2], [0, 2, 2]]
CUBIC += [[1, 1, 1], [1, 1, 2], [1, 2, 2], [2, 2, 2]]


@pytest.fixture
def brain(package):
    return package(fetch.BOSSBRAIN) / "bossbrain/data"


@pytest.fixture(params=cannon.PARTS)
def doppler(package, request):
    return package(fetch.THEDOPPLER) / "doppler/data" / cannon.PARTS[request.param]


def test_bossbrain_gives_the_flux_of_its_networks(brain):
    imported = giants.read(brain, ORIGIN, (5000.0, 5300.0))
    emulator = bossbrain.Bossbrain(brain)
    vacuum, pixels = folder.within(bossbrain.WAVELENGTH_AIR, (5000.0, 5300.0))
    np.testing.assert_array_equal(imported.wavelength, vacuum)
    low, high = np.array([label["valid"] for label in imported.labels]).T
    rows = np.random.default_rng(3).uniform(low, high, (30, len(low)))
    rows[:3, 0] = 4100.0, 4100.001, 4950.0
    expected = emulator.flux(rows, pixels)
    # The package computes in single precision.
    np.testing.assert_allclose(imported.model(rows), expected, atol=2e-5)
    assert [label["name"] for label in imported.labels][:4] == ["teff", "logg", "m_h", "c_m"]
    assert len(imported.labels) == 22
    assert (low[0], high[0]) == pytest.approx((3500.024, 5999.996), abs=1e-2)
    # As large as what its training says of the coolest net, 32 in units of 1e-4.
    assert imported.error == pytest.approx(0.0032, abs=1e-4)


def test_bossbrain_becomes_a_folder(brain, tmp_path):
    runtime = pytest.importorskip("onnxruntime")
    window = ["--window", "6500", "6600"]
    assert cli.main(["bossbrain", str(brain), "--out", str(tmp_path), *window]) == 0
    check_folder(runtime, tmp_path, labels=22)
    # At rest in vacuum H alpha lies at 6564.6 A; in air it is 6562.8 A.
    wave = np.frombuffer((tmp_path / "wavelength.f64").read_bytes(), "<f8")
    session = runtime.InferenceSession(tmp_path / "model.onnx")
    star = np.array([[5900.0, 3.0, -1.5] + [0.0] * 19], np.float32)
    deepest = wave[session.run(["flux"], {"labels": star})[0].argmin()]
    assert deepest == pytest.approx(6564.6, abs=0.6)


def test_thedoppler_gives_the_polynomial_of_its_file(doppler):
    content = pickles.load(doppler, pickles.NUMPY_GLOBALS)
    imported = cannon.read(doppler, "part", ORIGIN, (5000.0, 5100.0))
    training = content["training_set_labels"].astype(float)
    air = content["dispersion"]
    near = (air > 4990) & (air < 5110)
    rows = training[:: len(training) // 20]
    # The scaled labels of annieslasso 0.2.96, and its terms one after the other.
    low, middle, high = np.percentile(training, [2.5, 50, 97.5], axis=0)
    scaled = (rows - middle) / (high - low)
    terms = [np.ones(len(rows)), *(np.prod([scaled[:, at] for at in term], 0) for term in CUBIC)]
    # Its own order of the terms differs, so each coefficient is looked up by its term.
    described = [
        sorted(at for at, power in term for _ in range(int(power)))
        for term in content["vectorizer"][1]["terms"]
    ]
    theta = content["theta"][near]
    columns = [0, *(1 + described.index(term) for term in CUBIC)]
    expected = np.minimum(np.array(terms).T @ theta[:, columns].T, 1)
    found = imported.model(rows)
    vacuum, chosen = folder.within(air[near], (5000.0, 5100.0))
    np.testing.assert_array_equal(imported.wavelength, vacuum)
    np.testing.assert_allclose(found, expected[:, chosen], atol=1e-9)
    np.testing.assert_array_equal(imported.errors, np.sqrt(content["s2"][near])[chosen])
    valid = [label["valid"] for label in imported.labels]
    np.testing.assert_array_equal(valid, np.array([training.min(0), training.max(0)]).T)


def test_an_npz_of_theborg_is_a_net_of_the_payne(brain):
    # The package's net from three labels to one; of spectra no package has such a file.
    path = brain / "apogeedr17_rgb_feh_ann.npz"
    arrays = payne_npz.load(path)
    model, pixels = payne_npz.net(arrays, arrays["x_min"], arrays["x_max"], "leaky_relu", path)
    assert (pixels, arrays["labels"].tolist()) == (1, ["teff", "logg", "alpha"])
    giants = np.array([[4500.0, 2.2, 0.05], [4500.0, 1.6, 0.25], [4800.0, 2.4, 0.3]])
    # Cooler at one log g means more metals; what the net was trained on: APOGEE's red giants.
    cooler = model(giants - [200.0, 0, 0])
    assert (cooler > model(giants) + 0.2).all()
    with np.load(path) as stored:
        value = (giants - stored["xmin"]) / (stored["xmax"] - stored["xmin"]) - 0.5
        for layer in (0, 2):
            value = value @ stored[f"features.{layer}.weight"].T + stored[f"features.{layer}.bias"]
            value = np.maximum(value, 0.01 * value)
        expected = value @ stored["features.4.weight"].T + stored["features.4.bias"]
    np.testing.assert_allclose(model(giants), expected, rtol=1e-6)


@pytest.mark.parametrize(("part", "teff"), [("coolstars", 7000.0), ("hotdwarfs", 12000.0)])
def test_thedoppler_becomes_a_folder(package, tmp_path, part, teff):
    runtime = pytest.importorskip("onnxruntime")
    path = package(fetch.THEDOPPLER) / "doppler/data" / cannon.PARTS[part]
    options = ["--part", part, "--window", "6500", "6600"]
    assert cli.main(["thedoppler", str(path), "--out", str(tmp_path), *options]) == 0
    manifest = check_folder(runtime, tmp_path, labels=3)
    assert manifest["name"] == f"thedoppler-{part}"
    wave = np.frombuffer((tmp_path / "wavelength.f64").read_bytes(), "<f8")
    session = runtime.InferenceSession(tmp_path / "model.onnx")
    flux = session.run(["flux"], {"labels": np.array([[teff, 4.0, 0.0]], np.float32)})[0][0]
    assert wave[flux.argmin()] == pytest.approx(6564.6, abs=0.1)
    assert flux.max() <= 1.0


def test_two_packages_agree_on_a_giant(brain, package):
    # Computed with different programs and lines, so that only most of the shape is common.
    star = np.array([[4800.0, 2.5, 0.0]])
    path = package(fetch.THEDOPPLER) / "doppler/data" / cannon.PARTS["coolstars"]
    for window, least in [((5100.0, 5300.0), 0.95), ((8450.0, 8700.0), 0.98)]:
        sharp = cannon.read(path, "coolstars", ORIGIN, (window[0] - 5, window[1] + 5))
        smooth = giants.read(brain, ORIGIN, window)
        offsets = np.arange(-30, 31) * 0.1
        kernel = np.exp(-4 * np.log(2) * (offsets / bossbrain.FWHM) ** 2)
        flux = np.convolve(sharp.model(star)[0], kernel / kernel.sum(), "same")
        expected = smooth.model(np.hstack([star, np.zeros((1, 19))]))[0]

        def correlation(shift, sharp=sharp, smooth=smooth, flux=flux, expected=expected):
            moved = np.interp(smooth.wavelength + shift, sharp.wavelength, flux)
            return np.corrcoef(moved, expected)[0, 1]

        assert correlation(0.0) > least
        assert correlation(0.0) > max(correlation(0.5), correlation(-0.5))


def check_folder(runtime, path, labels):
    """The graph reproduces flux and derivatives that numpy computed."""
    manifest = tomllib.loads((path / "manifest.toml").read_text())
    assert len(manifest["label"]) == labels
    assert manifest["trained_on"] == "synthetic"
    steps = np.array([label["step"] for label in manifest["label"]])[:, None]
    session = runtime.InferenceSession(path / "model.onnx")
    cases = json.loads((path / "golden.json").read_text())["cases"]
    assert "jacobian" in cases[0]
    for case in cases:
        flux, jacobian = session.run(
            ["flux", "jacobian"], {"labels": np.array([case["labels"]], np.float32)}
        )
        np.testing.assert_allclose(flux[0, : len(case["flux"])], case["flux"], atol=1e-4)
        if expected := case.get("jacobian"):
            found = jacobian[0, :, : len(expected[0])]
            np.testing.assert_allclose(found * steps, np.array(expected) * steps, atol=1e-4)
    return manifest


def toy(**changes):
    rng = np.random.default_rng(1)
    content = {
        "vectorizer": (
            "PolynomialVectorizer",
            {"label_names": ("TEFF", "LOGG"), "terms": [[(0, 1)], [(1, 1), (0, 2.0)]]},
        ),
        "theta": rng.normal(0.3, 0.05, (30, 3)),
        "s2": np.full(30, 1e-4),
        "dispersion": 5000 + np.arange(30.0),
        "training_set_labels": rng.uniform([4000, 0], [6000, 5], (50, 2)).astype(np.float32),
        "wavevac": True,
        "fwhm": 0.1,
    }
    return content | changes


def test_a_cannon_of_other_labels_and_in_vacuum_is_taken_too(tmp_path):
    runtime = pytest.importorskip("onnxruntime")
    (tmp_path / "cannon.pkl").write_bytes(pickle.dumps(toy(), protocol=2))
    options = ["--window", "5005", "5020", "--license", "CC-BY-4.0", "--paper", "Me 2026"]
    out = tmp_path / "model"
    assert cli.main(["thedoppler", str(tmp_path / "cannon.pkl"), "--out", str(out), *options]) == 0
    manifest = check_folder(runtime, out, labels=2)
    assert (manifest["license"], manifest["paper"]) == ("CC-BY-4.0", "Me 2026")
    assert manifest["provenance"]["source"] == "cannon.pkl"
    wave = np.frombuffer((out / "wavelength.f64").read_bytes(), "<f8")
    np.testing.assert_array_equal(wave, 5005 + np.arange(16.0))


class Trap:
    def __reduce__(self):
        return os.system, ("false",)


@pytest.mark.parametrize("layout", ["thedoppler", "bossbrain"])
@pytest.mark.parametrize("payload", [Trap(), print, os.system])
def test_a_pickle_that_asks_for_more_than_arrays_is_refused(tmp_path, capsys, layout, payload):
    for name in ["cannon.pkl", *bossbrain.FILES]:
        (tmp_path / name).write_bytes(pickle.dumps(toy(s2=payload)))
    source = tmp_path / "cannon.pkl" if layout == "thedoppler" else tmp_path
    assert cli.main([layout, str(source), "--out", str(tmp_path / "model")]) == 1
    assert "it is not on the allow-list" in capsys.readouterr().err
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"theta": np.zeros((30, 9))}, "fit together"),
        ({"s2": np.full(30, np.nan)}, "not finite"),
        ({"vectorizer": ("OtherVectorizer", {})}, "no polynomial"),
        ({"vectorizer": ("PolynomialVectorizer", {"label_names": ["T"], "terms": [[(4, 1)]]})},
         "no product of labels"),
        ({"vectorizer": ("PolynomialVectorizer", {"label_names": ["T"], "terms": [[(0, 1e9)]]})},
         "no product of labels"),
        ({"vectorizer": ("PolynomialVectorizer", {"label_names": ["T"], "terms": [[(0, 0.5)]]})},
         "no product of labels"),
    ],
)  # fmt: skip
def test_a_broken_cannon_is_said(tmp_path, changes, message):
    path = tmp_path / "cannon.pkl"
    path.write_bytes(pickle.dumps(toy(**changes)))
    with pytest.raises(ValueError, match=message):
        cannon.read(path, "part", ORIGIN, (5005.0, 5020.0))


def test_a_cannon_that_lacks_arrays_is_said(tmp_path, capsys):
    content = toy()
    del content["s2"]
    (tmp_path / "cannon.pkl").write_bytes(pickle.dumps(content))
    out = str(tmp_path / "model")
    assert cli.main(["thedoppler", str(tmp_path / "cannon.pkl"), "--out", out]) == 1
    assert "lacks 's2'" in capsys.readouterr().err


def test_a_pickle_that_was_cut_off_is_said(tmp_path):
    path = tmp_path / "cannon.pkl"
    whole = pickle.dumps(toy())
    for length in range(0, len(whole), 41):
        path.write_bytes(whole[:length])
        with pytest.raises(pickle.UnpicklingError, match="fetch"):
            cannon.read(path, "part", ORIGIN, None)
