"""The reference recipe: against the package it follows, and against its batched form."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from starmill_export import golden, instrument, manifest, prepare, sampling, training_set, weighting
from starmill_export.prepare import Reject, Spectrum

MASK, DEGRADE, _ = manifest.RECIPE


def coronagraph_module(name):
    """One module of the package, without the imports of its `__init__`."""
    package = importlib.util.find_spec("coronagraph")
    if package is None:
        pytest.skip("skipped: the package coronagraph is not installed")
    path = Path(package.submodule_search_locations[0]) / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def native(seed=1):
    wave = 10 ** (golden.FIRST_LOG + golden.LOG_STEP * np.arange(golden.PIXELS))
    flux = np.random.default_rng(seed).uniform(50, 100, len(wave))
    zeros = np.zeros(len(wave), int)
    return Spectrum(wave, flux, np.ones(len(wave)), zeros.copy(), zeros.copy())


def test_the_grid_is_that_of_coronagraph():
    routines = coronagraph_module("noise_routines")
    centres, widths = routines.construct_lam(manifest.FIRST, manifest.LAST, Res=200.0)
    ours, edges = prepare.grid(manifest.FIRST, manifest.LAST, 200.0)
    assert len(ours) == 143
    np.testing.assert_allclose(ours, centres, rtol=1e-12)
    theirs = np.hstack([centres - 0.5 * widths, centres[-1] + 0.5 * widths[-1]])
    np.testing.assert_allclose(edges, theirs, rtol=1e-12)


@pytest.mark.parametrize("name", weighting.WEIGHTINGS)
def test_clean_spectra_degrade_as_in_coronagraph(name):
    routines, degrading = coronagraph_module("noise_routines"), coronagraph_module("degrade_spec")
    centres, widths = routines.construct_lam(manifest.FIRST, manifest.LAST, Res=200.0)
    spectrum = native()
    result = prepare.prepare(spectrum, weighting.recipe_with(manifest.RECIPE, name))
    inside = result.window
    expected = degrading.downbin_spec(
        spectrum.flux[inside], spectrum.wave[inside], centres, dlam=widths
    )
    np.testing.assert_allclose(result.degraded, expected, rtol=1e-12)


@pytest.mark.parametrize("name", weighting.WEIGHTINGS)
def test_batches_equal_single_spectra(name, stars):
    rng = np.random.default_rng(5)
    recipe = weighting.recipe_with(manifest.RECIPE, name)
    labels, _, _ = sampling.stars(40, stars.labels, rng)
    batch = training_set.simulate(labels, stars, rng)
    batch.ivar[0, 1000:1120] = 0
    batch.ivar[1, :800] = 0
    together = training_set.prepare_batch(batch, recipe)
    assert (batch.ivar == 0).any(axis=1).sum() > 10
    for row in range(len(labels)):
        try:
            alone = prepare.prepare(training_set.native_spectrum(batch, row), recipe).input
        except Reject:
            assert np.isnan(together[row]).all()
            continue
        np.testing.assert_allclose(together[row], alone, rtol=0, atol=1e-9)
    assert np.isnan(together[1]).all()


def test_lost_pixels_do_not_count():
    spectrum = native()
    before = prepare.prepare(spectrum, manifest.RECIPE).degraded
    spectrum.flux[1000] = 1e9
    spectrum.ivar[1000] = 0
    after = prepare.prepare(spectrum, manifest.RECIPE)
    changed = np.flatnonzero(before != after.degraded)
    assert len(changed) == 1
    assert abs(after.degraded[changed[0]] / before[changed[0]] - 1) < 0.05


def test_emptied_bins_are_interpolated():
    spectrum = native()
    _, edges = prepare.grid(manifest.FIRST, manifest.LAST, 200.0)
    spectrum.ivar[(spectrum.wave >= edges[50]) & (spectrum.wave < edges[51])] = 0
    result = prepare.prepare(spectrum, manifest.RECIPE)
    assert result.empty_bins == 1
    low, high = sorted((result.degraded[49], result.degraded[51]))
    assert low <= result.degraded[50] <= high


def blue(spectrum):
    for name in ("wave", "flux", "ivar", "andmask", "ormask"):
        setattr(spectrum, name, getattr(spectrum, name)[:3000])


def lost(spectrum):
    spectrum.ivar[500:1300] = 0


def six_bins(spectrum):
    spectrum.ivar[(spectrum.wave > 5000) & (spectrum.wave < 5200)] = 0


def flat(spectrum):
    spectrum.flux[:] = 3.0


def fibre(spectrum):
    spectrum.fibermask = 64


def observed_twice(spectrum):
    spectrum.ormask[1000] = 4


@pytest.mark.parametrize(
    ("spoil", "rules", "code"),
    [
        (blue, {}, "wavelength_coverage"),
        (lost, {}, "too_many_bad_pixels"),
        (six_bins, {}, "too_many_bad_pixels"),
        (flat, {}, "flat_spectrum"),
        (fibre, {}, None),
        (fibre, {"fibermask": "reject"}, "fiber_mask"),
        (observed_twice, {}, None),
        (observed_twice, {"ormask": "reject"}, "or_mask"),
    ],
)
def test_rejects(spoil, rules, code):
    spectrum = native()
    spoil(spectrum)
    recipe = [MASK | rules, DEGRADE, {"step": "zscore"}]
    if code is None:
        assert np.isfinite(prepare.prepare(spectrum, recipe).input).all()
        return
    with pytest.raises(Reject) as reject:
        prepare.prepare(spectrum, recipe)
    assert reject.value.code == code


def test_the_window_holds_the_papers_pixels():
    assert len(instrument.NATIVE) == 3076
    pixels = prepare.window(native().wave, DEGRADE)
    assert (pixels.start, pixels.stop) == (339, 3415)
    single = native().wave.astype(np.float32).astype(float)
    assert prepare.window(single, DEGRADE) == pixels
