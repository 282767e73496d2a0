"""The comparisons of RRNet's paper on one synthetic training set: its figure 3 and its table 4.

Figure 3 sets RRNet beside StarNet, StarNet-R and ResNet on the test part. Table 4 sets radial
velocities that were corrected (c), corrected and perturbed in training (cp), left in (u), and left
in and estimated (ur) beside each other on the validation part. cp trains on perturbed spectra and
is judged on those of c: the perturbation augments the training and is no part of an observation.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from starmill_export.rrnet import labels, net, pipeline
from starmill_export.rrnet.examples import Examples
from starmill_export.rrnet.network_file import Ensemble

KINDS = ["starnet", "starnet-r", "resnet", "rrnet"]
VARIANTS = ["u", "ur", "c", "cp"]
RUNS = [("rrnet", "c"), *[(kind, "c") for kind in KINDS[:-1]]]
RUNS += [("rrnet", variant) for variant in VARIANTS if variant != "c"]

PUBLISHED = {
    "teff": (54.5106, 57.8453, 51.8167, 51.9031),
    "logg": (0.0872, 0.0988, 0.0794, 0.0792),
    "fe_h": (0.0359, 0.0385, 0.0309, 0.0309),
    "c_h": (0.0543, 0.0575, 0.0511, 0.0516),
    "n_h": (0.0807, 0.0836, 0.0738, 0.0739),
    "o_h": (0.0831, 0.0831, 0.0781, 0.0784),
    "mg_h": (0.0393, 0.0412, 0.0357, 0.0356),
    "al_h": (0.0524, 0.0529, 0.0462, 0.0471),
    "si_h": (0.0375, 0.0389, 0.0334, 0.0332),
    "s_h": (0.0603, 0.0617, 0.0580, 0.0587),
    "k_h": (0.0925, 0.0917, 0.0892, 0.0892),
    "ca_h": (0.0429, 0.0443, 0.0391, 0.0392),
    "ti_h": (0.0759, 0.0767, 0.0732, 0.0731),
    "cr_h": (0.0685, 0.0699, 0.0651, 0.0648),
    "mn_h": (0.0722, 0.0739, 0.0688, 0.0691),
    "ni_h": (0.0461, 0.0467, 0.0411, 0.0413),
    "cu_h": (0.1383, 0.1470, 0.1334, 0.1341),
}
"""MAE of table 4 (K, dex) for u, ur, c, cp, on real spectra with labels of APOGEE-Payne."""


@dataclass
class Outcome:
    """Mean absolute errors (equation 4) of one net, by label, in K and dex."""

    parameters: int
    validation: dict[str, float]
    test: dict[str, float]


@dataclass
class Comparison:
    """What was compared, and how large the run was; `constant` are the errors of the median."""

    size: str
    spectra: int
    epochs: int
    members: int
    constant: Outcome
    outcomes: dict[str, Outcome] = field(default_factory=dict)


def run(
    plan: Callable[[str, str], pipeline.Plan],
    size: str,
    make_emulator: Callable[[], object],
    work: Path,
    report: Callable[[str], None],
) -> Path:
    """Train every net of both comparisons and write `compare.md` and `compare.json`.

    `plan` gives the computation of a kind and a velocity variant. Finished epochs are kept in the
    folder that is returned, and the tables are written anew after every net: this resumes.
    """
    first = plan("rrnet", "c")
    folder = work / f"compare-{size}-{first.spectra}-{first.schedule.epochs}"
    corrected, _ = _examples(first, make_emulator, work, report)
    found = Comparison(
        size, len(corrected.labels), first.schedule.epochs, first.members, _constant(corrected)
    )
    for kind, variant in RUNS:
        chosen = plan(kind, variant)
        made, scaling = _examples(chosen, make_emulator, work, report)
        name = f"{kind}-{variant}"
        report(f"{name}: {net.count(net.initial(chosen.shape, 0))} parameters")
        model = pipeline.train_members(chosen, made, scaling, folder / name, report)
        judged = corrected if variant == "cp" else made
        found.outcomes[name] = Outcome(
            net.count(model.regions[0][0]),
            *(mean_absolute_errors(model, judged.part(part)) for part in ("validation", "test")),
        )
        (folder / "compare.json").write_text(json.dumps(asdict(found), indent=1) + "\n")
        (folder / "compare.md").write_text(markdown(found))
    return folder


def _examples(
    chosen: pipeline.Plan,
    make_emulator: Callable[[], object],
    work: Path,
    report: Callable[[str], None],
) -> tuple[Examples, pipeline.Scaling]:
    folder = work / f"{chosen.family}-{chosen.variant}-{chosen.spectra}"
    return pipeline.make_examples(chosen, make_emulator, folder, report)


def mean_absolute_errors(model: Ensemble, judged: Examples) -> dict[str, float]:
    """Equation 4 for every label of the paper, in K and dex; a velocity is left out."""
    return _errors(pipeline.predict(model, judged)[0], judged)


def _constant(made: Examples) -> Outcome:
    """What is wrong by knowing nothing but the median of the training set."""
    middle = np.median(made.part("training").labels, axis=0)
    return Outcome(0, *(_errors(middle, made.part(part)) for part in ("validation", "test")))


def _errors(estimate: np.ndarray, judged: Examples) -> dict[str, float]:
    error = np.abs(estimate - judged.labels).mean(axis=0)
    return {name: float(f"{error[column]:.4g}") for column, name in enumerate(labels.RRNET)}


def markdown(found: Comparison) -> str:
    """Both tables, the paper's values beside ours."""
    return "\n".join([*_heading(found), *_figure_3(found), "", *_table_4(found)]) + "\n"


def _heading(found: Comparison) -> list[str]:
    return [
        f"MAE (equation 4) on *synthetic* spectra: {found.spectra} of them (7 : 1 : 2), "
        f"{found.epochs} epochs, {found.members} net(s) an ensemble, size `{found.size}`, N_r = 3.",
        "The paper's values are of real spectra with labels of APOGEE-Payne, whose abundances are",
        "correlated; ours are scattered freely, so only ratios between columns compare.",
        "",
    ]


def _figure_3(found: Comparison) -> list[str]:
    """The paper's figure 3 prints no numbers; its RRNet is that of table 4, on other spectra."""
    names = [f"{kind}-c" for kind in KINDS if f"{kind}-c" in found.outcomes]
    columns = {name.removesuffix("-c"): found.outcomes[name].test for name in names}
    return [
        "Figure 3, test part. The paper prints no numbers there, but its order: RRNet best,",
        "StarNet-R better than StarNet.",
        "",
        *_table(columns, found.constant.test, {"RRNet, paper, validation": 2}),
        "| parameters | | "
        + _row([f"{found.outcomes[name].parameters:,}" for name in names], " |"),
    ]


def _table_4(found: Comparison) -> list[str]:
    names = [name for name in VARIANTS if f"rrnet-{name}" in found.outcomes]
    columns = {name: found.outcomes[f"rrnet-{name}"].validation for name in names}
    paper = {f"{name}, paper": VARIANTS.index(name) for name in names}
    return [
        "Table 4, RRNet, validation part.",
        "",
        *_table(columns, found.constant.validation, paper),
    ]


def _table(
    columns: dict[str, dict[str, float]], constant: dict[str, float], paper: dict[str, int]
) -> list[str]:
    """Rows of labels, below them the mean over the labels in units of a constant's error."""
    lines = [
        "| label | a constant | " + _row([*columns, *paper]),
        "| --- " * (2 + len(columns) + len(paper)) + "|",
    ]
    for name, nothing in constant.items():
        ours = [f"{column[name]:.3g}" for column in columns.values()]
        theirs = [f"{PUBLISHED[name][column]:.3g}" for column in paper.values()]
        lines.append(f"| {name} | {nothing:.3g} | " + _row([*ours, *theirs]))
    relative = [
        np.mean([column[name] / nothing for name, nothing in constant.items()])
        for column in columns.values()
    ]
    cells = [f"{value:.3f}" for value in relative]
    lines.append("| mean / a constant | 1 | " + _row(cells, " |" * len(paper)))
    return lines


def _row(cells: list[str], rest: str = "") -> str:
    return " | ".join(cells) + " |" + rest
