"""The two nets of Table 1: trained by one schedule, and written as model folders."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx

from starmill_export import manifest, network
from starmill_export import train as schedule
from starmill_export.ensemble_graph import add_net
from starmill_export.rrnet.builder import Builder
from starmill_export.table1.data import Task

FILE_NAMES = {"onnx": "model.onnx", "golden": "golden.json", "card": "CARD.md"}
PATIENCE = 6
"""Epochs without improvement before the rate is cut: the paper's 20 would take hours here."""

Report = Callable[[str], None]


def fcresnet(task: Task, epochs: int, report: Report) -> tuple[onnx.ModelProto, np.ndarray, str]:
    """The graph, its labels of the test spectra in their units, and how training went."""
    rng = np.random.default_rng(1)
    found = schedule.train(task.training, task.validation, rng, epochs, report, PATIENCE)
    builder = Builder()
    pixels, labels = task.training[0].shape[1], len(task.labels)
    scaled = add_net(builder, found.parameters, "fcresnet")
    unit = builder.constant("label.spread", task.spread.astype(np.float32))
    offset = builder.constant("label.mean", task.mean.astype(np.float32))
    physical = builder.add("Mul", [scaled, unit], "scaled")
    builder.add("Add", [physical, offset], "labels")
    graph = builder.model(
        "fcresnet", "1.0.0", ("spectrum", ["N", pixels]), [("labels", ["N", labels])], "table1"
    )
    predicted = network.forward(found.parameters, task.test[0]) * task.spread + task.mean
    return graph, predicted, _course(found)


def cnn(task: Task, epochs: int, report: Report) -> tuple[onnx.ModelProto, np.ndarray, str]:
    """The same of the convolutional net."""
    from starmill_export.table1 import cnn as convolutional

    rng = np.random.default_rng(1)
    found = convolutional.train(task.training, task.validation, rng, epochs, report, PATIENCE)
    pixels = task.training[0].shape[1]
    graph = convolutional.graph(found.parameters, task.mean, task.spread, pixels, "cnn")
    predicted = convolutional.predict(found.parameters, task.test[0]) * task.spread + task.mean
    return graph, predicted, _course(found)


def _course(found: schedule.Trained) -> str:
    return f"epoch {found.best_epoch} of {found.epochs}"


def write_folder(folder: Path, graph: onnx.ModelProto, task: Task, predicted: np.ndarray) -> None:
    """A model folder with this graph, held to its `predicted` labels of the first test spectra."""
    cases = [
        {"input": [float(value) for value in spectrum], "labels": [float(v) for v in labels]}
        for spectrum, labels in zip(task.test[0][:4], predicted[:4], strict=True)
    ]
    content = {
        "onnx": graph.SerializeToString(deterministic=True),
        "golden": json.dumps({"cases": cases}).encode(),
        "card": b"# A net of Table 1, for comparison alone\n",
    }
    top = {
        "schema": 1,
        "name": graph.graph.name,
        "version": "1.0.0",
        "title": "A net of Table 1",
        "paper": manifest.PAPER,
        "license": "Apache-2.0",
        "surveys": ["none"],
        "trained_on": "synthetic",
    }
    lines = [*manifest.pairs(top), "", "[files]"]
    for role, data in content.items():
        digest = hashlib.sha256(data).hexdigest()
        lines.append(f'{role} = {{ path = "{FILE_NAMES[role]}", sha256 = "{digest}" }}')
    pixels = task.test[0].shape[1]
    lines += manifest.table("[input]", {"name": "spectrum", "pixels": pixels})
    lines += manifest.table("[output]", {"labels": "labels"})
    for name, mean, spread in zip(task.labels, task.mean, task.spread, strict=True):
        valid = [float(mean - 10 * spread), float(mean + 10 * spread)]
        entry = {"name": name, "unit": "", "ucd": "", "description": name, "valid": valid}
        lines += manifest.table("[[label]]", entry)
    lines += manifest.table("[quality]", {"min_snr": 0.0})
    scale = [float(value) for value in task.spread]
    lines += manifest.table("[golden]", {"tolerance": 1e-3, "scale": scale})
    manifest.write_folder(folder, content, "\n".join(lines) + "\n", FILE_NAMES)
