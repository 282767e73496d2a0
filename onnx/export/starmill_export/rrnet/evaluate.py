"""Figures of an ensemble on held-out synthetic spectra."""

import numpy as np

from starmill_export.rrnet.examples import Examples

SNR_RANGES = [(10.0, 20.0), (20.0, 40.0), (40.0, 80.0), (80.0, np.inf)]

NO_INFORMATION, LITTLE_INFORMATION = 0.9, 0.7
"""Of `ignorance`, from which on a label counts as such: the spectrum takes away a tenth of what is
not known without it, or three tenths, or less."""


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
    `prior` is the label's own spread, which knowing nothing would give. Abundances follow iron, so
    that a net which sees no line of an element still has half of [X/H] right: `ignorance` is the
    root mean square of the residual over the spread of [X/Fe] (of temperature, gravity and [Fe/H],
    over their own), 1 where the spectrum says nothing beyond [Fe/H].
    """
    published = sigma if published is None else published
    residual = mean - examples.labels
    beyond = _beyond_iron(examples.labels, names)
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
                "ignorance": _rounded(
                    np.sqrt((residual[inside, column] ** 2).mean()) / beyond[inside, column].std()
                ),
            }
            for column, name in enumerate(names)
        }
    return result


def _beyond_iron(labels: np.ndarray, names: list[str]) -> np.ndarray:
    """[X/Fe] in place of every [X/H] but that of iron."""
    follows = [name.endswith("_h") and name != "fe_h" for name in names]
    if not any(follows):
        return labels
    return labels - np.where(follows, labels[:, [names.index("fe_h")]], 0)


def ignorance(figures: dict[str, dict[str, dict[str, float]]]) -> tuple[str, dict[str, float]]:
    """The range of the highest S/N, and how little the spectra there say of each label."""
    title, best = list(figures.items())[-1]
    return title, {name: values["ignorance"] for name, values in best.items()}


def information(ignorance: float) -> str | None:
    """In words, where a label has little or none."""
    if ignorance >= NO_INFORMATION:
        return "no information"
    return "little information" if ignorance >= LITTLE_INFORMATION else None


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")
