"""Both graphs side by side on one core: whether they are equal, and how fast each is."""

import time
from collections.abc import Callable

import numpy as np
import onnx

from starmill_export.rrnet.examples import Examples
from starmill_export.rrnet.network_file import Ensemble

ROUNDS = 7


def session(model: onnx.ModelProto | bytes) -> Callable[[np.ndarray], list[np.ndarray]]:
    """A function from spectra to the graph's outputs, on one thread of ONNX Runtime."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    content = model if isinstance(model, bytes) else model.SerializeToString()
    loaded = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    return lambda spectra: loaded.run(None, {"spectrum": spectra})


def compare(
    models: dict[str, onnx.ModelProto | bytes],
    spectra: np.ndarray,
    spread: np.ndarray,
    batches: tuple[int, ...] = (1, 8, 16, 32),
) -> dict:
    """Spectra per CPU second of each model and batch, interleaved, best of some rounds.

    `largest_difference` is that of the labels to the first model's, in units of `spread`. CPU
    seconds, so that other work on the machine counts as little as it can.
    """
    runs = {name: session(model) for name, model in models.items()}
    reference, *_ = runs[next(iter(runs))](spectra)
    result = {
        "largest_difference": {
            name: float((np.abs(run(spectra)[0] - reference) / spread).max())
            for name, run in runs.items()
        }
    }
    for batch in batches:
        best = dict.fromkeys(runs, np.inf)
        rows = np.ascontiguousarray(spectra[:batch])
        for _ in range(ROUNDS):
            for name, run in runs.items():
                started = time.process_time()
                run(rows)
                best[name] = min(best[name], (time.process_time() - started) / len(rows))
        result[f"batch {batch}"] = {name: round(1 / spent, 1) for name, spent in best.items()}
    return result


def shift(
    reference: bytes,
    content: bytes,
    model: Ensemble,
    examples: Examples,
    names: list[str],
    most: int = 500,
) -> dict[str, dict[str, float]]:
    """How far a graph's labels lie from a reference graph's, in units of its sigma, by label.

    `sigma` is the largest change of sigma as a share of it.
    """
    spectra = model.scaling.inputs(examples.inputs[:most])
    expected, errors = session(reference)(spectra)[:2]
    found, others = session(content)(spectra)[:2]
    moved, changed = np.abs(found - expected) / errors, np.abs(others / errors - 1)
    return {
        name: {
            "median": float(f"{np.median(moved[:, column]):.3g}"),
            "99 %": float(f"{np.quantile(moved[:, column], 0.99):.3g}"),
            "largest": float(f"{moved[:, column].max():.3g}"),
            "sigma": float(f"{changed[:, column].max():.3g}"),
        }
        for column, name in enumerate(names)
    }
