"""The ONNX file of an ensemble of FCResNets, its golden cases, and what a manifest says of it."""

import numpy as np
import onnx

from starmill_export import guard, mixture_graph, network
from starmill_export.ensembles import Ensemble
from starmill_export.graph import INPUT, LABELS, NOVELTY, add_novelty
from starmill_export.guard import GuardedNovelty
from starmill_export.mixture import MixtureNovelty
from starmill_export.rrnet import calibration
from starmill_export.rrnet.builder import Builder

SIGMA, FACTORS, RAW = "sigma", "factors", "sigma_raw"

OUTPUT = {"labels": LABELS, "sigma": SIGMA, "novelty": NOVELTY}
"""The table [output] of a manifest, but for the false-alarm rate of the novelty."""


def covariance(labels: int) -> dict[str, str | int]:
    """The table [output.covariance] of a manifest with so many labels."""
    return {"factor": FACTORS, "rank": labels - 1}


def raw_column(names: list[str]) -> dict[str, object]:
    """The table [[output.column]] of the raw errors; `names` are those of the labels."""
    return {
        "output": RAW,
        "name": RAW,
        "shape": [len(names)],
        "ucd": "stat.stdev",
        "description": "Spread of the members for each label, not calibrated",
    }


def build(model: Ensemble, name: str, version: str, producer: str) -> onnx.ModelProto:
    """`spectrum` [N, pixels] to what `Ensemble.outputs` gives; weights are stored as float16."""
    builder = Builder(half=True)
    pixels, labels = model.members[0][0][0].shape[0], len(model.mean)
    if isinstance(model.novelty, MixtureNovelty):
        mixture_graph.add(builder, model.novelty)
    elif isinstance(model.novelty, GuardedNovelty):
        guard.add(builder, model.novelty)
    else:
        add_novelty(builder, model.novelty)
    members = [
        add_net(builder, member, f"member{index}") for index, member in enumerate(model.members)
    ]
    mean, raw = _combined(builder, members)
    unit = _constant(builder, "label.spread", model.spread)
    physical = builder.add("Mul", [mean, unit], "labels.scaled")
    offset = _constant(builder, "label.mean", model.mean)
    builder.add("Add", [physical, offset], LABELS)
    builder.add("Mul", [raw, unit], RAW)
    held = _features(builder, model, mean, raw, pixels)
    slopes = _constant(builder, "errors.slopes", model.errors.slopes)
    linear = builder.add("MatMul", [held, slopes], "errors.linear")
    start = _constant(builder, "errors.offset", model.errors.offset)
    logged = builder.add("Add", [linear, start], "errors.log")
    scaled = builder.add("Exp", [logged], "errors.scaled")
    sigma = builder.add("Mul", [scaled, unit], SIGMA)
    row = builder.add("Unsqueeze", [sigma, builder.ints(1)], "errors.row")
    builder.add("Mul", [row, _constant(builder, "errors.loadings", model.errors.loadings)], FACTORS)
    outputs = [
        (LABELS, ["N", labels]),
        (SIGMA, ["N", labels]),
        (FACTORS, ["N", labels - 1, labels]),
        (RAW, ["N", labels]),
        (NOVELTY, ["N"]),
    ]
    return builder.model(name, version, (INPUT, ["N", pixels]), outputs, producer)


def golden_cases(model: Ensemble, inputs: dict[str, np.ndarray]) -> dict:
    """`{"cases": [...]}` of named inputs with labels, sigma and novelty of a float64 pass."""
    cases = []
    for name, values in inputs.items():
        single = np.round(values, 5).astype(np.float32)
        found = model.outputs(single[None])
        case = {"name": name, "input": [float(f"{value:.7g}") for value in single]}
        for key in (LABELS, SIGMA):
            case[key] = [float(f"{value:.9g}") for value in found[key][0]]
        cases.append(case | {"novelty": float(f"{found[NOVELTY][0]:.9g}")})
    return {"cases": cases}


def _constant(builder: Builder, name: str, value: np.ndarray | float) -> str:
    return builder.constant(name, np.asarray(value, np.float32))


def add_net(builder: Builder, parameters: network.Parameters, name: str) -> str:
    """Nodes of one FCResNet: its scaled labels [N, labels]."""

    def dense(layer: int, source: str, output: str) -> str:
        return builder.dense(source, f"{name}.{output}", *parameters[layer])

    def relu(source: str) -> str:
        return builder.add("Relu", [source], f"{source}.relu")

    value = relu(dense(0, INPUT, "stem"))
    for block, layer in (("block1", 1), ("block2", 3)):
        inner = relu(dense(layer, value, f"{block}.first"))
        branch = relu(dense(layer + 1, inner, f"{block}.second"))
        value = builder.add("Add", [value, branch], f"{name}.{block}.sum")
    return dense(6, relu(dense(5, value, "head")), "labels")


def _combined(builder: Builder, members: list[str]) -> tuple[str, str]:
    """Mean and spread [N, labels] of the members' scaled labels."""
    count = len(members)
    total = _sum(builder, members, "ensemble.sum")
    share = _constant(builder, "ensemble.share", 1 / count)
    mean = builder.add("Mul", [total, share], "ensemble.mean")
    squares = []
    for index, member in enumerate(members):
        off = builder.add("Sub", [member, mean], f"ensemble.off{index}")
        squares.append(builder.add("Mul", [off, off], f"ensemble.square{index}"))
    total = _sum(builder, squares, "ensemble.squares")
    rest = _constant(builder, "ensemble.rest", 1 / (count - 1))
    variance = builder.add("Mul", [total, rest], "ensemble.variance")
    return mean, builder.add("Sqrt", [variance], "ensemble.spread")


def _sum(builder: Builder, terms: list[str], name: str) -> str:
    """One by one: `ReduceSum` adds in an order that depends on the place in the batch."""
    total = terms[0]
    for index, term in enumerate(terms[1:], start=1):
        total = builder.add("Add", [total, term], f"{name}{index}")
    return total


def _logarithm(builder: Builder, value: str, name: str) -> str:
    """In double precision: the kernel for single treats the last few values of a batch otherwise.

    Equal rows could differ in the last bit.
    """
    double = builder.add("Cast", [value], f"{name}.double", to=onnx.TensorProto.DOUBLE)
    logged = builder.add("Log", [double], f"{name}.logged")
    return builder.add("Cast", [logged], name, to=onnx.TensorProto.FLOAT)


def _features(builder: Builder, model: Ensemble, mean: str, raw: str, pixels: int) -> str:
    """What `ensembles.features` gives, held within the bounds."""
    square = builder.add("Mul", [mean, mean], "features.mean2")
    logged = _logarithm(builder, raw, "features.spread")
    rough = calibration.add_roughness(builder, INPUT, pixels)
    level = _logarithm(builder, rough, "features.roughness")
    level2 = builder.add("Mul", [level, level], "features.roughness2")
    distance = builder.add("Unsqueeze", [NOVELTY, builder.ints(1)], "features.distance")
    distance = _logarithm(builder, distance, "features.novelty")
    parts = [mean, square, logged, level, level2, distance]
    together = builder.add("Concat", parts, "features", axis=1)
    least, most = (
        _constant(builder, f"features.{end}", bound)
        for end, bound in zip(("least", "most"), model.errors.bounds, strict=True)
    )
    raised = builder.add("Max", [together, least], "features.raised")
    return builder.add("Min", [raised, most], "features.held")
