"""Strangers that lie among the training spectra are found where examples of them are known."""

import numpy as np
import pytest

from starmill_export import guard, network, novelty

PIXELS = 60


def examples(count, rng, bent=0.0):
    """Spectra of six amplitudes; those of strangers are bent within the same subspace."""
    patterns = np.cos(np.pi * np.outer(np.arange(6), np.linspace(0, 1, PIXELS)))
    amplitudes = rng.standard_normal((count, 6))
    # Far from no axis, and yet where two amplitudes of stars never are together.
    amplitudes[:, 1] = amplitudes[:, 0] ** 2 / 2 + 0.1 * amplitudes[:, 1] + bent
    return amplitudes @ patterns + 0.05 * rng.standard_normal((count, PIXELS))


@pytest.fixture(scope="module")
def guarded():
    rng = np.random.default_rng(1)
    training, checked = examples(4000, rng), examples(4000, rng)
    plain = novelty.fit(training, checked, 0.005)
    return guard.fit(plain, training, checked, examples(400, rng, bent=1.0), 0.005)


def test_known_strangers_are_found_that_no_distance_finds(guarded):
    rng = np.random.default_rng(2)
    strangers = examples(2000, rng, bent=1.0)
    assert np.mean(guarded.plain(strangers) > 1) < 0.1
    assert np.mean(guarded(strangers) > 1) > 0.9
    assert 0.002 < np.mean(guarded(examples(8000, rng)) > 1) < 0.02


def test_the_graph_agrees_with_the_reference(guarded):
    runtime = pytest.importorskip("onnxruntime")
    from starmill_export import ensemble_graph, ensembles

    rng = np.random.default_rng(3)
    spectra = examples(500, rng)
    nets = [ensembles.rounded(network.initial(PIXELS, 2, rng)) for _ in range(2)]
    errors = ensembles.calibrate(nets, guarded, spectra, rng.standard_normal((500, 2)))
    model = ensembles.Ensemble(nets, np.zeros(2), np.ones(2), guarded, errors)
    exported = ensemble_graph.build(model, "toy", "0.1", "test").SerializeToString()
    asked = np.concatenate([spectra[:50], examples(50, rng, bent=1.0)]).astype(np.float32)
    found = runtime.InferenceSession(exported).run(["novelty"], {"spectrum": asked})[0]
    np.testing.assert_allclose(found, guarded(asked.astype(np.float64)), rtol=1e-3, atol=1e-4)
