"""Training stars: their labels, and how the spectra of giants and dwarfs are joined."""

import numpy as np
import pytest

from starmill_export import instrument, sampling
from starmill_export.dwarfs import nodes
from starmill_export.stars import JOIN_LOGG, share_of_dwarf


@pytest.mark.parametrize("sample", [sampling.giants, sampling.dwarfs])
def test_free_labels_are_independent(emulator, sample):
    labels, free = sample(20_000, emulator.labels, np.random.default_rng(4))
    kept = labels[free]
    if sample is sampling.dwarfs:
        # Carbon stars are left out of the cool ones, which ties carbon to oxygen there.
        kept = kept[kept[:, 0] > nodes.COOL]
    correlation = np.corrcoef(kept.T) - np.eye(labels.shape[1])
    assert np.abs(correlation).max() < 0.06


def test_stars_lie_where_there_are_spectra(emulator):
    labels, _, dwarf = sampling.stars(20_000, emulator.labels, np.random.default_rng(5))
    teff, logg = labels[:, 0], labels[:, 1]
    assert abs(dwarf.mean() - sampling.DWARF_SHARE) < 0.02
    share = share_of_dwarf(labels)
    # Bossbrain's box where a giant has a part in the spectrum, the box of the nodes else.
    assert (teff[share < 1] <= 6000).all()
    assert (logg[share < 1] <= JOIN_LOGG[1]).all()
    assert (teff[share > 0] >= 4150).mean() > 0.99
    assert (logg[share > 0] >= 3.2).all()
    assert (share[dwarf & (logg > 3.6)] == 1).all()
    assert (share[~dwarf & (logg < 3.3)] == 0).all()


def test_the_sun_is_among_the_dwarfs(emulator):
    labels, free = sampling.dwarfs(20_000, emulator.labels, np.random.default_rng(6))
    like = (np.abs(labels[:, 0] - 5772) < 100) & ~free
    logg = labels[like, 1]
    assert np.quantile(logg, 0.05) < 4.0 < 4.44 < np.quantile(logg, 0.95)


def test_the_join_has_no_step(stars):
    labels = np.zeros((200, len(stars.labels)))
    labels[:, 0] = 5000
    labels[:, 1] = np.linspace(3.0, 4.0, 200)
    for values in (stars.flux(labels), stars.log_continuum(labels, instrument.NATIVE)):
        steps = np.abs(np.diff(values, axis=0)).max(axis=1)
        assert steps.max() < 5 * np.median(steps) + 1e-3
    labels[:, 0], labels[:, 1] = np.linspace(5600, 6100, 200), 3.4
    steps = np.abs(np.diff(stars.flux(labels), axis=0)).max(axis=1)
    assert steps.max() < 0.02
