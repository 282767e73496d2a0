"""Training: the paper's loss, chi-square and the departure from theoretical gradients, by Adam."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from starmill_export.payne import net, prior
from starmill_export.payne.prior import Prior

CHUNK = 250
WARM_UP = 200
MOMENTS = 0.9, 0.999


@dataclass(frozen=True)
class Plan:
    """How long, with what batches, and how much the prior counts."""

    nodes: int = net.NODES
    steps: int = 12_000
    batch: int = 512
    rate: float = 4e-3
    d_scale: float = prior.D_SCALE
    noise: float = prior.NOISE
    seed: int = 1


@dataclass(frozen=True)
class Data:
    """What a net learns: labels in the coordinates of training, and their spectra.

    Spectra [n, k] are amplitudes of the orthonormal rows of `basis` [k, pixels] above `mean`, or
    of the pixels themselves where there is no basis. The squared error is the same in both, and
    a shared layer trains twenty times faster on amplitudes.
    """

    labels: np.ndarray
    spectra: np.ndarray
    mean: np.ndarray
    basis: np.ndarray | None
    below: np.ndarray
    above: np.ndarray
    gradients: np.ndarray


def data(
    given: np.ndarray,
    spectra: np.ndarray,
    mean: np.ndarray,
    basis: np.ndarray | None,
    theory: Prior,
    coordinates: tuple[np.ndarray, np.ndarray],
) -> Data:
    """Labels and the prior's points taken to the coordinates of training."""
    matrix, offset = coordinates
    # One reference after the other, [references, labels, ..].
    shape = (-1, len(matrix))
    below, above = (
        (points @ matrix + offset).reshape(*shape, len(matrix))
        for points in (theory.below, theory.above)
    )
    gradients = theory.gradients.reshape(*shape, theory.gradients.shape[1])
    return Data(given @ matrix + offset, spectra, mean, basis, below, above, gradients)


def principal(spectra: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean and the leading orthonormal components [count, pixels] of spectra [n, pixels]."""
    mean = spectra.mean(axis=0)
    centred = spectra - mean
    vectors = np.linalg.eigh((centred @ centred.T).astype(float))[1][:, ::-1][:, :count]
    return mean, np.linalg.qr(centred.T @ vectors.astype(np.float32))[0].T


def train(
    given: Data,
    plan: Plan,
    per_pixel: bool,
    checkpoint: Path | None,
    report: Callable[[str], None],
) -> dict[str, np.ndarray]:
    """Parameters in the coordinates of training; goes on from `checkpoint` where there is one."""
    parameters = _initial(given, plan, per_pixel)
    state = (parameters, _zeros(parameters), _zeros(parameters))
    done = 0
    if checkpoint is not None and checkpoint.exists():
        state, done = _load(checkpoint, state, plan)
        report(f"going on after step {done}")
    arrays = {
        name: jnp.asarray(value, jnp.float32)
        for name, value in vars(given).items()
        if value is not None
    }
    arrays["weights"] = jnp.asarray(prior.weights(given.gradients), jnp.float32)
    chunk = _chunk(plan, per_pixel)
    while done < plan.steps:
        state, (misfit, departure) = chunk(state, done, arrays)
        done += CHUNK
        if done % (CHUNK * 8) == 0 or done >= plan.steps:
            report(
                f"step {done}: rms {plan.noise * float(misfit.mean()) ** 0.5:.5f}, "
                f"departure {float(departure.mean()):.4f}"
            )
            if checkpoint is not None:
                _save(checkpoint, state, done, plan)
    return {name: np.asarray(value, float) for name, value in state[0].items()}


def physical(
    parameters: dict[str, np.ndarray],
    given: Data,
    coordinates: tuple[np.ndarray, np.ndarray],
) -> net.Shared:
    """The net on labels in physical units, giving flux: linear maps go into its layers."""
    matrix, offset = coordinates
    hidden = parameters["hidden"]
    bias = parameters["hidden_bias"] + np.einsum("l,...lh->...h", offset, hidden)
    hidden = np.einsum("ml,...lh->...mh", matrix, hidden)
    out, out_bias = parameters["out"], parameters["out_bias"]
    if given.basis is not None:
        basis = given.basis.astype(float)
        out, out_bias = out @ basis, out_bias @ basis
    kind = net.PerPixel if hidden.ndim == 3 else net.Shared
    return kind(hidden, bias, out, out_bias + given.mean)


def _initial(given: Data, plan: Plan, per_pixel: bool) -> dict[str, jax.Array]:
    rng = np.random.default_rng(plan.seed)
    inputs, outputs = given.labels.shape[1], given.spectra.shape[1]
    each = (outputs,) if per_pixel else ()
    shapes = {
        "hidden": (*each, inputs, plan.nodes),
        "hidden_bias": (*each, plan.nodes),
        "out": (outputs, plan.nodes) if per_pixel else (plan.nodes, outputs),
        "out_bias": (outputs,),
    }
    spreads = {"hidden": 1.5 / np.sqrt(inputs), "hidden_bias": 1.0, "out": 0.01, "out_bias": 0.0}
    return {
        name: jnp.asarray(spreads[name] * rng.standard_normal(shape), jnp.float32)
        for name, shape in shapes.items()
    }


def _zeros(parameters: dict[str, jax.Array]) -> dict[str, jax.Array]:
    return {name: jnp.zeros_like(value) for name, value in parameters.items()}


def _predict(parameters: dict[str, jax.Array], labels: jax.Array, per_pixel: bool) -> jax.Array:
    if per_pixel:
        nodes = jnp.einsum("nl,plh->pnh", labels, parameters["hidden"])
        nodes = jax.nn.sigmoid(nodes + parameters["hidden_bias"][:, None, :])
        return jnp.einsum("pnh,ph->np", nodes, parameters["out"]) + parameters["out_bias"]
    nodes = jax.nn.sigmoid(labels @ parameters["hidden"] + parameters["hidden_bias"])
    return nodes @ parameters["out"] + parameters["out_bias"]


def _chunk(plan: Plan, per_pixel: bool) -> Callable:
    """CHUNK steps of Adam as one compiled function."""

    def cost(
        parameters: dict[str, jax.Array],
        rows: jax.Array,
        reference: jax.Array,
        arrays: dict[str, jax.Array],
    ) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
        error = _predict(parameters, arrays["labels"][rows], per_pixel) - arrays["spectra"][rows]
        pixels = arrays["gradients"].shape[-1]
        misfit = (error**2).sum() / (len(rows) * pixels * plan.noise**2)
        if plan.d_scale == 0:
            return misfit, (misfit, jnp.zeros(()))
        ends = jnp.concatenate([arrays["above"][reference], arrays["below"][reference]])
        above, below = jnp.split(_predict(parameters, ends, per_pixel), 2)
        change = above - below
        if "basis" in arrays:
            change = change @ arrays["basis"]
        theory, weights = arrays["gradients"][reference], arrays["weights"][reference]
        departure = (weights * (change - theory) ** 2).mean()
        return misfit + plan.d_scale * departure, (misfit, departure)

    slope = jax.grad(cost, has_aux=True)

    def step(state: tuple, number: jax.Array, arrays: dict[str, jax.Array]) -> tuple:
        parameters, first, second = state
        key = jax.random.fold_in(jax.random.key(plan.seed), number)
        rows = jax.random.randint(key, (plan.batch,), 0, len(arrays["labels"]))
        # One reference a step, in turns, costs little beside the spectra.
        reference = number % len(arrays["gradients"])
        gradient, figures = slope(parameters, rows, reference, arrays)
        count = number + 1.0
        warm = jnp.minimum(1.0, count / WARM_UP)
        rate = plan.rate * warm * 0.5 * (1 + jnp.cos(jnp.pi * count / plan.steps))
        moved, firsts, seconds = {}, {}, {}
        for name, value in parameters.items():
            firsts[name] = MOMENTS[0] * first[name] + (1 - MOMENTS[0]) * gradient[name]
            seconds[name] = MOMENTS[1] * second[name] + (1 - MOMENTS[1]) * gradient[name] ** 2
            mean = firsts[name] / (1 - MOMENTS[0] ** count)
            size = jnp.sqrt(seconds[name] / (1 - MOMENTS[1] ** count))
            moved[name] = value - rate * mean / (size + 1e-8)
        return (moved, firsts, seconds), figures

    @jax.jit
    def chunk(state: tuple, done: int, arrays: dict[str, jax.Array]) -> tuple:
        numbers = done + jnp.arange(CHUNK)
        return jax.lax.scan(lambda held, number: step(held, number, arrays), state, numbers)

    return chunk


def _save(path: Path, state: tuple, done: int, plan: Plan) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {
        f"{part}.{name}": np.asarray(value)
        for part, values in enumerate(state)
        for name, value in values.items()
    }
    temporary = path.with_suffix(".tmp.npz")
    np.savez(temporary, done=done, plan=repr(plan), **content)
    os.replace(temporary, path)


def _load(path: Path, state: tuple, plan: Plan) -> tuple[tuple, int]:
    """What `_save` wrote; ValueError where it is of another training."""
    with np.load(path, allow_pickle=False) as archive:
        if str(archive["plan"]) != repr(plan):
            raise ValueError(f"{path} is of another training, {archive['plan']}: remove it")
        loaded = tuple(
            {name: jnp.asarray(archive[f"{part}.{name}"]) for name in values}
            for part, values in enumerate(state)
        )
        return loaded, int(archive["done"])
