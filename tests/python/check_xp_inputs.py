"""Hold the inputs that Starmill makes of Gaia XP spectra against those of astropy and numpy.

Usage: check_xp_inputs.py TABLE INPUTS, where INPUTS is JSON: a list of inputs, one for each of the
first rows of the table.
"""

import json
import sys
from pathlib import Path

import numpy as np
from astropy.io import fits

FIRST, SPACING, PIXELS = 3360.0, 20.0, 343
TOLERANCE = 1e-6


def main() -> int:
    """Run from the command line."""
    table, inputs = Path(sys.argv[1]), np.array(json.loads(Path(sys.argv[2]).read_text()))
    flux = fits.getdata(table, 1)["flux"][: len(inputs)].astype(np.float64)
    assert flux.shape == inputs.shape == (len(inputs), PIXELS), (flux.shape, inputs.shape)
    # Li et al. 2025, equation 1.
    expected = (flux - flux.mean(axis=1, keepdims=True)) / flux.std(axis=1, keepdims=True)
    # Inputs are single precision, so the tolerance grows with the number.
    off = np.abs(inputs - expected) / np.maximum(np.abs(expected), 1.0)
    if off.max() > TOLERANCE:
        row, pixel = np.unravel_index(off.argmax(), off.shape)
        wave = FIRST + SPACING * pixel
        print(f"row {row} differs by {off.max():.1e} at {wave} A", file=sys.stderr)
        return 1
    print(f"{len(inputs)} rows agree to {off.max():.0e}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
