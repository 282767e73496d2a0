"""The whole chain in small: it runs, it learns, and it makes the same bytes again."""

import tomllib

import numpy as np
import pytest

from starmill_export import manifest, pipeline, training_set

SMALL = pipeline.Settings(spectra=3000, most_epochs=8, comparison_spectra=500, comparison_epochs=1)


def silent(_message):
    pass


def test_the_chain_makes_a_model_folder(tmp_path, emulator, stored_continuum):
    pytest.importorskip("onnx")
    files, text = pipeline.build(emulator, stored_continuum, SMALL, None, silent)
    assert pipeline.build(emulator, stored_continuum, SMALL, None, silent) == (files, text)
    manifest.write_folder(tmp_path / "toy", files, text)
    written = {path.name for path in (tmp_path / "toy").iterdir()}
    assert written == {*manifest.FILE_NAMES.values(), "manifest.toml"}
    parsed = tomllib.loads(text)
    assert parsed["recipe"] == manifest.RECIPE
    assert [label["name"] for label in parsed["label"]] == training_set.LABELS
    assert "Not measured" in files["card"].decode()


def test_the_net_learns(emulator, stored_continuum):
    pytest.importorskip("onnx")
    examples = training_set.generate(3000, emulator, stored_continuum, manifest.RECIPE, 3)
    model, trained = pipeline.fit(examples, 8, silent)
    held_out = examples.part(0.8, 1.0)
    labels, _ = model(held_out.inputs)
    _, novelty = model(held_out.above(manifest.MIN_SNR).inputs)
    assert trained.validation_loss < 0.8
    assert np.std(labels[:, 0] - held_out.labels[:, 0]) < 0.5 * model.spread[0]
    assert np.mean(novelty > 1) < 0.05


def test_free_labels_are_independent(emulator):
    labels, free = training_set.sample_labels(20_000, emulator, np.random.default_rng(4))
    correlation = np.corrcoef(labels[free].T) - np.eye(labels.shape[1])
    assert np.abs(correlation).max() < 0.06
