"""The Payne: smoothing, sources, nets, graph and folder."""

import hashlib
import json
import tomllib

import numpy as np
import pytest

sparse = pytest.importorskip("scipy.sparse")

from conftest import EMULATOR_LABELS, REPOSITORY  # noqa: E402

from starmill_export import bossbrain  # noqa: E402
from starmill_export.payne import folder, giants, labels, net, prior, smoothing  # noqa: E402

RNG = np.random.default_rng(4)


class SmallBossbrain:
    """Three untrained networks with the labels and pixels of bossbrain's."""

    labels = EMULATOR_LABELS.split()
    flux = bossbrain.Bossbrain.flux

    def __init__(self):
        rng = np.random.default_rng(1)
        middle = np.array([0.0, 1.75, -1.0] + [0.0] * 19)
        half = np.array([500.0, 1.75, 1.5] + [0.6] * 19)
        self.networks = []
        for teff in (3850.0, 4500.0, 5450.0):
            centre = middle + np.eye(22)[0] * teff
            layers = [
                (rng.normal(size=(22, 6)), rng.normal(size=6)),
                (rng.normal(size=(6, 5)), rng.normal(size=5)),
                (0.02 * rng.normal(size=(5, 14001)).clip(-2, 2), np.full(14001, 1.0)),
            ]
            self.networks.append((layers, centre - half, centre + half))


@pytest.fixture(scope="module")
def source():
    return giants.Giants(SmallBossbrain())


def shared(inputs=4, nodes=6, pixels=9):
    return net.Shared(
        RNG.normal(size=(inputs, nodes)),
        RNG.normal(size=nodes),
        RNG.normal(size=(nodes, pixels)),
        RNG.normal(size=pixels),
    )


def per_pixel(inputs=4, nodes=6, pixels=9):
    return net.PerPixel(
        RNG.normal(size=(pixels, inputs, nodes)),
        RNG.normal(size=(pixels, nodes)),
        RNG.normal(size=(pixels, nodes)),
        RNG.normal(size=pixels),
    )


def test_sampled_labels_fill_the_box_of_training(source):
    drawn = source.sample(500, np.random.default_rng(2))
    matrix, offset = labels.coordinates(source.names, source.box)
    scaled = drawn @ matrix + offset
    assert np.abs(scaled).max() <= 1 + 1e-9
    assert (np.abs(scaled).max(axis=0) > 0.8).all()
    for column, table in zip(drawn.T, labels.tables(source.names, source.box), strict=True):
        assert table["valid"][0] <= column.min()
        assert column.max() <= table["valid"][1]
    assert not giants.is_carbon_star(drawn).any()


@pytest.mark.parametrize("centre", [4100.0, 7800.0])
def test_a_line_takes_the_width_of_the_resolving_power(centre):
    wave = np.arange(3900.0, 8000.0, 0.5)
    target = giants.pixels(4000, 7900)
    own = 1.0 * smoothing.SIGMA_OF_FWHM
    line = np.exp(-0.5 * ((wave - centre) / own) ** 2)
    matrix = smoothing.to_resolution(wave, target, 1800, 1.0)
    found = matrix @ line
    mean = (found * target).sum() / found.sum()
    # The pixels are even in the logarithm.
    weight = found * target
    width = np.sqrt((weight * (target - mean) ** 2).sum() / weight.sum())
    np.testing.assert_allclose(width / smoothing.SIGMA_OF_FWHM, centre / 1800, rtol=0.01)
    np.testing.assert_allclose(matrix @ np.ones(len(wave)), 1)


def test_a_source_without_margins_is_refused():
    wave = np.arange(4000.0, 5000.0, 0.5)
    with pytest.raises(ValueError, match="margins"):
        smoothing.gaussian(wave, wave[5:-5], 50.0)


def test_giants_are_smoothed_before_or_after_the_last_layer_alike(source):
    given = source.sample(40, np.random.default_rng(3))
    outside = np.ones(len(given), bool)
    for low, high in giants.OVERLAPS:
        outside &= (given[:, 0] < low) | (given[:, 0] > high)
    given = given[outside]
    rows = np.zeros((len(given), 22))
    rows[:, :2], rows[:, 2] = given[:, :2], given[:, 13]
    for column, name in enumerate(source.names):
        if name not in ("teff", "logg", "fe_h"):
            at = source.emulator.labels.index(name.replace("_h", "m"))
            rows[:, at] = given[:, column] - given[:, 13]
    np.testing.assert_allclose(source.of_emulator(rows), given)
    wide = giants.pixels(3880, 8020)
    from starmill_export.instrument import vacuum

    air = bossbrain.WAVELENGTH_AIR
    resolve = smoothing.to_resolution(vacuum(air), wide, 1800, bossbrain.FWHM)
    flux = source.emulator.flux(rows, slice(None)) @ resolve.T
    smooth = flux @ smoothing.normalisation(wide, source.wave, 50.0).T
    inside = np.searchsorted(wide, source.wave[0] - 1e-6)
    expected = flux[:, inside : inside + len(source.wave)] / smooth
    np.testing.assert_allclose(source.spectra(given), expected, atol=2e-6)


def test_the_networks_of_bossbrain_pass_into_each_other():
    teff = np.array([3900, 4000, 4100, 4300, 4950, 5000, 5900])
    found = giants.shares(teff)
    np.testing.assert_allclose(found.sum(axis=0), 1)
    np.testing.assert_allclose(found[0], [1, 1, 0.5, 0, 0, 0, 0])
    np.testing.assert_allclose(found[2], [0, 0, 0, 0, 0.5, 1, 1])


@pytest.mark.parametrize("model", [shared(), per_pixel()], ids=["shared", "per pixel"])
def test_the_jacobian_is_that_of_finite_differences(model):
    given, step = RNG.normal(size=(3, 4)), 1e-6
    found = model.jacobian(given)
    for label in range(4):
        moved = np.eye(4)[label] * step
        expected = (model(given + moved) - model(given - moved)) / (2 * step)
        np.testing.assert_allclose(found[:, label], expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("model", [shared(), per_pixel()], ids=["shared", "per pixel"])
@pytest.mark.parametrize("count", [1, 5])
def test_the_graph_is_the_net(model, count):
    runtime = pytest.importorskip("onnxruntime")
    from starmill_export.payne import graph

    stored = net.rounded(model)
    session = runtime.InferenceSession(graph.build(stored, "toy", "1").SerializeToString())
    given = RNG.normal(size=(count, 4)).astype(np.float32)
    flux, jacobian = session.run(["flux", "jacobian"], {"labels": given})
    np.testing.assert_allclose(flux, stored(given), atol=1e-5)
    np.testing.assert_allclose(jacobian, stored.jacobian(given), atol=1e-5)


def test_theoretical_gradients_are_changes_over_the_steps(source):
    theory = prior.theoretical(source)
    count = len(source.names)
    assert theory.below.shape == (count * len(source.references), count)
    step = (theory.above - theory.below)[:count]
    np.testing.assert_allclose(step, np.diag(labels.steps(source.names)), atol=1e-9)
    middle = (theory.above + theory.below)[:count] / 2
    np.testing.assert_allclose(middle, np.tile(source.references[0], (count, 1)))
    expected = source.spectra(theory.above[5:6]) - source.spectra(theory.below[5:6])
    np.testing.assert_allclose(theory.of_paper().gradients[5], expected[0], atol=1e-6)


def test_a_departure_costs_most_where_theory_sees_nothing():
    weight = prior.weights(np.array([0.0, 0.001, -0.1]))
    assert weight[0] > weight[1] > weight[2]
    assert np.isfinite(weight).all()


def test_correlation_looks_at_shapes():
    gradient = RNG.normal(size=(2, 50))
    np.testing.assert_allclose(prior.correlation(0.3 * gradient, gradient), 1)
    np.testing.assert_allclose(prior.correlation(-gradient, gradient), -1)


def test_the_manifest_names_what_the_graph_gives_and_hashes_its_files(source):
    onnx = pytest.importorskip("onnx")
    model = net.rounded(shared(len(source.names), 5, len(source.wave)))
    model.hidden *= np.float32(1e-4)
    errors = np.full(len(source.wave), 0.004)
    contents = folder.files(model, source, errors, "card")
    parsed = tomllib.loads(folder.manifest_text(source, contents, errors, {"seed": "1"}))
    assert (parsed["kind"], parsed["spectrum"]["model_error"]) == ("forward", 0.004)
    for role, content in contents.items():
        assert parsed["files"][role]["sha256"] == hashlib.sha256(content).hexdigest()
    graph = onnx.load_from_string(contents["onnx"]).graph
    assert {output.name for output in graph.output} == set(parsed["output"].values())
    assert [table["name"] for table in parsed["label"]] == giants.NAMES
    assert len(contents["wavelength"]) == 8 * parsed["spectrum"]["pixels"]
    low, high = np.array([table["valid"] for table in parsed["label"]]).T
    for start in parsed["fit"]["starts"]:
        assert ((low <= start) & (start <= high)).all()


def shipped():
    paths = sorted((REPOSITORY / "onnx/models").glob("payne*/manifest.toml"))
    return [pytest.param(path.parent, id=path.parent.name) for path in paths]


@pytest.mark.parametrize("model", shipped())
def test_the_shipped_graph_gives_its_golden_spectra(model):
    runtime = pytest.importorskip("onnxruntime")
    parsed = tomllib.loads((model / "manifest.toml").read_text())
    tolerance = parsed["golden"]["tolerance"]
    steps = np.array([table["step"] for table in parsed["label"]])
    session = runtime.InferenceSession(model / "model.onnx")
    for case in json.loads((model / "golden.json").read_text())["cases"]:
        given = np.array([case["labels"]], np.float32)
        flux, jacobian = session.run(["flux", "jacobian"], {"labels": given})
        width = len(case["flux"])
        np.testing.assert_allclose(flux[0, :width], case["flux"], atol=tolerance)
        if "jacobian" in case:
            change = (jacobian[0, :, :width] - case["jacobian"]) * steps[:, None]
            assert np.abs(change).max() < tolerance
    wave = np.frombuffer((model / "wavelength.f64").read_bytes(), "<f8")
    errors = np.frombuffer((model / "model_error.f32").read_bytes(), "<f4")
    assert len(wave) == len(errors) == parsed["spectrum"]["pixels"]
    assert (np.diff(wave) > 0).all()
