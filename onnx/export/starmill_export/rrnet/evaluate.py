"""Figures of an ensemble on held-out synthetic spectra."""

import numpy as np

from starmill_export.rrnet.examples import Examples

SNR_RANGES = [(10.0, 20.0), (20.0, 40.0), (40.0, 80.0), (80.0, np.inf)]


def figures(
    mean: np.ndarray,
    sigma: np.ndarray,
    examples: Examples,
    names: list[str],
    published: np.ndarray | None = None,
) -> dict[str, dict[str, dict[str, float]]]:
    """Errors by range of S/N (blue arm) and label.

    MAE (equation 4), bias, scatter; `pull` is the standard deviation of residuals in units of the
    predicted sigma, `pull_equation_3` in units of the `published` sigma where it is another;
    `prior` is the label's own spread, which knowing nothing would give.
    """
    published = sigma if published is None else published
    residual = mean - examples.labels
    result = {}
    for low, high in SNR_RANGES:
        inside = (examples.snr[:, 0] >= low) & (examples.snr[:, 0] < high)
        if not inside.any():
            continue
        title = f"S/N {low:g} to {high:g}" if np.isfinite(high) else f"S/N above {low:g}"
        result[title] = {
            name: {
                "spectra": int(inside.sum()),
                "mae": _rounded(np.abs(residual[inside, column]).mean()),
                "bias": _rounded(residual[inside, column].mean()),
                "scatter": _rounded(residual[inside, column].std()),
                "pull": _rounded((residual[inside, column] / sigma[inside, column]).std()),
                "pull_equation_3": _rounded(
                    (residual[inside, column] / published[inside, column]).std()
                ),
                "prior": _rounded(examples.labels[inside, column].std()),
            }
            for column, name in enumerate(names)
        }
    return result


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")
