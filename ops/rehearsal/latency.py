"""Measure how long a file takes from its rename into the inbox to its durable row.

A live night at real speed: a plate of 4,000 files within two minutes, then 30 a minute. The clock
starts at the rename and stops when the ledger of the night names the file, as another process sees
it. Spectra are synthetic. Results go to a JSON file that ``bench/report.py`` reads.
"""

import argparse
import itertools
import json
import os
import random
import sqlite3
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from delivery import PLATE_FIBERS, PLATE_FILES, PLATE_SECONDS, Delivery, files_due
from scene import Scene, Service, longitude_of_noon
from sky import Exposure, Sky

POLL_SECONDS = 0.05
# Memory is told at so many moments, evenly over the night.
MOMENTS = 8


class Watcher(threading.Thread):
    """Notes when the ledgers of the nights come to name a file, and the memory of the service."""

    def __init__(self, out: Path, process: int) -> None:
        super().__init__(daemon=True)
        self.out = out
        self.process = process
        self.durable: dict[str, float] = {}
        self.resident: list[tuple[float, int]] = []
        self.going = True

    def run(self) -> None:
        """Poll until told to end."""
        last: dict[Path, int] = {}
        while self.going:
            for ledger in self.out.glob("nights/*/ledger.sqlite"):
                last[ledger] = self.poll(ledger, last.get(ledger, 0))
            self.sample()
            time.sleep(POLL_SECONDS)

    def poll(self, ledger: Path, last: int) -> int:
        """Note what is new in a ledger; return the last row seen."""
        try:
            with sqlite3.connect(f"file:{ledger}?mode=ro", uri=True, timeout=1) as database:
                rows = database.execute(
                    "SELECT id, path FROM inputs WHERE id > ? ORDER BY id", (last,)
                ).fetchall()
        except sqlite3.OperationalError:
            # It is just being created.
            return last
        now = time.monotonic()
        for number, path in rows:
            self.durable.setdefault(path, now)
            last = number
        return last

    def sample(self) -> None:
        """Note how much memory the service has."""
        for line in Path(f"/proc/{self.process}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                self.resident.append((time.monotonic(), int(line.split()[1]) * 1024))


def deliver(delivery: Delivery, begin: float, seconds: float) -> dict[str, float]:
    """Deliver a night; return when each file got its name."""
    taken = datetime.now(UTC)
    renamed: dict[str, float] = {}
    while (now := time.monotonic() - begin) < seconds:
        while len(renamed) < files_due(now):
            plate, fiber = divmod(len(renamed), PLATE_FIBERS)
            path = delivery.put(Exposure(taken, f"HD{plate:06d}"), fiber)
            renamed[str(path)] = time.monotonic()
        time.sleep(0.005)
    return renamed


def memory(samples: list[tuple[float, int]], begin: float, seconds: float) -> list[dict]:
    """Return the median memory of each part of the night."""
    edges = np.linspace(0, seconds, MOMENTS + 1)
    parts = []
    for low, high in itertools.pairwise(edges):
        sizes = [size for at, size in samples if low <= at - begin < high]
        parts.append({"until_s": float(high), "resident_bytes": float(np.median(sizes))})
    return parts


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="where all happens; must not exist")
    parser.add_argument("--program", required=True)
    parser.add_argument("--minutes", type=float, default=4.0)
    parser.add_argument("--port", type=int, default=8798)
    parser.add_argument("--out", type=Path, required=True, help="JSON file of the results")
    options = parser.parse_args()
    seconds = options.minutes * 60
    if seconds < 2 * PLATE_SECONDS:
        sys.exit(f"error: the plate takes {PLATE_SECONDS / 60:.0f} minutes; give twice that")

    load = os.getloadavg()[0]
    # Midnight is now, so that no noon comes between.
    scene = Scene.make(
        options.folder,
        port=options.port,
        longitude=longitude_of_noon(datetime.now(UTC) + timedelta(hours=12)),
        settle=2.0,
        give_up=30.0,
        quiet=900.0,
    )
    delivery = Delivery(scene.inbox, Sky.of_benchmarks(300), random.Random(1))
    service = Service(scene, options.program)
    service.start()
    watcher = Watcher(scene.out, service.process.pid)
    watcher.start()
    time.sleep(5)
    begin = time.monotonic()
    renamed = deliver(delivery, begin, seconds)
    deadline = time.monotonic() + 60
    while len(watcher.durable) < len(renamed) and time.monotonic() < deadline:
        time.sleep(0.1)
    watcher.going = False
    watcher.join()
    code = service.stop()

    durable = [path for path in renamed if path in watcher.durable]
    latencies = np.array([watcher.durable[path] - renamed[path] for path in durable])
    p50, p90, p99 = (round(float(q), 3) for q in np.percentile(latencies, [50, 90, 99]))
    results = {
        "minutes": options.minutes,
        "plate_files": PLATE_FILES,
        "files": len(renamed),
        "not_durable": len(renamed) - len(durable),
        "p50_s": p50,
        "p90_s": p90,
        "p99_s": p99,
        "max_s": round(float(latencies.max()), 3),
        "memory": memory(watcher.resident, begin, seconds),
        "load_before": round(load, 2),
        "cores": len(os.sched_getaffinity(0)),
        "exit_code": code,
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(results, indent=1) + "\n")
    if code != 0:
        sys.exit(f"error: the service ended with {code}, see {service.log}")


if __name__ == "__main__":
    main()
