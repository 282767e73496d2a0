"""The members of the ensemble, trained by the paper's schedule, and what their errors are."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from starmill_export import ensembles, guard, novelty
from starmill_export import train as schedule
from starmill_export.ensembles import Ensemble
from starmill_export.gaia_xp.table import Stars, prepare
from starmill_export.network import Parameters

SEED = 20251017
FALSE_ALARM = 0.01
HOT = 7000.0
"""K: stars above it have no [Fe/H] in the table and are told apart, not learnt."""

Report = Callable[[str], None]


@dataclass(frozen=True)
class Settings:
    """How much to compute; `trees` is of the baseline, for each label."""

    members: int
    most_epochs: int
    trees: int


FULL = Settings(5, 200, 1500)
SMOKE = Settings(3, 2, 20)


@dataclass
class Trained:
    """One member, with float16 weights for raw inputs, and how its training went."""

    net: Parameters
    epochs: int
    best_epoch: int
    training_loss: float
    validation_loss: float


@dataclass
class Scaling:
    """Mean and deviation over the training stars, of pixels and of labels."""

    pixel_mean: np.ndarray
    pixel_spread: np.ndarray
    label_mean: np.ndarray
    label_spread: np.ndarray

    @classmethod
    def of(cls, stars: Stars) -> "Scaling":
        """Of the training stars."""
        inputs = stars.inputs.astype(np.float64)
        labels = stars.labels
        return cls(inputs.mean(axis=0), inputs.std(axis=0), labels.mean(axis=0), labels.std(axis=0))

    def inputs(self, prepared: np.ndarray) -> np.ndarray:
        """Standardised pixels, float32."""
        return ((prepared - self.pixel_mean) / self.pixel_spread).astype(np.float32)

    def labels(self, stars: Stars) -> np.ndarray:
        """Standardised labels, float32."""
        return ((stars.labels - self.label_mean) / self.label_spread).astype(np.float32)

    def unscaled(self, net: Parameters) -> Parameters:
        """The net that takes inputs as prepared, with weights that float16 holds.

        Its first layer takes the scaling of the pixels in; the bias follows the rounded weights.
        """
        (weight, bias), *rest = net
        rounded = ensembles.rounded([(weight / self.pixel_spread[:, None], bias), *rest])
        first = rounded[0][0]
        shifted = bias - self.pixel_mean @ first.astype(np.float64)
        return [(first, shifted.astype(np.float32)), *rounded[1:]]


class Noisy:
    """Standardised training inputs, with new noise of the quoted flux errors at each reading.

    The trainer asks it for rows as if it were an array.
    """

    def __init__(self, stars: Stars, scaling: Scaling, rng: np.random.Generator) -> None:
        self._stars, self._scaling, self._rng = stars, scaling, rng
        self.shape = stars.flux.shape

    def __len__(self) -> int:
        return len(self._stars.flux)

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        error = self._stars.error[rows]
        noise = self._rng.standard_normal(error.shape, dtype=np.float32)
        return self._scaling.inputs(prepare(self._stars.flux[rows] + error * noise))


def ensemble(
    stars: Stars, settings: Settings, work: Path, report: Report
) -> tuple[Ensemble, list[Trained]]:
    """Train the members that `work` does not hold already, and calibrate their errors."""
    training, validation = (stars.part(name).labelled() for name in ("training", "validation"))
    scaling = Scaling.of(training)
    work.mkdir(parents=True, exist_ok=True)
    members = []
    for number in range(settings.members):
        path = work / f"member-{settings.most_epochs}-{number}.npz"
        if not path.exists():
            _store(path, _train(training, validation, scaling, settings, number, report))
        members.append(_load(path))
        report(f"member {number}: {members[-1].validation_loss:.5f}")
    inputs, checked = (part.inputs.astype(np.float64) for part in (training, validation))
    hot = stars.part("training")
    hot = hot.rows(hot.labels[:, 0] > HOT).inputs.astype(np.float64)
    # Either of the two is granted half of the false alarms.
    plain = novelty.fit(inputs, checked, FALSE_ALARM / 2)
    measure = guard.fit(plain, inputs, checked, hot, FALSE_ALARM / 2)
    nets = [member.net for member in members]
    errors = ensembles.calibrate(nets, measure, validation.inputs, scaling.labels(validation))
    model = Ensemble(nets, scaling.label_mean, scaling.label_spread, measure, errors)
    return model, members


def _train(
    training: Stars,
    validation: Stars,
    scaling: Scaling,
    settings: Settings,
    number: int,
    report: Report,
) -> Trained:
    found = schedule.train(
        (
            Noisy(training, scaling, np.random.default_rng([SEED, number, 1])),
            scaling.labels(training),
        ),
        (scaling.inputs(validation.inputs), scaling.labels(validation)),
        np.random.default_rng([SEED, number]),
        settings.most_epochs,
        lambda message: report(f"member {number}: {message}"),
    )
    net = scaling.unscaled(found.parameters)
    return Trained(net, found.epochs, found.best_epoch, found.training_loss, found.validation_loss)


def _store(path: Path, member: Trained) -> None:
    arrays = {}
    for layer, (weight, bias) in enumerate(member.net):
        arrays |= {f"weight{layer}": weight.astype(np.float16), f"bias{layer}": bias}
    progress = [member.epochs, member.best_epoch, member.training_loss, member.validation_loss]
    temporary = path.with_suffix(".tmp.npz")
    np.savez(temporary, progress=progress, **arrays)
    temporary.replace(path)


def _load(path: Path) -> Trained:
    with np.load(path, allow_pickle=False) as archive:
        layers = sum(name.startswith("weight") for name in archive.files)
        net = [
            (archive[f"weight{layer}"].astype(np.float32), archive[f"bias{layer}"])
            for layer in range(layers)
        ]
        epochs, best, *losses = archive["progress"]
        return Trained(net, int(epochs), int(best), *map(float, losses))
