"""Command line: published weights become a model folder."""

import argparse
import pickle
import sys
from collections.abc import Callable
from pathlib import Path

from starmill_export import bossbrain, fetch
from starmill_export.imported import cannon, folder, giants, payne_npz
from starmill_export.imported.folder import Origin
from starmill_export.imported.nets import LEAKY_RELU, SIGMOID

REPOSITORY = Path(__file__).resolve().parents[4]
VERSION = "1.0.0"


def main(arguments: list[str] | None = None) -> int:
    """Import one model and return the exit code."""
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except (ValueError, RuntimeError, OSError, pickle.UnpicklingError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"wrote {options.out}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="import-model.sh", description=__doc__)
    layouts = parser.add_subparsers(required=True, metavar="LAYOUT")

    def layout(
        name: str, run: Callable[[argparse.Namespace], None], about: str
    ) -> argparse.ArgumentParser:
        added = layouts.add_parser(name, help=about, description=about)
        added.add_argument("--out", type=Path, required=True, help="the model folder")
        added.set_defaults(run=run)
        return added

    def of_spectra(added: argparse.ArgumentParser) -> None:
        added.add_argument(
            "--window", type=float, nargs=2, metavar=("FIRST", "LAST"), help="vacuum Angstrom"
        )

    def of_package(added: argparse.ArgumentParser, paper: str) -> None:
        of_spectra(added)
        added.add_argument("--license", default="MIT", help="SPDX licence of files of one's own")
        added.add_argument("--paper", default=paper, help="publication of files of one's own")
        added.add_argument(
            "--cache",
            type=Path,
            default=REPOSITORY / ".starmill/abinitio",
            help="where packages are fetched to",
        )

    payne = layout("payne-npz", _payne, "a net of The Payne: NN_normalized_spectra.npz")
    of_spectra(payne)
    payne.add_argument("file", type=Path)
    payne.add_argument("--name", default="payne-npz", help="name of the model")
    payne.add_argument("--license", required=True, help="SPDX licence of the weights")
    payne.add_argument("--paper", default=payne_npz.PAPER)
    payne.add_argument("--resolving-power", type=float, required=True)
    payne.add_argument("--wavelength", type=Path, help="npz with the array wavelength")
    payne.add_argument("--air", action="store_true", help="the wavelengths are in air")
    payne.add_argument("--labels", help="names, by commas, in the order of the net")
    payne.add_argument("--activation", choices=[LEAKY_RELU, SIGMOID], default=LEAKY_RELU)
    payne.add_argument("--smoothing", type=float, help="FWHM (A) if normalised by smoothing")
    payne.add_argument("--trained-on", choices=["synthetic", "real"], default="synthetic")
    payne.add_argument("--model-error", type=float, help="error of the flux")

    brain = layout("bossbrain", _bossbrain, "giants of the package bossbrain")
    brain.add_argument("folder", type=Path, nargs="?", help="its data [default: fetched, 66 MB]")
    of_package(brain, giants.PAPER)

    doppler = layout("thedoppler", _thedoppler, "a model of The Cannon of the package thedoppler")
    doppler.add_argument("file", type=Path, nargs="?", help="a pickle [default: fetched, 46 MB]")
    doppler.add_argument("--part", choices=list(cannon.PARTS), default="coolstars")
    of_package(doppler, cannon.PAPER)

    for family in ("rrnet", "spemr"):
        nets = layout(family, _state_dicts, f"state_dicts of the published code of {family}")
        nets.add_argument("weights", type=Path, nargs="+", help="folders of SP0, CA0, ...")
        nets.add_argument("--label-config", type=Path, required=True)
        nets.add_argument("--half", action="store_true", help="store weights as float16")
        nets.set_defaults(family=family)
    return parser


def _payne(options: argparse.Namespace) -> None:
    said = payne_npz.Said(
        name=options.name,
        license=options.license,
        resolving_power=options.resolving_power,
        paper=options.paper,
        trained_on=options.trained_on,
        labels=options.labels.split(",") if options.labels else None,
        wavelength=options.wavelength,
        in_air=options.air,
        activation=options.activation,
        smoothing=options.smoothing,
        error=options.model_error,
    )
    folder.write(payne_npz.read(options.file, said, options.window), options.out)


def _bossbrain(options: argparse.Namespace) -> None:
    data, source = options.folder, ", ".join(bossbrain.FILES)
    if data is None:
        data = fetch.opened(fetch.BOSSBRAIN, options.cache) / "bossbrain/data"
        source = _pinned(fetch.BOSSBRAIN)
    origin = Origin(source, options.paper, options.license)
    folder.write(giants.read(data, origin, options.window), options.out)


def _thedoppler(options: argparse.Namespace) -> None:
    path = options.file
    source = _pinned(fetch.THEDOPPLER) if path is None else path.name
    if path is None:
        data = fetch.opened(fetch.THEDOPPLER, options.cache) / "doppler/data"
        path = data / cannon.PARTS[options.part]
    origin = Origin(source, options.paper, options.license)
    window = options.window or cannon.WINDOW
    folder.write(cannon.read(path, options.part, origin, window), options.out)


def _pinned(archive: fetch.Archive) -> str:
    return f"{archive.file}, sha256 {archive.sha256}"


def _state_dicts(options: argparse.Namespace) -> None:
    from starmill_export.rrnet import importing

    model = importing.read(options.family, options.weights, options.label_config)
    importing.write(model, options.family, VERSION, options.weights, options.half, options.out)


if __name__ == "__main__":
    sys.exit(main())
