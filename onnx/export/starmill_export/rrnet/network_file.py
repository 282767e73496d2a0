"""What a graph is made from, and the parts that the plain and the fast graph share."""

import dataclasses
from dataclasses import dataclass

import numpy as np

from starmill_export.graph import add_novelty
from starmill_export.novelty import Novelty
from starmill_export.rrnet import calibration, ensemble, net
from starmill_export.rrnet.builder import Builder
from starmill_export.rrnet.calibration import Calibration
from starmill_export.rrnet.examples import Scaling
from starmill_export.rrnet.net import Parameters, Shape

INPUT = "spectrum"
LABELS, SIGMA, FACTORS = "labels", "sigma", "factors"
REGION, VOTES = "region", "votes"
NOVELTY = "novelty"


@dataclass
class Ensemble:
    """Members by region (RRNet has one region), and what scales their labels.

    `novelty` says how unlike the training inputs a spectrum is; the graphs have it where it is.
    `calibration` scales sigma and factors; without it they are those of equation 3.
    """

    regions: list[list[Parameters]]
    shape: Shape
    scaling: Scaling
    novelty: Novelty | None = None
    calibration: Calibration | None = None

    @property
    def rank(self) -> int:
        """Rows of the factors."""
        return len(self.regions[0]) - 1

    def rounded(self) -> "Ensemble":
        """The same with weights that float16 holds; biases stay."""
        regions = [
            [{name: _half(name, value) for name, value in member.items()} for member in region]
            for region in self.regions
        ]
        return dataclasses.replace(self, regions=regions)

    def __call__(self, spectra: np.ndarray) -> dict[str, np.ndarray]:
        """The graph's outputs for standardised spectra, in float64: the reference."""
        regions = []
        for region in self.regions:
            members = [
                net.forward(
                    {name: value.astype(np.float64) for name, value in member.items()},
                    spectra.astype(np.float64),
                    self.shape,
                    np,
                )
                for member in region
            ]
            means, variances = (np.stack(part) for part in zip(*members, strict=True))
            mean, variance, _, factors = ensemble.combine(means, variances)
            regions.append((mean, variance, factors))
        mean, variance, factors = (np.stack(part) for part in zip(*regions, strict=True))
        _, _, chosen = ensemble.fuse(mean, variance)
        take = chosen[None]
        sigma = np.sqrt(np.take_along_axis(variance, take, 0)[0])
        spread = self.scaling.label_spread
        wider = spread if self.calibration is None else self._calibrated(sigma, spectra)
        found = np.take_along_axis(factors, take[:, :, None, :], 0)[0]
        result = {
            LABELS: np.take_along_axis(mean, take, 0)[0] * spread + self.scaling.label_mean,
            SIGMA: sigma * wider,
            FACTORS: found * np.broadcast_to(wider, sigma.shape)[:, None, :],
        }
        if len(self.regions) > 1:
            # Not calibrated: they say why a region won, which equation 3 decides.
            votes = [mean * spread + self.scaling.label_mean, np.sqrt(variance) * spread]
            result[REGION] = chosen + 1.0
            result[VOTES] = np.stack(votes, axis=1).transpose(2, 0, 1, 3)
        if self.novelty is not None:
            result[NOVELTY] = self.novelty(spectra.astype(np.float64))
        return result

    def _calibrated(self, sigma: np.ndarray, spectra: np.ndarray) -> np.ndarray:
        return self.scaling.label_spread * self.calibration.factor(sigma, spectra)


def _half(name: str, value: np.ndarray) -> np.ndarray:
    return value.astype(np.float16).astype(np.float32) if "weight" in name else value


def outputs(model: Ensemble) -> list[tuple[str, list]]:
    """Names and shapes of what a graph gives."""
    labels, members = model.shape.labels, len(model.regions[0])
    result = [
        (LABELS, ["N", labels]),
        (SIGMA, ["N", labels]),
        (FACTORS, ["N", members - 1, labels]),
    ]
    if len(model.regions) > 1:
        result += [(REGION, ["N", labels]), (VOTES, ["N", len(model.regions), 2, labels])]
    return result if model.novelty is None else [*result, (NOVELTY, ["N"])]


def add_outputs(builder: Builder, heads: list[list[tuple[str, str]]], model: Ensemble) -> None:
    """All outputs, from mean and variance [N, labels] of every member of every region."""
    _add_combination(builder, heads, model)
    if model.novelty is not None:
        add_novelty(builder, model.novelty)


def _add_combination(builder: Builder, heads: list[list[tuple[str, str]]], model: Ensemble) -> None:
    """From mean and variance [N, labels] of every member of every region to the outputs.

    Sums are matrix products: `ReduceSum` adds in an order that depends on the place in the batch.
    """
    regions = [_combined(builder, members, f"region{index}") for index, members in enumerate(heads)]
    mean, variance, factors = regions[0]
    if len(regions) > 1:
        winner = builder.constant("fusion0.number", np.ones(1, np.float32))
    for index, (other_mean, other_variance, other_factors) in enumerate(regions[1:], start=1):
        name = f"fusion{index}"
        better = builder.add("Less", [other_variance, variance], f"{name}.better")
        wide = builder.add("Unsqueeze", [better, builder.ints(1)], f"{name}.better.wide")
        mean = builder.add("Where", [better, other_mean, mean], f"{name}.mean")
        variance = builder.add("Where", [better, other_variance, variance], f"{name}.variance")
        factors = builder.add("Where", [wide, other_factors, factors], f"{name}.factors")
        number = builder.constant(f"{name}.number", np.full(1, index + 1, np.float32))
        output = REGION if index + 1 == len(regions) else f"{name}.winner"
        winner = builder.add("Where", [better, number, winner], output)
    levels = None
    if model.calibration is not None:
        levels = calibration.add_levels(builder, model.calibration, INPUT, model.shape.pixels)
    unit = _physical(builder, mean, variance, model, levels, LABELS, SIGMA)
    if levels is not None:
        unit = builder.add("Unsqueeze", [unit, builder.ints(1)], "calibration.spread.wide")
    builder.add("Mul", [factors, unit], FACTORS)
    if len(regions) > 1:
        votes = [_vote(builder, *region[:2], model, i) for i, region in enumerate(regions)]
        builder.add("Concat", votes, VOTES, axis=1)


def _physical(
    builder: Builder,
    mean: str,
    variance: str,
    model: Ensemble,
    levels: str | None,
    labels: str,
    sigma: str,
) -> str:
    """Labels and their errors in the labels' units, as outputs of these names.

    Returns what the scaled errors were multiplied with: [labels], or [N, labels] if calibrated.
    """
    scaling = model.scaling
    unit = builder.constant("label.spread", scaling.label_spread.astype(np.float32))
    offset = builder.constant("label.mean", scaling.label_mean.astype(np.float32))
    scaled = builder.add("Mul", [mean, unit], f"{labels}.scaled")
    builder.add("Add", [scaled, offset], labels)
    root = builder.add("Sqrt", [variance], f"{sigma}.scaled")
    if model.calibration is not None and levels is not None:
        name = f"{sigma}.calibration"
        factor = calibration.add_factor(builder, model.calibration, levels, variance, name)
        unit = builder.add("Mul", [factor, unit], f"{name}.spread")
    builder.add("Mul", [root, unit], sigma)
    return unit


def _vote(builder: Builder, mean: str, variance: str, model: Ensemble, region: int) -> str:
    """What one region says: [N, 1, 2, labels], labels and then their errors by equation 3."""
    names = [f"vote{region}.{part}" for part in (LABELS, SIGMA)]
    _physical(builder, mean, variance, model, None, *names)
    axes = builder.ints(1, 2)
    rows = [builder.add("Unsqueeze", [name, axes], f"{name}.row") for name in names]
    return builder.add("Concat", rows, f"vote{region}", axis=2)


def _combined(builder: Builder, members: list[tuple[str, str]], name: str) -> tuple[str, str, str]:
    count = len(members)
    stacked = []
    for part, values in zip(("means", "variances"), zip(*members, strict=True), strict=True):
        rows = [
            builder.add("Unsqueeze", [value, builder.ints(1)], f"{value}.row") for value in values
        ]
        stacked.append(builder.add("Concat", rows, f"{name}.{part}", axis=1))
    means, variances = stacked
    average = builder.constant("ensemble.average", np.full((1, count), 1 / count, np.float32))
    contrast = builder.constant(
        "ensemble.contrasts", (ensemble.contrasts(count) / np.sqrt(count)).astype(np.float32)
    )
    ones = builder.constant("ensemble.ones", np.ones((1, count - 1), np.float32))

    def reduced(matrix: str, source: str, output: str) -> str:
        row = builder.add("MatMul", [matrix, source], f"{output}.row")
        return builder.add("Squeeze", [row, builder.ints(1)], output)

    mean = reduced(average, means, f"{name}.mean")
    diagonal = reduced(average, variances, f"{name}.diagonal")
    factors = builder.add("MatMul", [contrast, means], f"{name}.factors")
    squares = builder.add("Mul", [factors, factors], f"{name}.factors2")
    scatter = reduced(ones, squares, f"{name}.scatter")
    variance = builder.add("Add", [diagonal, scatter], f"{name}.variance")
    return mean, variance, factors


def add_outputs_of_head(
    builder: Builder, source: str, parameters: Parameters, name: str
) -> tuple[str, str]:
    """Mean and variance of one member from the outputs of its second dense layer, one product."""
    weight = np.concatenate([parameters["mu.weight"], parameters["sigma.0.weight"]])
    bias = np.concatenate([parameters["mu.bias"], parameters["sigma.0.bias"]])
    both = builder.dense(source, f"{name}.heads", weight.T, bias)
    mean, raw = builder.split(both, [f"{name}.mean", f"{name}.raw"], axis=1)
    return mean, builder.add("Softplus", [raw], f"{name}.variance")
