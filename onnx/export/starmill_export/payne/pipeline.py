"""The whole chain from spectra of known labels to a model folder."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from starmill_export.payne import fit, labels, net, prior
from starmill_export.payne.fit import Data, Plan
from starmill_export.payne.prior import Prior, Source

SEED, HELD_OUT_SEED = 1, 2
BATCH = 1000


@dataclass(frozen=True)
class Size:
    """How much to compute; `plan` is the shared layer's, `per_pixel` the published net's."""

    spectra: int
    held_out: int
    components: int
    basis_spectra: int
    plan: Plan
    per_pixel: Plan
    block: int


REFERENCE = {
    "payne": Size(
        spectra=24_000,
        held_out=3000,
        components=200,
        basis_spectra=2500,
        plan=Plan(nodes=300, steps=6000),
        per_pixel=Plan(nodes=net.NODES, steps=2000, batch=64),
        block=64,
    ),
    "payne-mrs": Size(
        spectra=10_000,
        held_out=500,
        components=150,
        basis_spectra=1000,
        plan=Plan(nodes=240, steps=5000, batch=256),
        per_pixel=Plan(nodes=net.NODES, steps=2000, batch=64),
        block=64,
    ),
}

SMOKE = Size(
    spectra=400,
    held_out=60,
    components=20,
    basis_spectra=100,
    plan=Plan(nodes=12, steps=fit.CHUNK, batch=64),
    per_pixel=Plan(nodes=4, steps=fit.CHUNK, batch=32),
    block=1024,
)


@dataclass(frozen=True)
class Made:
    """Spectra to learn from, as amplitudes of components; and spectra held out, pixel by pixel."""

    labels: np.ndarray
    amplitudes: np.ndarray
    mean: np.ndarray
    basis: np.ndarray
    theory: Prior
    held_out_labels: np.ndarray
    held_out: np.ndarray

    def save(self, path: Path) -> None:
        """Write all arrays as one archive."""
        path.parent.mkdir(parents=True, exist_ok=True)
        arrays = {name: value for name, value in vars(self).items() if name != "theory"}
        temporary = path.with_suffix(".tmp.npz")
        np.savez(temporary, **arrays, **vars(self.theory))
        temporary.replace(path)

    def spectra(self, pixels: slice) -> np.ndarray:
        """Flux of some pixels, less the mean; what the components leave out is missing."""
        return self.amplitudes @ self.basis[:, pixels]

    def data(self, source: Source) -> Data:
        """What a shared layer learns from."""
        coordinates = labels.coordinates(source.names, source.box)
        return fit.data(
            self.labels, self.amplitudes, self.mean, self.basis, self.theory, coordinates
        )


def load(path: Path, size: Size) -> Made:
    """What `Made.save` wrote; ValueError where it is of another size."""
    with np.load(path, allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files}
    theory = Prior(*(arrays.pop(name) for name in ("below", "above", "gradients")))
    made = Made(theory=theory, **arrays)
    if made.amplitudes.shape != (size.spectra, size.components):
        raise ValueError(f"{path} holds {made.amplitudes.shape}: remove it to make it anew")
    return made


def simulate(source: Source, size: Size, report: Callable[[str], None]) -> Made:
    """Spectra of random labels, noise-free, with the theoretical gradients at the references."""
    rng = np.random.default_rng(SEED)
    given = source.sample(size.spectra, rng)
    mean, basis = fit.principal(source.spectra(given[: size.basis_spectra]), size.components)
    amplitudes = np.vstack(
        [
            (source.spectra(given[start : start + BATCH]) - mean) @ basis.T
            for start in range(0, len(given), BATCH)
        ]
    )
    held_out_labels = source.sample(size.held_out, np.random.default_rng(HELD_OUT_SEED))
    held_out = source.spectra(held_out_labels)
    centred = held_out - mean
    outside = centred - (centred @ basis.T) @ basis
    report(
        f"{len(given)} spectra of {len(mean)} pixels; spread {held_out.std(axis=0).mean():.4f}, "
        f"rms outside {size.components} components {outside.std():.5f}"
    )
    theory = prior.theoretical(source)
    return Made(given, amplitudes, mean, basis, theory, held_out_labels, held_out)


def train_shared(
    source: Source, made: Made, plan: Plan, checkpoint: Path, report: Callable[[str], None]
) -> net.Shared:
    """One hidden layer for all pixels."""
    given = made.data(source)
    parameters = fit.train(given, plan, False, checkpoint, report)
    return fit.physical(parameters, given, labels.coordinates(source.names, source.box))


def train_per_pixel(
    source: Source,
    made: Made,
    plan: Plan,
    pixels: slice,
    checkpoint: Path | None,
    report: Callable[[str], None],
) -> net.PerPixel:
    """The published net for some of the pixels: nothing is shared, so any of them can be alone."""
    coordinates = labels.coordinates(source.names, source.box)
    spectra, theory = made.spectra(pixels), made.theory.at(pixels)
    given = fit.data(made.labels, spectra, made.mean[pixels], None, theory, coordinates)
    parameters = fit.train(given, plan, True, checkpoint, report)
    return fit.physical(parameters, given, coordinates)


def train_published(
    source: Source, made: Made, size: Size, work: Path, report: Callable[[str], None]
) -> net.PerPixel:
    """The published net for all pixels, block by block."""
    blocks = []
    for start in range(0, len(source.wave), size.block):
        report(f"pixels from {start} of {len(source.wave)}")
        pixels = slice(start, start + size.block)
        checkpoint = work / f"pixels-{start}.npz"
        blocks.append(train_per_pixel(source, made, size.per_pixel, pixels, checkpoint, report))
    return net.PerPixel(
        *(np.concatenate([getattr(block, name) for block in blocks]) for name in vars(blocks[0]))
    )


def error_by_pixel(model: net.Shared, made: Made, coolest: float = 0.0) -> np.ndarray:
    """Rms error of flux on held-out spectra, of stars at least as hot as `coolest` (K)."""
    rows = made.held_out_labels[:, 0] >= coolest
    return np.sqrt(((model(made.held_out_labels[rows]) - made.held_out[rows]) ** 2).mean(axis=0))


def without_prior(plan: Plan) -> Plan:
    """The same training on the spectra alone."""
    return replace(plan, d_scale=0.0)
