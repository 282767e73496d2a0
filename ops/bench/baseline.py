"""The same job as ``starmill run`` in plain Python: astropy, numpy, ONNX Runtime.

It is what a benchmark compares with, and a second implementation to check rows against: written
from the model's manifest, sharing no code with starmill. It does less: no hashes of inputs, no
ledger to resume from, no check of duplicates, no streaming.
"""

import argparse
import json
import multiprocessing
import resource
import time
import tomllib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
import pyarrow as pa
import pyarrow.parquet as pq
from astropy.io import fits
from astropy.table import Table

BATCH = 256
# A native pixel at the edge of the window must not fall out for the rounding of its wavelength.
WINDOW_TOLERANCE = 4e-5

# Quality bits of starmill's catalogue that this program sets as well.
LOW_SNR, SNR_UNKNOWN, BAD_PIXELS, EMPTY_BINS = 1 << 0, 1 << 1, 1 << 2, 1 << 3
FIBER_MASK, OR_MASK, LABEL_RANGE, EXTRAPOLATION = 1 << 5, 1 << 6, 1 << 7, 1 << 8


class RejectError(Exception):
    """A spectrum that gives no row, and why."""


@dataclass
class Spectrum:
    """A spectrum in memory: vacuum Angstrom, flux in any unit, ivar in its inverse square."""

    wave: np.ndarray
    flux: np.ndarray
    ivar: np.ndarray
    andmask: np.ndarray
    ormask: np.ndarray
    header: fits.Header


@dataclass
class Recipe:
    """The steps of the manifest, and the grid they imply."""

    mask: dict
    degrade: dict
    centres: np.ndarray
    edges: np.ndarray


def read_recipe(manifest: dict) -> Recipe:
    """Return the recipe of a manifest: mask, degrade, zscore."""
    mask, degrade, zscore = manifest["recipe"]
    if [mask["step"], degrade["step"], zscore["step"]] != ["mask", "degrade", "zscore"]:
        raise SystemExit("this program knows one recipe: mask, degrade, zscore")
    # coronagraph.construct_lam and the edges of coronagraph.downbin_spec.
    r, last = degrade["resolving_power"], degrade["last"]
    centres = [degrade["first"]]
    while centres[-1] < last + last / r:
        centres.append(centres[-1] * (1.0 + 1.0 / r))
    centres = np.array(centres)
    width = np.empty(centres.size - 1)
    width[0] = degrade["first"] / r
    width[1:] = 0.5 * (centres[2:] - centres[:-2])
    centres = centres[:-1]
    edges = np.append(centres - 0.5 * width, centres[-1] + 0.5 * width[-1])
    return Recipe(mask, degrade, centres, edges)


def read_spectrum(path: Path) -> Spectrum:
    """Read a LAMOST low-resolution file of any release."""
    with fits.open(path) as hdus:
        header = hdus[0].header
        if "COADD" in hdus:
            columns = hdus["COADD"].data
            names = ("WAVELENGTH", "FLUX", "IVAR", "ANDMASK", "ORMASK")
            wave, flux, ivar, andmask, ormask = (np.array(columns[n][0], float) for n in names)
        else:
            flux, ivar, wave, andmask, ormask = np.array(hdus[0].data, float)
            if "Wavelength" not in header["EXTEN0"]:
                wave = 10.0 ** (header["COEFF0"] + header["COEFF1"] * np.arange(flux.size))
    return Spectrum(wave, flux, ivar, andmask, ormask, header)


def prepare(spectrum: Spectrum, recipe: Recipe) -> tuple[np.ndarray, int]:
    """Return the model's input for a spectrum, and quality bits."""
    mask, degrade = recipe.mask, recipe.degrade
    bits = 0
    low = degrade["first"] * (1.0 - WINDOW_TOLERANCE)
    high = degrade["last"] * (1.0 + WINDOW_TOLERANCE)
    window = (spectrum.wave >= low) & (spectrum.wave <= high)
    wave, flux, ivar = spectrum.wave[window], spectrum.flux[window], spectrum.ivar[window]
    andmask, ormask = spectrum.andmask[window], spectrum.ormask[window]
    if wave.size == 0 or wave[0] >= recipe.edges[1] or wave[-1] < recipe.edges[-2]:
        raise RejectError("wavelength_coverage")

    if mask["fibermask"] != "ignore" and fiber_mask(spectrum.header) != 0:
        bits |= FIBER_MASK
        if mask["fibermask"] == "reject":
            raise RejectError("fiber_mask")
    if mask["ormask"] != "ignore" and np.any(ormask):
        bits |= OR_MASK
        if mask["ormask"] == "reject":
            raise RejectError("or_mask")
    good = np.isfinite(flux) & np.isfinite(ivar) & (ivar > 0)
    if mask["pixels"] != "none":
        good &= (andmask if mask["pixels"] == "andmask" else ormask) == 0
    if np.mean(~good) > mask["max_bad_fraction"]:
        raise RejectError("too_many_bad_pixels")
    if not good.all():
        bits |= BAD_PIXELS

    weights = {"uniform": np.isfinite(flux), "good": good, "ivar": np.where(good, ivar, 0.0)}
    weight = weights[degrade["weighting"]]
    bins = np.searchsorted(recipe.edges, wave, side="right") - 1
    count = recipe.centres.size
    inside = (bins >= 0) & (bins < count) & (weight > 0)
    total = np.bincount(bins[inside], weights=weight[inside], minlength=count)
    summed = np.bincount(bins[inside], weights=weight[inside] * flux[inside], minlength=count)
    filled = total > 0
    if count - filled.sum() > degrade["max_empty_bins"]:
        raise RejectError("too_many_bad_pixels")
    mean = summed[filled] / total[filled]
    if not filled.all():
        bits |= EMPTY_BINS
        mean = np.interp(recipe.centres, recipe.centres[filled], mean)

    deviation = mean.std()
    if not np.isfinite(deviation) or deviation <= 1e-7 * abs(mean.mean()):
        raise RejectError("flat_spectrum")
    return (mean - mean.mean()) / deviation, bits


def fiber_mask(header: fits.Header) -> int:
    """Return the fibre mask, whatever the release calls it; none counts as 0."""
    return int(header.get("FIB_MASK", header.get("FIBERMAS", 0)))


def read_one(task: tuple[Path, Recipe, float]) -> tuple[dict, np.ndarray | None]:
    """Read and prepare one file; return what its row says, and the input unless rejected."""
    path, recipe, min_snr = task
    row = {"file": str(path)}
    try:
        spectrum = read_spectrum(path)
    except (OSError, ValueError, KeyError, TypeError) as error:
        return row | {"reason": f"unreadable: {error}"}, None
    header = spectrum.header
    snr = header.get("SNRG", header.get("SN_G"))
    row |= {
        "obsid": header.get("OBSID", -9999),
        "ra": header["RA"],
        "dec": header["DEC"],
        "snr_g": np.nan if snr is None else snr,
        "class": header["CLASS"],
    }
    try:
        values, bits = prepare(spectrum, recipe)
    except RejectError as reason:
        return row | {"reason": str(reason)}, None
    if snr is None:
        bits |= SNR_UNKNOWN
    elif snr < min_snr:
        bits |= LOW_SNR
    return row | {"flags": bits}, values.astype(np.float32)


def infer(inputs: np.ndarray, model: Path, manifest: dict) -> tuple[np.ndarray, np.ndarray]:
    """Return labels and novelty of prepared spectra."""
    session = onnxruntime.InferenceSession(
        model / manifest["files"]["onnx"]["path"], providers=["CPUExecutionProvider"]
    )
    outputs = [manifest["output"]["labels"]]
    if "novelty" in manifest["output"]:
        outputs.append(manifest["output"]["novelty"])
    labels, novelty = [], []
    for start in range(0, len(inputs), BATCH):
        batch = inputs[start : start + BATCH]
        answer = session.run(outputs, {manifest["input"]["name"]: batch})
        labels.append(answer[0])
        novelty.append(answer[1] if len(answer) > 1 else np.full(len(batch), np.nan))
    return np.concatenate(labels), np.concatenate(novelty)


def catalogue_of(rows: list[dict], inputs: np.ndarray, model: Path, manifest: dict) -> Table:
    """Return the catalogue: identity, labels, derived labels, novelty and quality bits."""
    labels, novelty = infer(inputs, model, manifest)
    table = Table(rows)
    outside = np.zeros(len(rows), dtype=bool)
    for column, label in enumerate(manifest["label"]):
        table[label["name"]] = labels[:, column]
        if label["unit"] != "dex":  # which FITS does not know
            table[label["name"]].unit = label["unit"]
        low, high = label["valid"]
        outside |= (labels[:, column] < low) | (labels[:, column] > high)
    for derived in manifest.get("derived", []):
        table[derived["name"]] = sum(table[name] for name in derived["sum"])
    table["novelty"] = novelty
    table["flags"] |= np.where(outside, LABEL_RANGE, 0)
    table["flags"] |= np.where(novelty > 1, EXTRAPOLATION, 0)
    return table


def write(table: Table, out: Path, name: str) -> None:
    """Write a table as FITS and as Parquet."""
    table.write(out / f"{name}.fits", overwrite=True)
    columns = {column: np.asarray(table[column]) for column in table.colnames}
    pq.write_table(pa.table(columns), out / f"{name}.parquet", compression="zstd")


def find_files(paths: list[Path]) -> list[Path]:
    """Return the FITS files under the paths, in order."""
    files = []
    for path in paths:
        found = sorted(path.rglob("*.fits*")) if path.is_dir() else [path]
        files.extend(file for file in found if file.is_file())
    return files


def run(paths: list[Path], model: Path, out: Path, workers: int) -> dict:
    """Do the whole job and return its statistics."""
    begin = time.perf_counter()
    manifest = tomllib.loads((model / "manifest.toml").read_text())
    recipe = read_recipe(manifest)
    min_snr = manifest["quality"]["min_snr"]
    tasks = [(path, recipe, min_snr) for path in find_files(paths)]
    if workers == 1:
        results = [read_one(task) for task in tasks]
    else:
        with multiprocessing.Pool(workers) as pool:
            results = pool.map(read_one, tasks, chunksize=32)
    rows = [row for row, values in results if values is not None]
    inputs = [values for _, values in results if values is not None]
    rejects = [row for row, values in results if values is None]
    out.mkdir(parents=True, exist_ok=True)
    if rows:
        write(catalogue_of(rows, np.stack(inputs), model, manifest), out, "catalogue")
    if rejects:
        write(Table(rejects), out, "rejects")
    wall = time.perf_counter() - begin
    return {
        "workers": workers,
        "files": len(tasks),
        "rows": len(rows),
        "rejects": len(rejects),
        "wall_s": wall,
        "files_per_s": len(tasks) / wall,
        "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }


def main() -> None:
    """Run from the command line; the last line is the statistics as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("paths", nargs="+", type=Path, help="files and folders")
    parser.add_argument("--model", type=Path, default=Path("onnx/models/fcresnet"))
    parser.add_argument("--out", type=Path, required=True, help="folder for the tables")
    parser.add_argument("--workers", type=int, default=1, help="processes that read")
    options = parser.parse_args()
    print(json.dumps(run(options.paths, options.model, options.out, options.workers)))


if __name__ == "__main__":
    main()
