"""Makes the small graphs of the tests beside this file.

Run with numpy and onnx 1.23.2 installed: python make_graphs.py
The widths are odd and prime to the vector lengths of processors, so that every remainder loop of
the matrix product is exercised.
"""

import json
import sys
from pathlib import Path

import numpy as np
from onnx import TensorProto, checker, helper, numpy_helper, save_model

HERE = Path(__file__).parent
PIXELS, HIDDEN, LABELS = 33, 29, 3


def make_weights() -> dict[str, np.ndarray]:
    """Return reproducible weights of a network with one hidden layer, in physical units."""
    rng = np.random.default_rng(20250701)
    return {
        "w1": (rng.standard_normal((PIXELS, HIDDEN)) / np.sqrt(PIXELS)).astype(np.float32),
        "b1": rng.standard_normal(HIDDEN).astype(np.float32),
        "w2": rng.standard_normal((HIDDEN, LABELS)).astype(np.float32),
        "b2": np.array([4800.0, 2.5, -0.5], dtype=np.float32),
        "mean": np.full(PIXELS, 1.0 / PIXELS, dtype=np.float32),
    }


def make_graph(name: str, rows: int | str, element: int = TensorProto.FLOAT) -> None:
    """Write the network for float32 or float64 spectra, with a fixed or open number of rows."""
    dtype = helper.tensor_dtype_to_np_dtype(element)
    initializers = [
        numpy_helper.from_array(value.astype(dtype), key) for key, value in make_weights().items()
    ]
    nodes = [
        helper.make_node("Gemm", ["spectrum", "w1", "b1"], ["hidden"]),
        helper.make_node("Relu", ["hidden"], ["active"]),
        helper.make_node("Gemm", ["active", "w2", "b2"], ["labels"]),
        helper.make_node("Mul", ["spectrum", "spectrum"], ["squared"]),
        # A product, since ReduceMean sums a row in an order that depends on where the row lies.
        helper.make_node("MatMul", ["squared", "mean"], ["novelty"]),
    ]
    graph = helper.make_graph(
        nodes,
        name,
        [helper.make_tensor_value_info("spectrum", element, [rows, PIXELS])],
        [
            helper.make_tensor_value_info("labels", element, [rows, LABELS]),
            helper.make_tensor_value_info("novelty", element, [rows]),
        ],
        initializers,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    checker.check_model(model, full_check=True)
    save_model(model, HERE / f"{name}.onnx")


def make_committee() -> None:
    """Write a graph of two members: their mean, its error, their scatter and their votes."""
    rng = np.random.default_rng(20261121)
    members = [make_weights(), make_weights()]
    for member in members:
        member["w2"] = (member["w2"] * rng.uniform(0.9, 1.1, LABELS)).astype(np.float32)
    initializers = [
        numpy_helper.from_array(value, f"{key}{number}")
        for number, member in enumerate(members)
        for key, value in member.items()
    ]
    initializers += [
        numpy_helper.from_array(np.array(value, dtype=dtype), name)
        for name, value, dtype in [
            ("half", 0.5, np.float32),
            ("noise", [100.0, 0.01, 0.04], np.float32),
            ("members", [1], np.int64),
        ]
    ]
    nodes = []
    for number in range(len(members)):
        nodes += [
            helper.make_node(
                "Gemm", ["spectrum", f"w1{number}", f"b1{number}"], [f"hidden{number}"]
            ),
            helper.make_node("Relu", [f"hidden{number}"], [f"active{number}"]),
            helper.make_node(
                "Gemm", [f"active{number}", f"w2{number}", f"b2{number}"], [f"mu{number}"]
            ),
            helper.make_node("Unsqueeze", [f"mu{number}", "members"], [f"vote{number}"]),
        ]
    nodes += [
        helper.make_node("Add", ["mu0", "mu1"], ["sum"]),
        helper.make_node("Mul", ["sum", "half"], ["labels"]),
        helper.make_node("Sub", ["mu0", "labels"], ["off0"]),
        helper.make_node("Sub", ["mu1", "labels"], ["off1"]),
    ]
    nodes += [
        helper.make_node("Sqrt", ["half"], ["weight"]),
        helper.make_node("Mul", ["off0", "weight"], ["row0"]),
        helper.make_node("Mul", ["off1", "weight"], ["row1"]),
        helper.make_node("Unsqueeze", ["row0", "members"], ["factor0"]),
        helper.make_node("Unsqueeze", ["row1", "members"], ["factor1"]),
        helper.make_node("Concat", ["factor0", "factor1"], ["factor"], axis=1),
        helper.make_node("Concat", ["vote0", "vote1"], ["votes"], axis=1),
        helper.make_node("Mul", ["row0", "row0"], ["square0"]),
        helper.make_node("Mul", ["row1", "row1"], ["square1"]),
        helper.make_node("Add", ["square0", "square1"], ["scatter"]),
        helper.make_node("Add", ["scatter", "noise"], ["variance"]),
        helper.make_node("Sqrt", ["variance"], ["sigma"]),
        helper.make_node("Sign", ["off0"], ["above"]),
    ]
    outputs = {
        "labels": [LABELS],
        "sigma": [LABELS],
        "factor": [2, LABELS],
        "votes": [2, LABELS],
        "above": [LABELS],
    }
    graph = helper.make_graph(
        nodes,
        "committee",
        [helper.make_tensor_value_info("spectrum", TensorProto.FLOAT, ["N", PIXELS])],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", *shape])
            for name, shape in outputs.items()
        ],
        initializers,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    checker.check_model(model, full_check=True)
    save_model(model, HERE / "committee.onnx")

    rng = np.random.default_rng(11)
    inputs = rng.standard_normal((4, PIXELS)).astype(np.float32)
    mu = []
    for member in members:
        weights = {key: value.astype(np.float64) for key, value in member.items()}
        hidden = np.maximum(inputs @ weights["w1"] + weights["b1"], 0.0)
        mu.append(hidden @ weights["w2"] + weights["b2"])
    sigma = np.sqrt(np.var(mu, axis=0) + np.array([100.0, 0.01, 0.04]))
    cases = [
        {"input": [float(x) for x in row], "labels": mean.tolist(), "sigma": error.tolist()}
        for row, mean, error in zip(inputs, np.mean(mu, axis=0), sigma, strict=True)
    ]
    text = json.dumps({"cases": cases}, indent=None)
    (HERE / "committee.json").write_text(text + "\n", encoding="utf-8")


def make_forward() -> None:
    """Write a forward model: a graph from labels to flux and Jacobian, its goldens and grid."""
    rng = np.random.default_rng(20261122)
    centre, scale = np.array([4800.0, 2.5, -0.5]), np.array([800.0, 1.2, 0.8])
    w1 = rng.standard_normal((LABELS, HIDDEN)) / scale[:, None]
    weights = {
        "w1": w1,
        "b1": rng.standard_normal(HIDDEN) - centre @ w1,
        "w2": 0.1 * rng.standard_normal((HIDDEN, PIXELS)) / np.sqrt(HIDDEN),
        "b2": np.full(PIXELS, 0.9),
        "one": np.array(1.0),
    }
    weights = {key: value.astype(np.float32) for key, value in weights.items()}
    initializers = [numpy_helper.from_array(value, key) for key, value in weights.items()]
    initializers.append(numpy_helper.from_array(np.array([1]), "rows_of_labels"))
    nodes = [
        helper.make_node("Gemm", ["labels", "w1", "b1"], ["hidden"]),
        helper.make_node("Sigmoid", ["hidden"], ["active"]),
        helper.make_node("Gemm", ["active", "w2", "b2"], ["flux"]),
        helper.make_node("Sub", ["one", "active"], ["inactive"]),
        helper.make_node("Mul", ["active", "inactive"], ["slope"]),
        helper.make_node("Unsqueeze", ["slope", "rows_of_labels"], ["slope_rows"]),
        helper.make_node("Mul", ["slope_rows", "w1"], ["tangent"]),
        helper.make_node("MatMul", ["tangent", "w2"], ["jacobian"]),
    ]
    outputs = {"flux": [PIXELS], "jacobian": [LABELS, PIXELS]}
    graph = helper.make_graph(
        nodes,
        "forward",
        [helper.make_tensor_value_info("labels", TensorProto.FLOAT, ["N", LABELS])],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", *shape])
            for name, shape in outputs.items()
        ],
        initializers,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    checker.check_model(model, full_check=True)
    save_model(model, HERE / "forward.onnx")

    exact = {key: value.astype(np.float64) for key, value in weights.items()}
    cases = []
    for labels in ([4800.0, 2.5, -0.5], [3750.0, 4.9, -2.4], [5900.0, 0.0, 0.5]):
        active = 1.0 / (1.0 + np.exp(-(np.array(labels) @ exact["w1"] + exact["b1"])))
        case = {"labels": labels, "flux": (active @ exact["w2"] + exact["b2"]).tolist()}
        if not cases:
            slope = active * (1.0 - active)
            case["jacobian"] = ((exact["w1"] * slope) @ exact["w2"]).tolist()
        cases.append(case)
    text = json.dumps({"cases": cases}, indent=None)
    (HERE / "forward.json").write_text(text + "\n", encoding="utf-8")
    # A vacuum grid of 32 intervals about the line of H-alpha.
    np.linspace(6532.0, 6596.0, PIXELS).astype("<f8").tofile(HERE / "forward.f64")


def make_golden() -> None:
    """Write inputs with their outputs, computed in double precision without ONNX Runtime."""
    weights = {key: value.astype(np.float64) for key, value in make_weights().items()}
    rng = np.random.default_rng(7)
    inputs = rng.standard_normal((5, PIXELS)).astype(np.float32)
    spectra = inputs.astype(np.float64)
    hidden = np.maximum(spectra @ weights["w1"] + weights["b1"], 0.0)
    labels = hidden @ weights["w2"] + weights["b2"]
    novelty = (spectra**2).mean(axis=1)
    cases = [
        {"input": [float(x) for x in row], "labels": out.tolist(), "novelty": float(far)}
        for row, out, far in zip(inputs, labels, novelty, strict=True)
    ]
    text = json.dumps({"cases": cases}, indent=None)
    (HERE / "golden.json").write_text(text + "\n", encoding="utf-8")


def make_operators() -> None:
    """Write an RRNet of random weights with the operators of the domain `starmill`."""
    sys.path.insert(0, str(HERE.parents[1] / "export"))
    from starmill_export.rrnet import fast_graph, net
    from starmill_export.rrnet.examples import Scaling
    from starmill_export.rrnet.network_file import Ensemble

    shape = net.Shape(bands=5, hidden=11, dense=(13, 7), labels=LABELS, pixels=400)
    zeros, ones = np.zeros(400), np.ones(400)
    scaling = Scaling(zeros, ones, np.zeros(LABELS), np.ones(LABELS))
    ensemble = Ensemble([[net.initial(shape, seed) for seed in (1, 2)]], shape, scaling)
    graph = fast_graph.build(ensemble, "operators", "1", kernels=True)
    save_model(graph, HERE / "operators.onnx")


if __name__ == "__main__":
    make_graph("open_rows", "N")
    make_graph("fixed_rows", 4)
    make_graph("double", "N", TensorProto.DOUBLE)
    make_golden()
    make_committee()
    make_forward()
    make_operators()
