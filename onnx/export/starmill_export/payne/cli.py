"""Command line of the Payne: from packages to the model folder, one command a model."""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from starmill_export import bossbrain, fetch, manifest
from starmill_export.payne import card, compare, folder, giants, net, pipeline
from starmill_export.payne.pipeline import Made, Size
from starmill_export.payne.prior import Source

REPOSITORY = Path(__file__).resolve().parents[4]
STEPS = ["all", "train", "compare"]
Report = Callable[[str], None]


def main(arguments: list[str] | None = None) -> int:
    """Run the steps up to the one that was asked for and return the exit code."""
    options = _parser().parse_args(arguments)
    started = time.monotonic()

    def report(message: str) -> None:
        print(f"[{time.monotonic() - started:6.0f} s] {message}", flush=True)

    try:
        source = _source(options, report)
        run(source, options.size, options.step, options.work, options.out, report)
    except (ValueError, RuntimeError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="starmill_export.payne", description=__doc__)
    parser.add_argument("step", choices=STEPS)
    parser.add_argument("--model", choices=list(folder.KINDS), default="payne")
    parser.add_argument(
        "--size",
        choices=["reference", "published", "smoke"],
        default="reference",
        help="one hidden layer for all pixels, or one for each as published",
    )
    parser.add_argument("--work", type=Path, default=REPOSITORY / ".starmill/payne")
    parser.add_argument("--out", type=Path, help="the model folder [default: in --work]")
    parser.add_argument("--cache", type=Path, default=REPOSITORY / ".starmill/abinitio")
    parser.add_argument(
        "--rrnet-work",
        type=Path,
        default=REPOSITORY / ".starmill/rrnet",
        help="where RRNet's emulator lies or is made, for payne-mrs",
    )
    parser.add_argument(
        "--grid",
        type=Path,
        nargs="+",
        default=[Path(path) for path in os.environ.get("STARMILL_MRS_GRID", "").split(":") if path],
        help="archives of syntheses for that emulator [default: STARMILL_MRS_GRID]",
    )
    return parser


def _source(options: argparse.Namespace, report: Report) -> Source:
    if options.model == "payne":
        archive = fetch.opened(fetch.BOSSBRAIN, options.cache)
        return giants.Giants(bossbrain.Bossbrain(archive / "bossbrain/data"))
    from starmill_export.payne import arms
    from starmill_export.rrnet import pipeline as rrnet

    if not options.grid and not (options.rrnet_work / "emulator.npz").exists():
        raise ValueError("no syntheses: set STARMILL_MRS_GRID or run ./train-rrnet.sh grid first")
    fitted = rrnet.make_emulator(options.grid, options.rrnet_work, rrnet.emulator.STEPS, report)
    return arms.Arms(fitted)


def run(
    source: Source, size_name: str, step: str, work: Path, out: Path | None, report: Report
) -> None:
    """Simulate, train, compare and write; what lies in `work` is not made again."""
    size = pipeline.SMOKE if size_name == "smoke" else pipeline.REFERENCE[source.name]
    work = work / f"{source.name}-{size_name}"
    work.mkdir(parents=True, exist_ok=True)
    made = _spectra(source, size, work / "spectra.npz", report)
    if size_name == "published":
        model = pipeline.train_published(source, made, size, work, report)
    else:
        model = pipeline.train_shared(source, made, size.plan, work / "shared.npz", report)
    if step == "train":
        return
    comparison = {}
    if isinstance(source, giants.Giants) and size_name != "published":
        comparison = _compare(source, made, size, model, size_name, work, report)
    if step == "all":
        _export(source, made, size, model, comparison, out or work / "model", report)


def _spectra(source: Source, size: Size, path: Path, report: Report) -> Made:
    if path.exists():
        return pipeline.load(path, size)
    made = pipeline.simulate(source, size, report)
    made.save(path)
    return made


def _compare(
    source: giants.Giants,
    made: Made,
    size: Size,
    model: net.Shared,
    size_name: str,
    work: Path,
    report: Report,
) -> dict:
    """The two comparisons of the card, each made once."""
    sizes = compare.SMOKE if size_name == "smoke" else compare.FULL
    steps = {
        "figure_3": lambda: compare.figure_3(source, made, sizes, report),
        "layers": lambda: compare.layers(source, made, size, model, work, report),
    }
    result = {}
    for name, measure in steps.items():
        path = work / f"{name}.json"
        if not path.exists():
            path.write_text(json.dumps(measure(), indent=1) + "\n")
        result[name] = json.loads(path.read_text())
        report(f"{name}: {path}")
    for name, plan in (("shared_plan", size.plan), ("per_pixel_plan", size.per_pixel)):
        result[name] = f"{plan.steps:,} batches of {plan.batch}"
    return result


def _export(
    source: Source,
    made: Made,
    size: Size,
    model: net.Shared,
    comparison: dict,
    out: Path,
    report: Report,
) -> None:
    stored = net.rounded(model)
    errors = pipeline.error_by_pixel(stored, made)
    moved = stored(made.held_out_labels[:100]) - model(made.held_out_labels[:100])
    findings = comparison | {
        "held_out": card.held_out(stored, made),
        "half_precision": float(moved.std()),
        "correlation": compare.correlations(stored, made.theory, source.names),
    }
    data = "bossbrain 1.0.12 spectra"
    if source.name == "payne-mrs":
        from starmill_export.payne.arms import TRUSTED

        teff, missed, flux = source.left_out()
        findings |= {"left_out": card.by_temperature(teff, missed, flux), "trusted": TRUSTED}
        of_emulator = np.sqrt((missed[teff >= TRUSTED] ** 2).mean(axis=0))
        errors = np.hypot(pipeline.error_by_pixel(stored, made, TRUSTED), of_emulator)
        data = "spectra of RRNet's emulator of SYNSPEC54 syntheses"
    plan = size.per_pixel if isinstance(stored, net.PerPixel) else size.plan
    provenance = {
        "command": f"./onnx/export/train-payne.sh all --model {source.name}",
        "seed": str(pipeline.SEED),
        "training_data": f"{len(made.labels)} noise-free {data}",
        "trainer": f"JAX, {plan.steps} steps of {plan.batch} spectra, D_scale {plan.d_scale:g}",
    }
    contents = folder.files(stored, source, errors, card.text(source, stored, findings))
    text = folder.manifest_text(source, contents, errors, provenance)
    manifest.write_folder(out, contents, text, folder.FILE_NAMES)
    report(f"rms error {np.sqrt((errors**2).mean()):.5f}; wrote {out}")


if __name__ == "__main__":
    sys.exit(main())
