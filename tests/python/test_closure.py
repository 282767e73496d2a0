"""The report of a closure finds the bias that was put in, and leaves out what is flagged."""

from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table

from closure import closures, matched, section

STARS = 4000


@pytest.fixture
def case(tmp_path: Path) -> tuple[Path, Path]:
    """Return a night and a catalogue: logg is half an error too high, every tenth row is bad."""
    rng = np.random.default_rng(1)
    names = np.array([f"lamost-lrs:61366-SIML001V01-01-{i:04}" for i in range(STARS)])
    teff, logg = rng.uniform(4000, 5500, STARS), rng.uniform(1, 3, STARS)
    night, catalogue = tmp_path / "night", tmp_path / "catalogue"
    night.mkdir()
    catalogue.mkdir()
    truth = Table({"spectrum_id": names, "z": np.ma.masked_all(STARS), "teff": teff, "logg": logg})
    # What is no star, or has no row, is not compared.
    truth["class"] = np.where(np.arange(STARS) == 0, "QSO", "STAR")
    truth["outcome"] = np.where(np.arange(STARS) == 1, "empty_file", "row")
    truth.write(night / "truth.csv")
    bad = np.arange(STARS) % 10 == 2
    rows = Table({"spectrum_id": names, "z": np.zeros(STARS), "flag_bad": bad})
    rows["teff"] = teff + rng.normal(0, 50, STARS) + np.where(bad, 5000, 0)
    rows["teff_err"], rows["logg_err"] = 50.0, 0.1
    rows["logg"] = logg + rng.normal(0.05, 0.2, STARS)
    # The last star's file is missing.
    rows[rng.permutation(STARS - 1)].write(catalogue / "catalogue.fits")
    return night, catalogue


def test_a_bias_is_found(case: tuple[Path, Path]) -> None:
    rows, bad, without = matched(*case)
    assert (bad, without) == (STARS // 10, 1)
    teff, logg = closures(rows)
    assert (teff.label, logg.label) == ("teff", "logg")
    assert abs(teff.bias) < 5 * teff.uncertainty < 0.1 and teff.verdict == "yes"
    assert abs(logg.bias - 0.5) < 5 * logg.uncertainty < 0.2 and logg.verdict == "no"
    assert 0.93 < teff.width < 1.07 and 1.86 < logg.width < 2.14


def test_a_section_has_a_line_for_each_label(case: tuple[Path, Path]) -> None:
    text = section("a night", *case)
    assert (
        f"{STARS - 3 - STARS // 10} rows; left out: {STARS // 10} flagged bad, 1 rejects." in text
    )
    assert [line.split(" | ")[0] for line in text.splitlines() if line.startswith("| ")] == [
        "| label",
        "| ---",
        "| teff",
        "| logg",
    ]
