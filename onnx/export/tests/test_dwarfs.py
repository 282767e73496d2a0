"""The nodes of dwarfs, and spectra between them."""

import numpy as np
import pytest

from starmill_export.bossbrain import WAVELENGTH_AIR
from starmill_export.dwarfs import emulator as dwarf_emulator
from starmill_export.dwarfs import nodes
from starmill_export.rrnet.syntheses import Syntheses


def computed(labels, guide):
    """What stands for SYNSPEC: the guide's lines, and one that grows with gravity and fades."""
    depth = dwarf_emulator.guide_depth(guide, dwarf_emulator.as_guided(labels, guide))
    wave = WAVELENGTH_AIR[nodes.PIXELS]
    profile = np.exp(-0.5 * ((wave - 5200) / 60) ** 2)
    strength = 0.4 * (labels[:, 1] - 3.4) * (5500 / labels[:, 0]) ** 3 + 0.1 * labels[:, 4]
    return np.exp(-depth - strength[:, None] * profile)


@pytest.fixture
def grid(emulator):
    labels = nodes.sample(72)
    return Syntheses(labels, computed(labels, emulator), WAVELENGTH_AIR[nodes.PIXELS])


def test_the_nodes_are_even_however_many():
    labels = nodes.sample(200)
    np.testing.assert_array_equal(labels[:50], nodes.sample(50))
    for count in (60, 200):
        names = nodes.LABELS
        columns = [names.index(name) for name in names if name not in ("vmicro", "c_m", "o_m")]
        correlation = np.corrcoef(nodes.sample(count)[:, columns].T) - np.eye(len(columns))
        assert np.abs(correlation).max() < 0.35
    assert (labels[:, 0] > nodes.TEFF[0]).all()
    assert (labels[:, 0] < nodes.TEFF[1]).all()
    cool = labels[:, 0] < nodes.COOL
    carbon, oxygen = (labels[:, nodes.LABELS.index(name)] for name in ("c_m", "o_m"))
    assert (carbon - oxygen)[cool].max() <= nodes.MOST_CARBON
    assert (carbon - oxygen)[~cool].max() > 0.5


def test_microturbulence_is_that_of_the_sun():
    assert nodes.microturbulence(np.array(5772.0), np.array(4.44)) == pytest.approx(0.92, abs=0.1)


def test_spectra_between_the_nodes_are_met(grid, emulator):
    fitted = dwarf_emulator.fit(grid, emulator, 20)
    new = nodes.sample(100)[80:]
    flux = fitted.flux(dwarf_emulator.as_guided(new, emulator))
    error = np.sqrt(((flux - computed(new, emulator)) ** 2).mean())
    spread = grid.flux.std(axis=0)[2200:2700].mean()
    assert error < 0.05 * spread


def test_the_errors_of_held_out_nodes_are_those_of_new_ones(grid, emulator):
    rows = dwarf_emulator.cross_validated(grid, emulator, 10)
    assert sum(row.nodes for row in rows) == len(grid.labels)
    fitted = dwarf_emulator.fit(grid, emulator, 10)
    new = nodes.sample(140)[72:]
    flux = fitted.flux(dwarf_emulator.as_guided(new, emulator))
    truth = np.sqrt(((flux - computed(new, emulator)) ** 2).mean())
    stated = np.sqrt(np.mean([row.native**2 for row in rows]))
    assert 0.3 < stated / truth < 4
