"""The nodes of `MixtureNovelty` in the graph of an ensemble."""

import numpy as np

from starmill_export.graph import INPUT, NOVELTY
from starmill_export.mixture import SMALLEST, MixtureNovelty
from starmill_export.rrnet import calibration
from starmill_export.rrnet.builder import Builder


def add(builder: Builder, novelty: MixtureNovelty) -> None:
    """Nodes from `spectrum` [N, pixels] to the output `novelty` [N].

    Sums over a row are products with a column, not ReduceSum: the latter sums in an order that
    depends on where in the batch the row lies, so that equal rows could differ in the last bit.
    """

    def constant(name: str, value: np.ndarray | float) -> str:
        return builder.constant(f"novelty.{name}", np.asarray(value, np.float32))

    def node(operator: str, inputs: list[str], name: str) -> str:
        return builder.add(operator, inputs, f"novelty.{name}")

    centred = node("Sub", [INPUT, constant("mean", novelty.mean)], "difference")
    centred = node("Mul", [centred, constant("scale", novelty.scale)], "centred")
    scores = node("MatMul", [centred, constant("components", novelty.components)], "scores")
    fitted = node("MatMul", [scores, constant("transposed", novelty.components.T)], "fitted")
    residual = node("Sub", [centred, fitted], "residual")
    squares = node("Mul", [residual, residual], "residual2")
    weights = np.full((len(novelty.mean), 1), novelty.off)
    off = node("MatMul", [squares, constant("off.weights", weights)], "off")

    kinds, size, _ = novelty.roots.shape
    # All kinds side by side: [size, kinds x size].
    roots = novelty.roots.transpose(1, 0, 2) / novelty.spreads[:, None, None]
    centres = np.einsum("kd,kde->ke", novelty.centres, novelty.roots)
    white = node("MatMul", [scores, constant("roots", roots.reshape(size, -1))], "rotated")
    white = node("Sub", [white, constant("centres", centres.reshape(-1))], "white")
    squares = node("Mul", [white, white], "white2")
    scale = novelty.limit - novelty.usual
    sums = np.kron(np.eye(kinds), np.ones((size, 1))) * 0.5 / scale
    distances = node("MatMul", [squares, constant("sums", sums)], "distances")
    level = constant("levels", (novelty.levels + novelty.usual) / scale)
    distances = node("Sub", [distances, level], "kinds")
    within = builder.add("ReduceMin", [distances], "novelty.within", axes=[1], keepdims=1)

    rough = calibration.add_roughness(builder, INPUT, len(novelty.mean), "novelty.roughness")
    rough = node("Max", [rough, constant("smallest", SMALLEST)], "rough")
    smooth = node("Div", [constant("smoothest", novelty.smoothest), rough], "smooth")
    largest = node("Max", [within, off, smooth], "largest")
    builder.add("Squeeze", [largest, builder.ints(1)], NOVELTY)
