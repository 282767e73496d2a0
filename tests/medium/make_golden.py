"""What astropy reads from the public LAMOST medium-resolution files, as golden.json.

    python tests/medium/make_golden.py FOLDER_OF_MED_FILES >tests/medium/golden.json

It is written apart from the Rust reader: sums, counts and ends of each coadd and exposure.
"""

import json
import sys
from pathlib import Path

import numpy as np
from astropy.io import fits


def spectrum(hdus: fits.HDUList, names: dict[str, str]) -> dict:
    """Return the numbers of one spectrum; `names` gives the extension of each arm."""
    present = {arm: hdus[name] for arm, name in names.items() if name in hdus}
    columns: dict[str, list[np.ndarray]] = {}
    for hdu in present.values():
        data = hdu.data
        order = np.argsort(data["LOGLAM"], kind="stable")
        masks = ("PIXMASK", "PIXMASK") if "PIXMASK" in data.names else ("ANDMASK", "ORMASK")
        for key, name in zip(("flux", "ivar", "and", "or"), ("FLUX", "IVAR", *masks), strict=True):
            columns.setdefault(key, []).append(data[name][order].astype(float))
        columns.setdefault("wave", []).append(10.0 ** data["LOGLAM"][order].astype(float))
    joined = {key: np.concatenate(parts) for key, parts in columns.items()}
    wave = joined["wave"]
    assert np.all(np.diff(wave) > 0)
    arm_snr = {arm: present[arm].header["SNR"] if arm in present else None for arm in names}
    return {
        "snr_blue": arm_snr["B"],
        "snr_red": arm_snr["R"],
        "pixels": len(wave),
        "first": wave[0],
        "last": wave[-1],
        "sums": {key: joined[key].sum() for key in ("wave", "flux", "ivar")},
        "without_ivar": int((joined["ivar"] <= 0).sum()),
        "in_andmask": int((joined["and"] != 0).sum()),
        "in_ormask": int((joined["or"] != 0).sum()),
    }


def read(path: Path) -> dict:
    """All spectra of a file, the coadd first."""
    with fits.open(path) as hdus:
        primary = hdus[0].header
        minutes = sorted({hdu.name[2:] for hdu in hdus if hdu.name[:2] in ("B-", "R-")}, key=int)
        spectra = [spectrum(hdus, {"B": "COADD_B", "R": "COADD_R"})]
        stem = f"lamost-mrs:{primary['LMJD']}-{primary['PLANID'].strip()}"
        stem += f"-{primary['SPID']:02d}-{primary['FIBERID']:03d}"
        coadd = hdus["COADD_B"].header
        listed = coadd.get("LMJMLIST", coadd.get("LMJMLIS0")).split("-")[0]
        spectra[0] |= {"name": stem, "exposure": False, "lmjm": int(listed)}
        for minute in minutes:
            names = {arm: f"{arm}-{minute}" for arm in "BR"}
            exposure = {"name": f"{stem}-{minute}", "exposure": True, "lmjm": int(minute)}
            spectra.append(spectrum(hdus, names) | exposure)
        about = {key.lower(): primary[key] for key in ("OBSID", "LMJD", "SPID", "FIBERID")}
        about |= {"ra": primary["RA"], "dec": primary["DEC"], "fibermask": primary["FIBERMAS"]}
        return {"hdus": len(hdus), "spectra": [about | one for one in spectra]}


if __name__ == "__main__":
    golden = {path.name: read(path) for path in sorted(Path(sys.argv[1]).glob("med-*.fits.gz"))}
    json.dump(golden, sys.stdout, indent=1, sort_keys=True)
    print()
