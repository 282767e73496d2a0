"""Novelty of stars of several kinds: what it lets pass, what it tells apart, and its graph."""

import numpy as np
import pytest

from starmill_export import ensembles, mixture, network

PIXELS = 60


def spectra(count, rng):
    """Two kinds of stars far apart, each with scatter of its own, lines and noise."""
    wave = np.linspace(0, 1, PIXELS)
    kind = rng.integers(2, size=count)[:, None]
    slope = np.where(kind, 2.0, -2.0) + 0.2 * rng.normal(size=(count, 1))
    depth = rng.uniform(0.5, 1.5, (count, 1))
    lines = np.exp(-0.5 * ((wave - 0.3) / 0.02) ** 2) + np.exp(-0.5 * ((wave - 0.7) / 0.02) ** 2)
    clean = slope * (wave - 0.5) - depth * lines
    return clean + 0.03 * rng.normal(size=clean.shape), wave, lines


@pytest.fixture(scope="module")
def measure():
    rng = np.random.default_rng(1)
    training, validation = spectra(6000, rng)[0], spectra(6000, rng)[0]
    return mixture.fit(training, validation, 0.01, np.random.default_rng(2))


def test_the_false_alarm_rate_is_kept(measure):
    found = measure(spectra(20_000, np.random.default_rng(3))[0])
    assert (found > 0).all()
    assert 0.005 < np.mean(found > 1) < 0.02


def test_what_lies_between_the_kinds_is_told_apart(measure):
    rng = np.random.default_rng(4)
    _, wave, lines = spectra(1, rng)
    slope = 0.3 * rng.normal(size=(200, 1))
    between = slope * (wave - 0.5) - lines + 0.03 * rng.normal(size=(200, PIXELS))
    assert np.mean(measure(between) > 1) > 0.95


def test_what_is_too_smooth_is_told_apart(measure):
    rng = np.random.default_rng(5)
    _, wave, lines = spectra(1, rng)
    lamp = 2.0 * (wave - 0.5) - 0.5 * lines.mean() + 0.002 * rng.normal(size=(200, PIXELS))
    assert np.mean(measure(lamp) > 1) > 0.95
    assert measure(np.zeros((1, PIXELS)))[0] > 1


def test_the_graph_agrees_with_the_reference(measure):
    pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")
    from starmill_export import ensemble_graph

    rng = np.random.default_rng(6)
    members = [ensembles.rounded(network.initial(PIXELS, 2, rng)) for _ in range(3)]
    given = spectra(400, rng)[0]
    labels = ensembles.combine(members, given)[0] + rng.normal(size=(400, 2))
    errors = ensembles.calibrate(members, measure, given, labels)
    model = ensembles.Ensemble(members, np.zeros(2), np.ones(2), measure, errors)
    exported = ensemble_graph.build(model, "toy", "0.1", "test").SerializeToString()
    session = runtime.InferenceSession(exported)
    given = np.concatenate([given, np.zeros((1, PIXELS)), 5 * given[:20]]).astype(np.float32)
    together = session.run(["novelty"], {"spectrum": given})[0]
    np.testing.assert_allclose(together, measure(given), rtol=2e-4)
    # A row's novelty does not depend on its place in the batch.
    alone = [session.run(["novelty"], {"spectrum": given[row : row + 1]})[0][0] for row in range(9)]
    np.testing.assert_array_equal(together[:9], alone)
