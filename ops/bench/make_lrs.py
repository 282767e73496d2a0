"""Write synthetic LAMOST low-resolution files in each of the survey's three layouts.

The files stand in for an archive in benchmarks: same layouts, sizes and compressibility, distinct
observations, the same bytes for the same seed.
"""

import argparse
import gzip
import json
import multiprocessing
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from lrs_layouts import LAYOUTS, PLATE, Observation, file_bytes
from synthetic import Universe

# Compressed size over inflated size of real files: medians of 93, 161 and 14 files. Those of the
# pilot layout and of DR10 come uncompressed and were compressed at level 6 for this; the table's
# number is for half of them with a normalised spectrum, as written here.
REAL_RATIO = {"pilot": 0.470, "image": 0.487, "table": 0.470}
GZIP_LEVEL = 6


@dataclass(frozen=True)
class Order:
    """What to write; equal orders give equal files."""

    count: int
    seed: int
    compress: bool


def write_plate(task: tuple[Path, Order, str, int]) -> tuple[str, int, int, int]:
    """Write one plate of one layout; return its layout, files, bytes on disk and inflated."""
    folder, order, layout, plate = task
    universe = Universe()
    stored = inflated = 0
    numbers = range(plate * PLATE, min((plate + 1) * PLATE, order.count))
    for number in numbers:
        observation = Observation(layout, number)
        rng = np.random.default_rng([order.seed, LAYOUTS.index(layout), number])
        content = file_bytes(observation, universe.spectrum(rng))
        name = observation.name
        inflated += len(content)
        if order.compress:
            content = gzip.compress(content, GZIP_LEVEL, mtime=0)
            name += ".gz"
        stored += len(content)
        target = folder / layout / observation.plan
        target.mkdir(parents=True, exist_ok=True)
        (target / name).write_bytes(content)
    return layout, len(numbers), stored, inflated


def make(folder: Path, order: Order, layouts: tuple[str, ...], workers: int) -> dict[str, dict]:
    """Write the files of every layout and return what was written, by layout."""
    plates = range((order.count + PLATE - 1) // PLATE)
    tasks = [(folder, order, layout, plate) for layout in layouts for plate in plates]
    written = {layout: {"files": 0, "stored": 0, "inflated": 0} for layout in layouts}
    with multiprocessing.Pool(workers) as pool:
        for layout, files, stored, inflated in pool.imap_unordered(write_plate, tasks):
            written[layout]["files"] += files
            written[layout]["stored"] += stored
            written[layout]["inflated"] += inflated
    return written


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="where to write; one folder for each layout")
    parser.add_argument("--count", type=int, default=1000, help="files of each layout")
    parser.add_argument("--layouts", nargs="+", choices=LAYOUTS, default=LAYOUTS)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--plain", action="store_true", help="do not compress")
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    options = parser.parse_args()

    order = Order(options.count, options.seed, not options.plain)
    request = asdict(order) | {"layouts": list(options.layouts)}
    # Written last: an interrupted run is done again.
    done = options.folder / "made.json"
    if done.is_file() and json.loads(done.read_text())["request"] == request:
        print(f"{options.folder} holds these files already")
        return
    begin = time.perf_counter()
    written = make(options.folder, order, tuple(options.layouts), options.workers)
    for layout, size in written.items():
        ratio = size["stored"] / size["inflated"]
        real = f", real files {REAL_RATIO[layout]:.3f}" if order.compress else ""
        per_file = size["stored"] / size["files"] / 1e3
        print(f"{layout}: {size['files']} files of {per_file:.1f} kB, ratio {ratio:.3f}{real}")
    done.write_text(json.dumps({"request": request, "written": written}, indent=1) + "\n")
    print(f"written in {time.perf_counter() - begin:.0f} s")


if __name__ == "__main__":
    main()
