"""How rows are held against a forward model: the comparison, the curves and the data."""

import json
import tomllib

import numpy as np
import pytest

sparse = pytest.importorskip("scipy.sparse")

from conftest import REPOSITORY  # noqa: E402

from starmill_export import consistency, manifest  # noqa: E402
from starmill_export.consistency import compare, limits, visits  # noqa: E402
from starmill_export.lamost import Observation  # noqa: E402
from starmill_export.prepare import Spectrum  # noqa: E402

WAVE = 10 ** (3.65 + 1e-4 * np.arange(1500))


def lines(depth: float) -> np.ndarray:
    """A line every 40 pixels."""
    place = (np.arange(len(WAVE)) % 40 - 20) / 2
    return 1 - depth * np.exp(-(place**2) / 2)


def test_noise_alone_has_a_chi_square_of_one_under_any_continuum():
    rng = np.random.default_rng(1)
    continuum = 300 * (WAVE / 5000) ** rng.uniform(-2, 2, (200, 1))
    data = continuum * (lines(0.5) + rng.normal(size=(200, len(WAVE))) / 50)
    grid = compare.Grid(WAVE, np.ones(len(WAVE), bool))
    model = np.tile(lines(0.5), (200, 1))
    found = grid.verdicts(data, (continuum / 50) ** -2 * np.ones_like(data), model, 0 * model)
    assert found.chi2.mean() == pytest.approx(1, abs=0.01)
    assert found.region_chi2.max() < 2 and not found.share.any()


def test_what_is_left_out_counts_nowhere_and_a_wrong_line_where_it_is():
    good = (WAVE < 4800) | (WAVE > 4850)
    grid = compare.Grid(WAVE, good)
    data = np.tile(lines(0.5), (2, 1))
    data[:, ~good] = 50.0
    data[1, np.abs(WAVE - 5210) < 5] *= 1.3
    found = grid.verdicts(data, np.full_like(data, 1e4), np.tile(lines(0.5), (2, 1)), 0 * data)
    assert found.chi2[0] < 1e-3 < 1 < found.chi2[1]
    place = np.floor(5210 / 12.5) - np.floor(WAVE[0] / 12.5)
    assert found.region_chi2[1].argmax() == place // compare.GROUPS_IN_REGION


def test_one_in_a_hundred_is_flagged_whatever_the_share_of_the_model():
    def drawn(share: float, rng: np.random.Generator) -> compare.Verdicts:
        # The larger the share of the model, the more chi-square scatters.
        share = np.full(8000, share)
        scatter = 0.1 + 0.5 * share**0.5
        whole = 1 + scatter * rng.exponential(size=len(share))
        regions = 1 + 2 * scatter[:, None] * rng.exponential(size=(len(share), 8))
        return compare.Verdicts(whole, share, regions, np.tile(share[:, None], 8))

    rng = np.random.default_rng(2)
    places = (0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 0.9)
    curves = limits.calibrated([drawn(place, rng) for place in places], 0.01)
    for share in (0.1, 0.5, 0.9):
        rate = limits.flagged(drawn(share, rng), *curves).mean()
        assert 1 / 200 < rate < 1.5 / 100


def test_manifests_have_what_the_data_say():
    for model in json.loads(consistency.DATA.read_text(encoding="utf-8")):
        path = REPOSITORY / "onnx/models" / model / "manifest.toml"
        shipped = tomllib.loads(path.read_text(encoding="utf-8"))
        names = [label["name"] for label in shipped["label"]]
        assert shipped["consistency"] == consistency.section(model, names)
    text = consistency.DATA.read_text(encoding="utf-8")
    assert consistency.text(json.loads(text)) == text
    assert consistency.section("rrnet", ["teff", "rv"])["errors"] == [70.0, consistency.UNKNOWN]
    assert manifest.table("[consistency]", consistency.section("spemr", ["teff"]))


def test_visits_differ_where_one_has_a_line_of_the_sky():
    rng = np.random.default_rng(3)

    def visit(sky: float) -> Observation:
        flux = lines(0.3) * (1 + rng.normal(size=len(WAVE)) / 40)
        flux[np.abs(WAVE - 5312) < 10] += sky * rng.normal(size=(np.abs(WAVE - 5312) < 10).sum())
        none = np.zeros(len(WAVE), int)
        ivar = (lines(0.3) / 40) ** -2
        return Observation(
            None, 1, 40.0, "STAR", "G2", 0.0, Spectrum(WAVE, flux, ivar, none, none, 0)
        )

    found = {row[0]: row[1:] for row in visits.differences(visit(0.0), visit(0.2))}
    worst = max(found, key=lambda wave: found[wave][0])
    assert worst == 5300 and found[worst][1] ** 0.5 == pytest.approx(0.13, abs=0.05)
    assert np.median([chi2 for chi2, _ in found.values()]) == pytest.approx(1, abs=0.2)
    assert not visits.differences(visit(0.0), visit(2e3)) or len(found) > 20
