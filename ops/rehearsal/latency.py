"""Measure how long a file takes from its rename into the inbox to its durable row.

A live night at real speed: a plate of 4,000 files within two minutes, then 30 a minute. The clock
starts at the rename and stops when the ledger of the night names the file, as another process sees
it. Spectra are synthetic.
"""

import argparse
import json
import random
import sqlite3
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from rehearse import CONFIG, PLATE_FILES, PLATE_SECONDS, SINGLE_SECONDS, Delivery, Service
from sky import FIBERS, SPECTROGRAPHS, Exposure, Sky

POLL_SECONDS = 0.05


class Watcher(threading.Thread):
    """Notes when the ledgers of the nights come to name a file."""

    def __init__(self, out: Path) -> None:
        super().__init__(daemon=True)
        self.out = out
        self.durable: dict[str, float] = {}
        self.resident: list[int] = []
        self.process: int | None = None
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
                self.resident.append(int(line.split()[1]) * 1024)


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="where all happens; must not exist")
    parser.add_argument("--program", required=True)
    parser.add_argument("--minutes", type=float, default=4.0)
    parser.add_argument("--port", type=int, default=8798)
    options = parser.parse_args()

    folder = options.folder.resolve()
    inbox, out = folder / "inbox", folder / "out"
    inbox.mkdir(parents=True)
    out.mkdir()
    config = folder / "starmill.toml"
    config.write_text(
        CONFIG.format(
            out=out,
            inbox=inbox,
            port=options.port,
            longitude=0.0,
            settle=2.0,
            give_up=30.0,
            quiet=900.0,
        )
    )
    delivery = Delivery(inbox, Sky(300), random.Random(1))
    service = Service(options.program, config, folder / "log.jsonl", None)
    service.start()
    watcher = Watcher(out)
    watcher.process = service.process.pid
    watcher.start()
    time.sleep(5)
    exposure_at = datetime.now(UTC)
    begin = time.monotonic()
    renamed: dict[str, float] = {}
    fibers = FIBERS * SPECTROGRAPHS
    while (now := time.monotonic() - begin) < options.minutes * 60:
        plate = min(now / PLATE_SECONDS, 1.0) * PLATE_FILES
        due = plate + max(0.0, now - PLATE_SECONDS) / SINGLE_SECONDS
        while len(renamed) < due:
            number = len(renamed)
            exposure = Exposure(exposure_at, f"HD{number // fibers:06d}")
            path = delivery.put(exposure, number % fibers)
            renamed[str(path)] = time.monotonic()
        time.sleep(0.005)
    deadline = time.monotonic() + 60
    while len(watcher.durable) < len(renamed) and time.monotonic() < deadline:
        time.sleep(0.1)
    watcher.going = False
    watcher.join()
    code = service.stop()
    missing = [path for path in renamed if path not in watcher.durable]
    latencies = np.array(
        [watcher.durable[path] - at for path, at in renamed.items() if path in watcher.durable]
    )
    third = len(watcher.resident) // 3
    report = {
        "files": len(renamed),
        "not_durable": len(missing),
        "p50_s": round(float(np.percentile(latencies, 50)), 3),
        "p90_s": round(float(np.percentile(latencies, 90)), 3),
        "p99_s": round(float(np.percentile(latencies, 99)), 3),
        "max_s": round(float(latencies.max()), 3),
        "resident_second_third_mb": round(
            float(np.median(watcher.resident[third : 2 * third])) / 1e6, 1
        ),
        "resident_last_third_mb": round(float(np.median(watcher.resident[2 * third :])) / 1e6, 1),
        "exit_code": code,
    }
    (folder / "latency.json").write_text(json.dumps(report, indent=1) + "\n")
    for key, value in report.items():
        print(f"{key}: {value}")


if __name__ == "__main__":
    main()
