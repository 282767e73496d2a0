"""Spectra between the nodes: what bossbrain says of a giant, and a Gaussian process for the rest.

Bossbrain ends at log g 3.5, yet knows how lines follow metallicity and abundances. So the process
interpolates what a node's log flux has beyond that of bossbrain's giant of the same composition:
gravity, heat, and what their line lists do not share, a smooth function of few labels.

    k(x, x') = k_A + k_B s,   s = sum_e c_e a_e a'_e

where k_A and k_B are squared exponentials of the atmosphere and a_e is [X_e/M]. All pixels share
the covariance: one matrix product gives a spectrum. Its constants are those with which each node is
predicted best by the others.
"""

import itertools
from dataclasses import dataclass

import numpy as np

from starmill_export.bossbrain import Bossbrain
from starmill_export.dwarfs import nodes
from starmill_export.process import DARKEST, squared_distance
from starmill_export.rrnet.syntheses import Syntheses

GUIDE_LOGG, GUIDE_TEFF = 3.4, (4000.0, 5900.0)
"""Of bossbrain's giants, within its range; hotter stars have that of the bound."""

FADING = 0.5
"""Per 1000 K beyond that bound: how the guide's ln flux fades, about as metal lines do."""

STEPS, RATE, DIFFERENCE = 60, 0.15, 1e-3
MIDDLE, SCALE = np.array([0.9, 4.1, -0.7]), np.array([0.15, 0.5, 0.8])
"""Of 5040/T, log g and [M/H]."""

START = np.concatenate([np.full(5, -1.5), np.full(len(nodes.ELEMENTS), -4.0), [0.0, -4.0]])
"""Logarithms of the covariance's constants that the search begins with.

Five inverse lengths, c of each element, a factor of the lengths in k_B, and the nugget."""

PULL = 1e-3
"""Towards START: what the nodes do not tell stays there."""

GUIDED = {name: name.replace("_", "") for name in nodes.LABELS if name != "vmicro"}
"""Labels of the nodes as bossbrain names them."""

BATCH = 250
FOLDS = 6
TEFF_EDGES = [4150.0, 5000.0, 5800.0, 6600.0, 7600.0]
DEGRADED = 50
"""Pixels of half an Angstrom in a mean that stands for R = 200."""


@dataclass
class NodeError:
    """Errors of normalised flux, rms, at nodes in a range of Teff (K) that took no part.

    `native` is at the resolving power of LAMOST or a little more, `degraded` in means over 25 A,
    as is `spread`, that of the nodes themselves.
    """

    teff: tuple[float, float]
    nodes: int
    native: float
    degraded: float
    spread: float


@dataclass
class Emulator:
    """The nodes' labels, one weight for each node and pixel, and the mean over the nodes."""

    guide: Bossbrain
    labels: np.ndarray
    constants: np.ndarray
    weights: np.ndarray
    mean: np.ndarray

    def flux(self, labels: np.ndarray) -> np.ndarray:
        """Normalised flux, float32 [n, nodes.PIXELS], of labels [n, 22] as bossbrain has them."""
        result = np.empty((len(labels), len(self.mean)), np.float32)
        points = coordinates(self.labels)
        for start in range(0, len(labels), BATCH):
            rows = slice(start, start + BATCH)
            given = coordinates(self._of_nodes(labels[rows]))
            covariance = _covariance(self.constants, given, points).astype(np.float32)
            depth = covariance @ self.weights + self.mean
            result[rows] = np.exp(-depth - guide_depth(self.guide, labels[rows]))
        return result

    def _of_nodes(self, labels: np.ndarray) -> np.ndarray:
        columns = [
            labels[:, self.guide.labels.index(GUIDED[name])] if name in GUIDED else 0 * labels[:, 0]
            for name in nodes.LABELS
        ]
        return np.column_stack(columns)


def coordinates(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scaled coordinates of the atmosphere [n, 5] and abundances [n, ELEMENTS], of nodes' labels.

    The last two of the atmosphere act in cool stars alone: how cool, and what CO leaves of carbon.
    """
    teff, logg, metallicity = labels[:, :3].T
    carbon, oxygen = (labels[:, nodes.LABELS.index(name)] for name in ("c_m", "o_m"))
    cool = 1 / (1 + np.exp((teff - 4700) / 150))
    plain = (np.column_stack([5040 / teff, logg, metallicity]) - MIDDLE) / SCALE
    left = cool * np.clip(carbon - oxygen, -1, 0.3)
    return np.column_stack([plain, cool, left]), labels[:, 4:] / nodes.ABUNDANCE


def guide_depth(guide: Bossbrain, labels: np.ndarray) -> np.ndarray:
    """Minus log flux [n, nodes.PIXELS] of bossbrain's giants of labels [n, 22]."""
    teff = labels[:, guide.labels.index("teff")]
    giants = labels.copy()
    giants[:, guide.labels.index("teff")] = teff.clip(*GUIDE_TEFF)
    giants[:, guide.labels.index("logg")] = GUIDE_LOGG
    depth = -np.log(np.maximum(guide.flux(giants, nodes.PIXELS), DARKEST))
    faded = np.exp(-FADING * np.maximum(teff - GUIDE_TEFF[1], 0) / 1000)
    return depth * faded[:, None].astype(np.float32)


def fit(syntheses: Syntheses, guide: Bossbrain, steps: int = STEPS) -> Emulator:
    """The emulator of all nodes."""
    depth = -np.log(np.maximum(syntheses.flux.astype(float), DARKEST))
    depth -= guide_depth(guide, as_guided(syntheses.labels, guide))
    mean = depth.mean(axis=0)
    residual = depth - mean
    points = coordinates(syntheses.labels)
    vectors, values, _ = np.linalg.svd(residual, full_matrices=False)
    constants = _best(points, vectors * values, steps)
    weights = np.linalg.solve(_with_nugget(constants, points), residual)
    return Emulator(
        guide, syntheses.labels, constants, weights.astype(np.float32), mean.astype(np.float32)
    )


def cross_validated(syntheses: Syntheses, guide: Bossbrain, steps: int = STEPS) -> list[NodeError]:
    """By range of Teff: held-out nodes took no part in the weights nor in the constants."""
    flux = syntheses.flux.astype(np.float32)
    error = np.empty_like(flux)
    turn = np.arange(len(flux)) % FOLDS
    for fold in range(FOLDS):
        fitted = fit(syntheses.rows(turn != fold), guide, steps)
        labels = as_guided(syntheses.labels[turn == fold], guide)
        error[turn == fold] = fitted.flux(labels) - flux[turn == fold]
    result = []
    for low, high in itertools.pairwise(TEFF_EDGES):
        rows = (syntheses.labels[:, 0] >= low) & (syntheses.labels[:, 0] < high)
        if rows.sum() > 1:
            seen, true = error[rows], _degraded(flux[rows])
            result.append(
                NodeError(
                    (low, high),
                    int(rows.sum()),
                    _rms(seen),
                    _rms(_degraded(seen)),
                    float(true.std(axis=0).mean()),
                )
            )
    return result


def as_guided(given: np.ndarray, guide: Bossbrain) -> np.ndarray:
    """Labels [n, 22] of bossbrain for those of nodes."""
    labels = np.zeros((len(given), len(guide.labels)))
    for name, guided in GUIDED.items():
        labels[:, guide.labels.index(guided)] = given[:, nodes.LABELS.index(name)]
    return labels


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt((values**2).mean()))


def _degraded(flux: np.ndarray) -> np.ndarray:
    count = flux.shape[1] // DEGRADED
    return flux[:, : count * DEGRADED].reshape(len(flux), count, DEGRADED).mean(axis=2)


def _covariance(constants: np.ndarray, first: tuple, second: tuple) -> np.ndarray:
    """The covariance of two sets of coordinates."""
    lengths, linear, common = np.exp(constants[:5]), np.exp(constants[5:-2]), np.exp(constants[-2])
    (left, left_abundance), (right, right_abundance) = first, second
    distance = squared_distance(left * lengths, right * lengths)
    shared = (left_abundance * linear) @ right_abundance.T
    return np.exp(-0.5 * distance) + shared * np.exp(-0.5 * distance * common**2)


def _with_nugget(constants: np.ndarray, points: tuple) -> np.ndarray:
    return _covariance(constants, points, points) + np.exp(constants[-1]) * np.eye(len(points[0]))


def _best(points: tuple, residual: np.ndarray, steps: int) -> np.ndarray:
    """Adam along slopes from differences: the covariance of a few hundred nodes is soon made."""

    def cost(constants: np.ndarray) -> float:
        """Logarithm of the squared error of each node without it.

        One inverse gives all of it (Rasmussen & Williams 2006, equation 5.12).
        """
        inverse = np.linalg.inv(_with_nugget(constants, points))
        missed = (inverse @ residual) / np.diag(inverse)[:, None]
        return np.log((missed**2).sum()) + PULL * ((constants - START) ** 2).sum()

    constants, first, second = START.copy(), np.zeros_like(START), np.zeros_like(START)
    shifts = DIFFERENCE * np.eye(len(START))
    for step in range(1, steps + 1):
        slope = np.array([cost(constants + shift) - cost(constants - shift) for shift in shifts])
        slope /= 2 * DIFFERENCE
        first = 0.9 * first + 0.1 * slope
        second = 0.98 * second + 0.02 * slope**2
        scale = np.sqrt(second / (1 - 0.98**step)) + 1e-8
        constants = constants - RATE * first / (1 - 0.9**step) / scale
    return constants
