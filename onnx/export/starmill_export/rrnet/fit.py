"""The published schedule in JAX: Gaussian likelihood, Adam, noise on a quarter of the pixels.

Every epoch ends in a checkpoint that is replaced by a rename; a run that is stopped continues from
it and, its random numbers depending on member and epoch alone, ends in the same weights.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from starmill_export.rrnet import net
from starmill_export.rrnet.examples import Examples, Scaling
from starmill_export.rrnet.net import HEAD_PREFIXES, Parameters, Shape
from starmill_export.rrnet.schedule import Schedule, add_noise

DECAY = (0.9, 0.999)
EPSILON = 1e-8
CHECKED_BATCH = 250


def loss(mean: jax.Array, variance: jax.Array, labels: jax.Array) -> jax.Array:
    """Equation 2: minus the logarithm of a normal density, up to a constant."""
    return jnp.mean(jnp.log(variance) / 2 + (labels - mean) ** 2 / (2 * variance))


def train(
    folder: Path,
    shape: Shape,
    schedule: Schedule,
    scaling: Scaling,
    training: Examples,
    validation: Examples,
    seed: int,
    report: Callable[[str], None],
    start: Parameters | None = None,
) -> Parameters:
    """Train one member; returns the weights of its best validation epoch.

    `folder` keeps the checkpoint. `start` are the weights to begin from, else random ones.
    """
    folder.mkdir(parents=True, exist_ok=True)
    state = _restore(folder) or _begin(start or net.initial(shape, seed), schedule)
    step, check = _compiled(shape, schedule.head_only)
    while state.epoch < schedule.epochs:
        epoch = state.epoch + 1
        rate = schedule.rate * 0.1 ** ((epoch - 1) // schedule.rate_epochs)
        total = 0.0
        rng = np.random.default_rng([seed, epoch])
        order = rng.permutation(len(training.labels))
        batches = [order[at : at + schedule.batch] for at in range(0, len(order), schedule.batch)]
        for rows in batches:
            rows = np.sort(rows)
            inputs = scaling.inputs(training.inputs[rows])
            if epoch >= schedule.noise_from:
                add_noise(inputs, schedule.noise_share, rng)
            state.count += 1
            *moved, value = step(
                state.trained,
                state.frozen,
                state.first,
                state.second,
                inputs,
                scaling.labels(training.labels[rows]),
                _dropout(len(rows), shape, rng),
                np.float32(rate),
                np.float32(state.count),
            )
            state.trained, state.first, state.second = moved
            total += float(value) * len(rows)
        state.epoch = epoch
        checked = _mean_loss(check, state, scaling, validation)
        if checked < state.best_loss:
            state.best_loss = checked
            state.best = {name: np.asarray(value) for name, value in state.trained.items()}
        _store(folder, state)
        report(
            f"{folder.name}: epoch {epoch}, training {total / len(order):.4f}, "
            f"validation {checked:.4f}, best {state.best_loss:.4f}"
        )
    return state.frozen | state.best


def predict(
    parameters: Parameters, shape: Shape, scaling: Scaling, spectra: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance [n, labels] in scaled labels, float32."""
    run = jax.jit(lambda weights, inputs: net.forward(weights, inputs, shape, jnp))
    means, variances = [], []
    for start in range(0, len(spectra), CHECKED_BATCH):
        mean, variance = run(parameters, scaling.inputs(spectra[start : start + CHECKED_BATCH]))
        means.append(np.asarray(mean))
        variances.append(np.asarray(variance))
    return np.concatenate(means), np.concatenate(variances)


@dataclass
class _State:
    """All that a checkpoint holds."""

    trained: Parameters
    frozen: Parameters
    first: Parameters
    second: Parameters
    best: Parameters
    epoch: int = 0
    count: int = 0
    best_loss: float = np.inf


def _begin(parameters: Parameters, schedule: Schedule) -> _State:
    def is_trained(name: str) -> bool:
        return not schedule.head_only or name.startswith(HEAD_PREFIXES)

    trained = {name: value for name, value in parameters.items() if is_trained(name)}
    frozen = {name: value for name, value in parameters.items() if not is_trained(name)}
    zeros = {name: np.zeros_like(value) for name, value in trained.items()}
    # A start that fine-tuning does not better is kept.
    return _State(trained, frozen, zeros, dict(zeros), dict(trained))


def _store(folder: Path, state: _State) -> None:
    arrays = {
        f"{group}/{name}": np.asarray(value)
        for group in ("trained", "frozen", "first", "second", "best")
        for name, value in getattr(state, group).items()
    }
    temporary = folder / "checkpoint.tmp.npz"
    np.savez(temporary, progress=np.array([state.epoch, state.count, state.best_loss]), **arrays)
    os.replace(temporary, folder / "checkpoint.npz")


def _restore(folder: Path) -> _State | None:
    path = folder / "checkpoint.npz"
    if not path.exists():
        return None
    groups: dict[str, Parameters] = {
        name: {} for name in ("trained", "frozen", "first", "second", "best")
    }
    with np.load(path, allow_pickle=False) as archive:
        epoch, count, best_loss = archive["progress"]
        for key in archive.files:
            if "/" in key:
                group, name = key.split("/", 1)
                groups[group][name] = archive[key]
    return _State(**groups, epoch=int(epoch), count=int(count), best_loss=float(best_loss))


def stored(folder: Path, epochs: int) -> Parameters:
    """The best weights of a finished run; raises RuntimeError where it has epochs to go."""
    state = _restore(folder)
    if state is None or state.epoch < epochs:
        done = 0 if state is None else state.epoch
        raise RuntimeError(f"{folder}: {done} of {epochs} epochs are trained: resume the training")
    return state.frozen | state.best


def _dropout(count: int, shape: Shape, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    keep = np.float32(1 - net.DROPOUT)
    return tuple(
        (rng.random((count, width), dtype=np.float32) < keep) / keep for width in shape.dense
    )


def _compiled(shape: Shape, head_only: bool) -> tuple[Callable, Callable]:
    def cost(
        trained: dict, frozen: dict, inputs: jax.Array, labels: jax.Array, drop: tuple
    ) -> jax.Array:
        features = net.trunk(frozen if head_only else trained, inputs, shape, jnp)
        return loss(*net.head(trained, features, jnp, drop), labels)

    @jax.jit
    def step(
        trained: dict,
        frozen: dict,
        first: dict,
        second: dict,
        inputs: jax.Array,
        labels: jax.Array,
        drop: tuple,
        rate: jax.Array,
        count: jax.Array,
    ) -> tuple[dict, dict, dict, jax.Array]:
        """One step of Adam (Kingma & Ba 2015)."""
        value, slope = jax.value_and_grad(cost)(trained, frozen, inputs, labels, drop)
        slow, fast = DECAY
        each = jax.tree.map
        first = each(lambda old, new: slow * old + (1 - slow) * new, first, slope)
        second = each(lambda old, new: fast * old + (1 - fast) * new**2, second, slope)
        size = rate * jnp.sqrt(1 - fast**count) / (1 - slow**count)
        moved = each(
            lambda weight, m, v: weight - size * m / (jnp.sqrt(v) + EPSILON), trained, first, second
        )
        return moved, first, second, value

    @jax.jit
    def check(weights: dict, inputs: jax.Array, labels: jax.Array) -> jax.Array:
        return loss(*net.forward(weights, inputs, shape, jnp), labels)

    return step, check


def _mean_loss(check: Callable, state: _State, scaling: Scaling, examples: Examples) -> float:
    weights = state.frozen | state.trained
    total = 0.0
    for start in range(0, len(examples.labels), CHECKED_BATCH):
        rows = slice(start, start + CHECKED_BATCH)
        inputs = scaling.inputs(examples.inputs[rows])
        labels = scaling.labels(examples.labels[rows])
        total += float(check(weights, inputs, labels)) * len(labels)
    return total / len(examples.labels)
