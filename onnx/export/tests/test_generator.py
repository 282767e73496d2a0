"""The generator on a toy grid: data, trainings, graphs and the folder."""

import hashlib
import json
import tomllib

import numpy as np
import pytest
from conftest import REPOSITORY

from starmill_export.rrnet import grid as syntheses_grid

pytest.importorskip("jax")

from starmill_export.generator import (
    cli,
    emulator,
    examples,
    grid,
    labels,
    net,
    network_file,
    observe,
    train,
)
from starmill_export.instrument import LIGHT_SPEED, vacuum

AIR = syntheses_grid.pixels([grid.WINDOW])
LINES = [8498.0, 8542.1, 8662.1]


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """Syntheses of three lines whose depth follows all labels smoothly."""
    stars = grid.sample(64, 3)
    teff, logg, metallicity, vmicro = stars.T
    depth = (6000 / teff) ** 1.5 * np.exp(0.4 * metallicity + 0.05 * vmicro - 0.1 * logg)
    profile = sum(np.exp(-0.5 * ((AIR - line) / 1.5) ** 2) for line in LINES)
    path = tmp_path_factory.mktemp("grid") / "rvs.npz"
    np.savez(
        path,
        labels=stars.astype(np.float32),
        label_names=np.array(labels.SYNTHESIS),
        flux=np.exp(-0.5 * depth[:, None] * profile).astype(np.float16),
        wavelength_air=AIR,
    )
    return path


@pytest.fixture(scope="module")
def written(archive, tmp_path_factory):
    """The work folder of the whole command, in tiny."""
    pytest.importorskip("onnx")
    work = tmp_path_factory.mktemp("work")
    command = ["all", "--size", "smoke", "--grid", str(archive), "--work", str(work)]
    assert cli.main(command) == 0
    return work / "smoke"


def toy_generator(rng):
    widths = (6, 12, net.LATENT)
    decoder = net.initial((net.LATENT, 9, observe.PIXELS), rng, 0.8)
    return network_file.Generator(net.initial(widths, rng, 0.3) + decoder, 2).rounded()


def test_labels_are_scaled_to_the_box_and_back():
    box = np.array([labels.LOWER, labels.UPPER])
    np.testing.assert_allclose(labels.scaled(box), [[-1] * 6, [1] * 6], atol=1e-12)
    drawn = labels.sample(2000, np.random.default_rng(1))
    np.testing.assert_allclose(labels.physical(labels.scaled(drawn)), drawn, rtol=1e-10)
    assert (drawn >= labels.LOWER).all()
    assert (drawn <= labels.UPPER).all()
    known = labels.has_atmosphere(
        drawn[:, labels.TEFF], drawn[:, labels.LOGG], drawn[:, labels.M_H]
    )
    assert known.all()


def test_the_grid_lies_in_the_box_and_out_of_the_holes():
    stars = grid.sample(256, 2)
    np.testing.assert_array_equal(stars, grid.sample(256, 2))
    assert labels.has_atmosphere(*stars.T[:3]).all()
    assert stars[:, 0].min() > 3600
    assert stars[:, 0].max() < 15000


@pytest.mark.parametrize(("speed", "resolution"), [(0.0, 5000.0), (0.0, 14500.0), (250.0, 11500.0)])
def test_a_line_gets_the_width_of_rotation_and_resolution(speed, resolution):
    line = 1 - 0.5 * np.exp(-0.5 * ((AIR - 8600.0) / (0.2 / 2.3548)) ** 2)
    prepared = emulator.prepared(line[None].astype(np.float32), AIR)
    star = np.array([[6000.0, 4.0, speed, 0.0, 1.0, resolution]])
    seen = observe.observed(prepared, star, observe.interpolation(AIR))[0]
    wave, depth = observe.wavelength(), 1 - seen
    centre = (wave * depth).sum() / depth.sum()
    assert centre == pytest.approx(vacuum(8600.0), abs=0.01)
    variance = ((wave - centre) ** 2 * depth).sum() / depth.sum()
    # The variance of Gray's profile with limb darkening e is (15 - 7 e) / (20 (3 - e)).
    rotation = (15 - 7 * 0.6) / (20 * (3 - 0.6)) * (centre * speed / LIGHT_SPEED) ** 2
    expected = (centre / resolution / 2.3548) ** 2 + rotation
    assert variance == pytest.approx(expected, rel=0.02)


def test_the_process_passes_through_what_it_knows(archive):
    with np.load(archive) as grid_file:
        stars, flux = grid_file["labels"].astype(float), grid_file["flux"].astype(np.float32)
    prepared = emulator.prepared(flux, AIR)
    fitted = emulator.Emulator.fit(stars[8:], prepared[8:], AIR, print, steps=30)
    unseen = fitted(stars[:8]) - prepared[:8]
    assert np.sqrt(np.mean(unseen**2)) < 0.15 * prepared.std(axis=0).max()
    assert np.abs(fitted(stars[8:]) - prepared[8:]).max() < 0.01


def test_components_are_orthonormal_and_lead():
    rng = np.random.default_rng(2)
    spectra = 1 + rng.normal(size=(40, 3)) * [3, 2, 1] @ rng.normal(size=(3, 200))
    mean, basis = examples.principal_components(spectra, 5)
    np.testing.assert_allclose(basis[:3] @ basis[:3].T, np.eye(3), atol=1e-5)
    made = examples.Examples(np.empty(0), np.empty(0), mean, basis[:3], 0.0)
    np.testing.assert_allclose(made.spectra(made.project(spectra)), spectra, atol=1e-3)


def test_published_sizes_are_those_of_the_paper():
    size = net.SIZES["published"]
    rng = np.random.default_rng(0)
    forward = net.initial((6, *size.label_net, net.LATENT), rng)
    forward += net.initial((net.LATENT, *size.decoder, observe.PIXELS), rng)
    assert net.count(forward) == pytest.approx(15.9e6, rel=0.01)
    assert size.decoder == (32, 64, 256, 512, 1024)
    assert size.inversion == (5000, 2000, 1000, 512, 64)


def test_the_jacobian_is_that_of_finite_differences():
    model = toy_generator(np.random.default_rng(3))
    star = np.array([[6500.0, 3.7, 40.0, -0.2, 1.2, 9000.0]])
    found = model.jacobian(star)[0]
    for row, width in enumerate([1e-2, 1e-5, 1e-3, 1e-5, 1e-5, 1e-2]):
        step = np.eye(6)[row] * width
        expected = (model(star + step) - model(star - step))[0] / (2 * width)
        np.testing.assert_allclose(found[row], expected, rtol=1e-5, atol=1e-12)


def test_the_graph_is_the_reference_for_any_number_of_rows():
    runtime = pytest.importorskip("onnxruntime")
    model = toy_generator(np.random.default_rng(4))
    graph = network_file.forward_graph(model, "toy", "1.0.0")
    session = runtime.InferenceSession(graph.SerializeToString())
    for count in (1, 7):
        stars = labels.sample(count, np.random.default_rng(count)).astype(np.float32)
        flux, jacobian = session.run(["flux", "jacobian"], {"labels": stars})
        np.testing.assert_allclose(flux, model(stars), atol=2e-5)
        expected = model.jacobian(stars.astype(float))
        error = np.abs(jacobian - expected).max(axis=(0, 2))
        assert (error < 1e-4 * np.abs(expected).max(axis=(0, 2))).all()


def test_a_training_that_was_stopped_ends_in_the_same_weights(tmp_path):
    rng = np.random.default_rng(6)
    inputs = rng.normal(size=(64, 5)).astype(np.float32)
    data = examples.Examples(labels.sample(64, rng), inputs, np.zeros(5), np.eye(5), 0.0)
    size = net.SIZES["smoke"]
    short, full = train.Schedule(4, 1e-3, batch=16), train.Schedule(4, 1e-3, batch=16)

    def stop(_message):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train.autoencoder(tmp_path / "one", size, short, data, data, stop)
    resumed = train.autoencoder(tmp_path / "one", size, full, data, data, print)
    straight = train.autoencoder(tmp_path / "two", size, full, data, data, print)
    for name in ("encoder", "decoder"):
        pairs = zip(getattr(resumed, name), getattr(straight, name), strict=True)
        for (one, _), (two, _) in pairs:
            np.testing.assert_array_equal(one, two)


@pytest.fixture(params=["just written", "shipped"])
def folder(request):
    if request.param == "just written":
        return request.getfixturevalue("written") / "model"
    shipped = REPOSITORY / "onnx/models/generator"
    if not shipped.is_dir():
        pytest.skip("skipped: onnx/models/generator is not there; train-generator.sh makes it")
    return shipped


def test_the_folder_is_whole(folder):
    manifest = tomllib.loads((folder / "manifest.toml").read_text())
    assert manifest["kind"] == "forward"
    assert [label["name"] for label in manifest["label"]] == labels.NAMES
    for entry in manifest["files"].values():
        content = (folder / entry["path"]).read_bytes()
        assert hashlib.sha256(content).hexdigest() == entry["sha256"], entry["path"]
    wave = np.fromfile(folder / "wavelength.f64", "<f8")
    assert len(wave) == manifest["spectrum"]["pixels"] == 4000
    assert (np.diff(wave) > 0).all()
    card = (folder / "CARD.md").read_text()
    assert "Table 5" in card
    assert "nan" not in card


def test_the_golden_rows_are_met_by_the_graph(folder):
    runtime = pytest.importorskip("onnxruntime")
    session = runtime.InferenceSession(folder / "model.onnx")
    cases = json.loads((folder / "golden.json").read_text())["cases"]
    stars = np.array([case["labels"] for case in cases], np.float32)
    flux, jacobian = session.run(["flux", "jacobian"], {"labels": stars})
    np.testing.assert_allclose(flux, [case["flux"] for case in cases], atol=1e-4)
    expected = np.array(cases[0]["jacobian"])
    scale = np.abs(expected).max(axis=1, keepdims=True)
    np.testing.assert_allclose(jacobian[0] / scale, expected / scale, atol=1e-3)


def test_the_inversion_graph_gives_the_labels_of_the_nets():
    runtime = pytest.importorskip("onnxruntime")
    rng = np.random.default_rng(7)
    basis = np.linalg.qr(rng.normal(size=(observe.PIXELS, 20)))[0].T
    coefficients = rng.normal(size=(5, 20)) * np.linspace(3, 0.05, 20)
    data = examples.Examples(np.empty(0), coefficients, np.ones(observe.PIXELS), basis, 0.0)
    nets = [net.initial((net.INVERTED_COMPONENTS, 8, 1), rng, 0.1) for _ in labels.LABELS]
    stacked = [
        tuple(np.stack(part) for part in zip(*layer, strict=True))
        for layer in zip(*nets, strict=True)
    ]
    model = train.Inversion(stacked, np.linspace(3, 0.1, net.INVERTED_COMPONENTS))
    graph = network_file.inversion_graph(model, data, "toy", "1.0.0")
    session = runtime.InferenceSession(graph.SerializeToString())
    spectra = data.spectra(coefficients).astype(np.float32)
    found = session.run(["labels"], {"spectrum": spectra})[0]
    expected = labels.scaled(train.inverted(model, coefficients))
    np.testing.assert_allclose(labels.scaled(found), expected, atol=5e-3)


def test_other_archives_are_refused(tmp_path, capsys):
    path = tmp_path / "grid.npz"
    np.savez(path, label_names=np.array(["teff"]), labels=np.zeros((1, 1)))
    assert cli.main(["data", "--grid", str(path), "--work", str(tmp_path)]) == 1
    assert "compute it anew" in capsys.readouterr().err
