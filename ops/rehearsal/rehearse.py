"""Play a night to `starmill serve`, with everything that goes wrong, and check what it made of it.

Files arrive as from a spectrograph's pipeline: a plate at once, then one after another. Some are
broken, some are written slowly, some come again with a newer reduction, some come late. Meanwhile
the service is killed and the disk fills. In the end every file must be accounted for once. Where
there is a browser, pictures are taken of the page meanwhile and of the reports in the end.
"""

import argparse
import json
import random
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from conservation import check
from delivery import PLATE_FIBERS, Delivery, files_due
from pictures import Camera
from scene import Scene, Service, longitude_of_noon
from sky import Exposure, Sky

LATE_FILES = 20
# When the page is photographed, in parts of the night: as the plate comes, and well after it.
PLATE_PICTURE, NIGHT_PICTURE = 0.03, 0.85


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


def wait_for(what: str, condition: Callable[[], bool], seconds: float, service: Service) -> None:
    """Wait until a condition holds."""
    begin = time.monotonic()
    while not condition():
        if time.monotonic() - begin > seconds:
            sys.exit(f"error: {what} did not happen within {seconds:.0f} s, see {service.log}")
        service.check_alive()
        time.sleep(0.2)


def play(
    plan: Plan, delivery: Delivery, service: Service, camera: Camera, evening: datetime
) -> None:
    """Deliver the night."""
    begin = time.monotonic()
    length = plan.real(plan.hours * 3600)
    events = [
        *((length * (i + 0.5) / plan.kills, "kill") for i in range(plan.kills)),
        (length * 0.6, "full"),
        (length * 0.6 + plan.full_disk, "room"),
        (length * PLATE_PICTURE, "picture of the plate"),
        (length * NIGHT_PICTURE, "picture of the night"),
    ]
    events.sort(reverse=True)
    delivered, due = 0, 0.0
    while (now := time.monotonic() - begin) < length or delivered < due:
        while events and events[-1][0] <= now:
            _, event = events.pop()
            print(f"{now:6.1f} s, {delivered} files delivered: {event}")
            match event:
                case "kill":
                    service.kill()
                case "full":
                    service.full.touch()
                case "room":
                    service.full.unlink(missing_ok=True)
                case "picture of the plate":
                    camera.photograph_board_meanwhile("plate")
                case "picture of the night":
                    camera.photograph_board_meanwhile("night")
        service.check_alive()
        due = files_due(min(now, length) * plan.speed)
        if delivered >= due:
            time.sleep(0.01)
            continue
        plate, fiber = divmod(delivered, PLATE_FIBERS)
        exposure = Exposure(evening + timedelta(hours=plate), f"HD{plate:06d}")
        delivery.put_somehow(exposure, fiber)
        delivered += 1
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

    plan = Plan(options.speed, options.hours, options.kills, 3.0 if options.layer else 0.0)
    length = plan.real(plan.hours * 3600)
    scene = Scene.make(
        options.folder,
        port=options.port,
        settle=0.5,
        give_up=3.0,
        longitude=longitude_of_noon(datetime.now(UTC) + timedelta(seconds=length + 20)),
        quiet=max(5.0, plan.real(900)),
    )
    print("making a pool of spectra")
    sky = Sky.simulated(options.program, scene.folder / "pool", 300)
    delivery = Delivery(scene.inbox, sky, random.Random(1))
    service = Service(scene, options.program, options.layer)
    evening = datetime.now(UTC) - timedelta(hours=12)
    camera = Camera(scene.folder / "pictures", options.port)
    service.start()
    play(plan, delivery, service, camera, evening)

    wait_for("closing the night", lambda: len(scene.sealed()) >= 1, 180, service)
    late = Exposure(evening + timedelta(hours=6), "HDLATE00")
    for fiber in range(LATE_FILES):
        delivery.put(late, fiber)
    wait_for("a supplement for late files", lambda: len(scene.sealed()) >= 2, 180, service)
    camera.wait()
    code = service.stop()
    report = check(options.program, scene.sealed(), delivery.contents)
    report |= {"exit_code": code, "starts": service.starts}
    (scene.folder / "rehearsal.json").write_text(json.dumps(report, indent=1) + "\n")
    for key, value in report.items():
        print(f"{key}: {value}")
    for night in scene.sealed():
        print(f"report: {night / 'report.html'}")
    camera.photograph_reports(scene.sealed())
    print(camera.report())
    if report["problems"] or code != 0:
        sys.exit("error: the night is not accounted for, see above")


if __name__ == "__main__":
    main()
