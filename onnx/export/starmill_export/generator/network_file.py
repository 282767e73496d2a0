"""The graphs: labels to flux with its Jacobian, and flux to labels through the inversion."""

from dataclasses import dataclass

import numpy as np
import onnx

from starmill_export.generator import labels, net, observe
from starmill_export.generator.examples import Examples
from starmill_export.generator.labels import NAMES, TEFF
from starmill_export.generator.net import Layers
from starmill_export.generator.train import Autoencoder, Inversion
from starmill_export.rrnet.builder import Builder

LABELS, FLUX, JACOBIAN, SPECTRUM = "labels", "flux", "jacobian", "spectrum"
PRODUCER = "starmill_export"


@dataclass
class Generator:
    """Label net and decoder as one row of layers, from scaled labels to 4,000 pixels.

    `latent` is the number of the layer whose output is the latent space, which has no ReLU.
    """

    layers: Layers
    latent: int

    def __call__(self, physical: np.ndarray) -> np.ndarray:
        """Flux [n, 4000] of labels [n, 6], in float64: the reference of the graph."""
        latent = net.forward(self._label_net, labels.scaled(physical), np)
        return net.forward(self._decoder, latent, np)

    def jacobian(self, physical: np.ndarray) -> np.ndarray:
        """Its derivatives [n, 6, 4000] by labels in physical units, in float64."""
        values = labels.scaled(physical)
        latent = net.forward(self._label_net, values, np)
        slopes = net.jacobian(self._label_net, values) @ net.jacobian(self._decoder, latent)
        return slopes * labels.slope(physical)[:, :, None]

    def rounded(self) -> "Generator":
        """The same with weights that float16 holds; biases stay."""
        return Generator(
            [(weight.astype(np.float16).astype(np.float32), bias) for weight, bias in self.layers],
            self.latent,
        )

    @property
    def _label_net(self) -> Layers:
        return _double(self.layers[: self.latent])

    @property
    def _decoder(self) -> Layers:
        return _double(self.layers[self.latent :])


def connected(
    label_net: Layers, decoder: Layers, encoded: Autoencoder, data: Examples
) -> Generator:
    """The paper's section 2.4, with the principal components multiplied into the last layer."""
    *hidden, (weight, bias) = decoder
    pixels = encoded.scale * data.basis
    last = (weight @ pixels, bias @ pixels + data.mean)
    layers = [*label_net, *hidden, last]
    return Generator(
        [(w.astype(np.float32), b.astype(np.float32)) for w, b in layers], len(label_net)
    )


def forward_graph(model: Generator, name: str, version: str) -> onnx.ModelProto:
    """`labels` [N, 6] to `flux` [N, 4000] and `jacobian` [N, 6, 4000], weights in float16.

    The Jacobian follows the layers: one product more for each label, and the ReLUs' signs.
    """
    builder = Builder(half=True)
    values, slopes = _scaled(builder)
    for number, (weight, bias) in enumerate(model.layers):
        layer = f"layer{number}"
        is_last = number + 1 == len(model.layers)
        values = builder.dense(values, FLUX if is_last else layer, weight, bias)
        # The weight has its name since `dense`.
        operator = "Mul" if number == 0 else "MatMul"
        slopes = _sloped(builder, operator, slopes, f"{FLUX if is_last else layer}.weight", layer)
        if is_last:
            builder.add("Identity", [slopes], JACOBIAN)
        elif number + 1 != model.latent:
            zero = builder.constant("zero", np.zeros(1, np.float32))
            sign = builder.add("Greater", [values, zero], f"{layer}.alive")
            mask = builder.add("Cast", [sign], f"{layer}.mask", to=onnx.TensorProto.FLOAT)
            wide = builder.add("Unsqueeze", [mask, builder.ints(1)], f"{layer}.mask.wide")
            slopes = builder.add("Mul", [slopes, wide], f"{layer}.slopes.alive")
            values = builder.add("Relu", [values], f"{layer}.relu")
    count, pixels = len(NAMES), observe.PIXELS
    outputs = [(FLUX, ["N", pixels]), (JACOBIAN, ["N", count, pixels])]
    return builder.model(name, version, (LABELS, ["N", count]), outputs, PRODUCER)


def inversion_graph(model: Inversion, data: Examples, name: str, version: str) -> onnx.ModelProto:
    """`spectrum` [N, 4000] to `labels` [N, 6], its principal components inside."""
    builder = Builder(half=True)
    components = data.basis[: len(model.scales)]
    weight = (components / model.scales[:, None]).T
    bias = -(data.mean @ components.T) / model.scales
    # In float32: a spectrum is near one everywhere, and its last components are thousandths.
    constants = [
        builder.constant("components.weight", weight.astype(np.float32)),
        builder.constant("components.bias", bias.astype(np.float32)),
    ]
    source = builder.add("Gemm", [SPECTRUM, *constants], "components")
    columns = []
    for number, label in enumerate(NAMES):
        value = source
        for layer, (weights, biases) in enumerate(model.nets):
            title = f"{label}.layer{layer}"
            value = builder.dense(value, title, weights[number], biases[number])
            if layer + 1 < len(model.nets):
                value = builder.add("Relu", [value], f"{title}.relu")
        columns.append(value)
    joined = builder.add("Concat", columns, "labels.scaled", axis=1)
    low, high = labels.logarithmic_box()
    half = builder.constant("half", ((high - low) / 2).astype(np.float32))
    middle = builder.constant("middle", ((high + low) / 2).astype(np.float32))
    product = builder.add("Mul", [joined, half], "labels.product")
    moved = builder.add("Add", [product, middle], "labels.moved")
    teff = builder.slice(moved, TEFF, TEFF + 1, 1, "labels.teff.log")
    rest = builder.slice(moved, TEFF + 1, len(NAMES), 1, "labels.rest")
    builder.add("Concat", [builder.add("Exp", [teff], "labels.teff"), rest], LABELS, axis=1)
    pixels = [(LABELS, ["N", len(NAMES)])]
    return builder.model(name, version, (SPECTRUM, ["N", observe.PIXELS]), pixels, PRODUCER)


def _scaled(builder: Builder) -> tuple[str, str]:
    """Labels from -1 to 1, and the slope of this scaling [N, 6, 1]: teff by its logarithm."""
    low, high = labels.logarithmic_box()
    scale = (2 / (high - low)).astype(np.float32)
    teff = builder.slice(LABELS, TEFF, TEFF + 1, 1, "teff")
    rest = builder.slice(LABELS, TEFF + 1, len(NAMES), 1, "rest")
    logarithm = builder.add("Log", [teff], "teff.log")
    joined = builder.add("Concat", [logarithm, rest], "labels.log", axis=1)
    middle = builder.constant("middle", ((high + low) / 2).astype(np.float32))
    factor = builder.constant("scale", scale)
    centred = builder.add("Sub", [joined, middle], "labels.centred")
    values = builder.add("Mul", [centred, factor], "labels.scaled")
    # d ln teff / d teff = 1 / teff; the others are their own.
    inverse = builder.add("Reciprocal", [teff], "teff.slope")
    is_teff = np.zeros(len(NAMES), np.float32)
    is_teff[TEFF] = 1
    own = builder.constant("slope.rest", scale * (1 - is_teff))
    of_teff = builder.constant("slope.teff", scale * is_teff)
    product = builder.add("Mul", [inverse, of_teff], "slope.product")
    slope = builder.add("Add", [product, own], "slope")
    return values, builder.add("Unsqueeze", [slope, builder.ints(2)], "slope.wide")


def _sloped(builder: Builder, operator: str, slopes: str, weight: str, layer: str) -> str:
    """Slopes behind a layer; the first has one row of its weight for each label."""
    return builder.add(operator, [slopes, weight], f"{layer}.slopes")


def _double(layers: Layers) -> Layers:
    return [(weight.astype(float), bias.astype(float)) for weight, bias in layers]
