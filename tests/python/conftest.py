"""Where the programs under test lie."""

import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "ops" / folder) for folder in ("", "bench", "rehearsal")]


@pytest.fixture(scope="session")
def starmill() -> Path:
    """Return the built program: STARMILL_BINARY, or the newest build."""
    named = os.environ.get("STARMILL_BINARY")
    target = ROOT / os.environ.get("CARGO_TARGET_DIR", "target")
    builds = [target / profile / "starmill" for profile in ("release", "debug")]
    found = [Path(named)] if named else [build for build in builds if build.is_file()]
    if not found:
        pytest.skip("skipped: starmill is not built; run cargo build")
    return max(found, key=lambda build: build.stat().st_mtime)


@pytest.fixture(scope="session")
def model() -> Path:
    """Return the folder of the model that the repository ships."""
    folder = ROOT / "onnx" / "models" / "fcresnet"
    if not (folder / "manifest.toml").is_file():
        pytest.skip("skipped: there is no model fcresnet")
    return folder
