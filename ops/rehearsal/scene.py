"""The place of a rehearsal, with its inbox and configuration, and the service that works there."""

import os
import signal
import subprocess
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

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


@dataclass(frozen=True)
class Scene:
    """Folders of a rehearsal."""

    folder: Path

    @classmethod
    def make(cls, folder: Path, **settings: float) -> "Scene":
        """Make the folders, which must not exist, and write the configuration."""
        scene = cls(folder.resolve())
        scene.inbox.mkdir(parents=True)
        scene.out.mkdir()
        scene.config.write_text(CONFIG.format(out=scene.out, inbox=scene.inbox, **settings))
        return scene

    @property
    def inbox(self) -> Path:
        """Where files arrive."""
        return self.folder / "inbox"

    @property
    def out(self) -> Path:
        """Where the service keeps its nights."""
        return self.folder / "out"

    @property
    def config(self) -> Path:
        """Its configuration."""
        return self.folder / "starmill.toml"

    def sealed(self) -> list[Path]:
        """Return the folders of all nights and supplements that are sealed."""
        return sorted(path.parent for path in self.out.glob("nights/*/run.json"))


class Service:
    """The service under test, restarted as systemd would restart it."""

    def __init__(self, scene: Scene, program: str, layer: Path | None = None) -> None:
        self.command = [program, "--config", str(scene.config), "serve"]
        self.log = scene.folder / "log.jsonl"
        self.environment = dict(os.environ)
        self.full = scene.folder / "disk-is-full"
        if layer:
            rule = f"write:{scene.out}/:ENOSPC:0:-1"
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
