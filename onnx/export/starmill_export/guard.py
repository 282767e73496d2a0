"""Novelty with a guard against strangers that are known, and that look like the training stars.

A distance from the training spectra tells nothing of a stranger that lies among them: the colour of
a hot star behind dust is that of a cooler one. Where examples of such strangers are at hand, a
quadratic discriminant of the leading components finds them: least squares of 0 for training spectra
and 1 for strangers, over the value that few validation spectra exceed. Novelty is the larger of the
two.
"""

from dataclasses import dataclass

import numpy as np

from starmill_export.graph import NOVELTY, add_novelty
from starmill_export.novelty import Novelty
from starmill_export.rrnet.builder import Builder


@dataclass
class GuardedNovelty:
    """Constants of the measure.

    With the scores z of `plain`, over their `spreads` [components], the likeness to the strangers
    is `constant` + `linear` z + z `quadratic` z.
    """

    plain: Novelty
    spreads: np.ndarray
    constant: float
    linear: np.ndarray
    quadratic: np.ndarray

    def __call__(self, spectra: np.ndarray) -> np.ndarray:
        """Novelty [n] of prepared spectra [n, pixels]."""
        return np.maximum(self.plain(spectra), self.likeness(spectra))

    def likeness(self, spectra: np.ndarray) -> np.ndarray:
        """How like the strangers [n], above 1 those that are taken for them."""
        scores = _scores(self.plain, spectra) / self.spreads
        return self.constant + ((scores @ self.quadratic + self.linear) * scores).sum(axis=1)


def fit(
    plain: Novelty,
    training: np.ndarray,
    validation: np.ndarray,
    strangers: np.ndarray,
    false_alarm: float,
) -> GuardedNovelty:
    """Guard `plain`; `false_alarm` of spectra like the validation set are taken for strangers."""
    spreads = _scores(plain, training).std(axis=0)
    count = len(spreads)
    rows, columns = np.triu_indices(count)

    def design(spectra: np.ndarray) -> np.ndarray:
        scores = _scores(plain, spectra) / spreads
        products = scores[:, rows] * scores[:, columns]
        return np.column_stack([np.ones(len(scores)), scores, products])

    known = np.concatenate([design(training), design(strangers)])
    target = np.repeat([0.0, 1.0], [len(training), len(strangers)])
    fitted = np.linalg.lstsq(known, target, rcond=None)[0]
    limit = np.quantile(design(validation) @ fitted, 1 - false_alarm)
    fitted /= limit
    quadratic = np.zeros((count, count))
    quadratic[rows, columns] = fitted[count + 1 :]
    return GuardedNovelty(plain, spreads, float(fitted[0]), fitted[1 : count + 1], quadratic)


def _scores(plain: Novelty, spectra: np.ndarray) -> np.ndarray:
    return (spectra - plain.mean) * plain.scale @ plain.components


def add(builder: Builder, measure: GuardedNovelty) -> None:
    """Nodes from `spectrum` to the output `novelty`."""

    def constant(name: str, value: np.ndarray | float) -> str:
        return builder.constant(f"guard.{name}", np.asarray(value, np.float32))

    add_novelty(builder, measure.plain, "novelty.plain")
    # The weights take the spreads in: they are those of the scores as they are.
    linear = measure.linear / measure.spreads
    quadratic = measure.quadratic / np.outer(measure.spreads, measure.spreads)
    scores = "novelty.scores"
    products = builder.add("MatMul", [scores, constant("quadratic", quadratic)], "guard.products")
    slopes = builder.add("Add", [products, constant("linear", linear)], "guard.slopes")
    terms = builder.add("Mul", [slopes, scores], "guard.terms")
    ones = constant("ones", np.ones((len(linear), 1)))
    total = builder.add("MatMul", [terms, ones], "guard.total")
    flat = builder.add("Squeeze", [total, builder.ints(1)], "guard.flat")
    likeness = builder.add("Add", [flat, constant("constant", measure.constant)], "guard.likeness")
    builder.add("Max", ["novelty.plain", likeness], NOVELTY)
