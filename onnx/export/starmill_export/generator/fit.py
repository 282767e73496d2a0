"""Training in JAX: Adam or Adamax, the rate falling to nothing along half a cosine.

Every epoch ends in a checkpoint that is replaced by a rename; a run that is stopped continues from
it and, its random numbers depending on the epoch alone, ends in the same weights.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

DECAY = (0.9, 0.999)
EPSILON = 1e-8

Tree = Any
"""Arrays in lists, tuples and dictionaries."""


@dataclass(frozen=True)
class Schedule:
    """Epochs, spectra in a batch, the first rate, and which of the two optimisers."""

    epochs: int
    rate: float
    adamax: bool = False
    batch: int = 512


def train(
    path: Path,
    start: Tree,
    cost: Callable[[Tree, tuple, jax.Array], jax.Array],
    training: tuple[np.ndarray, ...],
    validation: tuple[np.ndarray, ...],
    schedule: Schedule,
    seed: int,
    report: Callable[[str], None],
) -> Tree:
    """Weights of the best validation epoch; `path` is the checkpoint.

    `cost` takes the weights, rows of the arrays and a key of random numbers. `seed` draws batches
    and keys.
    """
    leaves, shape = jax.tree.flatten(start)
    zeros = [np.zeros_like(leaf) for leaf in leaves]
    state = _restore(path) or _State(leaves, zeros, zeros, leaves)
    arrays, checked = (tuple(map(jnp.asarray, part)) for part in (training, validation))
    batch = min(schedule.batch, len(training[0]))
    steps = len(training[0]) // batch

    @jax.jit
    def run(
        state: tuple, arrays: tuple, order: jax.Array, key: jax.Array, epoch: jax.Array
    ) -> tuple:
        def step(carried: tuple, given: tuple) -> tuple:
            weights, first, second, count = carried
            rows, key = given
            inputs = tuple(values[rows] for values in arrays)
            value, slope = jax.value_and_grad(
                lambda leaves: cost(jax.tree.unflatten(shape, leaves), inputs, key)
            )(weights)
            count += 1
            done = count / (schedule.epochs * steps)
            rate = schedule.rate * 0.5 * (1 + jnp.cos(jnp.pi * done))
            moved = [
                _moved(*values, rate, count, schedule.adamax)
                for values in zip(weights, first, second, slope, strict=True)
            ]
            weights, first, second = (list(part) for part in zip(*moved, strict=True))
            return (weights, first, second, count), value

        keys = jax.random.split(key, steps)
        carried, values = jax.lax.scan(step, (*state, epoch * steps), (order, keys))
        return carried[:3], values.mean()

    @jax.jit
    def check(leaves: list, arrays: tuple) -> jax.Array:
        return cost(jax.tree.unflatten(shape, leaves), arrays, jax.random.key(0))

    while state.epoch < schedule.epochs:
        rng = np.random.default_rng([seed, state.epoch])
        order = rng.permutation(len(training[0]))[: steps * batch].reshape(steps, batch)
        key = jax.random.key(int(rng.integers(2**31)))
        # Data are arguments: what a function closes over is compiled into it.
        carried = state.weights, state.first, state.second
        moved, value = run(carried, arrays, order, key, jnp.float32(state.epoch))
        state.weights, state.first, state.second = moved
        state.epoch += 1
        found = float(check(state.weights, checked))
        if found < state.best_cost:
            state.best_cost, state.best = found, state.weights
        _store(path, state)
        if state.epoch % max(1, schedule.epochs // 10) == 0:
            report(
                f"{path.stem}: epoch {state.epoch}, training {float(value):.3g}, "
                f"validation {found:.3g}, best {state.best_cost:.3g}"
            )
    return jax.tree.unflatten(shape, [np.asarray(leaf) for leaf in state.best])


@dataclass
class _State:
    """All that a checkpoint holds: lists of leaves."""

    weights: list
    first: list
    second: list
    best: list
    epoch: int = 0
    best_cost: float = np.inf


def _moved(
    weight: jax.Array,
    first: jax.Array,
    second: jax.Array,
    slope: jax.Array,
    rate: jax.Array,
    count: jax.Array,
    adamax: bool,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """One step of Adam or Adamax (Kingma & Ba 2015)."""
    slow, fast = DECAY
    first = slow * first + (1 - slow) * slope
    if adamax:
        second = jnp.maximum(fast * second, jnp.abs(slope))
        scale = second
    else:
        second = fast * second + (1 - fast) * slope**2
        scale = jnp.sqrt(second / (1 - fast**count))
    return weight - rate / (1 - slow**count) * first / (scale + EPSILON), first, second


GROUPS = ("weights", "first", "second", "best")


def _store(path: Path, state: _State) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays = {
        f"{group}/{number:03d}": np.asarray(leaf)
        for group in GROUPS
        for number, leaf in enumerate(getattr(state, group))
    }
    temporary = path.with_suffix(".tmp.npz")
    np.savez(temporary, progress=np.array([state.epoch, state.best_cost]), **arrays)
    os.replace(temporary, path)


def _restore(path: Path) -> _State | None:
    if not path.exists():
        return None
    with np.load(path, allow_pickle=False) as archive:
        groups = [
            [archive[key] for key in sorted(archive.files) if key.startswith(f"{group}/")]
            for group in GROUPS
        ]
        epoch, best_cost = archive["progress"]
    return _State(*groups, epoch=int(epoch), best_cost=float(best_cost))
