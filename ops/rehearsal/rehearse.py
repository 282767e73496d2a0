"""Play a night to `starmill serve`, with everything that goes wrong, and check what it made of it.

Files arrive as from a spectrograph's pipeline: a plate at once, then one after another. Some are
broken, some are written slowly, some come again with a newer reduction, some come late. Meanwhile
the service is killed and the disk fills. In the end every file must be accounted for once.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from conservation import check
from sky import FIBERS, SPECTROGRAPHS, Exposure, Sky

CONFIG = """\
[serve]
folder = "{out}"
commit_age = 0.5

[[inbox]]
name = "live"
folder = "{inbox}"
priority = "live"

[watch]
settle = {settle}
give_up = {give_up}

[night]
longitude = {longitude}
quiet = {quiet}

[write]
pause = 0.5

[http]
address = "127.0.0.1:{port}"

[log]
format = "json"
"""

# Of a hundred files, so many are cut short, are no FITS, are written slowly, come again.
CUT, GARBAGE, SLOW, AGAIN = 1.0, 0.5, 1.0, 0.5
# Of the night in which the plate is read out, and the pause between two single files.
PLATE_SECONDS, PLATE_FILES, SINGLE_SECONDS = 120.0, 4000, 2.0
LATE_FILES = 20


@dataclass
class Plan:
    """How the night goes; times are those of the night, the speed makes them real."""

    speed: float
    hours: float
    kills: int
    full_disk: float

    def real(self, seconds: float) -> float:
        """Seconds of the night as seconds on the clock."""
        return seconds / self.speed


@dataclass
class Delivery:
    """What was put into the inbox: the truth that the catalogue is held against."""

    inbox: Path
    sky: Sky
    random: random.Random
    contents: dict[str, list[bytes]] = field(default_factory=dict)
    number: int = 700_000_000

    def put(self, exposure: Exposure, fiber: int, content: bytes | None = None) -> Path:
        """Deliver one file, renamed into place; `content` replaces what would be sound."""
        now = datetime.now(UTC)
        folder = self.inbox / f"{exposure.taken:%Y%m%d}" / exposure.plan
        folder.mkdir(parents=True, exist_ok=True)
        if content is None:
            self.number += 1
            content = self.sky.file(self.number, exposure, fiber, now)
        path = folder / exposure.name(fiber)
        hidden = folder / f".{path.name}.part"
        hidden.write_bytes(content)
        hidden.rename(path)
        self.contents.setdefault(str(path), []).append(content)
        return path

    def put_somehow(self, exposure: Exposure, fiber: int) -> None:
        """Deliver one file with the accidents of a real night."""
        dice = self.random.uniform(0, 100)
        if dice < CUT:
            whole = self.sky.file(self.number + 1, exposure, fiber, datetime.now(UTC))
            self.number += 1
            self.put(exposure, fiber, whole[: self.random.randrange(100, len(whole))])
        elif dice < CUT + GARBAGE:
            self.put(exposure, fiber, b"the pipeline wrote a message instead of a spectrum\n")
        elif dice < CUT + GARBAGE + SLOW:
            self.put_slowly(exposure, fiber)
        else:
            path = self.put(exposure, fiber)
            if dice > 100 - AGAIN:
                # The pipeline reduces it once more, under the same name.
                self.put(exposure, fiber, self.reduce_again(exposure, fiber))
                assert len(self.contents[str(path)]) > 1

    def reduce_again(self, exposure: Exposure, fiber: int) -> bytes:
        """Return the same observation with a later date of reduction."""
        later = datetime.now(UTC) + timedelta(minutes=1)
        return self.sky.file(self.number, exposure, fiber, later)

    def put_slowly(self, exposure: Exposure, fiber: int) -> None:
        """Write a file under its final name in two halves."""
        folder = self.inbox / f"{exposure.taken:%Y%m%d}" / exposure.plan
        folder.mkdir(parents=True, exist_ok=True)
        self.number += 1
        content = self.sky.file(self.number, exposure, fiber, datetime.now(UTC))
        path = folder / exposure.name(fiber)
        with path.open("wb") as file:
            file.write(content[: len(content) // 2])
            file.flush()
            time.sleep(0.05)
            file.write(content[len(content) // 2 :])
        self.contents.setdefault(str(path), []).append(content)


class Service:
    """The service under test, restarted as systemd would restart it."""

    def __init__(self, program: str, config: Path, log: Path, layer: Path | None) -> None:
        self.command = [program, "--config", str(config), "serve"]
        self.log = log
        self.environment = dict(os.environ)
        self.full = log.parent / "disk-is-full"
        if layer:
            rule = f"write:{log.parent}/out/:ENOSPC:0:-1"
            self.environment |= {
                "LD_PRELOAD": str(layer),
                "DISK_FAULT": rule,
                "DISK_FAULT_WHILE": str(self.full),
            }
        self.process: subprocess.Popen | None = None
        self.starts = 0

    def start(self) -> None:
        """Start it, its log appended to the one of before."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.command, env=self.environment, stderr=log)
        self.starts += 1

    def kill(self) -> None:
        """Kill it as a crash would, and start it again."""
        self.process.kill()
        self.process.wait()
        self.start()

    def check_alive(self) -> None:
        """Restart it if it ended by itself, which a night should not see."""
        if self.process.poll() is not None:
            print(f"the service ended with {self.process.returncode}, see {self.log}")
            self.start()

    def stop(self) -> int:
        """Ask it to end and return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=120)


def longitude_of_noon(moment: datetime) -> float:
    """Return where it is noon at that moment, so that the night ends then."""
    hours = moment.hour + moment.minute / 60 + moment.second / 3600
    return round(15 * (12 - hours), 6)


def nights(out: Path) -> list[Path]:
    """Folders of all nights and supplements that are sealed."""
    return sorted(path.parent for path in out.glob("nights/*/run.json"))


def wait_for(what: str, condition: Callable[[], bool], seconds: float, service: Service) -> None:
    """Wait until a condition holds."""
    begin = time.monotonic()
    while not condition():
        if time.monotonic() - begin > seconds:
            sys.exit(f"error: {what} did not happen within {seconds:.0f} s, see {service.log}")
        service.check_alive()
        time.sleep(0.2)


def play(plan: Plan, delivery: Delivery, service: Service, evening: datetime) -> None:
    """Deliver the night."""
    fibers = FIBERS * SPECTROGRAPHS
    begin = time.monotonic()
    length = plan.real(plan.hours * 3600)
    accidents = [
        *((length * (i + 0.5) / plan.kills, "kill") for i in range(plan.kills)),
        (length * 0.6, "full"),
        (length * 0.6 + plan.full_disk, "room"),
    ]
    accidents.sort(reverse=True)
    delivered = 0
    while (now := time.monotonic() - begin) < length:
        while accidents and accidents[-1][0] <= now:
            _, accident = accidents.pop()
            print(f"{now:6.1f} s, {delivered} files delivered: {accident}")
            if accident == "kill":
                service.kill()
            elif accident == "full":
                service.full.touch()
            else:
                service.full.unlink(missing_ok=True)
        plate = min(now / plan.real(PLATE_SECONDS), 1.0) * PLATE_FILES
        due = plate + max(0.0, now - plan.real(PLATE_SECONDS)) / plan.real(SINGLE_SECONDS)
        while delivered < due:
            exposure = Exposure(
                evening + timedelta(hours=delivered // fibers), f"HD{delivered // fibers:06d}"
            )
            delivery.put_somehow(exposure, delivered % fibers)
            delivered += 1
        service.check_alive()
        time.sleep(0.01)
    service.full.unlink(missing_ok=True)
    print(f"{time.monotonic() - begin:6.1f} s, {delivered} files delivered: the night is over")


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="where all happens; must not exist")
    parser.add_argument("--program", required=True)
    parser.add_argument("--speed", type=float, default=60.0, help="times as fast as real")
    parser.add_argument("--hours", type=float, default=2.0, help="length of the night")
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--layer", type=Path, help="the library that makes the disk full")
    parser.add_argument("--port", type=int, default=8799)
    options = parser.parse_args()

    folder = options.folder.resolve()
    inbox, out = folder / "inbox", folder / "out"
    inbox.mkdir(parents=True)
    out.mkdir()
    plan = Plan(options.speed, options.hours, options.kills, 3.0 if options.layer else 0.0)
    config = folder / "starmill.toml"
    length = plan.real(plan.hours * 3600)
    config.write_text(
        CONFIG.format(
            out=out,
            inbox=inbox,
            port=options.port,
            settle=0.5,
            give_up=3.0,
            longitude=longitude_of_noon(datetime.now(UTC) + timedelta(seconds=length + 20)),
            quiet=max(5.0, plan.real(900)),
        )
    )
    print("making a pool of spectra")
    delivery = Delivery(inbox, Sky(300), random.Random(1))
    service = Service(options.program, config, folder / "log.jsonl", options.layer)
    evening = datetime.now(UTC) - timedelta(hours=12)
    service.start()
    play(plan, delivery, service, evening)

    wait_for("closing the night", lambda: len(nights(out)) >= 1, 180, service)
    late = Exposure(evening + timedelta(hours=6), "HDLATE00")
    for fiber in range(LATE_FILES):
        delivery.put(late, fiber)
    wait_for("a supplement for late files", lambda: len(nights(out)) >= 2, 180, service)
    code = service.stop()
    report = check(options.program, nights(out), delivery.contents)
    report |= {"exit_code": code, "starts": service.starts}
    (folder / "rehearsal.json").write_text(json.dumps(report, indent=1) + "\n")
    for key, value in report.items():
        print(f"{key}: {value}")
    if report["problems"] or code != 0:
        sys.exit("error: the night is not accounted for, see above")


if __name__ == "__main__":
    main()
