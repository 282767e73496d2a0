"""Read a catalogue back with other software than wrote it, and say all that is wrong with it.

FITS is read by astropy and judged by fitsverify, Parquet by pyarrow. Run as a program it prints
``rows=N rejects=M`` and exits with 0, or prints every problem and exits with 1.
"""

import argparse
import hashlib
import json
import shutil
import subprocess
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import astropy.units as u
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from astropy.io import fits

TABLES = ("catalogue", "rejects")
# FITS type letter of each Parquet type.
TYPES = {"string": "A", "int64": "K", "int32": "J", "float": "E", "double": "D", "bool": "L"}
# The field's unit of logarithmic quantities, which the FITS standard does not list.
UNITS_BEYOND_FITS = {"dex"}
IDENTIFIER = "spectrum_id"


class CatalogueError(Exception):
    """A catalogue with problems, one a line."""


@dataclass(frozen=True)
class Counts:
    """How many lines the tables hold."""

    rows: int
    rejects: int


def check(folder: Path) -> Counts:
    """Check a catalogue's folder.

    Raises
    ------
    CatalogueError
        Naming everything that is wrong.
    """
    problems: list[str] = []
    lengths = {}
    for name in TABLES:
        try:
            lengths[name] = check_table(folder / name, problems)
        except (OSError, pa.ArrowException, KeyError) as error:
            problems.append(f"{name}: cannot be read: {error}")
    if not problems:
        problems.extend(manifest_problems(folder, lengths))
    if problems:
        raise CatalogueError("\n".join(problems))
    return Counts(lengths["catalogue"], lengths["rejects"])


def check_table(stem: Path, problems: list[str]) -> int:
    """Check both forms of a table, add what is wrong to the problems, and return its length."""
    fits_path, parquet_path = stem.with_suffix(".fits"), stem.with_suffix(".parquet")
    problems.extend(f"{fits_path.name}: {problem}" for problem in fits_problems(fits_path))
    parquet = pq.read_table(parquet_path)
    with warnings.catch_warnings(), fits.open(fits_path) as hdus:
        # Reported by fits_problems.
        warnings.simplefilter("ignore")
        found = list(column_problems(hdus[1], parquet))
        if not found:
            found = list(value_problems(hdus[1], parquet))
        found.extend(provenance_problems(hdus[0].header, parquet_path))
    found.extend(content_problems(parquet, is_catalogue=stem.name == "catalogue"))
    problems.extend(f"{stem.name}: {problem}" for problem in found)
    return parquet.num_rows


def fits_problems(path: Path) -> Iterator[str]:
    """Yield what fitsverify and astropy have against a file."""
    if shutil.which("fitsverify"):
        verdict = subprocess.run(
            ["fitsverify", "-q", str(path)], capture_output=True, text=True, check=False
        )
        if "OK" not in verdict.stdout:
            yield (verdict.stdout + verdict.stderr).strip()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with fits.open(path, checksum=True) as hdus:
            for hdu in hdus:
                hdu.verify("exception")
                # astropy: 1 is right, 0 is wrong, 2 is absent.
                if (hdu.verify_checksum(), hdu.verify_datasum()) != (1, 1):
                    yield f"HDU {hdu.name}: CHECKSUM or DATASUM is absent or wrong"
            if len(hdus) != 2 or hdus[1].name != path.stem.upper():
                yield f"has the HDUs {[hdu.name for hdu in hdus]}"
    for warning in caught:
        if not any(f"'{unit}' did not parse" in str(warning.message) for unit in UNITS_BEYOND_FITS):
            yield f"astropy warns: {warning.message}"


def column_problems(hdu: fits.BinTableHDU, parquet: pa.Table) -> Iterator[str]:
    """Yield differences between the columns of both forms, and columns that say too little."""
    names = [column.name for column in hdu.columns]
    if names != parquet.column_names:
        yield f"columns differ: FITS {names}, Parquet {parquet.column_names}"
        return
    for number, field in enumerate(parquet.schema, start=1):
        letter = hdu.columns[field.name].format.lstrip("0123456789")
        is_vector = pa.types.is_fixed_size_list(field.type)
        element = field.type.value_type if is_vector else field.type
        if TYPES.get(str(element)) != letter:
            yield f"{field.name}: FITS type {letter}, Parquet type {field.type}"
        notes = {key.decode(): value.decode() for key, value in (field.metadata or {}).items()}
        for key, keyword in (("unit", "TUNIT"), ("ucd", "TUCD"), ("description", "TCOMM")):
            in_fits = hdu.header.get(f"{keyword}{number}", "")
            if in_fits != notes.get(key, ""):
                yield f"{field.name}: {keyword} is {in_fits!r}, Parquet says {notes.get(key)!r}"
        for key in ("ucd", "description"):
            if not notes.get(key):
                yield f"{field.name}: has no {key}"
        if not is_unit(notes.get("unit", "")):
            yield f"{field.name}: {notes['unit']!r} is no unit"
        if letter in "JK" and not is_vector and f"TNULL{number}" not in hdu.header:
            yield f"{field.name}: has no TNULL"


def is_unit(text: str) -> bool:
    """Whether astropy knows a unit by this name."""
    try:
        u.Unit(text, format=None if text in UNITS_BEYOND_FITS else "fits")
    except ValueError:
        return False
    return True


def value_problems(hdu: fits.BinTableHDU, parquet: pa.Table) -> Iterator[str]:
    """Yield columns in which a value or a missing value differs between both forms."""
    if hdu.header["NAXIS2"] != parquet.num_rows:
        yield f"FITS has {hdu.header['NAXIS2']} rows, Parquet {parquet.num_rows}"
        return
    for number, field in enumerate(parquet.schema, start=1):
        name = field.name
        in_fits = np.asarray(hdu.data[name])
        column = parquet[name].combine_chunks()
        if pa.types.is_fixed_size_list(field.type):
            in_parquet = np.array(column.to_pylist()).reshape(parquet.num_rows, -1)
            in_fits = in_fits.reshape(parquet.num_rows, -1)
            if not np.array_equal(in_fits, in_parquet, equal_nan=True):
                yield f"{name}: a row of FITS differs from that of Parquet"
            continue
        missing = column.is_null().to_numpy(zero_copy_only=False)
        if pa.types.is_string(field.type):
            in_fits = np.char.rstrip(in_fits)
            in_parquet = np.array([text or "" for text in column.to_pylist()], dtype=str)
            missing_in_fits = np.char.str_len(in_fits) == 0
        elif pa.types.is_floating(field.type):
            in_parquet = column.to_numpy(zero_copy_only=False)
            missing_in_fits = np.isnan(in_fits)
            if np.any(np.isnan(in_parquet[~missing])):
                yield f"{name}: Parquet holds NaN where it should hold null"
        elif pa.types.is_boolean(field.type):
            in_parquet = column.to_numpy(zero_copy_only=False)
            missing_in_fits = np.zeros_like(missing)
        else:
            null = hdu.header[f"TNULL{number}"]
            in_parquet = column.fill_null(null).to_numpy()
            missing_in_fits = in_fits == null
        different = missing != missing_in_fits
        if np.any(different):
            yield f"{name}: missing values differ in {np.sum(different)} rows"
            continue
        for row in np.flatnonzero(~missing & (in_fits != in_parquet))[:1]:
            yield f"{name}: row {row} is {in_fits[row]} in FITS, {in_parquet[row]} in Parquet"


def provenance_problems(header: fits.Header, parquet: Path) -> Iterator[str]:
    """Yield notes on the making of the catalogue that FITS and Parquet do not share."""
    notes = {
        key.decode().removeprefix("starmill."): value.decode()
        for key, value in pq.read_metadata(parquet).metadata.items()
        if key.startswith(b"starmill.")
    }
    for key in ("creator", "model", "modelver", "modelsha", "provider"):
        if key not in notes:
            yield f"Parquet does not say its {key}"
    for key, value in notes.items():
        if header.get(key.upper()) != value:
            yield f"{key.upper()} is {header.get(key.upper())!r} in FITS, {value!r} in Parquet"


def content_problems(parquet: pa.Table, *, is_catalogue: bool) -> Iterator[str]:
    """Yield lines that no catalogue or table of rejects may hold."""
    identifiers = parquet[IDENTIFIER].to_pylist()
    if None in identifiers:
        yield f"a row has no {IDENTIFIER}"
    elif identifiers != sorted(identifiers):
        yield f"rows are not in the order of {IDENTIFIER}"
    if is_catalogue:
        reductions = parquet["reduction"].to_pylist()
        if len(set(zip(identifiers, reductions, strict=True))) != len(identifiers):
            yield f"{IDENTIFIER} is not unique within a reduction"
        if any(flags is None or flags < 0 for flags in parquet["flags"].to_pylist()):
            yield "flags are missing or negative"
        return
    if any(code is None or code <= 0 for code in parquet["code"].to_pylist()):
        yield "a reject has no code"
    for name in ("reason", "detail", "remedy"):
        if not all(parquet[name].to_pylist()):
            yield f"a reject has no {name}"


def manifest_problems(folder: Path, lengths: dict[str, int]) -> Iterator[str]:
    """Yield what ``run.json`` says that is not so."""
    manifest = json.loads((folder / "run.json").read_text())
    for key, name in (("rows", "catalogue"), ("rejects", "rejects")):
        if manifest[key] != lengths[name]:
            yield f"run.json counts {manifest[key]} {key}, there are {lengths[name]}"
    for name, digest in manifest["sha256"].items():
        if hashlib.sha256((folder / name).read_bytes()).hexdigest() != digest:
            yield f"run.json gives another digest of {name}"


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="the catalogue's folder")
    folder = parser.parse_args().folder
    try:
        counts = check(folder)
    except (CatalogueError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    print(f"rows={counts.rows} rejects={counts.rejects}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
