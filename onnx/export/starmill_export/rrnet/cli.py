"""Command line of RRNet and SPEMR: everything from the grid of syntheses to the graphs."""

import argparse
import json
import os
import pickle
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from starmill_export.rrnet import net, pipeline

REPOSITORY = Path(__file__).resolve().parents[4]
VERSION = "1.0.0"


STEPS = ["all", "data", "train", "export"]


def main(arguments: list[str] | None = None) -> int:
    """Run the steps up to the one that was asked for and return the exit code."""
    options = _parser().parse_intermixed_args(arguments)
    started = time.monotonic()

    def report(message: str) -> None:
        print(f"[{time.monotonic() - started:6.0f} s] {message}", flush=True)

    try:
        _run(options, report)
    except (ValueError, RuntimeError, OSError, pickle.UnpicklingError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="starmill_export.rrnet", description=__doc__)
    further = ["speed", "compare", "import", "templates", "velocity-templates"]
    parser.add_argument("step", choices=[*STEPS, "grid", "gradients", *further])
    parser.add_argument(
        "weights", type=Path, nargs="*", help="import: folders of SP0, CA0, ..., one a region"
    )
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
        help="archives of syntheses [default: STARMILL_MRS_GRID, else computed in --work]",
    )
    parser.add_argument("--work", type=Path, default=REPOSITORY / ".starmill/rrnet")
    parser.add_argument("--out", type=Path, help="the model folder [default: in --work]")
    parser.add_argument("--stars", type=int, help="size of a grid that is computed")
    parser.add_argument("--grid-seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--cache", type=Path, default=REPOSITORY / ".starmill/abinitio")
    parser.add_argument("--spectra", type=int, help="size of the training set")
    parser.add_argument(
        "--epochs", type=int, help="instead of 30; the rate and the noise follow in proportion"
    )
    parser.add_argument(
        "--calibration",
        choices=["fitted", "none"],
        default="fitted",
        help="of sigma; none leaves it as published, by equation 3",
    )
    parser.add_argument("--label-config", type=Path, help="import: label_config.pkl")
    parser.add_argument("--half", action="store_true", help="import: weights as float16")
    parser.add_argument("--members", type=int, help="nets of an ensemble, instead of 6")
    return parser


def _run(options: argparse.Namespace, report: Callable[[str], None]) -> None:
    if options.step == "grid":
        _compute_grid(options, report)
        return
    if options.step == "gradients":
        _compare_gradients(options, report)
        return
    if options.step == "velocity-templates":
        _write_velocity_templates(options, report)
        return
    if options.step == "import":
        _import(options, report)
        return
    if options.weights:
        raise ValueError(f"{options.step} takes no folders of weights: leave them out")

    def make_emulator() -> "pipeline.emulator.Emulator":
        if not options.grid and not (options.work / "emulator.npz").exists():
            options.grid = [_compute_grid(options, report)]
        steps = 3 if options.size == "smoke" else pipeline.emulator.STEPS
        return pipeline.make_emulator(options.grid, options.work, steps, report)

    def plan(kind: str, variant: str) -> pipeline.Plan:
        amounts = options.spectra, options.epochs, options.members
        return pipeline.plan(options.family, options.size, kind, variant, *amounts)

    if options.step == "compare":
        _compare(plan, make_emulator, options, report)
        return
    chosen = plan(options.kind, options.variant)
    if options.step == "speed":
        untrained = options.work / f"speed-{options.family}-{options.size}" / "model"
        _measure(chosen, options.work, options.out or untrained, report)
        return
    members = options.work / f"{options.family}-{options.variant}-{options.kind}-{options.size}"
    if options.step == "templates":
        _add_templates(chosen, options.work, options.out or members / "model", report)
        return
    data = options.work / f"{options.family}-{options.variant}-{chosen.spectra}"
    made, scaling = pipeline.make_examples(chosen, make_emulator, data, report)
    report(f"{len(made.labels)} spectra in {data}")
    if options.step == "data":
        return
    if options.step == "export":
        model = pipeline.stored_ensemble(chosen, scaling, members)
    else:
        model = pipeline.train_members(chosen, made, scaling, members, report)
    if options.step != "train":
        _export(model, chosen, made, options, options.out or members / "model", report)


def _import(options: argparse.Namespace, report: Callable[[str], None]) -> None:
    """A model folder from published weights, as they are."""
    from starmill_export.rrnet import importing

    if options.label_config is None or options.out is None:
        raise ValueError("import needs --label-config FILE and --out FOLDER: give both")
    model = importing.read(options.family, options.weights, options.label_config)
    importing.write(model, options.family, VERSION, options.weights, options.half, options.out)
    report(f"wrote {options.out}")


def _compare(
    plan: Callable[[str, str], pipeline.Plan],
    make_emulator: Callable[[], "pipeline.emulator.Emulator"],
    options: argparse.Namespace,
    report: Callable[[str], None],
) -> None:
    """The paper's comparisons: figure 3 and table 4."""
    from starmill_export.rrnet import compare

    if options.family != "rrnet":
        raise ValueError("the comparisons are those of RRNet's paper: leave --family out")
    folder = compare.run(plan, options.size, make_emulator, options.work, report)
    report(f"wrote {folder / 'compare.md'} and {folder / 'compare.json'}")


def _compute_grid(options: argparse.Namespace, report: Callable[[str], None]) -> Path:
    """Compute syntheses into the work folder: about 5 CPU seconds a star, an hour for all."""
    from starmill_export.rrnet import grid, labels

    target = options.work / f"grid-{options.grid_seed}.npz"
    if not target.exists():
        count = options.stars or grid.STARS
        report(f"computing {count} syntheses, about {5 * count / 60:.0f} CPU minutes")
        stars = grid.sample(count, options.grid_seed)
        synthesis = grid.Synthesis(options.cache)
        grid.compute(target, stars, labels.SYNTHESIS, synthesis, options.workers, report)
    report(f"syntheses in {target}")
    return target


GRADIENT_STARS = {"giant": (4800.0, 2.5, 0.0, 1.4), "dwarf": (5800.0, 4.4, 0.0, 1.0)}


def _compare_gradients(options: argparse.Namespace, report: Callable[[str], None]) -> None:
    """Hold the emulator's response to every abundance against new syntheses."""
    from starmill_export.rrnet import emulator, grid, labels, observe, syntheses

    fitted = emulator.load(options.work / "emulator.npz")
    synthesis = grid.Synthesis(options.cache)
    result = {}
    for name, atmosphere in GRADIENT_STARS.items():
        star = np.array([*atmosphere, *[0.0] * len(labels.ELEMENTS)])
        computed = syntheses.at_resolution(
            grid.responses(synthesis, star), grid.pixels(), observe.EMULATED_RESOLUTION
        )
        result[name] = grid.compare_responses(emulator.responses(fitted, star), computed)
        for element, figures in result[name].items():
            report(f"{name} {element}: {figures}")
    (options.work / "gradients.json").write_text(json.dumps(result, indent=1) + "\n")


def _write_velocity_templates(options: argparse.Namespace, report: Callable[[str], None]) -> None:
    """Write what the program measures radial velocities against, and what its tests measure."""
    from starmill_export.rrnet import emulator, syntheses, velocity_templates

    if not options.grid:
        raise ValueError("no grid of syntheses: name it with --grid or STARMILL_MRS_GRID")
    templates = REPOSITORY / "src/rv/measure/templates.bin"
    stars = REPOSITORY / "tests/rv/stars.bin"
    velocity_templates.make(
        emulator.load(options.work / "emulator.npz"), syntheses.load(options.grid), templates, stars
    )
    report(f"{templates} and {stars}")


def _measure(
    chosen: pipeline.Plan, work: Path, folder: Path, report: Callable[[str], None]
) -> None:
    """Speed and equality of the graphs of untrained nets, for sizes that nobody has trained.

    They are written as a model folder, so that Starmill can measure them too.
    """
    from starmill_export import manifest
    from starmill_export.rrnet import fast_graph, plain_graph, speed
    from starmill_export.rrnet import folder as model_folder

    shape = chosen.shape
    rng = np.random.default_rng(pipeline.SEED)
    members = [net.initial(shape, index) for index in range(chosen.members)]
    regions = [members]
    if chosen.tuning is not None:
        # Dense layers of their own on shared trunks, as fine-tuning leaves them.
        regions = [
            [
                {
                    name: value + 0.01 * rng.standard_normal(value.shape, np.float32)
                    if name.startswith(net.HEAD_PREFIXES)
                    else value
                    for name, value in member.items()
                }
                for member in members
            ]
            for _ in range(4)
        ]
    ones, zeros = np.ones(shape.labels), np.zeros(shape.labels)
    scaling = pipeline.Scaling(np.zeros(shape.pixels), np.ones(shape.pixels), zeros, ones)
    model = pipeline.Ensemble(regions, shape, scaling).rounded()
    spectra = rng.standard_normal((64, shape.pixels), np.float32)
    graphs = {
        "plain": plain_graph.build(model, chosen.family, VERSION, half=True),
        "fast": fast_graph.build(model, chosen.family, VERSION, half=True),
        "eight bits": fast_graph.build(
            model, chosen.family, VERSION, half=True, calibration=spectra
        ),
        "kernels": fast_graph.build(model, chosen.family, VERSION, half=True, kernels=True),
        "kernels eight bits": fast_graph.build(
            model, chosen.family, VERSION, half=True, calibration=spectra, kernels=True
        ),
    }
    contents = {name: graph.SerializeToString(deterministic=True) for name, graph in graphs.items()}
    result = speed.compare(contents, spectra, ones, (1, 8, 16, 32, 64))
    result["bytes"] = {name: len(content) for name, content in contents.items()}
    work.mkdir(parents=True, exist_ok=True)
    (work / f"speed-{chosen.family}.json").write_text(json.dumps(result, indent=1) + "\n")
    for name, values in result.items():
        report(f"{name}: {values}")
    files = {
        "onnx": contents["kernels"],
        "scale": np.concatenate([scaling.pixel_mean, scaling.pixel_spread]).astype("<f4").tobytes(),
        "golden": model_folder.golden(model, spectra),
        "card": b"# Untrained nets, to measure with\n",
    }
    provenance = {"command": "./onnx/export/train-rrnet.sh speed"}
    text = model_folder.manifest_text(
        chosen.family, chosen.names, "c", VERSION, files, model, {}, provenance
    )
    manifest.write_folder(folder, files, text, model_folder.FILE_NAMES)
    report(f"wrote {folder} and {_write_graphs(folder, contents)}")


def _write_graphs(folder: Path, contents: dict[str, bytes]) -> Path:
    """Write all graphs of a model into a folder beside its own."""
    beside = folder.with_name(folder.name + "-graphs")
    beside.mkdir(exist_ok=True)
    for name, content in contents.items():
        (beside / f"{name.replace(' ', '-')}.onnx").write_bytes(content)
    return beside


def _add_templates(
    chosen: pipeline.Plan, work: Path, folder: Path, report: Callable[[str], None]
) -> None:
    """Put templates into a model folder that is there, and nothing else."""
    from starmill_export import manifest
    from starmill_export.rrnet import emulator, templates
    from starmill_export.rrnet import folder as model_folder

    content = templates.file(
        emulator.load(work / "emulator.npz"), chosen.family, chosen.names, report
    )
    text = (folder / "manifest.toml").read_text()
    text = model_folder.with_file(text, "templates", content)
    manifest.write_folder(folder, {"templates": content}, text, model_folder.FILE_NAMES)
    report(f"wrote {folder}")


def _export(
    model: "pipeline.Ensemble",
    chosen: pipeline.Plan,
    made: "pipeline.examples.Examples",
    options: argparse.Namespace,
    folder: Path,
    report: Callable[[str], None],
) -> None:
    """Write the model folder, and the other graphs beside it in `graphs`."""
    from starmill_export import manifest
    from starmill_export.rrnet import (
        emulator,
        evaluate,
        fast_graph,
        plain_graph,
        recipe_golden,
        speed,
        templates,
    )
    from starmill_export.rrnet import folder as model_folder

    model = pipeline.with_novelty(model, made).rounded()
    if options.calibration == "fitted":
        model = pipeline.with_calibration(model, made)
    spectra = model.scaling.inputs(made.part("test").inputs[:64])
    graphs = {"plain": plain_graph.build(model, chosen.family, VERSION, half=True)}
    if model.shape.residual:
        calibration = model.scaling.inputs(made.part("validation").inputs[:100])
        graphs["fast"] = fast_graph.build(model, chosen.family, VERSION, half=True)
        graphs["eight bits"] = fast_graph.build(
            model, chosen.family, VERSION, half=True, calibration=calibration
        )
        graphs["kernels"] = fast_graph.build(model, chosen.family, VERSION, True, kernels=True)
        graphs["kernels eight bits"] = fast_graph.build(
            model, chosen.family, VERSION, True, calibration, kernels=True
        )
    contents = {name: graph.SerializeToString(deterministic=True) for name, graph in graphs.items()}
    summary = {
        "labels": chosen.names,
        "members": len(model.regions[0]),
        "regions": len(model.regions),
        "parameters_of_a_member": net.count(model.regions[0][0]),
        "held_out": pipeline.held_out(model, made, chosen.names),
        "speed": speed.compare(contents, spectra, model.scaling.label_spread),
        "bytes": {name: len(content) for name, content in contents.items()},
        "shift_in_sigma": {
            name: speed.shift(contents["plain"], content, model, made.part("test"), chosen.names)
            for name, content in contents.items()
        },
        "calibration": options.calibration,
    }
    report(f"speed: {summary['speed']}")
    scaling = model.scaling
    vectors = np.concatenate([scaling.pixel_mean, scaling.pixel_spread]).astype("<f4")
    errors = json.loads((options.work / "emulator.json").read_text())
    files = {
        "onnx": contents.get("kernels", contents["plain"]),
        "scale": vectors.tobytes(),
        "golden": model_folder.golden(model, spectra),
        "recipe_golden": recipe_golden.content(
            model_folder.recipe(chosen.variant), vectors.tobytes()
        ),
        "card": model_folder.card(chosen.family, summary, errors).encode(),
        "templates": templates.file(
            emulator.load(options.work / "emulator.npz"), chosen.family, chosen.names, report
        ),
    }
    provenance = {
        "command": "./onnx/export/train-rrnet.sh",
        "seed": str(pipeline.SEED),
        "training_data": f"{len(made.labels)} synthetic spectra of a SYNSPEC54 grid",
        "errors": "calibrated on the validation part"
        if model.calibration is not None
        else "equation 3 of the paper",
        "trainer": f"JAX, {chosen.schedule.epochs} epochs, batches of {chosen.schedule.batch}",
    }
    _, ignorance = evaluate.ignorance(summary["held_out"])
    text = model_folder.manifest_text(
        chosen.family, chosen.names, chosen.variant, VERSION, files, model, ignorance, provenance
    )
    manifest.write_folder(folder, files, text, model_folder.FILE_NAMES)
    beside = _write_graphs(folder, contents)
    (beside / "summary.json").write_text(json.dumps(summary, indent=1) + "\n")
    report(f"wrote {folder} and {beside}")


if __name__ == "__main__":
    sys.exit(main())
