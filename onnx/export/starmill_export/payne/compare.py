"""Figure 3 of the paper, and one hidden layer for all pixels against one for each.

The paper's data are noisy and few, and their labels are correlated: there a net without a prior
learns the correlations of the Galaxy. With noise-free spectra of free labels it hardly can.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from starmill_export import sampling
from starmill_export.payne import fit, giants, labels, net, pipeline, prior
from starmill_export.payne.fit import Plan
from starmill_export.payne.giants import Giants
from starmill_export.payne.pipeline import Made, Size

TEFF, MOST_LOGG = (4300.0, 5300.0), 3.0
"""K giants, the paper's stars."""

SEED = 3
EVERY = {"shared": 6, "per pixel": 96}
"""Every how many pixels figure 3 looks at."""


@dataclass(frozen=True)
class Sizes:
    """Stars and steps of the comparisons, the paper's stars in `FULL`."""

    stars: int
    shared: Plan
    per_pixel: Plan


FULL = Sizes(500, Plan(steps=1500, batch=64), Plan(steps=1000, batch=64))
SMOKE = Sizes(
    40, Plan(nodes=8, steps=fit.CHUNK, batch=16), Plan(nodes=4, steps=fit.CHUNK, batch=16)
)


def figure_3(source: Giants, made: Made, sizes: Sizes, report: Callable[[str], None]) -> dict:
    """Correlation of model and theoretical gradients by net, prior and label, at the K giant.

    From noisy spectra of stars with the correlations of the Galaxy; and the rms error on such
    stars, free of noise, that were not trained on.
    """
    rng = np.random.default_rng(SEED)
    given = k_giants(source, 2 * sizes.stars, rng)
    flux = source.spectra(given)
    noisy = flux[: sizes.stars] + prior.NOISE * rng.standard_normal(
        (sizes.stars, flux.shape[1]), np.float32
    )
    theory = made.theory.of_paper()
    coordinates = labels.coordinates(source.names, source.box)
    result = {}
    for kind, every in EVERY.items():
        pixels = slice(None, None, every)
        base = sizes.shared if kind == "shared" else sizes.per_pixel
        for d_scale in (0.0, prior.D_SCALE):
            mean = noisy[:, pixels].mean(axis=0)
            data = fit.data(
                given[: sizes.stars],
                noisy[:, pixels] - mean,
                mean,
                None,
                theory.at(pixels),
                coordinates,
            )
            plan = replace(base, d_scale=d_scale)
            parameters = fit.train(data, plan, kind == "per pixel", None, report)
            model = fit.physical(parameters, data, coordinates)
            error = model(given[sizes.stars :]) - flux[sizes.stars :, pixels]
            result[f"{kind}, D_scale {d_scale:g}"] = {
                "correlation": correlations(model, theory.at(pixels), source.names),
                "rms": float(error.std()),
            }
    return result


def k_giants(source: Giants, count: int, rng: np.random.Generator) -> np.ndarray:
    """Labels [count, names] of K giants that follow the trends of the Galaxy."""
    kept = np.empty((0, len(source.names)))
    while len(kept) < count:
        rows, free = sampling.giants(10 * count, source.emulator.labels, rng)
        drawn = source.of_emulator(rows[~free])
        inside = (drawn[:, 0] >= TEFF[0]) & (drawn[:, 0] <= TEFF[1]) & (drawn[:, 1] <= MOST_LOGG)
        kept = np.vstack([kept, drawn[inside & ~giants.is_carbon_star(drawn)]])
    return kept[:count]


def correlations(model: net.Shared, theory: prior.Prior, names: list[str]) -> dict[str, float]:
    """By label, at the first reference."""
    first = theory.of_paper()
    found = prior.correlation(model(first.above) - model(first.below), first.gradients)
    return {name: round(float(value), 3) for name, value in zip(names, found, strict=True)}


def layers(
    source: Giants,
    made: Made,
    size: Size,
    reference: net.Shared,
    work: Path,
    report: Callable[[str], None],
) -> dict:
    """Rms on held-out spectra, at the same pixels, of nets on the same noise-free spectra.

    And the correlations of figure 3 for those with a shared layer.
    """
    pixels = slice(None, None, EVERY["per pixel"])
    small = replace(size.plan, nodes=size.per_pixel.nodes)
    models = {f"shared, {size.plan.nodes} nodes": reference}
    for title, plan in (
        (f"shared, {small.nodes} nodes", small),
        (f"shared, {small.nodes} nodes, no prior", pipeline.without_prior(small)),
    ):
        checkpoint = work / f"{title.replace(', ', '-').replace(' ', '-')}.npz"
        models[title] = pipeline.train_shared(source, made, plan, checkpoint, report)
    result = {}
    for title, model in models.items():
        error = (model(made.held_out_labels) - made.held_out)[:, pixels]
        result[title] = {
            "rms": float(error.std()),
            "parameters": model.parameters,
            "correlation": correlations(model, made.theory, source.names),
        }
    own = pipeline.train_per_pixel(source, made, size.per_pixel, pixels, None, report)
    error = own(made.held_out_labels) - made.held_out[:, pixels]
    result[f"per pixel, {size.per_pixel.nodes} nodes"] = {
        "rms": float(error.std()),
        "parameters": own.parameters // len(own.out_bias) * len(source.wave),
        "correlation": correlations(own, made.theory.at(pixels), source.names),
    }
    return result
