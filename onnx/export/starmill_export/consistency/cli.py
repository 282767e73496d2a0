"""Calibrate from where the rows of a regressor are called a poor fit.

Without `--write` it says which rates the limits in use have.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np

from starmill_export import bossbrain, consistency, fetch, manifest
from starmill_export.consistency import compare, limits, stars

REPOSITORY = Path(__file__).resolve().parents[4]
MODELS = REPOSITORY / "onnx/models"
EARTHLY = [(5574, 5584), (6275, 6325), (6860, 6965), (7160, 7340), (7590, 7720)]
"""What fits leave out as well, `src/setup/fitted.rs`."""

SNR = (20, 30, 50, 80, 120, 200)
BATCH = 250
SEED = 1


def main(arguments: list[str] | None = None) -> int:
    """Calibrate, or measure, the models that are named."""
    parser = argparse.ArgumentParser(prog="starmill_export.consistency.cli", description=__doc__)
    parser.add_argument("models", nargs="+", choices=json.loads(consistency.DATA.read_text()))
    parser.add_argument("--stars", type=int, default=3000)
    parser.add_argument("--write", action="store_true", help="limits and manifests")
    parser.add_argument("--cache", type=Path, default=REPOSITORY / ".starmill/abinitio")
    parser.add_argument(
        "--emulator", type=Path, default=REPOSITORY / ".starmill/rrnet/emulator.npz"
    )
    options = parser.parse_args(arguments)
    for model in options.models:
        about = json.loads(consistency.DATA.read_text(encoding="utf-8"))[model]
        regressor = stars.Regressor(
            list(about["errors"]), consistency.section(model, about["errors"])
        )
        forward = stars.Forward(MODELS / about["model"])
        draw = _truth(about, options)
        if options.write:
            found = verdicts(regressor, forward, draw, options.stars, SEED)
            curves = limits.calibrated(found, about["false_alarm"])
            write(model, grid_of(regressor, forward), curves)
            regressor = stars.Regressor(
                regressor.names, consistency.section(model, about["errors"])
            )
        # Other stars than those of the limits.
        found = verdicts(regressor, forward, draw, options.stars, SEED + 1)
        report(model, regressor.about, grid_of(regressor, forward), found)
    return 0


def _truth(about: dict, options: argparse.Namespace) -> stars.Truth:
    if about["model"] == "payne":
        from starmill_export.payne.giants import Giants

        archive = fetch.opened(fetch.BOSSBRAIN, options.cache)
        source = Giants(bossbrain.Bossbrain(archive / "bossbrain/data"))
        return stars.giants(source, about["scatter"])
    from starmill_export.payne.arms import Arms
    from starmill_export.rrnet import emulator

    if not options.emulator.exists():
        raise SystemExit(f"{options.emulator} is missing; run ./train-rrnet.sh first")
    return stars.galaxy(Arms(emulator.load(options.emulator)))


def grid_of(regressor: stars.Regressor, forward: stars.Forward) -> compare.Grid:
    """The pixels of the forward model, less those that are left out."""
    skip = [*EARTHLY, *regressor.about["skip"]]
    wave = forward.wave
    good = ~np.any([(wave >= first) & (wave <= last) for first, last in skip], axis=0)
    return compare.Grid(wave, good)


def verdicts(
    regressor: stars.Regressor, forward: stars.Forward, draw: stars.Truth, count: int, seed: int
) -> list[compare.Verdicts]:
    """What is found of the same stars at each S/N."""
    rng = np.random.default_rng(seed)
    wave, grid = forward.wave, grid_of(regressor, forward)
    variances = np.array(regressor.variances(forward))
    found: list[list[compare.Verdicts]] = [[] for _ in SNR]
    for _ in range(0, count, BATCH):
        truth, flux = draw(BATCH, rng)
        labels = regressor.labels(forward, truth, rng)
        model = forward.flux(labels).astype(float)
        apart = (labels[:, None] - forward.starts[None]) / forward.steps
        variance = variances[np.argmin((apart**2).sum(axis=2), axis=1)]
        for at, snr in enumerate(SNR):
            data, ivar = stars.observed(flux, wave, regressor.about, snr, rng)
            found[at].append(grid.verdicts(data, ivar, model, variance))
    return [compare.joined(parts) for parts in found]


def report(model: str, about: dict, grid: compare.Grid, found: list[compare.Verdicts]) -> None:
    """Print the rates by S/N."""
    curves = np.array(about["limit"]), np.array(about["region_limit"])
    factors = factors_of(about["region_factors"], found[0].region_chi2.shape[1], grid)
    print(f"{model}: limit = {about['limit']}, region_limit = {about['region_limit']}")
    print("| S/N | rows | share of the model | median chi2_red | flagged |")
    print("|---:|---:|---:|---:|---:|")
    for snr, one in zip(SNR, found, strict=True):
        rate = limits.flagged(one, *curves, factors).mean()
        share, chi2 = np.median(one.share), np.median(one.chi2)
        print(f"| {snr} | {len(one.chi2)} | {share:.2f} | {chi2:.2f} | {rate:.2%} |")


def factors_of(table: list[list[float]], regions: int, grid: compare.Grid) -> np.ndarray:
    """The factor of each region."""
    known = {first: factor for first, _, factor in table}
    return np.array([known.get(grid.region(number)[0], 1.0) for number in range(regions)])


def write(
    model: str, grid: compare.Grid, curves: tuple[np.ndarray, np.ndarray, np.ndarray]
) -> None:
    """Write limits into the data and into the manifest of the model that is shipped."""
    data = json.loads(consistency.DATA.read_text(encoding="utf-8"))
    whole, region, factors = ([round(float(x), 3) for x in values] for values in curves)
    table = [[*grid.region(at), factor] for at, factor in enumerate(factors) if factor != 1.0]
    data[model] |= {"limit": whole, "region_limit": region, "region_factors": table}
    consistency.DATA.write_text(consistency.text(data), encoding="utf-8")
    path = MODELS / model / "manifest.toml"
    before, rest = path.read_text(encoding="utf-8").split("[consistency]\n")
    after = rest[rest.index("\n[") :]
    lines = manifest.pairs(consistency.section(model, list(data[model]["errors"])))
    path.write_text(before + "\n".join(["[consistency]", *lines]) + "\n" + after, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
