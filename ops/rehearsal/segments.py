"""Measure what a night of many small commits costs, with compaction and without.

Each spectrum is committed alone, as in a live night. Then the catalogue is opened, sealed and
verified, and opened once more without its ledger. Spectra are synthetic.
"""

import argparse
import contextlib
import json
import os
import random
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from sky import FIBERS, SPECTROGRAPHS, Exposure, Sky

POOL = 300
POLL_SECONDS = 0.002


@dataclass
class Run:
    """One run of the program."""

    seconds: float
    peak_mb: float
    most_open: int


@dataclass
class Row:
    """What was measured with so many commits."""

    commits: int
    compact_below: int
    commit_s: float
    segments: int
    segments_mb: float
    open_s: float
    seal_s: float
    rebuild_s: float
    verify_s: float
    peak_mb: float
    most_open: int


def make(folder: Path, count: int) -> None:
    """Write the spectra, each an observation of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    pool = Sky.of_benchmarks(POOL)
    taken = datetime(2026, 11, 21, 14, tzinfo=UTC)
    fibers = FIBERS * SPECTROGRAPHS
    order = list(range(count))
    # As files of a night arrive: in no order of their names.
    random.Random(1).shuffle(order)
    for place, number in enumerate(order):
        exposure = Exposure(taken, f"HD{number // fibers:06d}")
        content = pool.file(number, exposure, number % fibers, taken)
        (folder / f"{place:06d}-{exposure.name(number % fibers)}").write_bytes(content)


def run(command: Iterable[str | Path]) -> Run:
    """Run the program; look again and again how many files it has open."""
    words = [str(word) for word in command]
    begin = time.perf_counter()
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=log)
        most = 0
        while True:
            done, status, usage = os.wait4(process.pid, os.WNOHANG)
            if done:
                break
            with contextlib.suppress(FileNotFoundError):
                most = max(most, len(os.listdir(f"/proc/{process.pid}/fd")))
            time.sleep(POLL_SECONDS)
        seconds = time.perf_counter() - begin
        code = os.waitstatus_to_exitcode(status)
        if code != 0:
            log.seek(0)
            raise SystemExit(f"{words} ended with {code}:\n{log.read().decode()}")
    return Run(seconds, usage.ru_maxrss * 1024 / 1e6, most)


def opened(out: Path) -> float:
    """How long the last run took to open the catalogue, as its history says."""
    lines = [json.loads(line) for line in (out / "history.jsonl").read_text().splitlines()]
    return [line for line in lines if line["event"] == "begin"][-1]["recovered"]["seconds"]


def measure(program: str, files: Path, count: int, below: int, scratch: Path) -> Row:
    """Commit so many spectra one by one, then open, seal and verify."""
    shutil.rmtree(scratch, ignore_errors=True)
    out, listed = scratch / "out", scratch / "listed"
    listed.mkdir(parents=True)
    config = scratch / "starmill.toml"
    config.write_text(f"[write]\nsegment_spectra = 1\ncompact_below = {below}\n")
    start = [program, "--config", config, "run", "--model", "fcresnet", "--out"]
    names = sorted(files.iterdir())[:count]
    for name in names:
        (listed / name.name).symlink_to(name.resolve())
    one = listed / names[0].name
    before = run([*start, scratch / "small", one])
    commits = run([*start, out, listed])
    segments = list((out / "segments").iterdir())
    again = run([*start, out, one])
    open_s = opened(out)
    (out / "ledger.sqlite").unlink()
    rebuild = run([*start, out, one])
    rebuild_s = opened(out)
    verify = run([program, "catalogue", "verify", out])
    runs = [commits, again, rebuild, verify]
    return Row(
        commits=count,
        compact_below=below,
        commit_s=commits.seconds,
        segments=len(segments),
        segments_mb=sum(path.stat().st_size for path in segments) / 1e6,
        open_s=open_s,
        # The same run over a catalogue of one spectrum takes the rest.
        seal_s=again.seconds - before.seconds - open_s,
        rebuild_s=rebuild_s,
        verify_s=verify.seconds,
        peak_mb=max(run.peak_mb for run in runs),
        most_open=max(run.most_open for run in runs),
    )


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="where files and catalogues are made")
    parser.add_argument("--program", required=True)
    parser.add_argument("--commits", type=int, nargs="+", default=[2000, 8000])
    parser.add_argument("--below", type=int, nargs="+", default=[0, 1024])
    options = parser.parse_args()

    files = options.folder / f"files-{max(options.commits)}"
    if not files.is_dir():
        partial = files.with_suffix(".part")
        shutil.rmtree(partial, ignore_errors=True)
        make(partial, max(options.commits))
        partial.rename(files)
    rows = []
    for count in options.commits:
        for below in options.below:
            row = measure(options.program, files, count, below, options.folder / "scratch")
            rows.append(asdict(row))
            cells = [
                f"{value:.2f}" if isinstance(value, float) else str(value)
                for value in rows[-1].values()
            ]
            if len(rows) == 1:
                print("| " + " | ".join(rows[0]) + " |\n|" + "---|" * len(cells))
            print("| " + " | ".join(cells) + " |", flush=True)
    (options.folder / "segments.json").write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
