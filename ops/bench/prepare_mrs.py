"""Spectra and the plain Python for the measurement in ``tests/mrs_recipe/speed.rs``.

``make`` writes synthetic two-armed spectra with their recipe; ``time`` prepares them for some
seconds with the reference in float64 (``onnx/export``) and prints how many a second.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "onnx" / "export"))

from starmill_export import mrs_golden, mrs_prepare

SEED = 7


def make(out: Path, count: int) -> None:
    """Write the cases: lines, noise and a curved continuum, each with a velocity."""
    windows = mrs_golden.PUBLISHED_WINDOWS
    pixels = sum(len(mrs_prepare.grid(window)) for window in windows)
    scale = mrs_golden.scale_of(pixels, SEED)
    recipe = mrs_golden.recipe(windows)
    cases = []
    for number in range(count):
        rng = np.random.default_rng([SEED, number])
        spectrum = mrs_golden.synthetic(rng, windows, lines=400)
        spectrum.rv_kms = round(float(rng.normal(0, 40)), 2)
        cases.append(mrs_golden.case(f"synthetic {number}", spectrum, recipe, scale))
    out.write_text(json.dumps({"scale": [values.tolist() for values in scale], "cases": cases}))


def measure(path: Path, seconds: float) -> float:
    """Return how many spectra a second the reference prepares."""
    cases = json.loads(path.read_text())
    scale = tuple(np.array(values) for values in cases["scale"])
    spectra = [(mrs_golden.spectrum_of(case), case["recipe"]) for case in cases["cases"]]
    done, begin = 0, time.perf_counter()
    while (spent := time.perf_counter() - begin) < seconds:
        spectrum, recipe = spectra[done % len(spectra)]
        mrs_prepare.prepare(spectrum, recipe, scale)
        done += 1
    return done / spent


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True, dest="command")
    maker = commands.add_parser("make")
    maker.add_argument("cases", type=Path)
    maker.add_argument("--count", type=int, default=20)
    timer = commands.add_parser("time")
    timer.add_argument("cases", type=Path)
    timer.add_argument("--seconds", type=float, default=1.0)
    options = parser.parse_args()
    if options.command == "make":
        make(options.cases, options.count)
    else:
        print(measure(options.cases, options.seconds))
    return 0


if __name__ == "__main__":
    sys.exit(main())
