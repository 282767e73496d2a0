"""The steps from the grid of syntheses to the graphs; each keeps what it made and can resume."""

import dataclasses
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from starmill_export import novelty
from starmill_export.rrnet import (
    calibration,
    emulator,
    evaluate,
    examples,
    labels,
    net,
    observe,
    syntheses,
)
from starmill_export.rrnet import schedule as schedules
from starmill_export.rrnet.examples import Scaling
from starmill_export.rrnet.folder import FALSE_ALARM
from starmill_export.rrnet.net import Parameters, Shape
from starmill_export.rrnet.network_file import Ensemble
from starmill_export.rrnet.schedule import Schedule

NOVELTY_SNR, NOVELTY_SPECTRA = 20.0, 2500
SEED, MEMBER_SEED, TUNING_SEED = 1, 1000, 2000
MEMBERS = 6
REFERENCE_BATCH = 64
"""The published 256 takes too few steps on a training set that is a sixth of the published one."""

FEWEST_TO_TUNE = 200
"""Fewest spectra of a region to tune on: below it there is nothing to learn from."""


@dataclass(frozen=True)
class Plan:
    """What is computed, and how much of it."""

    family: str
    shape: Shape
    spectra: int
    members: int
    schedule: Schedule
    variant: str = "c"
    tuning: Schedule | None = None

    @property
    def names(self) -> list[str]:
        """The labels, in the order of the outputs."""
        base = labels.SPEMR if self.family == "spemr" else labels.RRNET
        return [*base, "rv"] if self.variant == "ur" else base


def plan(
    family: str,
    size: str,
    kind: str,
    variant: str,
    spectra: int | None,
    epochs: int | None,
    members: int | None = None,
) -> Plan:
    """The reference (`small`), the published (`published`) or a tiny (`smoke`) computation."""
    spemr = family == "spemr"
    names = Plan(family, net.PUBLISHED, 0, 0, schedules.PUBLISHED, variant).names
    published = net.PUBLISHED_SPEMR if spemr else net.PUBLISHED
    reference = net.REFERENCE_SPEMR if spemr else net.REFERENCE
    schedule = schedules.PRETRAINED if spemr else schedules.PUBLISHED
    base = published if size == "published" else reference
    if size != "published":
        # Smaller batches give as many steps as the published training set does.
        schedule = dataclasses.replace(schedule, batch=REFERENCE_BATCH)
    if spemr and size != "published":
        # A training set of this size does not converge at the published rate of 1e-4.
        schedule = dataclasses.replace(schedule, rate=schedules.PUBLISHED.rate)
    tuning = dataclasses.replace(schedules.FINE_TUNED, batch=schedule.batch) if spemr else None
    count, default = 20_000, MEMBERS
    if size == "smoke":
        base = dataclasses.replace(reference, hidden=8, dense=(16, 12))
        schedule = dataclasses.replace(schedule, epochs=2)
        tuning = dataclasses.replace(tuning, epochs=1) if tuning else None
        count, default = 400, 2
    if epochs:
        # In the proportions of the published 30, 10 and 6.
        schedule = dataclasses.replace(
            schedule,
            epochs=epochs,
            rate_epochs=max(1, round(epochs / 3)),
            noise_from=max(2, round(epochs / 5)),
        )
    shape = net.shape_of(kind, len(names), base)
    return Plan(family, shape, spectra or count, members or default, schedule, variant, tuning)


def make_emulator(
    grids: list[Path], folder: Path, steps: int, report: Callable[[str], None]
) -> emulator.Emulator:
    """The emulator of `folder`, fitted on the first call, with its held-out errors beside it."""
    path = folder / "emulator.npz"
    if path.exists():
        return emulator.load(path)
    folder.mkdir(parents=True, exist_ok=True)
    grid = syntheses.load(grids)
    report(f"{len(grid.labels)} syntheses")

    def smoothed(resolution: float) -> syntheses.Syntheses:
        flux = syntheses.at_resolution(grid.flux, grid.air, resolution)
        return syntheses.Syntheses(grid.labels, flux, grid.air)

    errors = emulator.held_out_error(smoothed(observe.RESOLUTION), report, steps=steps)
    for row in errors:
        report(f"emulator, held-out syntheses: {row}")
    (folder / "emulator.json").write_text(json.dumps(errors, indent=1) + "\n")
    fitted = emulator.fit(smoothed(observe.EMULATED_RESOLUTION), report, steps)
    fitted.save(path)
    return fitted


def make_examples(
    chosen: Plan,
    make: Callable[[], emulator.Emulator],
    folder: Path,
    report: Callable[[str], None],
) -> tuple[examples.Examples, Scaling]:
    """The training set of `folder`, simulated on the first call, and its scaling."""
    if not (folder / "labels.npz").exists():
        examples.generate(
            folder, chosen.spectra, make(), chosen.family, chosen.variant, SEED, report
        )
    made = examples.load(folder)
    if len(made.labels) < 0.9 * chosen.spectra:
        raise ValueError(f"{folder} holds {len(made.labels)} spectra: remove it to make it anew")
    # SPEMR has no copper, which the syntheses have as their last element.
    columns = [(labels.RRNET + ["rv"] * (chosen.variant == "ur")).index(n) for n in chosen.names]
    made = examples.Examples(made.inputs, made.labels[:, columns], made.snr)
    training = made.part("training")
    path = folder / "scaling.npz"
    if not path.exists():
        mean, spread = examples.scaling(training.inputs)
        np.savez(path, pixel_mean=mean, pixel_spread=spread)
    with np.load(path, allow_pickle=False) as archive:
        return made, Scaling(
            archive["pixel_mean"],
            archive["pixel_spread"],
            training.labels.mean(axis=0, dtype=float),
            training.labels.std(axis=0, dtype=float),
        )


def train_members(
    chosen: Plan,
    made: examples.Examples,
    scaling: Scaling,
    folder: Path,
    report: Callable[[str], None],
) -> Ensemble:
    """Train all members, and for SPEMR its regions; finished ones are read from `folder`."""
    from starmill_export.rrnet import fit

    training, validation = made.part("training"), made.part("validation")
    members = [
        fit.train(
            folder / f"member-{index}",
            chosen.shape,
            chosen.schedule,
            scaling,
            training,
            validation,
            MEMBER_SEED + index,
            report,
        )
        for index in range(chosen.members)
    ]
    if chosen.tuning is None:
        return Ensemble([members], chosen.shape, scaling)
    regions = [
        _tuned(chosen, region, members, training, validation, scaling, folder, report)
        for region in labels.REGIONS
    ]
    return Ensemble(regions, chosen.shape, scaling)


def _tuned(
    chosen: Plan,
    region: str,
    members: list[Parameters],
    training: examples.Examples,
    validation: examples.Examples,
    scaling: Scaling,
    folder: Path,
    report: Callable[[str], None],
) -> list[Parameters]:
    from starmill_export.rrnet import fit

    inside, checked = (
        examples.Examples(part.inputs[rows], part.labels[rows], part.snr[rows])
        for part in (training, validation)
        for rows in [np.flatnonzero(labels.in_region(part.labels, region))]
    )
    if min(len(inside.labels), 10 * len(checked.labels)) < FEWEST_TO_TUNE:
        report(f"{region}: {len(inside.labels)} spectra are too few to tune on")
        return members
    return [
        fit.train(
            folder / f"{region}-{index}",
            chosen.shape,
            chosen.tuning,
            scaling,
            inside,
            checked,
            TUNING_SEED + index,
            report,
            start=member,
        )
        for index, member in enumerate(members)
    ]


def stored_ensemble(chosen: Plan, scaling: Scaling, folder: Path) -> Ensemble:
    """The finished members of `folder`, for an export without training.

    Raises RuntimeError where none is finished; fewer than planned make a smaller ensemble.
    """
    from starmill_export.rrnet import fit

    members = []
    for index in range(chosen.members):
        try:
            members.append(fit.stored(folder / f"member-{index}", chosen.schedule.epochs))
        except RuntimeError:
            if len(members) < 2:
                raise
            break
    if chosen.tuning is None:
        return Ensemble([members], chosen.shape, scaling)
    regions = [
        [
            fit.stored(folder / f"{region}-{index}", chosen.tuning.epochs)
            for index in range(len(members))
        ]
        for region in labels.REGIONS
    ]
    return Ensemble(regions, chosen.shape, scaling)


def with_novelty(model: Ensemble, made: examples.Examples) -> Ensemble:
    """The ensemble with the measure of strangeness, fitted where noise does not hide it."""
    training, validation = (
        model.scaling.inputs(part.inputs[np.flatnonzero(part.snr[:, 0] > NOVELTY_SNR)[:most]])
        for part, most in (
            (made.part("training"), NOVELTY_SPECTRA),
            (made.part("validation"), None),
        )
    )
    fitted = novelty.fit(training.astype(float), validation.astype(float), FALSE_ALARM)
    return dataclasses.replace(model, novelty=fitted)


def predict(model: Ensemble, part: examples.Examples) -> tuple[np.ndarray, np.ndarray]:
    """Labels and sigma [n, labels] in the units of the labels; sigma before any calibration."""
    from starmill_export.rrnet import ensemble, fit

    regions = []
    for region in model.regions:
        members = [
            fit.predict(member, model.shape, model.scaling, part.inputs) for member in region
        ]
        means, variances = (np.stack(values) for values in zip(*members, strict=True))
        regions.append(ensemble.combine(means, variances)[:2])
    mean, variance, _ = ensemble.fuse(*(np.stack(values) for values in zip(*regions, strict=True)))
    spread = model.scaling.label_spread
    return mean * spread + model.scaling.label_mean, np.sqrt(variance) * spread


def with_calibration(model: Ensemble, made: examples.Examples) -> Ensemble:
    """The ensemble with its errors calibrated on the validation spectra; see `calibration`."""
    part = made.part("validation")
    mean, sigma = predict(model, part)
    spread = model.scaling.label_spread
    fitted = calibration.fit(
        (mean - part.labels) / spread, sigma / spread, model.scaling.inputs(part.inputs[:])
    )
    return dataclasses.replace(model, calibration=fitted)


def held_out(model: Ensemble, made: examples.Examples, names: list[str]) -> dict:
    """Figures of the ensemble on the test spectra."""
    test = made.part("test")
    mean, published = predict(model, test)
    sigma = published
    if model.calibration is not None:
        spectra = model.scaling.inputs(test.inputs[:])
        sigma = sigma * model.calibration.factor(sigma / model.scaling.label_spread, spectra)
    return evaluate.figures(mean, sigma, test, names, published)
