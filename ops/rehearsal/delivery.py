"""What a spectrograph's pipeline puts into an inbox, how fast, and with which accidents."""

import random
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sky import FIBERS, SPECTROGRAPHS, Exposure, Sky

# Files of one exposure.
PLATE_FIBERS = FIBERS * SPECTROGRAPHS
# Of a hundred files, so many are cut short, are no FITS, are written slowly, come again.
CUT, GARBAGE, SLOW, AGAIN = 1.0, 0.5, 1.0, 0.5
# A plate is read out at once, then files come one after another with this pause.
PLATE_SECONDS, PLATE_FILES, SINGLE_SECONDS = 120.0, 4000, 2.0


def files_due(seconds: float) -> float:
    """Return how many files have come so long after the beginning of a night."""
    plate = min(seconds / PLATE_SECONDS, 1.0) * PLATE_FILES
    return plate + max(0.0, seconds - PLATE_SECONDS) / SINGLE_SECONDS


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
