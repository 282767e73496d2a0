"""Files of a simulated night, made fast: a few hundred spectra under thousands of names.

The spectra are those of `starmill simulate-night` or of the benchmarks (synthetic, LAMOST low
resolution); for each observation the cards that name and date it are written anew, so that no two
files are the same observation.
"""

import gzip
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "bench"))

from lrs_layouts import Observation, file_bytes
from synthetic import Universe

CARD = 80
FIBERS = 250
SPECTROGRAPHS = 16
# The Modified Julian Date of the Unix epoch.
UNIX_EPOCH_MJD = 40587
# LAMOST counts the local day, which is that of UTC + 8 h.
LOCAL_TIME = timedelta(hours=8)


@dataclass(frozen=True)
class Exposure:
    """One plate: when it was taken, and its name."""

    taken: datetime
    plan: str

    @property
    def lmjd(self) -> int:
        """Local modified Julian day."""
        local = self.taken + LOCAL_TIME
        return UNIX_EPOCH_MJD + (local - datetime(1970, 1, 1, tzinfo=UTC)).days

    def name(self, fiber: int) -> str:
        """File name in the survey's pattern; `fiber` counts over all spectrographs from 0."""
        spectrograph, number = fiber // FIBERS + 1, fiber % FIBERS + 1
        return f"spec-{self.lmjd}-{self.plan}_sp{spectrograph:02d}-{number:03d}.fits.gz"


class Sky:
    """A pool of spectra and the files made from them."""

    def __init__(self, files: list[bytes]) -> None:
        self.files = files

    @classmethod
    def of_benchmarks(cls, pool: int, seed: int = 1) -> "Sky":
        """Return a pool of so many spectra of the benchmarks."""
        universe = Universe()
        files = []
        for number in range(pool):
            layout = ("image", "table")[number % 2]
            spectrum = universe.spectrum(np.random.default_rng([seed, number]))
            files.append(file_bytes(Observation(layout, number), spectrum))
        return cls(files)

    @classmethod
    def simulated(cls, program: str, folder: Path, pool: int) -> "Sky":
        """Return a pool of so many stars and galaxies that the program simulates in a folder."""
        files = []
        for layout in ("dr7", "dr9"):
            out = folder / layout
            night = ["--date", "2026-11-21", "--survey", "lrs", "--layout", layout]
            # What is broken, and what comes again, the delivery decides.
            whole = ["--repeats", "0", "--broken", "0", "--stars", str(pool // 2)]
            subprocess.run([program, "simulate-night", "--out", out, *night, *whole], check=True)
            paths = sorted(out.rglob("*.fits.gz"))
            files.extend(gzip.decompress(path.read_bytes()) for path in paths)
        return cls(files)

    def file(self, number: int, exposure: Exposure, fiber: int, reduced: datetime) -> bytes:
        """Return the gzipped file of one fibre; `number` is the observation's own."""
        content = bytearray(self.files[number % len(self.files)])
        cards = {
            "OBSID": number,
            "LMJD": exposure.lmjd,
            "PLANID": exposure.plan,
            "SPID": fiber // FIBERS + 1,
            "FIBERID": fiber % FIBERS + 1,
            "DATE-OBS": f"{exposure.taken:%Y-%m-%dT%H:%M:%S}",
            "DATE": f"{reduced:%Y-%m-%dT%H:%M:%S}",
        }
        for keyword, value in cards.items():
            set_card(content, keyword, value)
        return gzip.compress(content, 1, mtime=0)


def set_card(content: bytearray, keyword: str, value: int | str) -> None:
    """Write the value of a card of the primary header; its comment goes."""
    position = content.find(f"{keyword:<8}=".encode())
    # A card begins at a multiple of its length, or it is part of another one's text.
    while position % CARD:
        position = content.find(f"{keyword:<8}=".encode(), position + 1)
    text = f"'{value:<8}'" if isinstance(value, str) else f"{value:>20}"
    content[position : position + CARD] = f"{keyword:<8}= {text:<70}".encode()
