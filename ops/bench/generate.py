"""Time ``starmill generate`` for every forward model, beside what the generator's paper states."""

import argparse
import re
import statistics
import subprocess
import tempfile
import tomllib
from pathlib import Path

import machine

LAST_LINE = re.compile(r"spectra=(\d+) .* seconds=([\d.]+) ")
PAPER_MS, SYNSPEC_MS = 9.0, 180_000.0


def forward_models(folder: Path) -> dict[str, dict]:
    """Return the manifests of the forward models in a folder of models, by name."""
    manifests = {path.parent.name: path for path in sorted(folder.glob("*/manifest.toml"))}
    texts = {name: tomllib.loads(path.read_text()) for name, path in manifests.items()}
    return {name: text for name, text in texts.items() if text.get("kind") == "forward"}


def measure(starmill: Path, model: str, ending: str, count: int, place: Path) -> float:
    """Return the milliseconds of one spectrum, with its writing."""
    out = place / f"{model}.{ending}"
    command = [starmill, "generate", "--model", model, "--sobol", str(count), "--out", out]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    out.unlink()
    found = LAST_LINE.search(done.stdout.splitlines()[-1])
    if found is None or int(found[1]) != count:
        raise SystemExit(f"{model} did not say what it wrote: {done.stdout}")
    return 1e3 * float(found[2]) / count


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--starmill", type=Path, required=True)
    parser.add_argument("--models", type=Path, default=Path("onnx/models"))
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    models = forward_models(options.models)
    if not models:
        raise SystemExit(f"there is no forward model in {options.models}; train one first")
    lines = [
        f"`./ops/bench.sh generate` on {machine.cores()} cores, one thread, "
        f"{options.count} spectra of a Sobol sequence, {options.repetitions} times: median (range) "
        "of the time for a spectrum with its writing. The paper states 9 ms for its generator and "
        "3 minutes for SYNSPEC, on another machine.",
        "",
        "| model | pixels | format | ms a spectrum | spectra/s | 9 ms / this | 3 min / this |",
        "|---|---:|---|---:|---:|---:|---:|",
    ]
    with tempfile.TemporaryDirectory(dir=options.out.parent) as place:
        for name, manifest in models.items():
            for ending in ["fits", "parquet"]:
                times = [
                    measure(options.starmill, name, ending, options.count, Path(place))
                    for _ in range(options.repetitions)
                ]
                ms = statistics.median(times)
                lines.append(
                    f"| {name} | {manifest['spectrum']['pixels']:,} | {ending} | {ms:.3f} "
                    f"({min(times):.3f} to {max(times):.3f}) | {1e3 / ms:,.0f} | "
                    f"{PAPER_MS / ms:,.0f} | {SYNSPEC_MS / ms:,.0f} |"
                )
    options.out.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
