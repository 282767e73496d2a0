"""The checker of catalogues finds what is wrong: each kind of damage is named."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.io import fits

import check_catalogue

PROVENANCE = {
    "CREATOR": "starmill 0",
    "MODEL": "m",
    "MODELVER": "1",
    "MODELSHA": "0" * 64,
    "PROVIDER": "CPUExecutionProvider",
}


@dataclass
class Column:
    """A column of a sample table; None is a missing value."""

    name: str
    arrow: pa.DataType
    form: str
    values: list
    unit: str = ""


def catalogue_columns() -> list[Column]:
    return [
        Column("spectrum_id", pa.string(), "3A", ["a:1", "a:2", "a:3"]),
        Column("obsid", pa.int64(), "K", [1, None, 3]),
        Column("class", pa.string(), "4A", ["STAR", None, "QSO"]),
        Column("ra", pa.float64(), "D", [1.5, None, 2.5], "deg"),
        Column("logg", pa.float32(), "E", [1.5, 2.5, 3.5], "dex"),
        Column("reduction", pa.int32(), "J", [1, 1, 2]),
        Column("flags", pa.int32(), "J", [0, 3, 8]),
        Column("flag_bad", pa.bool_(), "L", [False, True, False]),
    ]


def reject_columns() -> list[Column]:
    return [
        Column("spectrum_id", pa.string(), "3A", ["a:9"]),
        Column("code", pa.int32(), "J", [6]),
        Column("reason", pa.string(), "8A", ["not_fits"]),
        Column("detail", pa.string(), "9A", ["no SIMPLE"]),
        Column("remedy", pa.string(), "9A", ["remove it"]),
    ]


def write_parquet(path: Path, columns: list[Column]) -> None:
    fields = []
    for column in columns:
        notes = {"unit": column.unit, "ucd": "meta.note", "description": "A column"}
        metadata = {key: value for key, value in notes.items() if value}
        fields.append(pa.field(column.name, column.arrow, metadata=metadata))
    notes = {f"starmill.{key.lower()}": value for key, value in PROVENANCE.items()}
    arrays = [pa.array(column.values, column.arrow) for column in columns]
    pq.write_table(pa.table(arrays, schema=pa.schema(fields, metadata=notes)), path)


def write_fits(path: Path, columns: list[Column]) -> None:
    def stored(column: Column) -> np.ndarray:
        missing = {"A": "", "K": -9999, "J": -9999, "E": np.nan, "D": np.nan, "L": False}
        fill = missing[column.form[-1]]
        return np.array([fill if value is None else value for value in column.values])

    table = fits.BinTableHDU.from_columns(
        [fits.Column(column.name, column.form, array=stored(column)) for column in columns],
        name=path.stem,
    )
    for number, column in enumerate(columns, start=1):
        table.header[f"TUCD{number}"] = "meta.note"
        table.header[f"TCOMM{number}"] = "A column"
        if column.unit:
            table.header[f"TUNIT{number}"] = column.unit
        if column.form in "JK":
            table.header[f"TNULL{number}"] = -9999
    primary = fits.PrimaryHDU(header=fits.Header(PROVENANCE))
    fits.HDUList([primary, table]).writeto(path, checksum=True, overwrite=True)


def write_manifest(folder: Path) -> None:
    names = [
        f"{table}.{ending}" for table in check_catalogue.TABLES for ending in ("fits", "parquet")
    ]
    digests = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names}
    manifest = {"rows": 3, "rejects": 1, "sha256": digests}
    (folder / "run.json").write_text(json.dumps(manifest))


def write_catalogue(
    folder: Path, for_fits: list[Column] | None = None, for_parquet: list[Column] | None = None
) -> Path:
    write_fits(folder / "catalogue.fits", for_fits or catalogue_columns())
    write_parquet(folder / "catalogue.parquet", for_parquet or catalogue_columns())
    write_fits(folder / "rejects.fits", reject_columns())
    write_parquet(folder / "rejects.parquet", reject_columns())
    write_manifest(folder)
    return folder


def test_a_sound_catalogue_passes(tmp_path: Path) -> None:
    counts = check_catalogue.check(write_catalogue(tmp_path))
    assert counts == check_catalogue.Counts(rows=3, rejects=1)


def set_value(name: str, row: int, value: object) -> Callable[[list[Column]], None]:
    def change(columns: list[Column]) -> None:
        next(column for column in columns if column.name == name).values[row] = value

    return change


def set_unit(name: str, unit: str) -> Callable[[list[Column]], None]:
    def change(columns: list[Column]) -> None:
        next(column for column in columns if column.name == name).unit = unit

    return change


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (set_value("logg", 1, 2.6), "logg: row 1"),
        (set_value("logg", 1, None), "logg: missing values differ in 1 rows"),
        (set_value("obsid", 1, 0), "obsid: missing values differ in 1 rows"),
        (set_value("class", 2, "STAR"), "class: row 2"),
        (set_value("class", 1, "STAR"), "class: missing values differ"),
        (set_value("flag_bad", 0, True), "flag_bad: row 0"),
        (set_unit("ra", "rad"), "ra: TUNIT is 'rad', Parquet says 'deg'"),
        (list.pop, "columns differ"),
    ],
)
def test_what_differs_between_the_forms_is_named(
    tmp_path: Path, change: Callable[[list[Column]], None], complaint: str
) -> None:
    changed = catalogue_columns()
    change(changed)
    with pytest.raises(check_catalogue.CatalogueError, match=complaint):
        check_catalogue.check(write_catalogue(tmp_path, for_fits=changed))


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (set_value("spectrum_id", 1, "a:1"), "spectrum_id is not unique"),
        (set_value("spectrum_id", 0, "a:4"), "not in the order"),
        (set_value("flags", 0, -1), "flags are missing or negative"),
        (set_unit("ra", "degrees of arc"), "ra: 'degrees of arc' is no unit"),
    ],
)
def test_what_is_wrong_in_both_forms_is_named(
    tmp_path: Path, change: Callable[[list[Column]], None], complaint: str
) -> None:
    changed = catalogue_columns()
    change(changed)
    with pytest.raises(check_catalogue.CatalogueError, match=complaint):
        check_catalogue.check(write_catalogue(tmp_path, changed, changed))


def test_a_flipped_bit_breaks_the_sums(tmp_path: Path) -> None:
    path = write_catalogue(tmp_path) / "catalogue.fits"
    content = bytearray(path.read_bytes())
    # The first data block is the last block of this small file.
    content[-2880] ^= 1
    path.write_bytes(content)
    with pytest.raises(check_catalogue.CatalogueError, match="CHECKSUM or DATASUM"):
        check_catalogue.check(tmp_path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    (write_catalogue(tmp_path) / "rejects.parquet").unlink()
    with pytest.raises(check_catalogue.CatalogueError, match="rejects: cannot be read"):
        check_catalogue.check(tmp_path)


def test_digests_of_the_run_are_compared(tmp_path: Path) -> None:
    folder = write_catalogue(tmp_path)
    manifest = json.loads((folder / "run.json").read_text())
    manifest["sha256"]["catalogue.fits"] = "0" * 64
    (folder / "run.json").write_text(json.dumps(manifest))
    with pytest.raises(check_catalogue.CatalogueError, match=r"digest of catalogue\.fits"):
        check_catalogue.check(folder)
