"""Command line of the generator: everything from the grid of syntheses to the model folder."""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from starmill_export.generator import net, pipeline, train

REPOSITORY = Path(__file__).resolve().parents[4]
VERSION = "1.0.0"
STEPS = ["all", "grid", "data", "train"]


def main(arguments: list[str] | None = None) -> int:
    """Run the steps up to the one that was asked for and return the exit code."""
    options = _parser().parse_args(arguments)
    started = time.monotonic()

    def report(message: str) -> None:
        print(f"[{time.monotonic() - started:6.0f} s] {message}", flush=True)

    try:
        _run(options, report)
    except (ValueError, RuntimeError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="starmill_export.generator", description=__doc__)
    parser.add_argument("step", choices=STEPS)
    parser.add_argument("--size", choices=list(net.SIZES), default="small")
    parser.add_argument(
        "--grid",
        type=Path,
        nargs="+",
        default=[Path(path) for path in os.environ.get("STARMILL_RVS_GRID", "").split(":") if path],
        help="archives of syntheses [default: STARMILL_RVS_GRID, else computed in --work]",
    )
    parser.add_argument("--work", type=Path, default=REPOSITORY / ".starmill/generator")
    parser.add_argument("--out", type=Path, help="the model folder [default: in --work]")
    parser.add_argument("--stars", type=int, help="size of a grid that is computed")
    parser.add_argument("--grid-seed", type=int, default=2)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--cache", type=Path, default=REPOSITORY / ".starmill/abinitio")
    parser.add_argument("--spectra", type=int, help="size of the training set")
    return parser


def _run(options: argparse.Namespace, report: Callable[[str], None]) -> None:
    paths = options.grid or [_computed_grid(options, report)]
    if options.step == "grid":
        return
    grid = pipeline.read_grid(paths)
    report(f"{len(grid.labels)} syntheses")
    count = options.spectra or train.PLANS[options.size].spectra
    steps = 3 if options.size == "smoke" else pipeline.SEARCH_STEPS
    training, validation = pipeline.make_examples(
        options.work / f"spectra-{count}.npz",
        count,
        lambda: pipeline.make_emulator(grid, options.work, steps, report),
        report,
    )
    report(f"{len(training.labels)} training and {len(validation.labels)} validation spectra")
    if options.step == "data":
        return
    folder = options.work / options.size
    trained = pipeline.train_all(options.size, training, validation, folder, report)
    if options.step == "all":
        data = training, validation, grid
        _export(trained, *data, options, options.out or folder / "model", report)


def _computed_grid(options: argparse.Namespace, report: Callable[[str], None]) -> Path:
    """Compute syntheses into the work folder: an hour for all on one core."""
    from starmill_export.generator import grid

    target = options.work / f"grid-{options.grid_seed}.npz"
    if not target.exists():
        count = options.stars or grid.STARS
        report(f"computing {count} syntheses, about {3 * count / 60:.0f} CPU minutes")
        grid.compute(target, count, options.grid_seed, options.cache, options.workers, report)
    report(f"syntheses in {target}")
    return target


def _export(
    trained: pipeline.Trained,
    training: "pipeline.Examples",
    validation: "pipeline.Examples",
    grid: "pipeline.Syntheses",
    options: argparse.Namespace,
    folder: Path,
    report: Callable[[str], None],
) -> None:
    """Write the model folder, and the inversion's graph and all figures beside it."""
    from starmill_export import manifest
    from starmill_export.generator import card, network_file
    from starmill_export.generator import folder as model_folder

    test = pipeline.synthesised(grid)
    model, error, summary = pipeline.evaluated(trained, training, validation, test)
    forward, inversion = (
        graph.SerializeToString(deterministic=True)
        for graph in (
            network_file.forward_graph(model, model_folder.NAME, VERSION),
            network_file.inversion_graph(trained.inversion, training, "inversion", VERSION),
        )
    )
    known, unseen = pipeline.split(grid)
    plan = train.PLANS[options.size]
    epochs = {
        "auto-encoder": plan.autoencoder.epochs,
        "label net": plan.label_net.epochs,
        "together": plan.together.epochs,
        "inversion": plan.inversion.epochs,
    }
    summary |= {
        "epochs": epochs,
        "size": options.size,
        "bytes": {"forward": len(forward), "inversion": len(inversion)},
        "syntheses": {"known": len(known.labels), "held_out": len(unseen.labels)},
        "emulator": json.loads((options.work / "emulator.json").read_text()),
    }
    for name, figures in (summary["flux"] | summary["closure"]).items():
        report(f"{name}: {figures}")
    files = {
        "onnx": forward,
        "golden": model_folder.golden(model),
        "card": card.text(summary).encode(),
        "wavelength": model_folder.wavelength(),
        "model_error": error.astype("<f4").tobytes(),
    }
    provenance = {
        "command": "./onnx/export/train-generator.sh",
        "seed": str(train.SEED),
        "training_data": f"{len(training.labels)} spectra of a Gaussian process on "
        f"{len(known.labels)} SYNSPEC54 spectra of atmosnet atmospheres, rotated and smoothed",
        "trainer": "JAX, epochs: " + ", ".join(f"{name} {epochs[name]}" for name in epochs),
    }
    text = model_folder.manifest_text(VERSION, files, summary["model_error"], provenance)
    manifest.write_folder(folder, files, text, model_folder.FILE_NAMES)
    beside = folder.with_name(folder.name + "-graphs")
    beside.mkdir(exist_ok=True)
    (beside / "inversion.onnx").write_bytes(inversion)
    (beside / "summary.json").write_text(json.dumps(summary, indent=1) + "\n")
    report(f"wrote {folder} and {beside}")


if __name__ == "__main__":
    sys.exit(main())
