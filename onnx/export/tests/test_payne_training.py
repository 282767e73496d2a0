"""The Payne's training: the prior, checkpoints, and the command on a toy."""

import json
import tomllib

import numpy as np
import pytest

pytest.importorskip("jax")
pytest.importorskip("scipy")

from test_payne import SmallBossbrain

from starmill_export.payne import cli, fit, giants, net, prior
from starmill_export.rrnet import emulator as rrnet_emulator
from starmill_export.rrnet import labels as rrnet_labels

PIXELS = 30
STEP = 0.4


def silent(_message):
    pass


def correlated(d_scale):
    """A net from noisy spectra of two labels that nearly always go together, one per line."""
    rng = np.random.default_rng(1)
    both = rng.uniform(-1, 1, (200, 1))
    given = both + 0.05 * rng.normal(size=(200, 2))
    lines = np.zeros((2, PIXELS))
    lines[0, 5:8], lines[1, 20:23] = -0.1, -0.1
    flux = 1 + given @ lines + 0.02 * rng.normal(size=(200, PIXELS))
    halves = np.eye(2) * STEP / 2
    theory = prior.Prior(-halves, halves, STEP * lines)
    coordinates = np.eye(2), np.zeros(2)
    mean = flux.mean(axis=0)
    data = fit.data(given, flux - mean, mean, None, theory, coordinates)
    plan = fit.Plan(nodes=8, steps=2 * fit.CHUNK, batch=50, d_scale=d_scale, noise=0.02)
    model = fit.physical(fit.train(data, plan, False, None, silent), data, coordinates)
    return prior.correlation(model(halves) - model(-halves), theory.gradients)


def test_the_prior_tells_labels_apart_that_always_go_together():
    without, with_prior = correlated(0.0), correlated(10.0)
    assert (without < 0.9).all()
    assert (with_prior > 0.97).all()


@pytest.mark.parametrize("per_pixel", [False, True])
def test_training_goes_on_where_it_stopped(tmp_path, per_pixel, monkeypatch):
    rng = np.random.default_rng(2)
    given, mean = rng.uniform(-1, 1, (80, 2)), np.ones(6)
    halves = np.eye(2) * 0.1
    lines = rng.normal(size=(2, 6))
    theory = prior.Prior(-halves, halves, 0.2 * lines)
    coordinates = np.eye(2), np.zeros(2)
    data = fit.data(given, given @ lines, mean, None, theory, coordinates)
    plan = fit.Plan(nodes=3, steps=8 * 2 * fit.CHUNK, batch=16)
    path = tmp_path / "net.npz"
    whole = fit.train(data, plan, per_pixel, None, silent)

    class Stop(Exception):
        pass

    def stop(_message):
        if path.exists():
            raise Stop

    with pytest.raises(Stop):
        fit.train(data, plan, per_pixel, path, stop)
    messages = []
    resumed = fit.train(data, plan, per_pixel, path, messages.append)
    assert "going on" in messages[0]
    for name, value in whole.items():
        np.testing.assert_array_equal(resumed[name], value)
    other = fit.Plan(nodes=3, steps=plan.steps, batch=17)
    with pytest.raises(ValueError, match="remove it"):
        fit.train(data, other, per_pixel, path, silent)


def test_components_and_pixels_give_the_same_net():
    rng = np.random.default_rng(3)
    spectra = rng.normal(size=(40, 12)).astype(np.float32)
    mean, basis = fit.principal(spectra, 12)
    np.testing.assert_allclose(basis @ basis.T, np.eye(12), atol=1e-5)
    np.testing.assert_allclose((spectra - mean) @ basis.T @ basis + mean, spectra, atol=1e-5)


def test_left_out_stars_are_those_of_an_emulator_without_them():
    rng = np.random.default_rng(5)
    count, pixels = 12, 4
    stars = np.zeros((count, len(rrnet_labels.SYNTHESIS)))
    stars[:, 0], stars[:, 1] = rng.uniform(4500, 6500, count), rng.uniform(1, 4.5, count)
    stars[:, 3:] = rng.normal(0, 0.2, (count, stars.shape[1] - 3))
    constants = np.full(rrnet_emulator.COORDINATES + 1 + 28 + 2, -1.0)
    constants[-1] = -4
    depth = rng.uniform(0, 1, (count, pixels))

    def fitted(rows):
        points = rrnet_emulator.coordinates(stars[rows])
        covariance = rrnet_emulator._covariance(np, constants, points, points)
        covariance += np.exp(constants[-1]) * np.eye(len(points[0]))
        weights = np.linalg.solve(covariance, depth[rows])
        return rrnet_emulator.Emulator(
            constants, stars[rows], weights, np.zeros(pixels), np.arange(pixels)
        )

    given, predicted = rrnet_emulator.left_out(fitted(np.arange(count)))
    np.testing.assert_allclose(given, np.exp(-depth), rtol=1e-5)
    for row in (0, 7):
        others = np.delete(np.arange(count), row)
        expected = fitted(others)(stars[row : row + 1])[0]
        np.testing.assert_allclose(predicted[row], expected, rtol=1e-4)


def test_the_command_makes_a_folder(tmp_path):
    source = giants.Giants(SmallBossbrain())
    cli.run(source, "smoke", "all", tmp_path, tmp_path / "model", silent)
    parsed = tomllib.loads((tmp_path / "model/manifest.toml").read_text())
    assert parsed["spectrum"]["pixels"] == len(source.wave)
    card = (tmp_path / "model/CARD.md").read_text()
    figure = json.loads((tmp_path / "payne-smoke/figure_3.json").read_text())
    assert len(figure) == 4
    for title, row in figure.items():
        assert f"noisy: {title}" in card
        assert list(row["correlation"]) == source.names
    with pytest.raises(ValueError, match="make it anew"):
        cli.run(source, "reference", "train", _moved(tmp_path), None, silent)


def _moved(folder):
    target = folder / "other/payne-reference"
    target.mkdir(parents=True)
    (folder / "payne-smoke/spectra.npz").rename(target / "spectra.npz")
    return folder / "other"


def test_the_published_net_is_trained_block_by_block(tmp_path):
    from dataclasses import replace

    from starmill_export.payne import pipeline

    source = giants.Giants(SmallBossbrain())
    source.wave = source.wave[:5]
    source._last = [[matrix[:, :5] for matrix in pair] for pair in source._last]
    size = replace(pipeline.SMOKE, components=5, block=3)
    made = pipeline.simulate(source, size, silent)
    model = pipeline.train_published(source, made, size, tmp_path, silent)
    assert isinstance(model, net.PerPixel)
    assert model(source.references).shape == (len(source.references), 5)
    alone = pipeline.train_per_pixel(source, made, size.per_pixel, slice(3, 6), None, silent)
    np.testing.assert_allclose(model(source.references)[:, 3:], alone(source.references))
