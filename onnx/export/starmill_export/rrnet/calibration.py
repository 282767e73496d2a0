"""Errors that mean what they say: sigma scaled so that residuals scatter by it.

Training drops units and adds noise to pixels; the net learns the errors that these make, and on
spectra without them sigma is too wide, the more so the better the spectrum. For each label

    ln(factor) = a + b ln(sigma) + c r + d r^2,    r = ln(roughness) - its mean,

where the roughness, the mean square of second differences of the standardised pixels, stands for
S/N, which a graph that is given a spectrum alone does not know. The four numbers have the largest
Gaussian likelihood on validation spectra. Labels stay as they are; sigma and the factors of the
covariance are scaled alike, and so its diagonal is still sigma^2.
"""

from dataclasses import dataclass

import numpy as np

from starmill_export.rrnet.builder import Builder

EDGE = 0.005
"""Share of the validation spectra beyond either bound of sigma and roughness: none is followed
farther than that."""


@dataclass(frozen=True)
class Calibration:
    """Coefficients [4, labels] of a, b, c, d; sigma is in scaled labels.

    `log_sigma` [2, labels] and `roughness` [2] are the bounds beyond which they count as the bound.
    """

    coefficients: np.ndarray
    log_sigma: np.ndarray
    roughness: np.ndarray
    centre: float

    def factor(self, sigma: np.ndarray, spectra: np.ndarray) -> np.ndarray:
        """What sigma [n, labels] of standardised spectra [n, pixels] is to be multiplied by."""
        return np.exp(_terms(self, sigma, spectra))


def roughness(spectra: np.ndarray) -> np.ndarray:
    """Mean square of the second differences of each row."""
    return (np.diff(spectra.astype(np.float64), n=2, axis=1) ** 2).mean(axis=1)


def fit(residuals: np.ndarray, sigma: np.ndarray, spectra: np.ndarray) -> Calibration:
    """Fit to residuals and sigma [n, labels] in scaled labels of standardised spectra."""
    log_sigma, rough = np.log(sigma), roughness(spectra)
    edges = EDGE, 1 - EDGE
    bounds = Calibration(
        np.zeros((4, sigma.shape[1]), np.float32),
        np.quantile(log_sigma, edges, axis=0).astype(np.float32),
        np.quantile(rough, edges).astype(np.float32),
        float(np.float32(np.log(rough).mean())),
    )
    level = _level(bounds, spectra)
    columns = []
    for label in range(sigma.shape[1]):
        held = np.clip(log_sigma[:, label], *bounds.log_sigma[:, label])
        design = np.stack([np.ones_like(level), held, level, level**2], axis=1)
        columns.append(_largest_likelihood(design, (residuals[:, label] / sigma[:, label]) ** 2))
    coefficients = np.stack(columns, axis=1).astype(np.float32)
    return Calibration(coefficients, bounds.log_sigma, bounds.roughness, bounds.centre)


def _largest_likelihood(design: np.ndarray, squares: np.ndarray) -> np.ndarray:
    """Coefficients x of ln(factor) = design x for squared residuals in units of sigma: convex."""
    from scipy.optimize import minimize

    # Of unit size and without covariance, the columns make the descent short.
    whitened, mixing = np.linalg.qr(design)
    whitened, mixing = whitened * np.sqrt(len(design)), mixing / np.sqrt(len(design))

    def cost(x: np.ndarray) -> tuple[float, np.ndarray]:
        logs = whitened @ x
        scaled = squares * np.exp(-2 * logs)
        return float(np.mean(logs + scaled / 2)), whitened.T @ (1 - scaled) / len(squares)

    start = mixing[:, 0] * 0.5 * np.log(squares.mean())
    found = minimize(cost, start, jac=True, method="BFGS")
    # Least squares: sigma of a net that was hardly trained may not vary at all.
    return np.linalg.lstsq(mixing, found.x, rcond=None)[0]


def _level(bounds: Calibration, spectra: np.ndarray) -> np.ndarray:
    return np.log(np.clip(roughness(spectra), *bounds.roughness)) - bounds.centre


def _terms(fitted: Calibration, sigma: np.ndarray, spectra: np.ndarray) -> np.ndarray:
    a, b, c, d = fitted.coefficients.astype(np.float64)
    level = _level(fitted, spectra)[:, None]
    return a + b * np.clip(np.log(sigma), *fitted.log_sigma) + c * level + d * level**2


def add_roughness(builder: Builder, source: str, pixels: int, name: str = "roughness") -> str:
    """The roughness [N, 1] of spectra [N, pixels]."""

    def constant(part: str, value: list | float) -> str:
        return builder.constant(f"{name}.{part}", np.asarray(value, np.float32))

    row = builder.add("Unsqueeze", [source, builder.ints(1)], f"{name}.row")
    kernel = constant("kernel", [[[1, -2, 1]]])
    second = builder.add("Conv", [row, kernel], f"{name}.differences", kernel_shape=[3])
    flat = builder.add("Squeeze", [second, builder.ints(1)], f"{name}.flat")
    squares = builder.add("Mul", [flat, flat], f"{name}.squares")
    # A matrix product, for the reason that `network_file` gives.
    ones = builder.weight(f"{name}.ones", np.ones((pixels - 2, 1), np.float32))
    total = builder.add("MatMul", [squares, ones], f"{name}.sum")
    return builder.add("Div", [total, constant("count", float(pixels - 2))], name)


def add_levels(builder: Builder, fitted: Calibration, source: str, pixels: int) -> str:
    """The part of ln(factor) [N, labels] that the roughness of spectra [N, pixels] gives."""

    def constant(name: str, value: np.ndarray | float) -> str:
        return builder.constant(f"roughness.{name}", np.asarray(value, np.float32))

    mean = add_roughness(builder, source, pixels)
    logged = builder.add("Log", [_bounded(builder, mean, fitted.roughness)], "roughness.log")
    level = builder.add("Sub", [logged, constant("centre", fitted.centre)], "roughness.level")
    square = builder.add("Mul", [level, level], "roughness.level2")
    levels = builder.add("Concat", [level, square], "roughness.levels", axis=1)
    slopes = constant("slopes", fitted.coefficients[2:])
    return builder.add("MatMul", [levels, slopes], "roughness.terms")


def add_factor(builder: Builder, fitted: Calibration, levels: str, variance: str, name: str) -> str:
    """The factor [N, labels] in a graph, from `add_levels` and the variance in scaled labels."""

    def constant(title: str, value: np.ndarray | float) -> str:
        return builder.constant(f"calibration.{title}", np.asarray(value, np.float32))

    logged = builder.add("Log", [variance], f"{name}.log_variance")
    halved = builder.add("Mul", [logged, constant("half", 0.5)], f"{name}.log_sigma")
    held = _bounded(builder, halved, fitted.log_sigma)
    slope, offset = (constant(f"sigma{power}", fitted.coefficients[power]) for power in (1, 0))
    steep = builder.add("Mul", [held, slope], f"{name}.by_sigma")
    both = builder.add("Add", [steep, levels], f"{name}.both")
    return builder.add("Exp", [builder.add("Add", [both, offset], f"{name}.log")], f"{name}.factor")


def _bounded(builder: Builder, value: str, bounds: np.ndarray) -> str:
    least, most = (
        builder.constant(f"{value}.{end}", np.asarray(bound, np.float32))
        for end, bound in zip(("least", "most"), bounds, strict=True)
    )
    raised = builder.add("Max", [value, least], f"{value}.raised")
    return builder.add("Min", [raised, most], f"{value}.bounded")
