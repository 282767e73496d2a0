"""Labels of the training stars: giants, and stars of the main sequence up to the subgiants.

Most follow the sequences and trends of the Galaxy with generous scatter; the rest (`FREE_SHARE`)
are uniform and independent in every label, so that a label cannot be read off its correlation with
another.
"""

import numpy as np

from starmill_export.dwarfs.nodes import COOL, MOST_CARBON

TEFF = (3600.0, 5990.0)
LOGG = (0.0, 3.5)
"""Of giants."""

DWARF_TEFF = (4200.0, 7500.0)
DWARF_LOGG = (3.3, 5.0)

METALLICITY = (-2.45, 0.5)
ABUNDANCE = (-0.6, 0.6)
FREE_SHARE = 0.35
DWARF_SHARE = 0.5
SUBGIANT_SHARE = 0.2
"""Of the dwarfs that follow a sequence."""

SEQUENCE = ([4200.0, 5000.0, 5700.0, 6500.0, 7500.0], [4.66, 4.58, 4.46, 4.32, 4.24])
"""Teff and log g of little evolved stars."""


def stars(
    count: int, names: list[str], rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels [count, names] of giants and dwarfs, which rows are free, and which are dwarfs."""
    is_dwarf = rng.random(count) < DWARF_SHARE
    labels, free = np.empty((count, len(names))), np.empty(count, bool)
    for rows, sample in ((is_dwarf, dwarfs), (~is_dwarf, giants)):
        labels[rows], free[rows] = sample(int(rows.sum()), names, rng)
    return labels, free, is_dwarf


def giants(count: int, names: list[str], rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Labels [count, names] of giants as bossbrain names them, and which rows are free."""
    teff = rng.uniform(*TEFF, count)
    branch = 3.4 - (5050 - teff) / 1000 * 1.9 + rng.normal(0, 0.4, count)
    logg = np.where(teff > 5100, rng.uniform(1.5, 3.5, count), branch).clip(*LOGG)
    return _with_abundances(teff, logg, LOGG, names, rng)


def dwarfs(count: int, names: list[str], rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """As `giants`, of dwarfs and subgiants: the age spreads log g of stars above 5300 K."""
    teff = rng.uniform(*DWARF_TEFF, count)
    aged = rng.exponential(0.18, count) * np.clip((teff - 5000) / 600, 0, 1)
    on_sequence = np.interp(teff, *SEQUENCE) + 0.1 - aged + rng.normal(0, 0.12, count)
    subgiant = (rng.random(count) < SUBGIANT_SHARE) & (teff > 4600) & (teff < 6400)
    logg = np.where(subgiant, rng.uniform(3.3, 4.2, count), on_sequence).clip(*DWARF_LOGG)
    labels, free = _with_abundances(teff, logg, DWARF_LOGG, names, rng)
    carbon, oxygen = names.index("cm"), names.index("om")
    rich = (labels[:, 0] < COOL) & (labels[:, carbon] - labels[:, oxygen] > MOST_CARBON)
    pair = [carbon, oxygen]
    labels[np.ix_(rich, pair)] = labels[np.ix_(rich, pair[::-1])]
    return labels, free


def _with_abundances(
    teff: np.ndarray,
    logg: np.ndarray,
    free_logg: tuple[float, float],
    names: list[str],
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    count = len(teff)
    labels = np.zeros((count, len(names)))
    column = {name: labels[:, index] for index, name in enumerate(names)}
    column["teff"][:] = teff
    column["logg"][:] = logg
    populations = rng.choice([-0.1, -0.45, -1.2], count, p=[0.5, 0.35, 0.15])
    metallicity = (populations + rng.normal(0, 0.25, count)).clip(*METALLICITY)
    column["mh"][:] = metallicity
    rich = np.where(rng.random(count) < 0.6, 0.03, 0.25)
    alpha = (rich - 0.05 * metallicity + rng.normal(0, 0.05, count)).clip(-0.3, 0.5)
    # The convection of giants brings up what burning made of carbon.
    mixing = np.clip((3.2 - logg) / 2.5, 0, 1)
    column["cm"][:] = -0.05 - 0.15 * mixing + rng.normal(0, 0.14, count)
    column["nm"][:] = 0.05 + 0.30 * mixing + rng.normal(0, 0.15, count)
    for name in ("om", "mgm", "sim", "cam", "tim"):
        column[name][:] = alpha + rng.normal(0, 0.07, count)
    for name in ("nam", "alm", "vm", "crm", "mnm", "com", "nim", "scm", "bam", "cem", "ndm", "zrm"):
        column[name][:] = rng.normal(0, 0.1, count)
    free = rng.random(count) < FREE_SHARE
    rows = int(free.sum())
    column["logg"][free] = rng.uniform(*free_logg, rows)
    column["mh"][free] = rng.uniform(*METALLICITY, rows)
    labels[free, 3:] = rng.uniform(*ABUNDANCE, (rows, labels.shape[1] - 3))
    labels[:, 3:] = labels[:, 3:].clip(*ABUNDANCE)
    return labels, free
