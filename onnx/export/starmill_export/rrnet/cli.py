"""Command line of RRNet and SPEMR: everything from the grid of syntheses to the graphs."""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx

from starmill_export.rrnet import net, pipeline

REPOSITORY = Path(__file__).resolve().parents[4]
VERSION = "1.0.0"


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
    parser = argparse.ArgumentParser(prog="starmill_export.rrnet", description=__doc__)
    parser.add_argument("step", choices=["data", "train", "export", "all"])
    parser.add_argument("--family", choices=["rrnet", "spemr"], default="rrnet")
    parser.add_argument("--size", choices=["small", "published", "smoke"], default="small")
    parser.add_argument("--kind", choices=net.KINDS, default="rrnet", help="a comparison net")
    parser.add_argument(
        "--variant",
        choices=["c", "cp", "u", "ur"],
        default="c",
        help="radial velocity: corrected, and perturbed, uncorrected, and a label",
    )
    parser.add_argument(
        "--grid",
        type=Path,
        nargs="+",
        default=[Path(path) for path in os.environ.get("STARMILL_MRS_GRID", "").split(":") if path],
        help="archives of syntheses; also STARMILL_MRS_GRID, colon-separated",
    )
    parser.add_argument("--work", type=Path, default=REPOSITORY / ".starmill/rrnet")
    parser.add_argument("--out", type=Path, help="folder of the graphs [default: in --work]")
    parser.add_argument("--spectra", type=int, help="size of the training set")
    parser.add_argument(
        "--epochs", type=int, help="instead of 30; the rate and the noise follow in proportion"
    )
    return parser


def _run(options: argparse.Namespace, report: Callable[[str], None]) -> None:
    chosen = pipeline.plan(
        options.family, options.size, options.kind, options.variant, options.spectra, options.epochs
    )
    data = options.work / f"{options.family}-{options.variant}-{chosen.spectra}"

    def make_emulator() -> "pipeline.emulator.Emulator":
        if not options.grid and not (options.work / "emulator.npz").exists():
            raise ValueError("no syntheses: name their archives with --grid or STARMILL_MRS_GRID")
        steps = 3 if options.size == "smoke" else pipeline.emulator.STEPS
        return pipeline.make_emulator(options.grid, options.work, steps, report)

    made, scaling = pipeline.make_examples(chosen, make_emulator, data, report)
    report(f"{len(made.labels)} spectra in {data}")
    if options.step == "data":
        return
    members = options.work / f"{options.family}-{options.variant}-{options.kind}-{options.size}"
    if options.step == "export":
        model = pipeline.stored_ensemble(chosen, scaling, members)
    else:
        model = pipeline.train_members(chosen, made, scaling, members, report)
    if options.step != "train":
        _export(model, chosen, made, options.out or members / "graphs", report)


def _export(
    model: "pipeline.Ensemble",
    chosen: pipeline.Plan,
    made: "pipeline.examples.Examples",
    folder: Path,
    report: Callable[[str], None],
) -> None:
    """Write both graphs, the pixel scaling, held-out figures and speeds."""
    from starmill_export.rrnet import fast_graph, plain_graph, speed

    model = model.rounded()
    folder.mkdir(parents=True, exist_ok=True)
    graphs = {"plain": plain_graph.build(model, chosen.family, VERSION, half=True)}
    if model.shape.residual:
        graphs["fast"] = fast_graph.build(model, chosen.family, VERSION, half=True)
    for name, graph in graphs.items():
        onnx.save(graph, folder / f"{name}.onnx")
    scaling = model.scaling
    vectors = np.concatenate([scaling.pixel_mean, scaling.pixel_spread]).astype("<f4")
    (folder / "scale.f32").write_bytes(vectors.tobytes())
    spectra = scaling.inputs(made.part("test").inputs[:64])
    measured = speed.compare(graphs, spectra, scaling.label_spread)
    report(f"speed: {measured}")
    summary = {
        "labels": chosen.names,
        "members": len(model.regions[0]),
        "regions": len(model.regions),
        "parameters_of_a_member": net.count(model.regions[0][0]),
        "held_out": pipeline.held_out(model, made, chosen.names),
        "speed": measured,
    }
    (folder / "summary.json").write_text(json.dumps(summary, indent=1) + "\n")
    report(f"wrote {folder}")


if __name__ == "__main__":
    sys.exit(main())
