"""The reference recipe for medium-resolution spectra: what it promises, and its stored values."""

import json
from pathlib import Path

import numpy as np
import pytest

from starmill_export import mrs_golden, mrs_prepare
from starmill_export.mrs_prepare import Reject, Spectrum

GOLDEN = Path(__file__).resolve().parents[3] / "tests/mrs_recipe/golden.json"
WINDOWS = mrs_golden.SMALL_WINDOWS
STEPS = mrs_golden.recipe(WINDOWS)
DESPIKE, CONTINUUM = STEPS[4], STEPS[5]


def star(seed: int = 3) -> Spectrum:
    return mrs_golden.synthetic(np.random.default_rng(seed), WINDOWS)


def test_the_windows_are_those_of_arange():
    for window in mrs_golden.PUBLISHED_WINDOWS:
        pixels = mrs_prepare.grid(window)
        assert len(pixels) == 3600
        np.testing.assert_allclose(pixels, np.arange(*window), atol=1e-8)


def test_the_stored_values_are_those_of_this_code():
    stored = json.loads(GOLDEN.read_text())
    made = mrs_golden.synthetic_cases()
    assert [case["name"] for case in stored["cases"]] == list(mrs_golden.SPOILERS)
    for old, new in zip(stored["cases"], made["cases"], strict=True):
        assert old["recipe"] == new["recipe"]
        for name, values in new["steps"].items():
            np.testing.assert_allclose(old["steps"][name], values, rtol=1e-8, atol=1e-8)


def test_the_median_is_that_of_scipy():
    signal = pytest.importorskip("scipy.signal", reason="skipped: scipy is not installed")
    flux = star().flux[:200]
    flux[[0, 50, 51, 199]] = [0, 9e3, 8e3, 1e4]
    # Everything is an outlier if none may differ.
    found = mrs_prepare.despike(flux, {"lower": 0, "upper": 0})
    np.testing.assert_array_equal(found, signal.medfilt(flux, 3))


def test_a_shift_of_the_star_changes_nothing():
    moved = star()
    still = mrs_prepare.prepare(moved, STEPS[:6])
    moved.rv_kms = 87.5
    moved.wave = moved.wave * (1 + 87.5 / mrs_prepare.SPEED_OF_LIGHT)
    np.testing.assert_allclose(mrs_prepare.prepare(moved, STEPS[:6]), still, atol=1e-9)


def test_a_polynomial_becomes_one():
    wave = mrs_prepare.grid(mrs_golden.PUBLISHED_WINDOWS[0])
    log = np.log10(wave)
    x = (log - log.mean()) / log.std()
    flux = 500 + 60 * x - 9 * x**2 + 4 * x**3 - 2 * x**5
    fitted, fits = mrs_prepare.continuum(wave, flux, CONTINUUM)
    np.testing.assert_allclose(flux / fitted, 1, atol=1e-10)
    assert fits == 1


def slow(s: Spectrum) -> None:
    s.snr_r = 9.9


def nowhere(s: Spectrum) -> None:
    s.rv_kms = -9999.0


def cut(s: Spectrum, end: float) -> None:
    inside = s.wave < end
    for name in ("wave", "flux", "ivar", "andmask", "ormask"):
        setattr(s, name, getattr(s, name)[inside])


def one_arm(s: Spectrum) -> None:
    cut(s, 6000)


def short(s: Spectrum) -> None:
    cut(s, 6560)


def many_bad(s: Spectrum) -> None:
    s.ivar[60:180:2] = 0
    s.ormask[320:410:2] = 4


def long_run(s: Spectrum) -> None:
    s.ivar[100:131] = 0


def through_zero(s: Spectrum) -> None:
    s.flux -= 500


def flat(s: Spectrum) -> None:
    s.flux[:] = 3.0


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (slow, "low_snr"),
        (nowhere, "no_radial_velocity"),
        (one_arm, "missing_arm"),
        (short, "wavelength_coverage"),
        (many_bad, "too_many_bad_pixels"),
        (long_run, "too_many_bad_pixels"),
        (through_zero, "bad_continuum"),
        (flat, "flat_spectrum"),
    ],
)
def test_rejects(spoil, code):
    spectrum = star()
    spoil(spectrum)
    recipe = [dict(step) for step in STEPS[:6]]
    recipe[1]["missing"] = "reject"
    if spoil is not nowhere:
        spectrum.rv_kms = 0.0
    with pytest.raises(Reject) as reject:
        mrs_prepare.prepare(spectrum, recipe)
    assert reject.value.code == code
