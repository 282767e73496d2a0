"""Hold the catalogues of a night against what was delivered: each file once, nothing else."""

import subprocess
from collections import Counter
from pathlib import Path
from urllib.parse import unquote_to_bytes

import pyarrow.parquet as pq


def listed(night: Path, table: str) -> list[str]:
    """Return the file of every row of a table, as the system names it."""
    column = pq.read_table(night / f"{table}.parquet", columns=["file"])["file"]
    return [unquote_to_bytes(text).decode() for text in column.to_pylist()]


def check(program: str, nights: list[Path], contents: dict[str, list[bytes]]) -> dict:
    """Return counts and the list of problems, which should be empty."""
    problems = []
    rows: Counter[str] = Counter()
    rejects: Counter[str] = Counter()
    for night in nights:
        verify = subprocess.run(
            [program, "catalogue", "verify", str(night)], capture_output=True, text=True
        )
        if verify.returncode != 0:
            problems.append(f"{night.name}: {verify.stdout}{verify.stderr}")
        rows.update(listed(night, "catalogue"))
        rejects.update(listed(night, "rejects"))
    for path, versions in contents.items():
        found = rows[path] + rejects[path]
        # A file whose content was replaced counts with its newest, or in two catalogues if the
        # first was closed before.
        if not 1 <= found <= len(versions):
            problems.append(f"{path}: {found} outcomes of {len(versions)} contents")
    unknown = (rows.keys() | rejects.keys()) - contents.keys()
    problems += [f"{path}: nobody delivered it" for path in sorted(unknown)]
    return {
        "nights": [night.name for night in nights],
        "delivered": len(contents),
        "rows": sum(rows.values()),
        "rejects": sum(rejects.values()),
        "problems": problems[:20],
    }
