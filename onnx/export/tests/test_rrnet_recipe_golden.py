"""The golden spectra of the model folder: small, and what the recipe makes of what is written."""

import itertools
import json

import numpy as np
import pytest

from starmill_export import mrs_prepare
from starmill_export.rrnet import batch_prepare, folder, recipe_golden

RNG = np.random.default_rng(6)
SCALE = np.concatenate([RNG.uniform(0.8, 1, 7200), RNG.uniform(0.02, 0.1, 7200)]).astype("<f4")


@pytest.fixture(scope="module", params=["c", "u"])
def written(request):
    steps = folder.recipe(request.param)
    return steps, recipe_golden.content(steps, SCALE.tobytes())


def test_what_is_written_gives_what_is_written(written):
    steps, content = written
    assert len(content) < 400_000
    cases = json.loads(content)["cases"]
    vectors = mrs_prepare.scale_vectors(SCALE.tobytes())
    for case in cases:
        again = recipe_golden.expected(recipe_golden.spectrum_of(case), steps, vectors)
        assert again == {name: case[name] for name in ("expected", "reject")}
    rejects = {case["name"]: case["reject"] for case in cases}
    assert rejects == {
        "still": None,
        "moving": None,
        "masked": None,
        "one bad pixel too many": "too_many_bad_pixels",
        "a long run": "too_many_bad_pixels",
        "faint": "low_snr",
    }


def test_every_step_is_in_it_and_shows(written):
    _, content = written
    for case in json.loads(content)["cases"]:
        if case["reject"]:
            continue
        expected = case["expected"]
        names = ["resample", "despike", "continuum", "clip", "scale"]
        assert list(expected) == ["pixels", *names]
        assert len(expected["pixels"]) >= 300
        for before, after in itertools.pairwise(names):
            # Only a spectrum with cosmic rays is clipped.
            changes = after != "clip" or case["name"] == "moving"
            assert (expected[before] != expected[after]) == changes, (case["name"], after)


def test_the_batch_recipe_agrees_with_it(written):
    """Another implementation, in single precision, from the resampled flux on."""
    steps, content = written
    for case in json.loads(content)["cases"]:
        if case["reject"]:
            continue
        spectrum = recipe_golden.spectrum_of(case)
        resampled = mrs_prepare.prepare(spectrum, steps[: 1 + index_of(steps, "resample")])
        found, usable = batch_prepare.normalise(resampled[None].astype(np.float32))
        assert usable.all()
        pixels = case["expected"]["pixels"]
        np.testing.assert_allclose(found[0, pixels], case["expected"]["clip"], atol=2e-5)


def index_of(steps, name):
    return [step["step"] for step in steps].index(name)
