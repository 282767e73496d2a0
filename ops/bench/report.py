"""Turn the results of ``measure.py`` into a page of Markdown, and say which goals are met."""

import argparse
import json
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Goal:
    """A number that is wanted, and what was found: a median and its spread."""

    name: str
    limit: float
    at_least: bool
    found: list[float]

    @property
    def median(self) -> float:
        """Median over repetitions."""
        return statistics.median(self.found)

    @property
    def is_met(self) -> bool:
        """Whether the median is on the wanted side of the limit."""
        return self.median >= self.limit if self.at_least else self.median <= self.limit

    def line(self) -> str:
        """Return the line of a Markdown table."""
        sign, verdict = "≥" if self.at_least else "≤", "met" if self.is_met else "**not met**"
        spread = f"{number(min(self.found))} to {number(max(self.found))}"
        return (
            f"| {self.name} | {sign} {number(self.limit)} | {number(self.median)} |"
            f" {spread} | {verdict} |"
        )


def number(value: float) -> str:
    """Return a number with three significant digits and commas."""
    if abs(value) >= 100:
        digits = 3 - len(f"{abs(value):.0f}")
        return f"{round(value, digits):,.0f}"
    return f"{value:.3g}"


def goals(results: dict) -> list[Goal]:
    """Return the goals of the project with what was found."""
    workers = results["workers"]

    def each(measure: Callable[[dict], float]) -> list[float]:
        return [measure(repetition) for repetition in results["repetitions"]]

    def stage(repetition: dict, name: str, threads: int) -> float:
        return repetition["stages"][f"{name}/{threads}"]["per_s"]

    found = [
        Goal(
            "end to end over the Python baseline (one process, as scientists run it)",
            10.0,
            True,
            each(lambda r: r["run"]["per_s"] / r["baseline"]["1"]["per_s"]),
        ),
        Goal(
            f"end to end over libdeflate alone on the same {workers} threads",
            0.7,
            True,
            each(lambda r: r["run"]["files_per_s"] / stage(r, "inflate", workers)),
        ),
        Goal(
            "inference on one core, spectra a second",
            500_000.0,
            True,
            each(lambda r: stage(r, "infer", 1)),
        ),
    ]
    if "memory" in results:
        small, large = (entry["peak_rss_bytes"] for entry in results["memory"])
        name = "peak memory of 10,000 files over that of 1,000"
        found.append(Goal(name, 1.3, False, [large / small]))
    return found


# The last sections of the page, in their order, each measured and written by itself.
LATENCY = "## Latency of a live night"
EPOCHS = "## The epochs of one star in medium resolution"
MEDIUM = "## Medium resolution on one core"


def latency_goals(results: dict) -> list[Goal]:
    """Return the goals of a live night with what was found."""
    sizes = [part["resident_bytes"] for part in results["memory"]]
    # The first quarter loads the model and sees the first files.
    early, late = sizes[len(sizes) // 4 : len(sizes) // 2], sizes[-(len(sizes) // 4) :]
    growth = statistics.median(late) / statistics.median(early)
    return [
        Goal("half of the files, seconds", 1.0, False, [results["p50_s"]]),
        Goal("99 of 100 files, seconds", 10.0, False, [results["p99_s"]]),
        Goal(
            "files without a row a minute after the last",
            0,
            False,
            [results["not_durable"]],
        ),
        Goal("memory of the last quarter over that of the second", 1.1, False, [growth]),
    ]


def latency_section(results: dict) -> str:
    """Return the section about the latency of a live night."""
    minutes, singles = results["minutes"], results["files"] - results["plate_files"]
    lines = [
        LATENCY,
        "",
        f"`./ops/bench.sh latency`: {results['plate_files']:,} synthetic files within two minutes,"
        f" then {singles} at 30 a minute, to `starmill serve` at real speed. From the rename into"
        " the inbox to the row in the ledger, as another process sees it. Measured on"
        f" {results['cores']} cores whose load was {results['load_before']} before it began.",
        "",
        "| what | wanted | found | |",
        "|---|---|---|---|",
    ]
    for goal in latency_goals(results):
        wanted, verdict = number(goal.limit), "met" if goal.is_met else "**not met**"
        lines.append(f"| {goal.name} | ≤ {wanted} | {number(goal.median)} | {verdict} |")
    moments = results["memory"]
    lines += [
        "",
        f"Nine of ten files took less than {number(results['p90_s'])} s, the slowest"
        f" {number(results['max_s'])} s. Resident memory over the {minutes:g} minutes:",
        "",
        "| until, s |" + "".join(f" {part['until_s']:.0f} |" for part in moments),
        "|---|" + "---|" * len(moments),
        "| MB |" + "".join(f" {part['resident_bytes'] / 1e6:.1f} |" for part in moments),
    ]
    return "\n".join(lines) + "\n"


def epochs_section(table: list[str]) -> str:
    """Return the section about real medium-resolution spectra of one star."""
    lines = [
        EPOCHS,
        "",
        "`./ops/bench.sh epochs`: the public files of KIC 8098300 (real spectra) of seven nights,"
        " each exposure a row of its own, through the shipped models. Two of the nights have no"
        " signal: no S/N of theirs reaches 2, and the models take 10. Scatter is the standard"
        " deviation over the exposures, the quoted error is the median of theirs. The star is"
        " an F5 dwarf; a model trained on synthetic spectra has no claim on what the true labels"
        " are, and errors of all epochs alike do not show in the scatter.",
        "",
        *table,
    ]
    return "\n".join(lines) + "\n"


def medium_section(tables: list[str]) -> str:
    """Return the section on the recipe and the velocities of medium resolution."""
    lines = [
        MEDIUM,
        "",
        "`./ops/bench.sh medium`: the recipe on the same synthetic spectra of two arms as plain"
        " Python, in turn, from memory, every step from the rest frame to the scaled 7,200 values,"
        " medians of seven rounds, ratios within a round; the Python is the reference that"
        " `tests/mrs_recipe` holds each step to. And radial velocities by cross-correlation with 22"
        " templates, of synthetic spectra. Both were measured beside other work on the same two"
        " cores.",
        "",
        *tables,
    ]
    return "\n".join(lines)


def with_part(page: str, title: str, text: str) -> str:
    """Return a page in which one of its last sections, or with "" what is before them, is new."""
    parts = {"": page}
    for section in (LATENCY, EPOCHS, MEDIUM):
        last = list(parts)[-1]
        parts[last], found, behind = parts[last].partition(section)
        parts[section] = found + behind
    parts[title] = text
    return "\n\n".join(part.strip("\n") for part in parts.values() if part) + "\n"


def rate_lines(results: dict) -> list[str]:
    """Return the table of rates: a line for each program and number of threads."""
    repetitions = results["repetitions"]

    def line(name: str, threads: str, unit: str, rates: list[float]) -> str:
        spread = f"{number(min(rates))} to {number(max(rates))}"
        median = number(statistics.median(rates))
        return f"| {name} | {threads} | {median} | {spread} | {unit} |"

    lines = ["| what | threads | median a second | range | of |", "|---|---|---|---|---|"]
    for key in repetitions[0]["stages"]:
        name, threads = key.split("/")
        unit = "files" if name in ("inflate", "read") else "spectra"
        rates = [repetition["stages"][key]["per_s"] for repetition in repetitions]
        label = "inflate (libdeflate alone)" if name == "inflate" else name
        lines.append(line(label, threads, unit, rates))
    rates = [repetition["run"]["per_s"] for repetition in repetitions]
    lines.append(line("**starmill run**, end to end", str(results["workers"]), "files", rates))
    for threads in repetitions[0]["baseline"]:
        rates = [repetition["baseline"][threads]["per_s"] for repetition in repetitions]
        lines.append(line("Python baseline, end to end", threads, "files", rates))
    return lines


def busy_lines(results: dict) -> list[str]:
    """Return where the time of the last run went, stage by stage."""
    run = results["repetitions"][-1]["run"]
    lines = ["| stage | workers | in | out | busy, s of a worker's time |", "|---|---|---|---|---|"]
    for stage in run["stages"]:
        workers, busy = stage["workers"], stage["busy_s"]
        moved = f"{stage['items_in']:,} | {stage['items_out']:,}"
        lines.append(f"| {stage['name']} | {workers} | {moved} | {busy:.2f} |")
    return lines


def page(results: dict, readers: Sequence[str] = ()) -> str:
    """Return the page."""
    request, written = results["data"]["request"], results["data"]["written"]
    run = results["repetitions"][-1]["run"]
    lines = [
        "# Benchmarks",
        "",
        "Written by `ops/bench.sh --publish`; do not edit.",
        "",
        "## What was measured",
        "",
        f"Synthetic spectra (`ops/bench/make_lrs.py`, seed {request['seed']}) in the layouts, sizes"
        " and compressibility of LAMOST low-resolution files, gzip, in the page cache:",
        "",
        "| layout | files | kB a file | compressed over inflated |",
        "|---|---|---|---|",
    ]
    for layout, size in written.items():
        per_file, ratio = size["stored"] / size["files"] / 1e3, size["stored"] / size["inflated"]
        lines.append(f"| {layout} | {size['files']:,} | {per_file:.1f} | {ratio:.3f} |")
    lines += ["", "| machine | |", "|---|---|"]
    lines += [f"| {name} | {value} |" for name, value in results["machine"].items()]
    lines += [
        "",
        f"Medians of {len(results['repetitions'])} repetitions. Each repetition runs every program"
        " once, in turn; ratios are taken within a repetition. End-to-end times are of whole"
        " processes, start-up included, but for the ratio to libdeflate, which is timed without"
        " start-up as well. The baseline (`ops/bench/baseline.py`) does the same job"
        " with astropy, numpy and ONNX Runtime.",
        "",
        "## Goals",
        "",
        "| what | wanted | median | range | |",
        "|---|---|---|---|---|",
        *(goal.line() for goal in goals(results)),
        "",
        "## Rates",
        "",
        *rate_lines(results),
        "",
        "## Where the time of a run goes",
        "",
        f"{run['files']:,} files, {run['rows']:,} rows and {run['rejects']:,} rejects in"
        f" {run['process_wall_s']:.2f} s, peak memory {run['peak_rss_bytes'] / 2**20:.0f} MiB:",
        "",
        *busy_lines(results),
    ]
    if "memory" in results:
        lines += ["", "## Memory", "", "| files | peak memory, MiB |", "|---|---|"]
        for entry in results["memory"]:
            lines.append(f"| {entry['files']:,} | {entry['peak_rss_bytes'] / 2**20:.0f} |")
    if readers:
        lines += [
            "",
            "## Our FITS reader beside CFITSIO",
            "",
            "`cargo test --release --test reader_speed -- --ignored --nocapture`: the same files in"
            " turn, gzip at the usual level, medians of nine rounds, ratios within a round. CFITSIO"
            " reads the five arrays; our reader also recognises the layout, checks every value and"
            " reads the header, and from a file it digests every byte for the ledger. From memory"
            " the two are alike; from plain files CFITSIO, which digests nothing, is faster; and"
            " from `.gz`, as surveys deliver, it is slower and gains nothing from a second thread:"
            " it inflates under one lock. So our own reader takes the input, where untrusted bytes"
            " must not reach C code either; CFITSIO writes the catalogue and is the judge in"
            " `tests/readers.rs` and `tests/reader_speed`, which demand the same bits of both.",
            "",
            *readers,
        ]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Run from the command line; the exit code is 1 where a goal is not met."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path, help="JSON file of measure.py, unless an option says")
    parser.add_argument("--out", type=Path, required=True, help="Markdown file to write")
    parser.add_argument("--readers", type=Path, help="table that the test reader_speed prints")
    parser.add_argument(
        "--latency", action="store_true", help="the results are of latency.py: write its section"
    )
    parser.add_argument(
        "--epochs", action="store_true", help="the results are a table of the test medium"
    )
    parser.add_argument(
        "--medium", action="store_true", help="the results are tables of mrs_recipe and rv"
    )
    options = parser.parse_args()
    found = options.results.read_text()
    old = options.out.read_text(encoding="utf-8") if options.out.exists() else ""
    wanted: list[Goal] = []
    if options.epochs:
        title, section = EPOCHS, epochs_section(found.splitlines())
    elif options.medium:
        title, section = MEDIUM, medium_section(found.splitlines())
    elif options.latency:
        results = json.loads(found)
        title, wanted, section = LATENCY, latency_goals(results), latency_section(results)
    else:
        results = json.loads(found)
        readers = options.readers.read_text().splitlines() if options.readers else []
        title, wanted, section = "", goals(results), page(results, readers)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(with_part(old, title, section), encoding="utf-8")
    print(section)
    return 0 if all(goal.is_met for goal in wanted) else 1


if __name__ == "__main__":
    sys.exit(main())
