"""Every block of docs/querying.md runs, and all tools give the same answers."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.coordinates import SkyCoord
from astropy.table import Table

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "querying.md").read_text()
BLOCKS = {
    name: (language, body)
    for language, name, body in re.findall(r"^```(\w+) (\S+)\n(.*?)^```", PAGE, re.M | re.S)
}

TOOLS = ["starmill", "astropy", "pandas", "pyarrow", "duckdb", "lsdb", "stilts"]


def run(name: str, folder: Path) -> str:
    """Run a block of the page in the folder and return what it prints."""
    language, body = BLOCKS[name]
    command = ["bash", "-euc"] if language == "sh" else [sys.executable, "-c"]
    done = subprocess.run(
        [*command, body],
        cwd=folder,
        env=os.environ | {"PATH": f"{folder / 'bin'}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    if "no ONNX Runtime library" in done.stderr:
        pytest.skip("skipped: ONNX Runtime is missing; ops/fetch-onnxruntime.sh gets it")
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def folder(starmill: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Give a folder with the release of the page."""
    place = tmp_path_factory.mktemp("querying")
    (place / "bin").mkdir()
    (place / "bin" / "starmill").symlink_to(starmill)
    # In the repository both are found where they lie.
    settings = f'[models]\ndir = "{ROOT / "onnx" / "models"}"\n'
    library = next((ROOT / ".starmill" / "onnxruntime").glob("libonnxruntime.so.*"), None)
    if library and "STARMILL_ONNXRUNTIME" not in os.environ:
        settings += f'[onnx]\nlibrary = "{library}"\n'
    (place / "starmill.toml").write_text(settings)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STARMILL_CONFIG", str(place / "starmill.toml"))
        run("make", place)
        yield place


@pytest.fixture(scope="module")
def rows(folder: Path) -> pa.Table:
    """Return all rows, by the plain reader of single Parquet files."""
    parts = sorted((folder / "release" / "dataset").rglob("*.parquet"))
    assert len(parts) > 3
    # Opened by hand, so that the names of folders become no columns.
    return pa.concat_tables([pq.ParquetFile(part).read() for part in parts]).sort_by("_healpix_29")


@pytest.fixture(scope="module")
def answers(folder: Path, rows: pa.Table) -> list[float]:
    """Return what every tool should say: labels from Parquet, positions from the truth."""
    good = ~rows["flag_bad"].to_numpy() & (rows["snr_g"].to_numpy() > 30)
    truth = Table.read(folder / "night" / "truth.csv")
    truth = truth[truth["outcome"] == "row"]
    places = SkyCoord(truth["ra"], truth["dec"], unit="deg")
    near = places.separation(SkyCoord("60d +20d")).deg < 1.5
    assert 0 < near.sum() < len(near) == rows.num_rows
    return [good.sum(), np.median(rows["teff"].to_numpy()[good]), near.sum()]


def numbers(printed: str) -> list[float]:
    return [float(word) for word in re.findall(r"\d+(?:\.\d+)?", printed)]


def test_the_page_gives_the_answers(answers: list[float]) -> None:
    said = re.search(r"temperature \((\d+), ([\d.]+) K\).*?declination 20 \((\d+)\)", PAGE, re.S)
    assert said is not None
    np.testing.assert_allclose([float(word) for word in said.groups()], answers, atol=0.06)


@pytest.mark.parametrize("tool", TOOLS)
def test_all_tools_give_the_same_answers(tool: str, folder: Path, answers: list[float]) -> None:
    if tool == "stilts" and not shutil.which("stilts"):
        pytest.skip("skipped: STILTS is not installed; apt-get install stilts")
    if tool == "lsdb" and not importlib.util.find_spec("lsdb"):
        pytest.skip("skipped: LSDB is not installed; pip install lsdb")
    printed = run(tool, folder)
    expected = answers[:2] if tool == "pyarrow" else answers
    np.testing.assert_allclose(numbers(printed), expected, rtol=1e-6)
    assert tool != "pyarrow" or printed.startswith("K\n")


def test_the_other_queries_answer(folder: Path, rows: pa.Table) -> None:
    printed = run("starmill-more", folder)
    flags = rows["flags"].to_numpy()
    _, counts = np.unique(flags, return_counts=True)
    assert int(printed.splitlines()[1].split()[-1]) == counts.max()
    poor = Table.read(folder / "poor.fits")
    is_poor = flags & 1 << 19 > 0
    assert 0 < is_poor.sum() == len(poor)
    for name in ("ra", "teff", "chi2_red"):
        np.testing.assert_array_equal(poor[name], rows[name].to_numpy()[is_poor])
    assert poor["teff"].unit == "K" and list(poor["file"]) == [
        name for name, chosen in zip(rows["file"].to_pylist(), is_poor, strict=True) if chosen
    ]
    assert re.search(r"corrupt_fits +1\n", printed)
    assert "file_blake3     TEXT" in printed


def test_no_block_is_left_out() -> None:
    assert set(BLOCKS) == {"make", "starmill-more", *TOOLS}
    assert PAGE.count("```") == 2 * len(BLOCKS)
