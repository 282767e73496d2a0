"""The Python baseline does the job of starmill: same bins, same rejects, same rows."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from astropy.io import fits

import baseline
from lrs_layouts import LAYOUTS
from make_lrs import Order, make

ROOT = Path(__file__).resolve().parents[2]
MASK = {
    "step": "mask",
    "pixels": "andmask",
    "fibermask": "flag",
    "ormask": "flag",
    "max_bad_fraction": 0.2,
}
DEGRADE = {
    "step": "degrade",
    "first": 10**3.6021,
    "last": 10**3.9096,
    "resolving_power": 200.0,
    "weighting": "good",
    "max_empty_bins": 5,
}


def recipe(**changes: object) -> baseline.Recipe:
    mask = MASK | {key: value for key, value in changes.items() if key in MASK}
    degrade = DEGRADE | {key: value for key, value in changes.items() if key in DEGRADE}
    return baseline.read_recipe({"recipe": [mask, degrade, {"step": "zscore"}]})


def spectrum(**changes: object) -> baseline.Spectrum:
    wave = 10.0 ** (3.5682 + 1e-4 * np.arange(3909))
    arrays = {
        "wave": wave,
        "flux": wave.copy(),
        "ivar": np.ones_like(wave),
        "andmask": np.zeros_like(wave),
        "ormask": np.zeros_like(wave),
        "header": fits.Header({"FIBERMAS": 0}),
    }
    return baseline.Spectrum(**(arrays | changes))


def test_bins_are_those_of_coronagraph() -> None:
    # coronagraph 1.1: lam, dlam = construct_lam(10**3.6021, 10**3.9096, Res=200)
    centres, edges = recipe().centres, recipe().edges
    assert centres.size == 143
    assert centres[[0, 1, 71, 142]] == pytest.approx(
        [4000.36851046, 4020.37035301, 5700.20381817, 8122.33260105], rel=1e-11
    )
    assert edges[0] == pytest.approx(4000.36851046 - 0.5 * 20.00184255, rel=1e-11)
    assert edges[143] == pytest.approx(8122.33260105 + 0.5 * 40.51063897, rel=1e-11)


def test_inputs_have_zero_mean_and_unit_deviation() -> None:
    values, bits = baseline.prepare(spectrum(), recipe())
    assert bits == 0
    assert (values.mean(), values.std()) == (pytest.approx(0), pytest.approx(1))
    assert np.all(np.diff(values[1:-1]) > 0)


@pytest.mark.parametrize("weighting", ["good", "ivar"])
def test_unusable_pixels_have_no_say(weighting: str) -> None:
    clean = spectrum()
    spoiled = spectrum()
    expected, _ = baseline.prepare(clean, recipe(weighting=weighting))
    pixels = np.array([500, 1000, 1001, 2000])
    spoiled.flux[pixels] = [np.nan, 1e30, -1e30, np.inf]
    spoiled.andmask[pixels[1:3]] = 4
    values, bits = baseline.prepare(spoiled, recipe(weighting=weighting))
    assert bits == baseline.BAD_PIXELS
    # Means move by the pixels that are missing, not by what they held.
    assert np.max(np.abs(values - expected)) < 0.01


def test_an_emptied_bin_is_interpolated() -> None:
    holed = spectrum()
    edges = recipe().edges
    holed.ivar[(holed.wave >= edges[70]) & (holed.wave < edges[71])] = 0
    values, bits = baseline.prepare(holed, recipe())
    assert bits == baseline.BAD_PIXELS | baseline.EMPTY_BINS
    assert values[69] < values[70] < values[71]


@pytest.mark.parametrize(
    ("changes", "rules", "reason"),
    [
        ({"wave": 10.0 ** (3.7 + 1e-4 * np.arange(3909))}, {}, "wavelength_coverage"),
        ({"ivar": np.zeros(3909)}, {}, "too_many_bad_pixels"),
        ({"flux": np.ones(3909)}, {}, "flat_spectrum"),
        ({"ormask": np.ones(3909)}, {"ormask": "reject"}, "or_mask"),
        ({"header": fits.Header({"FIB_MASK": 64})}, {"fibermask": "reject"}, "fiber_mask"),
    ],
)
def test_rejects_are_named(changes: dict, rules: dict, reason: str) -> None:
    with pytest.raises(baseline.RejectError, match=reason):
        baseline.prepare(spectrum(**changes), recipe(**rules))


def test_real_files_of_every_layout_are_read() -> None:
    folder = ROOT / os.environ.get("STARMILL_REAL_DATA", "../shared/data/real")
    files = sorted(folder.glob("lrs_*/*.fits*"))
    if not files:
        pytest.skip("skipped: there are no real spectra; set STARMILL_REAL_DATA")
    for path in files:
        read = baseline.read_spectrum(path)
        assert np.all(np.diff(read.wave) > 0)
        assert read.wave.size == read.flux.size == read.ivar.size
        assert 3690 < read.wave[0] < 3800 and 8000 < read.wave[-1] < 9200


def run_both(starmill: Path, model: Path, data: Path, scratch: Path) -> tuple[dict, dict]:
    """Run both programs over a folder; return the rows of each by file name."""
    command = [str(starmill), "run", "--model", model.name, "--out", str(scratch / "starmill")]
    done = subprocess.run(
        [*command, str(data)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode in (0, 1), done.stderr
    command = [sys.executable, str(ROOT / "ops/bench/baseline.py"), "--model", str(model)]
    done = subprocess.run(
        [*command, "--out", str(scratch / "baseline"), str(data)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout.splitlines()[-1])["rows"] > 0
    return rows_of(scratch / "starmill"), rows_of(scratch / "baseline")


def rows_of(folder: Path) -> dict[str, dict]:
    rows = pq.read_table(folder / "catalogue.parquet").to_pylist()
    return {Path(row["file"]).name: row for row in rows}


def test_both_programs_give_the_same_rows(starmill: Path, model: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    make(data, Order(60, seed=3, compress=True), LAYOUTS, workers=2)
    by_starmill, by_baseline = run_both(starmill, model, data, tmp_path)
    assert by_starmill.keys() == by_baseline.keys()
    shared_bits = sum(
        value for name, value in vars(baseline).items() if name.isupper() and name in FLAGS
    )
    for name, expected in by_baseline.items():
        row = by_starmill[name]
        for label, scale in LABEL_SCALES.items():
            assert abs(row[label] - expected[label]) / scale < 1e-3, f"{label} of {name}"
        assert row["flags"] & shared_bits == expected["flags"], name


FLAGS = {
    "LOW_SNR",
    "SNR_UNKNOWN",
    "BAD_PIXELS",
    "EMPTY_BINS",
    "FIBER_MASK",
    "OR_MASK",
    "LABEL_RANGE",
    "EXTRAPOLATION",
}
# A thousandth of these is far below any use and above the rounding of single precision.
LABEL_SCALES = {"teff": 635.0, "logg": 0.75, "fe_h": 0.45, "c_fe": 0.13, "n_fe": 0.15, "c_h": 0.5}
