"""A stand-in for the emulator, so that the chain runs without any download."""

import os
from pathlib import Path

import numpy as np
import pytest

from starmill_export import cli, continuum, fetch
from starmill_export.bossbrain import WAVELENGTH_AIR
from starmill_export.stars import Stars

EXPORT = Path(__file__).resolve().parents[1]
REPOSITORY = EXPORT.parents[1]
MODEL = REPOSITORY / "onnx/models/fcresnet"

PIXELS = slice(940, 9361)
EMULATOR_LABELS = (
    "teff logg mh cm nm om nam mgm alm sim cam tim vm crm mnm com nim scm bam cem ndm zrm"
)


class ToyEmulator:
    """Spectra with one broad line per label, whose depth follows the label."""

    labels = EMULATOR_LABELS.split()

    def flux(self, labels: np.ndarray, pixels: slice) -> np.ndarray:
        wave = WAVELENGTH_AIR[pixels]
        middle = np.array([4800.0, 1.75, -1.0] + [0.0] * 19)
        width = np.array([1200.0, 1.75, 1.5] + [0.6] * 19)
        depths = 0.3 + 0.2 * (labels - middle) / width
        centres = np.linspace(4100, 8000, len(self.labels))
        lines = np.exp(-0.5 * ((wave - centres[:, None]) / 40) ** 2)
        return (1 - depths @ lines).astype(np.float32)


class ToyDwarfs(ToyEmulator):
    """The same lines, weaker and on the pixels of `Stars`."""

    def flux(self, labels: np.ndarray) -> np.ndarray:
        return 1 - 0.8 * (1 - super().flux(labels, PIXELS))


@pytest.fixture
def emulator():
    return ToyEmulator()


@pytest.fixture
def stars(emulator):
    continua = [continuum.load(cli.CONTINUA[name]) for name in ("giants", "dwarfs")]
    return Stars(emulator, ToyDwarfs(), PIXELS, *continua)


@pytest.fixture(scope="session")
def real_data():
    folder = Path(os.environ.get("STARMILL_REAL_DATA", REPOSITORY / "../shared/data/real"))
    if not folder.is_dir():
        pytest.skip("skipped: no real spectra; set STARMILL_REAL_DATA")
    return folder


@pytest.fixture(scope="session")
def package():
    """Return what opens an archive that training fetches too, or skips where it cannot be had."""

    def opened(archive: fetch.Archive) -> Path:
        try:
            return fetch.opened(archive, REPOSITORY / ".starmill/abinitio")
        except (OSError, RuntimeError) as error:
            pytest.skip(f"skipped: {archive.file} cannot be fetched: {error}")

    return opened
