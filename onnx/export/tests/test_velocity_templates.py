"""The templates for radial velocities: their bytes, and that they lie where their lines are."""

import numpy as np

from starmill_export.instrument import vacuum
from starmill_export.rrnet import velocity_templates as templates

SHIPPED = templates.Path(__file__).resolve().parents[3] / "src/rv/measure/templates.bin"


def test_what_is_written_is_read(tmp_path):
    stars, flux = templates.read(SHIPPED)
    np.testing.assert_array_equal(stars, templates.STARS.astype(np.float32))
    assert flux.min() > 0
    assert flux.max() < 1.1
    templates.write(tmp_path / "again.bin", stars, flux)
    assert (tmp_path / "again.bin").read_bytes() == SHIPPED.read_bytes()


def test_lines_are_at_rest():
    stars, flux = templates.read(SHIPPED)
    dwarf = flux[np.flatnonzero(stars[:, 0] == 5800)[0]]
    blue, red = np.arange(*templates.BLUE), np.arange(*templates.RED)
    split = len(blue)
    # Mg I b1 and H alpha in air, Angstrom (NIST).
    for air, bins, arm in [(5183.60, blue, dwarf[:split]), (6562.80, red, dwarf[split:])]:
        place = np.log10(vacuum(np.array(air))) / templates.STEP
        near = np.abs(bins - place) < 12
        assert abs(bins[near][arm[near].argmin()] - place) <= 1
