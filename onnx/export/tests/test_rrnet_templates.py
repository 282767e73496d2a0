"""Reference spectra of a model: which stars they are, and the file that holds them."""

import gzip
import io
import tomllib

import numpy as np
import pytest

from starmill_export.rrnet import batch_prepare, emulator, examples, folder, labels, templates


def toy_emulator():
    """Two stars between which every pixel's depth goes with Teff: lines, and none at 5500 K."""
    air = np.concatenate([np.arange(4950, 5345, 0.12), np.arange(6320, 6717, 0.12)])
    stars = np.zeros((2, len(labels.SYNTHESIS)))
    stars[:, :4] = [[4500, 2.0, -0.5, 1.5], [6000, 4.3, 0.0, 1.0]]
    lines = np.abs(np.sin(air / 3)) ** 8
    constants = np.zeros(emulator.COORDINATES + 1 + 2 * len(labels.ELEMENTS) + 2)
    weights = np.stack([0.4 * lines, 0.1 * lines]).astype(np.float32)
    return emulator.Emulator(constants, stars, weights, np.full(len(air), 0.01, "f4"), air)


@pytest.mark.parametrize("family", ["rrnet", "spemr"])
def test_templates_cover_the_box_evenly(family):
    chosen = templates.choose(60, family)
    assert not labels.is_carbon_star(chosen).any()
    low, high = examples.TEFF[family]
    assert chosen[:, 0].min() < low + 100 and chosen[:, 0].max() > high - 100
    assert chosen[:, 2].min() < -1.8 and chosen[:, 2].max() > 0.35
    places = chosen[:, :3] / templates.DISTANCE
    apart = np.linalg.norm(places[:, None] - places, axis=2) + 1e9 * np.eye(len(places))
    nearest = apart.min(axis=1)
    # Drawn at random, the closest two of 60 lie at a few hundredths of the median.
    assert nearest.min() > 0.5 * np.median(nearest)
    # A halo star is enhanced in alpha elements, and no star has abundances of its own.
    poor = chosen[chosen[:, 2] < -1][0]
    assert poor[labels.SYNTHESIS.index("mg_m")] == 0.3 and poor[labels.SYNTHESIS.index("c_m")] == 0


def test_the_file_holds_labels_by_name_and_flux_as_the_recipe_leaves_it():
    fits = pytest.importorskip("astropy.io.fits")
    made = toy_emulator()
    content = templates.file(made, "spemr", labels.SPEMR, lambda _: None, count=5)
    assert content == templates.file(made, "spemr", labels.SPEMR, lambda _: None, count=5)
    with fits.open(io.BytesIO(gzip.decompress(content))) as file:
        table = file["TEMPLATES"]
        names = [name.lower() for name in table.columns.names]
        assert names == ["name", *labels.SPEMR, "flux"]
        chosen = templates.choose(5, "spemr")
        np.testing.assert_allclose(table.data["TEFF"], chosen[:, 0], rtol=1e-6)
        expected = labels.of_synthesis(chosen)[:, labels.RRNET.index("mg_h")]
        np.testing.assert_allclose(table.data["MG_H"], expected, atol=1e-6)
        flux = table.data["FLUX"]
        assert flux.shape == (5, batch_prepare.PIXELS)
        error = np.abs(flux - templates.prepared(made, chosen))
        assert error.max() <= 0.5001 * templates.QUANTUM
        # There are lines, and a continuum near one.
        assert flux.min() < 0.95 and 0.98 < np.median(flux) < 1.02


def test_templates_are_put_into_a_manifest_that_is_there():
    text = (
        '# By hand\n[files]\nonnx = { path = "model.onnx", sha256 = "00" }\n\n[input]\npixels = 3\n'
    )
    once = folder.with_file(text, "templates", b"one")
    twice = folder.with_file(once, "templates", b"two")
    files = tomllib.loads(twice)["files"]
    assert files["onnx"]["sha256"] == "00" and files["templates"]["path"] == "templates.fits.gz"
    assert tomllib.loads(once)["files"]["templates"] != files["templates"]
    assert len(twice.splitlines()) == len(text.splitlines()) + 1
