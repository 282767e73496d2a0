"""Errors of an ensemble: what they promise on new spectra, and the graph that computes them."""

import numpy as np
import pytest

from starmill_export import ensembles, network, novelty

PIXELS, LABELS = 40, 3
TRUE_CORRELATION = 0.6


def examples(count, rng):
    """Spectra whose labels cannot be told better than a scatter that the spectra show."""
    waves = np.cos(np.pi * np.outer(np.arange(8), np.linspace(0, 1, PIXELS)))
    quiet = rng.normal(size=(count, 8)) @ waves
    noise = np.exp(rng.uniform(-3, 0, count))
    spectra = quiet + noise[:, None] * rng.normal(size=(count, PIXELS))
    common = rng.normal(size=(count, 1))
    own = rng.normal(size=(count, LABELS))
    errors = np.sqrt(TRUE_CORRELATION) * common + np.sqrt(1 - TRUE_CORRELATION) * own
    return spectra, noise[:, None] * errors


@pytest.fixture(scope="module")
def model():
    rng = np.random.default_rng(5)
    members = [ensembles.rounded(network.initial(PIXELS, LABELS, rng)) for _ in range(4)]
    spectra, errors = examples(6000, rng)
    measure = novelty.fit(spectra[:3000], spectra[3000:], 0.01)
    truth = ensembles.combine(members, spectra)[0] + errors
    fitted = ensembles.calibrate(members, measure, spectra, truth)
    return ensembles.Ensemble(
        members, np.array([5000.0, 3, -1]), np.array([500.0, 1, 0.3]), measure, fitted
    )


def test_two_thirds_of_new_residuals_lie_within_sigma_at_any_noise(model):
    spectra, errors = examples(20_000, np.random.default_rng(6))
    sigma = model.outputs(spectra)["sigma"] / model.spread
    order = ensembles.roughness(spectra).argsort()
    for rows in np.array_split(order, 3):
        within = np.mean(np.abs(errors[rows]) < sigma[rows], axis=0)
        assert (np.abs(within - ensembles.WITHIN) < 0.05).all(), within
    # One sigma for all would be many times too large for the best tenth.
    assert np.median(sigma[order[:2000]]) < 0.4 * np.median(sigma)


def test_the_covariance_is_that_of_new_residuals(model):
    spectra, errors = examples(20_000, np.random.default_rng(7))
    found = model.outputs(spectra)
    sigma, factors = found["sigma"], found["factors"]
    assert factors.shape == (len(spectra), LABELS - 1, LABELS)
    covariance = np.einsum("nkl,nkm->nlm", factors, factors)
    rest = sigma**2 - np.einsum("nll->nl", covariance)
    assert (rest > 0).all()
    covariance += rest[:, :, None] * np.eye(LABELS)
    correlation = covariance / (sigma[:, :, None] * sigma[:, None, :])
    away = correlation - np.eye(LABELS)
    assert np.abs(away[:, ~np.eye(LABELS, dtype=bool)] - TRUE_CORRELATION).max() < 0.05
    shares = ensembles.coverage(errors * model.spread, found)
    assert shares["joint"] == pytest.approx([0.6827, 0.9545], abs=0.05)
    assert (np.abs(shares["calibrated"][0] - 0.6827) < 0.03).all()


def test_a_wrong_label_here_and_there_moves_little(model):
    rng = np.random.default_rng(8)
    spectra, errors = examples(6000, rng)
    mean = ensembles.combine(model.members, spectra)[0]
    wrong = errors.copy()
    wrong[rng.choice(len(wrong), 60, replace=False)] += 40
    clean, spoilt = (
        ensembles.calibrate(model.members, model.novelty, spectra, mean + part)
        for part in (errors, wrong)
    )
    given = ensembles.features(
        mean, ensembles.combine(model.members, spectra)[1], spectra, model.novelty(spectra)
    )
    ratio = spoilt.sigma(given) / clean.sigma(given)
    assert np.median(ratio) < 1.2
    np.testing.assert_allclose(
        spoilt.loadings.T @ spoilt.loadings, clean.loadings.T @ clean.loadings, atol=0.08
    )


def test_labels_without_correlation_have_no_factors():
    pulls = np.random.default_rng(9).normal(size=(50_000, LABELS))
    found = ensembles.loadings(pulls)
    assert np.abs(found.T @ found - np.diag((found**2).sum(axis=0))).max() < 0.02


def test_the_graph_agrees_with_the_reference(model):
    runtime = pytest.importorskip("onnxruntime")
    from starmill_export import ensemble_graph

    exported = ensemble_graph.build(model, "toy", "0.1", "test")
    session = runtime.InferenceSession(exported.SerializeToString(deterministic=True))
    names = [output.name for output in session.get_outputs()]
    spectra = examples(300, np.random.default_rng(10))[0].astype(np.float32)
    for rows in (1, 300):
        found = dict(zip(names, session.run(names, {"spectrum": spectra[:rows]}), strict=True))
        expected = model.outputs(spectra[:rows])
        assert set(found) == set(expected)
        difference = (found["labels"] - expected["labels"]) / model.spread
        assert np.abs(difference).max() < 1e-4
        for name in ("sigma", "factors", "sigma_raw", "novelty"):
            np.testing.assert_allclose(found[name], expected[name], rtol=2e-3, atol=1e-5)


def test_equal_members_have_errors_all_the_same(model):
    runtime = pytest.importorskip("onnxruntime")
    from starmill_export import ensemble_graph

    alike = ensembles.Ensemble(
        [model.members[0]] * 3, model.mean, model.spread, model.novelty, model.errors
    )
    exported = ensemble_graph.build(alike, "toy", "0.1", "test").SerializeToString()
    spectra = examples(5, np.random.default_rng(11))[0].astype(np.float32)
    found = runtime.InferenceSession(exported).run(["sigma"], {"spectrum": spectra})[0]
    assert np.isfinite(found).all()
    assert (found > 0).all()
    np.testing.assert_allclose(found, alike.outputs(spectra)["sigma"], rtol=2e-3)
