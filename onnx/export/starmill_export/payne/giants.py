"""Giants as LAMOST's low-resolution spectrographs see them: R = 1800, normalised by themselves.

The spectra are bossbrain's, whose last layer is linear. Resolution and smoothing go into that
layer once; a spectrum is then a quotient of two products.
"""

import numpy as np

from starmill_export import bossbrain
from starmill_export.bossbrain import WAVELENGTH_AIR, Bossbrain
from starmill_export.instrument import FIRST_LOG, LOG_STEP, vacuum
from starmill_export.payne import smoothing
from starmill_export.payne.labels import Box
from starmill_export.rrnet.labels import COOL, MOST_CARBON

NAMES = [
    "teff", "logg", "c_h", "n_h", "o_h", "mg_h", "al_h", "si_h",
    "ca_h", "ti_h", "v_h", "cr_h", "mn_h", "fe_h", "co_h", "ni_h",
]  # fmt: skip
"""The paper's sixteen; bossbrain gives iron by [M/H]."""

BOX = Box(
    teff=(3800.0, 5950.0),
    logg=(0.0, 3.5),
    iron=(-2.4, 0.5),
    scatter=0.5,
    default=(4800.0, 2.5, 0.0),
    within="within 0.5 dex of [Fe/H]",
)

WINDOW = (4000.0, 7900.0)
"""Vacuum Angstrom. Bluer, LAMOST's giants have little light; redder, water and few lines."""

RESOLVING_POWER = 1800.0
SMOOTHING = 50.0
"""FWHM in Angstrom of the Gaussian that normalises, section 3 of the paper."""

OVERLAPS = [(4000.0, 4200.0), (4900.0, 5000.0)]
"""K: where two of bossbrain's networks are both trained, one passes into the other."""

REFERENCE = np.array([4800.0, 2.5, 0.0])
"""The paper's K giant: teff, logg and every [X/H]."""

MORE_REFERENCES = np.array(
    [
        [3900, 1.0, -0.3],
        [4300, 1.8, 0.2],
        [4400, 1.5, -1.0],
        [4800, 2.5, -0.5],
        [4900, 2.0, -1.6],
        [5100, 2.8, 0.2],
        [5300, 2.9, -0.6],
        [5700, 2.7, -0.2],
    ]
)
"""More of them along the giant branch, since the model covers all of it."""

SOURCE = slice(600, 9500)


def pixels(first: float, last: float) -> np.ndarray:
    """LAMOST's pixels within two vacuum wavelengths, at rest."""
    low, high = (np.log10(wave) for wave in (first, last))
    start, stop = np.ceil((low - FIRST_LOG) / LOG_STEP), np.floor((high - FIRST_LOG) / LOG_STEP)
    return 10 ** (FIRST_LOG + LOG_STEP * np.arange(start, stop + 1))


def of_points(points: np.ndarray) -> np.ndarray:
    """Labels [n, NAMES] of teff, logg and one [X/H] for all elements."""
    return np.column_stack([points[:, :2], np.repeat(points[:, 2:], len(NAMES) - 2, axis=1)])


def is_carbon_star(given: np.ndarray) -> np.ndarray:
    """Which labels [n, NAMES] are of a cool star with too much carbon for its oxygen."""
    excess = given[:, NAMES.index("c_h")] - given[:, NAMES.index("o_h")]
    return (given[:, 0] < COOL) & (excess > MOST_CARBON)


class Giants:
    """Normalised spectra at R = 1800 of labels [n, NAMES]."""

    name = "payne"
    names, box = NAMES, BOX

    def __init__(self, emulator: Bossbrain) -> None:
        self.emulator = emulator
        self.wave = pixels(*WINDOW)
        margin = SMOOTHING * 2.5
        wide = pixels(WINDOW[0] - margin, WINDOW[1] + margin)
        source = vacuum(WAVELENGTH_AIR[SOURCE])
        resolve = smoothing.to_resolution(source, wide, RESOLVING_POWER, bossbrain.FWHM)
        smooth = smoothing.normalisation(wide, self.wave, SMOOTHING) @ resolve
        inside = np.searchsorted(wide, self.wave[0] - 1e-6)
        sharp = resolve[inside : inside + len(self.wave)]
        self._last = []
        for layers, _, _ in emulator.networks:
            weight, bias = layers[-1]
            rows = np.vstack([weight[:, SOURCE], bias[SOURCE]])
            self._last.append([np.float32((matrix @ rows.T).T) for matrix in (sharp, smooth)])

    @property
    def references(self) -> np.ndarray:
        """Where gradients are held against theory: the paper's K giant first."""
        return of_points(np.vstack([REFERENCE, MORE_REFERENCES]))

    def sample(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """Labels of giants: half on the giant branch with likely abundances, half anywhere.

        Carbon stars are left out: in cool stars with more carbon than oxygen C2 and CN take over.
        """
        kept = np.empty((0, len(NAMES)))
        while len(kept) < count:
            drawn = self._draw(count, rng)
            kept = np.vstack([kept, drawn[~is_carbon_star(drawn)]])
        return kept[:count]

    def _draw(self, count: int, rng: np.random.Generator) -> np.ndarray:
        teff = rng.uniform(*BOX.teff, count)
        branch = 3.4 - (5050 - teff) / 1000 * 1.9 + rng.normal(0, 0.5, count)
        free = rng.random(count) < 0.5
        logg = np.where(free | (teff > 5300), rng.uniform(*BOX.logg, count), branch)
        low, high = BOX.iron
        # More of the metal-rich, whose lines are stronger and harder to learn.
        iron = low + (high - low) * rng.random(count) ** 0.7
        shape = (count, len(NAMES) - 2)
        scatter = rng.uniform(-BOX.scatter, BOX.scatter, shape)
        likely = rng.normal(0, 0.2, shape).clip(-BOX.scatter, BOX.scatter)
        abundance = iron[:, None] + np.where(free[:, None], scatter, likely)
        abundance[:, NAMES.index("fe_h") - 2] = iron
        return np.column_stack([teff, logg.clip(*BOX.logg), abundance])

    def of_emulator(self, rows: np.ndarray) -> np.ndarray:
        """Labels [n, NAMES] of bossbrain's 22."""
        columns = [rows[:, 0], rows[:, 1]]
        for name in NAMES[2:]:
            columns.append(rows[:, 2] + (0 if name == "fe_h" else rows[:, self._column(name)]))
        return np.column_stack(columns)

    def spectra(self, given: np.ndarray) -> np.ndarray:
        """Flux divided by its smoothed self, float32 [n, pixels]."""
        rows = np.zeros((len(given), len(self.emulator.labels)))
        iron = given[:, NAMES.index("fe_h")]
        rows[:, :2], rows[:, 2] = given[:, :2], iron
        for column, name in enumerate(NAMES[2:], start=2):
            if name != "fe_h":
                rows[:, self._column(name)] = given[:, column] - iron
        sharp = np.zeros((len(given), len(self.wave)), np.float32)
        smooth = np.zeros_like(sharp)
        for share, network, last in zip(
            shares(rows[:, 0]), self.emulator.networks, self._last, strict=True
        ):
            chosen = share > 0
            hidden = bossbrain.hidden(network, rows[chosen]) * share[chosen, None]
            hidden = np.float32(np.column_stack([hidden, share[chosen]]))
            sharp[chosen] += hidden @ last[0]
            smooth[chosen] += hidden @ last[1]
        return sharp / smooth

    def _column(self, name: str) -> int:
        return self.emulator.labels.index(name.replace("_h", "m"))


def shares(teff: np.ndarray) -> np.ndarray:
    """How much each of bossbrain's three networks counts, [3, n]; the sum is one."""
    second, third = (np.interp(teff, overlap, [0, 1]) for overlap in OVERLAPS)
    return np.array([1 - second, second - third, third])
