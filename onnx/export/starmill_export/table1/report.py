"""Table 1 of the paper, and the same of this machine, as Markdown."""

import json
from pathlib import Path

METHODS = {
    "knn": "KNN",
    "xgboost": "XGBoost",
    "svr": "SVR",
    "cnn": "CNN",
    "fcresnet": "FCResNet",
}

PAPER = {
    "knn": ("33 MB", "30 s", "144 K, 0.33, 0.18, 0.08, 0.12, 0.08", 0.4150),
    "xgboost": ("405 MB", "6 min", "92 K, 0.20, 0.10, 0.06, 0.11, 0.06", 0.2348),
    "svr": ("54 MB", "27 min", "86 K, 0.17, 0.08, 0.06, 0.11, 0.05", 0.2104),
    "cnn": ("943 KB", "46 s", "80 K, 0.15, 0.08, 0.05, 0.10, 0.05", 0.1872),
    "fcresnet": ("348 KB", "42 s", "78 K, 0.15, 0.08, 0.05, 0.10, 0.05", 0.1792),
}
"""Its test set: size, time of a million spectra, standard deviation of each label, loss."""

TITLES = {
    "lrs": "LAMOST spectra at R = 200 (*synthetic*)",
    "xp": "Gaia XP spectra with APOGEE's labels (*real*)",
}
SYMBOLS = {
    "teff": "Teff",
    "logg": "log g",
    "fe_h": "[Fe/H]",
    "c_fe": "[C/Fe]",
    "n_fe": "[N/Fe]",
    "mg_fe": "[Mg/Fe]",
    "alpha_m": "[alpha/M]",
}


def text(work: Path, printed: str) -> str:
    """The page, from the figures below `work` and what the timing of the nets printed."""
    speeds = dict(line.split()[1:] for line in printed.splitlines() if line.startswith("speed "))
    sections = [_head()]
    for task, title in TITLES.items():
        places = {method: work / task / method / "figures.json" for method in METHODS}
        # What is not fitted yet has no row.
        found = {
            method: json.loads(place.read_text())
            for method, place in places.items()
            if place.exists()
        }
        sections.append(_section(task, title, found, speeds))
    return "\n\n".join(sections) + "\n"


def _head() -> str:
    rows = [
        [METHODS[name], size, time, precision, f"{loss:.4f}"]
        for name, (size, time, precision, loss) in PAPER.items()
    ]
    heading = ["method", "size", "10^6 spectra", "test set, standard deviation", "loss"]
    return f"""# Table 1 of the FCResNet paper, on one machine

Written by `./ops/bench-table1.sh`; do not edit.

Li et al. 2025 compare five methods on 22,632 real LAMOST spectra at R = 200 with the labels Teff,
log g, [Fe/H], [C/Fe], [N/Fe] and [Mg/Fe] of APOGEE. Their times are of an RTX 3070 for the nets and
of eight cores for the others:

{_table(heading, rows)}

Below are the same methods on two other sets, as their data are not public. Times are CPU seconds of
**one core** for a million prepared spectra, scaled up from fewer: of the nets as ONNX through
Starmill's engine in batches of 256, of the others by scikit-learn and XGBoost in one thread. Sizes
are those of the ONNX file, of XGBoost's own file, and of the arrays that a prediction by KNN and
SVR needs. The loss is the mean squared error of labels over the spread of the training labels.
Robust sigma is 1.4826 times the median absolute deviation. Hyperparameters are the paper's
optimum (its Table 2) but where a list below a table says otherwise, and three limits keep the whole
within an hour: XGBoost has ten times the paper's rate and stops early, SVR learns from fewer
spectra, and nets train for fewer epochs, with the rate cut after 6 epochs without improvement, not
after 20. Each may do better than it does here."""


def _section(task: str, title: str, found: dict[str, dict], speeds: dict[str, str]) -> str:
    first = found["fcresnet"]
    symbols = [SYMBOLS[name] for name in first["labels"]]
    training, validation, test = first["rows"]
    rows, settings = [], []
    for method, figures in found.items():
        seconds = figures.get("million_s")
        if seconds is None:
            seconds = 1e6 / float(speeds[f"{task}/{method}"])
        rows.append(
            [
                METHODS[method],
                _size(figures["size"]),
                _time(seconds),
                *(_number(value) for value in figures["deviation"]),
                f"{figures['loss']:.4f}",
            ]
        )
        settings.append(f"- {METHODS[method]}: {figures['settings']}.")
    robust = [
        [METHODS[method], *(_number(value) for value in figures["robust"])]
        for method, figures in found.items()
    ]
    heading = ["method", "size", "10^6 spectra", *symbols, "loss"]
    return "\n\n".join(
        [
            f"## {title}",
            f"{training} spectra for training, {validation} for validation, {test} for test.\n"
            "Standard deviation of the test residuals:",
            _table(heading, rows),
            "Their robust sigma:",
            _table(["method", *symbols], robust),
            "\n".join(settings),
        ]
    )


def _size(count: float) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.0f} KB"


def _time(seconds: float) -> str:
    if seconds >= 7200:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 60:.1f} min" if seconds >= 120 else f"{seconds:.1f} s"


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 10 else f"{value:.3f}"


def _table(heading: list[str], rows: list[list[str]]) -> str:
    lines = [heading, ["---"] * len(heading), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
