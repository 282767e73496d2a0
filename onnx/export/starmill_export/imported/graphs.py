"""Published models as ONNX: labels in, flux and its Jacobian out."""

import numpy as np
import onnx
from onnx import TensorProto

from starmill_export.imported.nets import LEAK, SIGMOID, Curved, Dense, Switched
from starmill_export.imported.polynomial import Polynomial
from starmill_export.payne import graph
from starmill_export.payne.graph import FLUX, JACOBIAN, LABELS, Builder
from starmill_export.payne.net import PerPixel

Model = Dense | Switched | PerPixel | Curved | Polynomial


def build(model: Model, labels: int, pixels: int, name: str, version: str) -> onnx.ModelProto:
    """The graph: `labels` [N, L] -> `flux` [N, P] and `jacobian` [N, L, P], float32."""
    builder = Builder()
    match model:
        case Dense():
            _dense(builder, [model], [])
        case Switched():
            _dense(builder, model.nets, model.upto)
        case PerPixel():
            graph.per_pixel(builder, model)
        case Curved():
            _curved(builder, model)
        case Polynomial():
            _polynomial(builder, model)
    return graph.finished(builder, name, version, labels, pixels)


def _dense(builder: Builder, nets: list[Dense], upto: list[float]) -> None:
    """All nets at once; of each the last hidden layer counts where the first label is in its range.

    So the last layers, which hold nearly all weights, are one product.
    """
    axis = builder.constant("axis", np.array([1], np.int64))
    parts = [_hidden(builder, net, f"net{number}", axis) for number, net in enumerate(nets)]
    weight = builder.constant("out", np.vstack([net.layers[-1][0] for net in nets]))
    bias = builder.constant("out_bias", np.vstack([net.layers[-1][1] for net in nets]))
    if len(nets) > 1:
        shares = _shares(builder, upto)
        parts = [
            (
                builder.add("Mul", [nodes, share], f"net{number}.shared"),
                builder.add(
                    "Mul",
                    [chain, builder.add("Unsqueeze", [share, axis], f"net{number}.deep")],
                    f"net{number}.chain.shared",
                ),
            )
            for number, ((nodes, chain), share) in enumerate(zip(parts, shares, strict=True))
        ]
        nodes = builder.add("Concat", [part[0] for part in parts], "nodes", axis=1)
        chain = builder.add("Concat", [part[1] for part in parts], "chain", axis=2)
        all_shares = builder.add("Concat", shares, "shares", axis=1)
        bias = builder.add("MatMul", [all_shares, bias], "bias")
    else:
        nodes, chain = parts[0]
    builder.add("Add", [builder.add("MatMul", [nodes, weight], "product"), bias], FLUX)
    builder.add("MatMul", [chain, weight], JACOBIAN)


def _hidden(builder: Builder, net: Dense, name: str, axis: str) -> tuple[str, str]:
    """Nodes [N, H] of the last hidden layer, and their derivatives [N, L, H]."""
    centre = builder.constant(f"{name}.centre", (net.lowest + net.highest) / 2)
    inverse = builder.constant(f"{name}.inverse", 1 / (net.highest - net.lowest))
    value = builder.add("Sub", [LABELS, centre], f"{name}.difference")
    value = builder.add("Mul", [value, inverse], f"{name}.scaled")
    # Rows of the first layer by the labels' ranges: what the chain rule begins with.
    chain = ""
    for number, (weight, bias) in enumerate(net.layers[:-1]):
        layer = f"{name}.layer{number}"
        stored = builder.constant(f"{layer}.weight", weight)
        value = builder.add(
            "Gemm", [value, stored, builder.constant(f"{layer}.bias", bias)], f"{layer}.sum"
        )
        value, slope = _activated(builder, value, net.activation, layer)
        if number == 0:
            begins = weight / (net.highest - net.lowest)[:, None]
            product = builder.constant(f"{layer}.slopes", begins)
        else:
            product = builder.add("MatMul", [chain, stored], f"{layer}.product")
        deep = builder.add("Unsqueeze", [slope, axis], f"{layer}.deep")
        chain = builder.add("Mul", [product, deep], f"{layer}.chain")
    return value, chain


def _activated(builder: Builder, value: str, activation: str, layer: str) -> tuple[str, str]:
    if activation == SIGMOID:
        nodes = builder.add("Sigmoid", [value], f"{layer}.nodes")
        return nodes, _sigmoid_slope(builder, nodes, layer)
    nodes = builder.add("LeakyRelu", [value], f"{layer}.nodes", alpha=LEAK)
    zero = builder.constant(f"{layer}.zero", np.zeros(1))
    one = builder.constant(f"{layer}.one", np.ones(1))
    leak = builder.constant(f"{layer}.leak", np.array([LEAK]))
    above = builder.add("Greater", [value, zero], f"{layer}.above")
    return nodes, builder.add("Where", [above, one, leak], f"{layer}.slope")


def _sigmoid_slope(builder: Builder, nodes: str, layer: str) -> str:
    one = builder.constant(f"{layer}.one", np.ones(1))
    rest = builder.add("Sub", [one, nodes], f"{layer}.rest")
    return builder.add("Mul", [nodes, rest], f"{layer}.slope")


def _shares(builder: Builder, upto: list[float]) -> list[str]:
    """For each net [N, 1]: one where the first label lies in its range, else zero."""
    first = builder.constant("first", np.array([0], np.int64))
    label = builder.add("Gather", [LABELS, first], "first_label", axis=1)
    edges = [
        builder.constant(f"edge{number}", np.array([highest]))
        for number, highest in enumerate(upto)
    ]
    shares = []
    for number in range(len(edges) + 1):
        inside = []
        if number > 0:
            inside.append(builder.add("Greater", [label, edges[number - 1]], f"net{number}.from"))
        if number < len(edges):
            inside.append(builder.add("LessOrEqual", [label, edges[number]], f"net{number}.to"))
        both = inside[0] if len(inside) == 1 else builder.add("And", inside, f"net{number}.within")
        shares.append(builder.add("Cast", [both], f"net{number}.share", to=TensorProto.FLOAT))
    return shares


def _curved(builder: Builder, model: Curved) -> None:
    graph.per_pixel(builder, model.inner, "inner", "inner.jacobian")
    scale = builder.constant("scale", model.scale)
    nodes = builder.add("Sigmoid", ["inner"], "outer.nodes")
    scaled = builder.add("Mul", [nodes, scale], "outer.scaled")
    builder.add("Add", [scaled, builder.constant("offset", model.offset)], FLUX)
    slope = builder.add(
        "Mul", [_sigmoid_slope(builder, nodes, "outer"), scale], "outer.slope.scaled"
    )
    axis = builder.constant("axis", np.array([1], np.int64))
    deep = builder.add("Unsqueeze", [slope, axis], "outer.deep")
    builder.add("Mul", ["inner.jacobian", deep], JACOBIAN)


def _polynomial(builder: Builder, model: Polynomial) -> None:
    """Every term is a product of as many factors as the highest degree, ones among them.

    The derivative is the sum over the factors of the product of the others.
    """
    labels, one = len(model.scales), len(model.scales)
    degree = max(len(term) for term in model.terms)
    padded = np.array([term + [one] * (degree - len(term)) for term in [[], *model.terms]])
    spread = np.hstack([np.diag(1 / model.scales), np.zeros((labels, 1))])
    ones = np.eye(labels + 1)[one]
    theta = builder.constant("theta", model.theta.T)
    axis = builder.constant("axis", np.array([1], np.int64))
    centred = builder.add(
        "Sub", [LABELS, builder.constant("fiducials", model.fiducials)], "centred"
    )
    scaled = builder.add(
        "Gemm",
        [centred, builder.constant("spread", spread), builder.constant("ones", ones)],
        "scaled",
    )
    factors = [
        builder.add(
            "Gather",
            [scaled, builder.constant(f"which{at}", padded[:, at].astype(np.int64))],
            f"factor{at}",
            axis=1,
        )
        for at in range(degree)
    ]
    terms = _product(builder, factors, "terms")
    uncut = builder.add("MatMul", [terms, theta], "uncut")
    ceiling = builder.constant("ceiling", np.array([model.ceiling]))
    builder.add("Min", [uncut, ceiling], FLUX)
    slopes = ""
    for at in range(degree):
        is_label = padded[:, at] == np.arange(labels)[:, None]
        mask = builder.constant(f"mask{at}", is_label / model.scales[:, None])
        others = _product(builder, factors[:at] + factors[at + 1 :], f"others{at}")
        deep = builder.add("Unsqueeze", [others, axis], f"others{at}.deep") if others else None
        masked = builder.add("Mul", [deep, mask], f"masked{at}") if deep else mask
        slopes = builder.add("Add", [slopes, masked], f"slopes{at}") if slopes else masked
    below = builder.add("Less", [uncut, ceiling], "below")
    counts = builder.add("Cast", [below], "counts", to=TensorProto.FLOAT)
    deep = builder.add("Unsqueeze", [counts, axis], "counts.deep")
    builder.add("Mul", [builder.add("MatMul", [slopes, theta], "jacobian.uncut"), deep], JACOBIAN)


def _product(builder: Builder, factors: list[str], name: str) -> str:
    """The product of all factors; no name where there are none."""
    result = factors[0] if factors else ""
    for at, factor in enumerate(factors[1:]):
        result = builder.add("Mul", [result, factor], f"{name}.{at}")
    return result
