"""Time starmill stage by stage and end to end, and the Python baseline, over the same files.

Every repetition runs each program once, in turn, so that a busy machine slows all of them alike;
ratios are taken within a repetition. Results go to a JSON file that ``report.py`` reads.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import machine

STAGES = ("inflate", "read", "prepare", "infer", "write")
HERE = Path(__file__).parent


@dataclass(frozen=True)
class Subject:
    """What is measured: the program, the model, and the files."""

    starmill: Path
    model: Path
    data: Path
    workers: int


def last_json(command: list[str]) -> dict:
    """Run a command and return the JSON object on its last line."""
    answer = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(answer.stdout.strip().splitlines()[-1])


def time_stage(subject: Subject, stage: str, workers: int) -> dict:
    """Time one stage alone."""
    options = ["--workers", str(workers), "--model", subject.model.name]
    return last_json([str(subject.starmill), "bench", stage, *options, str(subject.data)])


def run_starmill(subject: Subject, files: list[Path] | None = None) -> dict:
    """Time a whole run into a fresh folder; ``files`` replaces the subject's folder."""
    with tempfile.TemporaryDirectory(prefix="starmill-bench-") as scratch:
        stats = Path(scratch) / "stats.json"
        command = [str(subject.starmill), "run", "--model", subject.model.name]
        command += ["--out", f"{scratch}/out", "--stats", str(stats)]
        command.append("-" if files else str(subject.data))
        listing = "\n".join(map(str, files)) if files else None
        begin = time.perf_counter()
        # Exit code 1 means finished with rejects, which are work done as well.
        done = subprocess.run(command, input=listing, text=True, capture_output=True, check=False)
        wall = time.perf_counter() - begin
        if done.returncode not in (0, 1):
            raise SystemExit(f"starmill run ended with {done.returncode}:\n{done.stderr}")
        result = json.loads(stats.read_text())
    return result | {"process_wall_s": wall, "per_s": result["files"] / wall}


def run_baseline(subject: Subject, workers: int) -> dict:
    """Time the Python baseline, from the start of its interpreter to its end."""
    with tempfile.TemporaryDirectory(prefix="starmill-bench-") as scratch:
        command = [sys.executable, str(HERE / "baseline.py"), str(subject.data)]
        command += ["--model", str(subject.model), "--out", scratch, "--workers", str(workers)]
        begin = time.perf_counter()
        result = last_json(command)
        wall = time.perf_counter() - begin
    return result | {"process_wall_s": wall, "per_s": result["files"] / wall}


def repetition(subject: Subject) -> dict:
    """Run every program once, in turn."""
    result: dict = {"stages": {}, "baseline": {}}
    for stage in STAGES:
        for workers in sorted({1, subject.workers}):
            if stage == "write" and workers > 1:
                continue  # one writer keeps the catalogue
            result["stages"][f"{stage}/{workers}"] = time_stage(subject, stage, workers)
    result["run"] = run_starmill(subject)
    for workers in sorted({1, subject.workers}):
        result["baseline"][str(workers)] = run_baseline(subject, workers)
    return result


def memory(subject: Subject, folder: Path, counts: tuple[int, int]) -> list[dict]:
    """Run over the first files of a folder, for each of some counts, and return peak memory."""
    files = sorted(folder.rglob("*.fits*"))
    results = []
    for count in counts:
        if len(files) < count:
            raise SystemExit(f"{folder} holds {len(files)} files, {count} are needed")
        run = run_starmill(subject, files[:count])
        results.append({"files": count, "peak_rss_bytes": run["peak_rss_bytes"]})
    return results


def read_once(folder: Path) -> None:
    """Bring the files into the page cache, so that the first program is not the one that waits."""
    for path in folder.rglob("*.fits*"):
        path.read_bytes()


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--starmill", type=Path, required=True, help="the release binary")
    parser.add_argument("--model", type=Path, default=Path("onnx/models/fcresnet"))
    parser.add_argument("--data", type=Path, required=True, help="folder of files to measure with")
    parser.add_argument("--large", type=Path, help="folder of 10,000 files to measure memory with")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--workers", type=int, default=machine.cores(), help="threads at most")
    parser.add_argument("--out", type=Path, required=True, help="JSON file of the results")
    options = parser.parse_args()
    if shutil.which(str(options.starmill)) is None:
        raise SystemExit(f"{options.starmill} is not there; run: cargo build --release --locked")

    subject = Subject(options.starmill, options.model, options.data, options.workers)
    read_once(options.data)
    repetitions = []
    for number in range(1, options.repetitions + 1):
        repetitions.append(repetition(subject))
        print(f"repetition {number} of {options.repetitions} done", flush=True)
    results = {
        "machine": machine.describe(options.starmill, options.model),
        "workers": options.workers,
        "data": json.loads((options.data / "made.json").read_text()),
        "repetitions": repetitions,
    }
    if options.large:
        read_once(options.large)
        results["memory"] = memory(subject, options.large, (1000, 10_000))
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
