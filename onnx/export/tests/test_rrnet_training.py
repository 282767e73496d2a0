"""The data and the training of RRNet, on toys."""

import numpy as np
import pytest

from starmill_export.rrnet import batch_prepare, emulator, examples, labels, observe, syntheses
from starmill_export.rrnet import schedule as schedule_of
from starmill_export.rrnet.net import Shape

RNG = np.random.default_rng(5)
SMALL = Shape(bands=5, hidden=7, dense=(12, 9), labels=2, pixels=80)


def toy_grid(count):
    """Spectra whose one line per element deepens smoothly with abundance, metals and cold."""
    drawn = examples.sample_labels(count, "spemr", RNG)
    air = np.arange(200) * 0.1 + 5000
    centres = np.linspace(5001, 5019, len(labels.ELEMENTS))
    profile = np.exp(-0.5 * ((air - centres[:, None]) / 0.4) ** 2)
    strength = 0.2 * np.exp(0.8 * drawn[:, 4:] + 0.5 * drawn[:, 2:3])
    strength *= (5500 / drawn[:, :1]) ** 3
    return syntheses.Syntheses(drawn, np.exp(-strength @ profile).astype(np.float32), air)


def test_the_emulator_interpolates_what_it_has_not_seen():
    pytest.importorskip("jax")
    grid, unseen = toy_grid(150), toy_grid(40)
    fitted = emulator.fit(grid, print, steps=60)
    error = fitted(unseen.labels) - unseen.flux
    assert np.sqrt(np.mean(error**2)) < 0.1 * unseen.flux.std(axis=0).max()
    star = unseen.labels[0]
    raised = emulator.responses(fitted, star)
    # Magnesium moves its own line most.
    line = np.argmin(np.abs(grid.air - np.linspace(5001, 5019, 14)[3]))
    assert abs(np.argmin(raised[3]) - line) <= 2


def test_the_emulator_survives_its_file(tmp_path):
    pytest.importorskip("jax")
    fitted = emulator.fit(toy_grid(60), print, steps=2)
    fitted.save(tmp_path / "emulator.npz")
    again = emulator.load(tmp_path / "emulator.npz")
    stars = examples.sample_labels(5, "rrnet", RNG)
    np.testing.assert_array_equal(fitted(stars), again(stars))


def test_smoothing_reaches_the_resolving_power():
    air = 6000 + 0.1 * np.arange(1001)
    sigma = syntheses.FWHM * syntheses.SIGMA_OF_FWHM
    line = 1 - np.exp(-0.5 * ((air - air[500]) / sigma) ** 2)[None]
    smooth = 1 - syntheses.at_resolution(line, air, 7500.0)[0]
    width = np.sqrt((smooth * (air - air[500]) ** 2).sum() / smooth.sum())
    assert width / syntheses.SIGMA_OF_FWHM == pytest.approx(air.mean() / 7500, rel=1e-3)


def test_labels_stay_on_the_grid_and_are_no_carbon_stars():
    drawn = examples.sample_labels(3000, "rrnet", RNG)
    assert drawn[:, 0].min() > 3900
    assert drawn[:, 0].max() < 6600
    assert not labels.is_carbon_star(drawn).any()
    ours = labels.of_synthesis(drawn)
    assert ours.shape == (3000, len(labels.RRNET))
    np.testing.assert_allclose(ours[:, 3], drawn[:, 4] + drawn[:, 2])


def test_the_batch_recipe_is_the_reference_recipe():
    reference = pytest.importorskip(
        "starmill_export.mrs_prepare", reason="skipped: the reference recipe is not there"
    )
    step = {"lower": 3.0, "upper": 4.0, "order": 5, "max_iterations": 100}
    spectra = awkward(12)
    normalised, usable = batch_prepare.normalise(spectra)
    assert usable.all()
    for spectrum, ours in zip(spectra.astype(float), normalised, strict=True):
        expected = []
        for index, wave in enumerate(batch_prepare.GRIDS):
            arm = spectrum[index * batch_prepare.SPLIT :][: batch_prepare.SPLIT]
            clean = reference.despike(arm, step)
            expected.append(clean / reference.continuum(wave, clean, step)[0])
        expected = np.clip(np.concatenate(expected), *batch_prepare.CLIP)
        np.testing.assert_allclose(ours, expected, atol=2e-5)


def awkward(count):
    """Noisy polynomials with lines and spikes."""
    x = np.linspace(-1, 1, batch_prepare.PIXELS)
    smooth = 100 * np.exp(RNG.normal(0, 0.2, (count, 3)) @ np.stack([x, x**2, x**3]))
    smooth *= 1 - 0.5 * (RNG.random((count, batch_prepare.PIXELS)) < 0.03)
    smooth *= 1 + 0.03 * RNG.normal(size=smooth.shape)
    smooth[:, 500] *= 4
    return smooth.astype(np.float32)


def test_a_polynomial_is_its_own_continuum_and_a_negative_one_is_unfit():
    log = np.concatenate([np.log10(wave) for wave in batch_prepare.GRIDS])
    smooth = 50 + 30 * np.sin(40 * log) + np.zeros((2, 1))
    smooth[1] -= 100
    normalised, usable = batch_prepare.normalise(smooth.astype(np.float32))
    assert usable.tolist() == [True, False]
    # The first pixel takes the value of its neighbour: beyond the end the running median sees zero.
    np.testing.assert_allclose(normalised[0], 1, atol=5e-4)


def test_corrected_spectra_have_their_lines_at_rest_and_uncorrected_ones_do_not():
    air = np.concatenate([4960 + 0.1 * np.arange(3761), 6331 + 0.1 * np.arange(3761)])
    flux = 1 - 0.8 * np.exp(-0.5 * ((air - 5183.6) / 0.3) ** 2)[None]
    stars = examples.sample_labels(1, "rrnet", RNG)
    for variant, moved in (("c", False), ("u", True)):
        given = observe.conditions(stars, variant, np.random.default_rng(1))
        given.velocity[:], given.snr[:] = 80.0, 200.0
        given.velocity_error[:] = 80.0 if moved else 0.0
        seen = observe.observe(flux, air, given, np.random.default_rng(2))[0]
        line = batch_prepare.GRIDS[0][np.argmin(seen[1500:2500] / np.median(seen[:3600])) + 1500]
        expected = observe.vacuum(np.array([5183.6]))[0] * (1 + 80 / 299792.458 * moved)
        assert line == pytest.approx(expected, abs=0.25)


def toy_examples(count):
    target = RNG.normal(size=(count, 2)).astype(np.float32)
    inputs = (target @ RNG.normal(size=(2, 80)) + RNG.normal(size=(count, 80))).astype(np.float16)
    return examples.Examples(inputs, target, np.full((count, 2), 50.0))


def toy_scaling():
    return examples.Scaling(np.zeros(80), np.ones(80), np.zeros(2), np.ones(2))


def test_training_learns_and_resumes_to_the_same_weights(tmp_path):
    pytest.importorskip("jax")
    from starmill_export.rrnet import fit

    data = toy_examples(300)
    training, validation = data.part("training"), data.part("test")

    def run(folder, epochs):
        schedule = schedule_of.Schedule(epochs=epochs, batch=32, rate=3e-3, noise_from=2)
        said = []
        trained = fit.train(
            folder, SMALL, schedule, toy_scaling(), training, validation, 9, said.append
        )
        return trained, said

    whole, said = run(tmp_path / "whole", 6)
    first, last = (
        float(line.split("validation ")[1].split(",")[0]) for line in said[:: len(said) - 1]
    )
    assert last < first
    run(tmp_path / "parts", 3)
    resumed, said = run(tmp_path / "parts", 6)
    assert len(said) == 3
    for name, value in whole.items():
        np.testing.assert_array_equal(value, resumed[name])
    np.testing.assert_array_equal(fit.stored(tmp_path / "parts", 6)["mu.bias"], whole["mu.bias"])
    with pytest.raises(RuntimeError, match="resume"):
        fit.stored(tmp_path / "parts", 7)


def test_fine_tuning_leaves_the_trunk(tmp_path):
    pytest.importorskip("jax")
    from starmill_export.rrnet import fit, net

    data = toy_examples(200)
    start = net.initial(SMALL, 4)
    schedule = schedule_of.Schedule(epochs=2, batch=32, rate=1e-3, head_only=True)
    tuned = fit.train(
        tmp_path, SMALL, schedule, toy_scaling(), data, data, 9, lambda _: None, start
    )
    for name, value in start.items():
        assert np.array_equal(value, tuned[name]) != name.startswith(net.HEAD_PREFIXES), name


def test_noise_falls_on_the_share_of_pixels():
    from starmill_export.rrnet.schedule import add_noise

    inputs = np.zeros((50, 400), np.float32)
    add_noise(inputs, 0.25, np.random.default_rng(1))
    assert np.mean(inputs != 0) == pytest.approx(0.25, abs=0.02)
    assert inputs[inputs != 0].std() == pytest.approx(1, abs=0.05)
