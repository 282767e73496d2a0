"""Fits every method on every set of spectra, times it, and writes the table.

fit     what WORK does not hold yet; the nets also as model folders for Starmill to time
report  the table from these and Starmill's times
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from starmill_export.table1 import data, methods, nets, report
from starmill_export.table1.data import Task
from starmill_export.table1.methods import Fitted

REPOSITORY = Path(__file__).resolve().parents[4]
SUPPORT_SPECTRA = 6000
GAMMAS = [0.07, 0.02, 0.005]
EPOCHS = {"cnn": 40, "fcresnet": 150}
"""At most. An epoch of the CNN costs thirty times one of FCResNet."""

TIMED = {"knn": 1000, "xgboost": 10_000, "svr": 1000}
"""Spectra that a prediction is timed on, those of the test set over again."""


def main(arguments: list[str] | None = None) -> int:
    """Run one of the two steps and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="starmill_export.table1",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("step", choices=["fit", "report"])
    parser.add_argument("--work", type=Path, default=REPOSITORY / ".starmill/table1")
    parser.add_argument("--cache", type=Path, default=REPOSITORY / ".starmill/abinitio")
    parser.add_argument("--xp-cache", type=Path, default=REPOSITORY / ".starmill/fcresnet-xp")
    parser.add_argument("--only", nargs="*", help="methods, or sets, to fit [default: all]")
    parser.add_argument(
        "--epochs", type=int, help="of a net at most [default: CNN 40, FCResNet 150]"
    )
    parser.add_argument("--most", type=int, help="spectra of a part at most: a test")
    parser.add_argument("--speeds", type=Path, help="what the timing of the nets printed")
    parser.add_argument("--out", type=Path, default=REPOSITORY / "docs/table1.md")
    options = parser.parse_args(arguments)
    if options.step == "report":
        options.out.write_text(report.text(options.work, options.speeds.read_text()))
        return 0
    started = time.monotonic()

    def tell(message: str) -> None:
        print(f"[{time.monotonic() - started:6.0f} s] {message}", flush=True)

    for name, load in data.TASKS.items():
        wanted = [m for m in METHODS if _is_wanted(options.only, name, m)]
        missing = [m for m in wanted if not (options.work / name / m / "figures.json").exists()]
        if not missing:
            continue
        task = load(options.cache if name == "lrs" else options.xp_cache)
        task = task.thinned(options.most) if options.most else task
        tell(f"{name}: {', '.join(str(len(part[0])) for part in task.sets)} spectra")
        for method in missing:
            epochs = options.epochs or EPOCHS.get(method, 0)
            fit(task, method, options.work / name / method, epochs, tell)
    return 0


def _is_wanted(only: list[str] | None, task: str, method: str) -> bool:
    if not only:
        return True
    tasks, chosen = ([o for o in only if o in known] for known in (data.TASKS, METHODS))
    return (not tasks or task in tasks) and (not chosen or method in chosen)


def fit(task: Task, method: str, folder: Path, epochs: int, tell: Callable[[str], None]) -> dict:
    """Fit one method and write its figures; of a net also its model folder."""
    folder.mkdir(parents=True, exist_ok=True)
    begun = time.process_time()
    figures: dict = {"rows": [len(part[0]) for part in task.sets]}
    if method in NETS:
        graph, predicted, course = NETS[method](task, epochs, tell)
        nets.write_folder(folder, graph, task, predicted)
        size = (folder / "model.onnx").stat().st_size
        figures |= {"settings": f"{course}, {epochs} at most", "size": size}
    else:
        fitted = METHODS[method](task)
        figures["million_s"] = _timed(fitted, task, TIMED[method])
        predicted = fitted.predict(task.test[0]) * task.spread + task.mean
        figures |= {"settings": fitted.settings, "size": fitted.size}
    residuals = predicted - (task.test[1] * task.spread + task.mean)
    scaled = residuals / task.spread
    figures |= {
        "labels": task.labels,
        "bias": residuals.mean(axis=0).tolist(),
        "deviation": residuals.std(axis=0).tolist(),
        "robust": (1.4826 * np.median(np.abs(residuals - np.median(residuals, 0)), 0)).tolist(),
        "loss": float(np.mean(scaled**2)),
        "fit_s": time.process_time() - begun,
    }
    (folder / "figures.json").write_text(json.dumps(figures, indent=1) + "\n")
    tell(f"{method}: loss {figures['loss']:.4f}, {figures['fit_s']:.0f} CPU s")
    return figures


def _timed(fitted: Fitted, task: Task, rows: int) -> float:
    """CPU seconds for a million spectra, from `rows` of them."""
    spectra = np.resize(task.test[0], (rows, task.test[0].shape[1]))
    fitted.predict(spectra[:10])
    begun = time.process_time()
    fitted.predict(spectra)
    return (time.process_time() - begun) / rows * 1e6


def _support_vectors(task: Task) -> Fitted:
    return methods.support_vectors(task.training, task.validation, SUPPORT_SPECTRA, GAMMAS)


NETS = {"cnn": nets.cnn, "fcresnet": nets.fcresnet}
METHODS = {
    "knn": lambda task: methods.knn(task.training, task.validation),
    "xgboost": lambda task: methods.boosted_trees(task.training, task.validation),
    "svr": _support_vectors,
    "cnn": None,
    "fcresnet": None,
}

if __name__ == "__main__":
    sys.exit(main())
