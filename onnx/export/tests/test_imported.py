"""Published forward models: read exactly, evaluated apart, and the same through the graph."""

import itertools
import json
import tomllib
import zipfile

import numpy as np
import pytest

from starmill_export.imported import label_table, nets, payne_npz
from starmill_export.imported.nets import Curved, Dense, Switched
from starmill_export.imported.polynomial import Polynomial
from starmill_export.payne.net import PerPixel

LABELS, NODES, PIXELS = 3, 5, 40
LOWEST, HIGHEST = np.array([4000.0, 0.0, -2.0]), np.array([7000.0, 5.0, 0.5])
WAVELENGTH = 5000 + 0.5 * np.arange(PIXELS)


def arrays(layout, rng):
    """The arrays of a file of The Payne in one of its three layouts."""
    shapes = {
        "dense": [(NODES, LABELS), (NODES,), (4, NODES), (4,), (PIXELS, 4), (PIXELS,)],
        "per pixel": [
            (PIXELS, NODES, LABELS), (PIXELS, NODES), (PIXELS, NODES), (PIXELS,),
            (PIXELS,), (PIXELS,),
        ],
        "one layer": [(PIXELS, NODES, LABELS), (PIXELS, NODES), (PIXELS, NODES), (PIXELS,)],
    }[layout]  # fmt: skip
    found = {
        f"{'wb'[number % 2]}_array_{number // 2}": rng.normal(size=shape)
        for number, shape in enumerate(shapes)
    }
    return found | {"x_min": LOWEST, "x_max": HIGHEST}


def sigmoid(value):
    return 1 / (1 + np.exp(-value))


def leaky_relu(value):
    return value * (value > 0) + 0.01 * value * (value < 0)


def as_published(found, labels, activation):
    """Equation by equation as the papers' programs have it, one star at a time."""
    scaled = (labels - found["x_min"]) / (found["x_max"] - found["x_min"]) - 0.5
    w0, w1, b0, b1 = (found[f"{kind}_array_{number}"] for kind in "wb" for number in (0, 1))
    if w0.ndim == 2:
        inside = np.einsum("ij,j->i", w0, scaled) + b0
        outside = np.einsum("ij,j->i", w1, activation(inside)) + b1
        return np.einsum("ij,j->i", found["w_array_2"], activation(outside)) + found["b_array_2"]
    inside = np.einsum("ijk,k->ij", w0, scaled) + b0
    outside = np.einsum("ik,ik->i", w1, sigmoid(inside)) + b1
    if "w_array_2" not in found:
        return outside
    return found["w_array_2"] * sigmoid(outside) + found["b_array_2"]


def said(**more):
    return payne_npz.Said(
        "toy", "MIT", 22500.0, labels=["TEFF", "LOGG", "FEH"], error=0.001, **more
    )


def stored(path, layout, **more):
    found = arrays(layout, np.random.default_rng(7))
    np.savez(path, **found, wavelength=WAVELENGTH, **more)
    return found


CASES = [
    ("dense", nets.LEAKY_RELU, leaky_relu, Dense),
    ("dense", nets.SIGMOID, sigmoid, Dense),
    ("per pixel", nets.LEAKY_RELU, None, Curved),
    ("one layer", nets.LEAKY_RELU, None, PerPixel),
]


@pytest.mark.parametrize(("layout", "name", "activation", "kind"), CASES)
def test_a_net_of_the_payne_gives_what_the_published_formula_gives(
    tmp_path, layout, name, activation, kind
):
    found = stored(tmp_path / "nn.npz", layout)
    imported = payne_npz.read(tmp_path / "nn.npz", said(activation=name), None)
    assert isinstance(imported.model, kind)
    rows = np.random.default_rng(1).uniform(LOWEST, HIGHEST, (4, LABELS))
    expected = [as_published(found, row, activation) for row in rows]
    np.testing.assert_allclose(imported.model(rows), expected, rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(imported.wavelength, WAVELENGTH)
    assert [label["name"] for label in imported.labels] == ["teff", "logg", "fe_h"]
    assert imported.labels[0]["valid"] == [4000.0, 7000.0]


def models():
    rng = np.random.default_rng(11)

    def dense(low, high, activation=nets.LEAKY_RELU):
        sizes = [LABELS, 6, 5, PIXELS]
        layers = [
            (rng.normal(size=pair), rng.normal(size=pair[1])) for pair in itertools.pairwise(sizes)
        ]
        return Dense(layers, np.array([low, 0, -2.0]), np.array([high, 5, 0.5]), activation)

    inner = PerPixel(
        rng.normal(size=(PIXELS, LABELS, NODES)) / (HIGHEST - LOWEST)[:, None],
        rng.normal(size=(PIXELS, NODES)),
        rng.normal(size=(PIXELS, NODES)),
        rng.normal(size=PIXELS),
    )
    terms = [[0], [1], [2], [0, 0], [0, 1], [2, 2, 0], [1, 1, 1], [0, 1, 2]]
    theta = rng.normal(0, 0.4, (PIXELS, len(terms) + 1)) + np.eye(1, len(terms) + 1)
    fiducials, scales = (LOWEST + HIGHEST) / 2, HIGHEST - LOWEST
    return {
        "leaky": dense(4000, 7000),
        "sigmoid": dense(4000, 7000, nets.SIGMOID),
        "switched": Switched(
            [dense(4000, 5200), dense(5000, 6200), dense(6000, 7000)], [5100.0, 6100.0]
        ),
        "per pixel": inner,
        "curved": Curved(inner, rng.normal(size=PIXELS), rng.normal(size=PIXELS)),
        "polynomial": Polynomial(theta, terms, fiducials, scales),
        "line": Polynomial(theta[:, :4], terms[:3], fiducials, scales),
    }


@pytest.mark.parametrize("name", models())
def test_derivatives_are_those_of_the_flux(name):
    model = models()[name]
    rows = np.array([[4400.0, 2.2, -0.4], [5600.0, 4.1, 0.1], [6600.0, 3.3, -1.4]])
    steps = 1e-6 * (HIGHEST - LOWEST)
    found = model.jacobian(rows)
    for label, step in enumerate(steps):
        moved = np.eye(LABELS)[label] * step
        expected = (model(rows + moved) - model(rows - moved)) / (2 * step)
        np.testing.assert_allclose(found[:, label] * step, expected * step, atol=1e-11)


@pytest.mark.parametrize("name", models())
def test_the_graph_gives_flux_and_derivatives_of_the_reference(name):
    runtime = pytest.importorskip("onnxruntime")
    from starmill_export.imported import graphs

    model = models()[name]
    content = graphs.build(model, LABELS, PIXELS, "toy", "1.0.0").SerializeToString()
    session = runtime.InferenceSession(content)
    rows = np.random.default_rng(2).uniform(LOWEST, HIGHEST, (7, LABELS)).astype(np.float32)
    # Where one net follows another, and the float32 next to it.
    edge = np.float32(5100.0)
    rows[:3, 0] = np.nextafter(edge, np.float32(0)), edge, np.nextafter(edge, np.float32(1e5))
    flux, jacobian = session.run(["flux", "jacobian"], {"labels": rows})
    np.testing.assert_allclose(flux, model(rows.astype(float)), atol=2e-5)
    scaled = (HIGHEST - LOWEST)[:, None]
    expected = model.jacobian(rows.astype(float)) * scaled
    np.testing.assert_allclose(jacobian * scaled, expected, atol=1e-4)
    alone = session.run(["flux"], {"labels": np.vstack([rows[3:4]] * 7)})[0]
    np.testing.assert_array_equal(alone[0], flux[3])


def test_a_cubic_term_is_the_product_of_its_labels():
    model = Polynomial(np.array([[0.1, 0.2, -0.3]]), [[0], [0, 1, 1]], np.zeros(2), np.ones(2))
    flux = model(np.array([[0.5, 0.4], [3.0, -1.0]]))
    np.testing.assert_allclose(flux, [[0.1 + 0.1 - 0.3 * 0.5 * 0.16], [0.1 + 0.6 - 0.9]])
    # Beyond the continuum the flux is cut off, and does not depend on labels there.
    assert model(np.array([[9.0, 0.0]])) == 1.0
    assert not model.jacobian(np.array([[9.0, 0.0]])).any()


NAMES = {
    "TEFF": "teff", "LOGG": "logg", "FEH": "fe_h", "[Mg/Fe]": "mg_fe", "cm": "c_m", "com": "co_m",
    "C_H": "c_h", "VTURB": "vmicro", "mh": "m_h", "[alpha/Fe]": "alpha_fe", "depth": "depth",
}  # fmt: skip


@pytest.mark.parametrize(("published", "expected"), NAMES.items())
def test_labels_get_the_names_that_they_have_here(published, expected):
    assert label_table.ours(published) == expected


def test_thousands_of_kelvin_become_kelvin(tmp_path):
    found = arrays("dense", np.random.default_rng(7))
    found["x_min"], found["x_max"] = LOWEST / [1e3, 1, 1], HIGHEST / [1e3, 1, 1]
    np.savez(tmp_path / "nn.npz", **found, wavelength=WAVELENGTH)
    imported = payne_npz.read(tmp_path / "nn.npz", said(), None)
    assert imported.labels[0]["valid"] == [4000.0, 7000.0]
    expected = as_published(found, np.array([5.5, 4.0, 0.0]), leaky_relu)
    np.testing.assert_allclose(imported.model(np.array([[5500.0, 4.0, 0.0]]))[0], expected)


@pytest.mark.parametrize("layout", ["dense", "per pixel", "one layer"])
def test_a_window_in_air_gives_vacuum_pixels_and_their_flux(tmp_path, layout):
    stored(tmp_path / "nn.npz", layout, wavevac=False, validation_loss=[30.0, 12.0, 14.0])
    whole = payne_npz.read(tmp_path / "nn.npz", said(), None)
    part = payne_npz.read(tmp_path / "nn.npz", said(), (5004.0, 5010.0))
    # The vacuum wavelength of 5000 A in air is 5001.39 A.
    assert whole.wavelength[0] == pytest.approx(5001.394, abs=2e-3)
    inside = (whole.wavelength >= 5004) & (whole.wavelength <= 5010)
    np.testing.assert_array_equal(part.wavelength, whole.wavelength[inside])
    row = np.array([[5000.0, 2.0, -1.0]])
    np.testing.assert_allclose(part.model(row), whole.model(row)[:, inside])


def command(tmp_path, *more):
    from starmill_export.imported import cli

    file, out = str(tmp_path / "nn.npz"), str(tmp_path / "model")
    known = ["--license", "MIT", "--resolving-power", "22500", "--labels", "teff,logg,fe_h"]
    return cli.main(["payne-npz", file, "--out", out, *known, *more])


@pytest.mark.parametrize("layout", ["dense", "per pixel", "one layer"])
def test_the_command_makes_a_folder_whose_golden_rows_the_graph_reproduces(tmp_path, layout):
    runtime = pytest.importorskip("onnxruntime")
    stored(tmp_path / "nn.npz", layout, validation_loss=[30.0, 12.0, 14.0])
    assert command(tmp_path) == 0
    manifest = tomllib.loads((tmp_path / "model/manifest.toml").read_text())
    assert manifest["kind"] == "forward"
    assert manifest["spectrum"]["model_error"] == pytest.approx(0.0012)
    assert manifest["license"] == "MIT"
    assert len(manifest["provenance"]["weights_sha256"]) == 64
    session = runtime.InferenceSession(tmp_path / "model/model.onnx")
    cases = json.loads((tmp_path / "model/golden.json").read_text())["cases"]
    for case in cases:
        rows = np.array([case["labels"]], np.float32)
        flux, jacobian = session.run(["flux", "jacobian"], {"labels": rows})
        np.testing.assert_allclose(flux[0], case["flux"], atol=1e-5)
        if "jacobian" in case:
            steps = np.array([label["step"] for label in manifest["label"]])[:, None]
            np.testing.assert_allclose(
                jacobian[0] * steps, np.array(case["jacobian"]) * steps, atol=1e-4
            )
    assert "jacobian" in cases[0]
    assert "| `teff` | K | 4000 | 7000 |" in (tmp_path / "model/CARD.md").read_text()


@pytest.mark.parametrize(
    ("changes", "options", "remedy"),
    [
        ({}, [], "--model-error"),
        ({"wavelength": None}, ["--model-error", "0.01"], "--wavelength"),
        ({"x_min": None}, ["--model-error", "0.01"], "x_min"),
        ({"w_array_1": np.zeros((4, 9))}, ["--model-error", "0.01"], "no known net"),
        ({"b_array_2": np.full(PIXELS, np.nan)}, ["--model-error", "0.01"], "not finite"),
        ({}, ["--model-error", "0.01", "--labels", "teff,logg"], "--labels"),
        ({}, ["--model-error", "0.01", "--labels", "teff,logg,teff"], "--labels"),
        ({}, ["--model-error", "0.01", "--window", "7000", "8000"], "--window"),
        ({"x_max": LOWEST}, ["--model-error", "0.01"], "range"),
        ({"wavelength": WAVELENGTH[::-1]}, ["--model-error", "0.01"], "increasing"),
    ],
)
def test_what_does_not_fit_is_said_and_nothing_is_written(
    tmp_path, capsys, changes, options, remedy
):
    pytest.importorskip("onnx")
    found = arrays("dense", np.random.default_rng(7)) | {"wavelength": WAVELENGTH} | changes
    kept = {name: value for name, value in found.items() if value is not None}
    np.savez(tmp_path / "nn.npz", **kept)
    assert command(tmp_path, *options) == 1
    assert remedy in capsys.readouterr().err
    assert not (tmp_path / "model").exists()


class Trap:
    """What a pickle may do to whoever loads it: here it would leave a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_an_array_of_objects_is_refused_and_nothing_of_it_runs(tmp_path, capsys):
    pytest.importorskip("onnx")
    found = arrays("dense", np.random.default_rng(7))
    trap = np.empty(1, object)
    trap[0] = Trap(tmp_path / "sprung")
    np.savez(tmp_path / "nn.npz", **(found | {"b_array_0": trap}), allow_pickle=True)
    assert command(tmp_path, "--model-error", "0.01") == 1
    assert "refused" in capsys.readouterr().err
    assert not (tmp_path / "sprung").exists()


def test_what_is_no_npz_is_said(tmp_path, capsys):
    pytest.importorskip("onnx")
    (tmp_path / "nn.npz").write_bytes(b"\x80\x04N.")
    assert command(tmp_path) == 1
    assert "not an npz file" in capsys.readouterr().err
    with zipfile.ZipFile(tmp_path / "nn.npz", "w") as archive:
        archive.writestr("w_array_0.npy", b"\x80\x04N.")
    assert command(tmp_path) == 1
    assert "no array" in capsys.readouterr().err
