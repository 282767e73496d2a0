"""The whole chain in small: it runs, it learns, and it makes the same bytes again."""

import tomllib

import numpy as np
import pytest

from starmill_export import ensembles, manifest, pipeline, training_set
from starmill_export.dwarfs.emulator import NodeError

SMALL = pipeline.Settings(
    spectra=3000, most_epochs=8, members=2, comparison_spectra=500, comparison_epochs=1
)
NODES = [NodeError((4150.0, 7600.0), 12, 0.01, 0.005, 0.03)]


def silent(_message):
    pass


def test_the_chain_makes_a_model_folder(tmp_path, stars):
    pytest.importorskip("onnx")
    files, text = pipeline.build(stars, NODES, SMALL, None, silent)
    assert pipeline.build(stars, NODES, SMALL, None, silent) == (files, text)
    manifest.write_folder(tmp_path / "toy", files, text)
    written = {path.name for path in (tmp_path / "toy").iterdir()}
    assert written == {*manifest.FILE_NAMES.values(), "manifest.toml"}
    parsed = tomllib.loads(text)
    assert parsed["recipe"] == manifest.RECIPE
    assert [label["name"] for label in parsed["label"]] == training_set.LABELS
    assert parsed["output"]["sigma"] == "sigma"
    assert parsed["output"]["covariance"]["rank"] == len(training_set.LABELS) - 1
    assert "Not measured" in files["card"].decode()


def test_the_nets_learn_and_know_their_errors(stars):
    pytest.importorskip("onnx")
    examples = training_set.generate(3000, stars, manifest.RECIPE, 3)
    model, trained = pipeline.fit_members(examples, SMALL, silent)
    held_out = examples.part(0.8, 1.0)
    residuals = model(held_out.inputs)[0] - held_out.labels
    _, novelty = model(held_out.ordinary().above(manifest.MIN_SNR).inputs)
    assert max(found.validation_loss for found in trained) < 0.8
    assert np.std(residuals[:, 0]) < 0.5 * model.spread[0]
    assert np.mean(novelty > 1) < 0.06
    shares = ensembles.coverage(residuals, model.outputs(held_out.inputs))
    assert (np.abs(shares["calibrated"][0] - ensembles.WITHIN) < 0.08).all(), shares
