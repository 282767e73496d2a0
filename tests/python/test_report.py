"""The benchmark page says what was measured, and whether the goals are met."""

import json
from pathlib import Path

import pytest

import report


def results(run_per_s: float, large_memory: int = 110) -> dict:
    def repetition(factor: float) -> dict:
        rates = {"inflate/1": 6e3, "inflate/2": 12e3, "infer/1": 7e5, "read/1": 5e3}
        stages = {key: {"per_s": rate * factor} for key, rate in rates.items()}
        run = {
            "files": 3000,
            "rows": 2990,
            "rejects": 10,
            "per_s": run_per_s * factor,
            "files_per_s": 1.2 * run_per_s * factor,
            "process_wall_s": 0.3,
            "peak_rss_bytes": 100 << 20,
            "stages": [
                {"name": "read", "workers": 2, "items_in": 3000, "items_out": 3000, "busy_s": 0.5}
            ],
        }
        baseline = {"1": {"per_s": 400.0 * factor}, "2": {"per_s": 700.0 * factor}}
        return {"stages": stages, "run": run, "baseline": baseline}

    memory = [
        {"files": 1000, "peak_rss_bytes": 100 << 20},
        {"files": 10_000, "peak_rss_bytes": large_memory << 20},
    ]
    written = {"image": {"files": 3000, "stored": 45_000_000 * 3, "inflated": 92_160 * 3000}}
    return {
        "machine": {"processor": "a processor"},
        "workers": 2,
        "data": {"request": {"count": 3000, "seed": 1}, "written": written},
        # A machine that is half as fast for a while changes no ratio.
        "repetitions": [repetition(1.0), repetition(0.5), repetition(1.0)],
        "memory": memory,
    }


def verdicts(measured: dict) -> list[bool]:
    return [goal.is_met for goal in report.goals(measured)]


def test_goals_are_judged_by_ratios_within_a_repetition() -> None:
    goals = report.goals(results(run_per_s=9000.0))
    assert [goal.median for goal in goals] == [22.5, 0.9, 7e5, 1.1]
    assert verdicts(results(run_per_s=9000.0)) == [True] * 4


def test_a_goal_that_is_missed_is_said_so() -> None:
    assert verdicts(results(run_per_s=5000.0)) == [True, False, True, True]
    assert verdicts(results(run_per_s=9000.0, large_memory=140)) == [True, True, True, False]
    assert "**not met**" in report.page(results(run_per_s=5000.0))


def test_the_page_holds_machine_data_and_rates() -> None:
    page = report.page(results(run_per_s=9000.0))
    for text in (
        "a processor",
        "Synthetic spectra",
        "| image | 3,000 | 45.0 | 0.488 |",
        "| **starmill run**, end to end | 2 | 9,000 | 4,500 to 9,000 | files |",
        "| inflate (libdeflate alone) | 2 | 12,000 | 6,000 to 12,000 | files |",
        "| read | 2 | 3,000 | 3,000 | 0.50 |",
    ):
        assert text in page


def test_tables_of_other_measurements_are_added() -> None:
    page = report.page(results(run_per_s=9000.0), ["| readers |"])
    assert "| readers |" in page and "CFITSIO" in page
    assert "CFITSIO" not in report.page(results(run_per_s=9000.0))
    both = report.with_part(page, report.MEDIUM, report.medium_section(["| recipe |"]))
    assert both.startswith(page.rstrip()) and "| recipe |" in both


def test_numbers_have_three_digits() -> None:
    cases = {0.71234: "0.712", 22.53: "22.5", 123.4: "123", 727_777.0: "728,000", 1.0: "1"}
    assert {value: report.number(value) for value in cases} == cases


def live_night(**changes: object) -> dict:
    sizes = [50e6, 55e6, 56e6, 56e6, 56e6, 56e6, 57e6, 57e6]
    memory = [{"until_s": 30.0 * i, "resident_bytes": size} for i, size in enumerate(sizes, 1)]
    found = {"minutes": 4.0, "plate_files": 4000, "files": 4060, "not_durable": 0}
    found |= {"p50_s": 0.35, "p90_s": 0.5, "p99_s": 0.68, "max_s": 1.2, "memory": memory}
    return found | {"load_before": 0.1, "cores": 2, "exit_code": 0} | changes


def test_a_live_night_is_judged_by_its_latency_its_files_and_its_memory() -> None:
    def met(results: dict) -> list[bool]:
        return [goal.is_met for goal in report.latency_goals(results)]

    assert met(live_night()) == [True, True, True, True]
    assert met(live_night(p50_s=1.2)) == [False, True, True, True]
    assert met(live_night(p99_s=11.0)) == [True, False, True, True]
    assert met(live_night(not_durable=1)) == [True, True, False, True]
    growing = [{"until_s": 1.0, "resident_bytes": 50e6 + i * 2e6} for i in range(8)]
    assert met(live_night(memory=growing)) == [True, True, True, False]
    assert "60 at 30 a minute" in report.latency_section(live_night())


def test_each_part_of_the_page_is_written_without_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("page.md", "rates.json", "latency.json", "epochs.md")
    out, rates, latency, epochs = (tmp_path / name for name in names)
    rates.write_text(json.dumps(results(5000.0)))
    latency.write_text(json.dumps(live_night()))
    epochs.write_text("| rrnet | mean |\n|---|---|\n| teff | 6400 |\n")
    parts = [[epochs, "--epochs"], [rates], [latency, "--latency"]]
    for arguments in [*parts, *parts]:
        monkeypatch.setattr("sys.argv", ["report", *map(str, arguments), "--out", str(out)])
        report.main()
    page = out.read_text()
    assert page.count("# Benchmarks\n") == page.count(report.LATENCY) == 1
    assert page.index("## Rates") < page.index(report.LATENCY) < page.index(report.EPOCHS)
    sections = [
        report.page(results(5000.0)),
        report.latency_section(live_night()),
        report.epochs_section(epochs.read_text().splitlines()),
    ]
    assert page == "\n".join(sections)
