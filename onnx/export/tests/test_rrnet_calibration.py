"""Errors that are calibrated mean what they say, in the reference and in every graph."""

import dataclasses

import numpy as np
import pytest

from starmill_export.rrnet import calibration, net
from starmill_export.rrnet.examples import Scaling
from starmill_export.rrnet.net import Shape
from starmill_export.rrnet.network_file import FACTORS, LABELS, SIGMA, Ensemble

RNG = np.random.default_rng(12)


def noisy(count):
    """Spectra of noise between 0.1 and 1, and sigma that knows half of what noise does to it."""
    noise = np.exp(RNG.uniform(np.log(0.1), 0, count))
    spectra = noise[:, None] * RNG.normal(size=(count, 300))
    sigma = np.exp(RNG.normal(-1, 0.3, (count, 2)))
    right = sigma * np.array([0.4, 0.8]) * noise[:, None] ** np.array([0.5, 0.0])
    return spectra, sigma, right, right * RNG.normal(size=(count, 2))


def test_residuals_scatter_by_the_calibrated_sigma_at_every_noise():
    pytest.importorskip("scipy")
    spectra, sigma, _, residuals = noisy(4000)
    fitted = calibration.fit(residuals, sigma, spectra)
    spectra, sigma, right, residuals = noisy(6000)
    factor = fitted.factor(sigma, spectra)
    np.testing.assert_allclose(np.median(factor * sigma / right, axis=0), 1, atol=0.05)
    third = np.argsort(np.argsort(calibration.roughness(spectra))) // 2000
    for part in range(3):
        raw, found = (
            (residuals / error)[third == part].std(axis=0) for error in (sigma, sigma * factor)
        )
        assert raw.max() < 0.9
        np.testing.assert_allclose(found, 1, atol=0.1)


def test_what_was_never_seen_is_not_extrapolated():
    pytest.importorskip("scipy")
    spectra, sigma, _, residuals = noisy(500)
    fitted = calibration.fit(residuals, sigma, spectra)
    silent = fitted.factor(sigma, np.zeros_like(spectra))
    assert np.isfinite(silent).all()
    wild = fitted.factor(1e6 * sigma, 1e6 * spectra)
    inside = fitted.factor(sigma, spectra)
    assert inside.min() / 2 < min(silent.min(), wild.min())
    assert max(silent.max(), wild.max()) < 2 * inside.max()


def test_sigma_that_does_not_vary_is_scaled_by_what_does():
    pytest.importorskip("scipy")
    spectra, sigma, _, residuals = noisy(1500)
    steady = np.full_like(sigma, 0.7)
    fitted = calibration.fit(residuals, steady, spectra)
    pulls = (residuals / (steady * fitted.factor(steady, spectra))).std(axis=0)
    np.testing.assert_allclose(pulls, 1, atol=0.05)


@pytest.mark.parametrize("regions", [1, 4])
def test_every_graph_is_calibrated_as_the_reference_and_labels_stay(regions):
    pytest.importorskip("scipy")
    pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")
    from starmill_export.rrnet import fast_graph, plain_graph

    shape = Shape(bands=5, hidden=7, dense=(12, 9), labels=2, pixels=80)
    members = [
        [net.initial(shape, 10 * region + seed) for seed in range(3)] for region in range(regions)
    ]
    scaling = Scaling(np.zeros(80), np.ones(80), np.array([5000.0, 1.0]), np.array([700.0, 0.5]))
    model = Ensemble(members, shape, scaling).rounded()
    spectra = RNG.uniform(0.1, 1, (40, 1)) * RNG.normal(size=(40, 80)).astype(np.float32)
    spectra = spectra.astype(np.float32)
    before = model(spectra)
    scatter = 0.3 * before[SIGMA] / scaling.label_spread * RNG.normal(size=(40, 2))
    fitted = calibration.fit(scatter, before[SIGMA] / scaling.label_spread, spectra)
    model = dataclasses.replace(model, calibration=fitted)
    after = model(spectra)
    assert (after[SIGMA] < 0.8 * before[SIGMA]).mean() > 0.9
    ratio = after[SIGMA] / before[SIGMA]
    np.testing.assert_allclose(after[FACTORS], before[FACTORS] * ratio[:, None, :])
    np.testing.assert_array_equal(after[LABELS], before[LABELS])
    for build, options, tolerance in (
        (plain_graph.build, {}, 1e-4),
        (fast_graph.build, {}, 1e-4),
        (fast_graph.build, {"calibration": spectra}, 0.05),
    ):
        graph = build(model, "toy", "0", True, **options)
        session = runtime.InferenceSession(graph.SerializeToString())
        names = [output.name for output in session.get_outputs()]
        found = dict(zip(names, session.run(None, {"spectrum": spectra}), strict=True))
        np.testing.assert_allclose(found[SIGMA], after[SIGMA], rtol=tolerance)
        # The scatter of the members is a part of the variance, so the diagonal stays positive.
        assert ((found[FACTORS] ** 2).sum(axis=1) < found[SIGMA] ** 2).all()
        if tolerance < 1e-3:
            spread = scaling.label_spread
            for name in (LABELS, FACTORS):
                np.testing.assert_allclose(found[name] / spread, after[name] / spread, atol=2e-5)
