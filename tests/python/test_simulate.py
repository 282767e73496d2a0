"""A night that `starmill simulate-night` wrote, read by astropy alone."""

import subprocess
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

ROOT = Path(__file__).resolve().parents[2]
STARS = 8


@pytest.fixture(scope="module", params=["dr7", "dr9"])
def night(
    request: pytest.FixtureRequest, starmill: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Path, Table]:
    """Return the layout, the folder and the truth table of a small night."""
    out = tmp_path_factory.mktemp("night") / request.param
    command = [starmill, "simulate-night", "--out", out, "--date", "2026-11-21"]
    more = ["--stars", STARS, "--layout", request.param, "--repeats", 0.5, "--broken", 0]
    done = subprocess.run(
        [str(word) for word in command + more + ["--snr", "30:100", "--galaxies", 0]],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if "no ONNX Runtime library" in done.stderr:
        pytest.skip("skipped: ONNX Runtime is missing; ops/fetch-onnxruntime.sh gets it")
    assert done.returncode == 0, done.stdout + done.stderr
    return request.param, out, Table.read(out / "truth.csv")


def test_the_truth_table_says_what_lies_there(night: tuple[str, Path, Table]) -> None:
    _, out, truth = night
    assert sorted(truth["file"]) == sorted(
        str(path.relative_to(out)) for path in out.rglob("*.fits.gz")
    )
    assert len(set(truth["spectrum_id"])) == len(set(truth["obsid"])) == len(truth)
    assert set(truth["outcome"]) == {"row"} and set(truth["class"]) == {"STAR"}
    # Each target has one truth, whatever number of times it is observed.
    for group in truth.group_by("group").groups:
        assert len(set(group["teff"])) == len(set(group["ra"])) == 1
        assert list(group["visit"]) == list(range(1, len(group) + 1))
    assert STARS * 2 < len(truth) <= STARS * 4
    low = truth[truth["survey"] == "lamost-lrs"]
    assert np.all((low["teff"] > 3800) & (low["teff"] < 5950) & (low["logg"] < 3.5))


def test_low_resolution(night: tuple[str, Path, Table]) -> None:
    layout, out, truth = night
    for row in truth[truth["survey"] == "lamost-lrs"]:
        with fits.open(out / row["file"]) as hdus:
            header = hdus[0].header
            if layout == "dr7":
                flux, ivar, wave, andmask, ormask = hdus[0].data
            else:
                assert hdus[0].data is None
                assert len(hdus["COADD"].data) == 1
                names = ["FLUX", "IVAR", "WAVELENGTH", "ANDMASK", "ORMASK"]
                flux, ivar, wave, andmask, ormask = (hdus["COADD"].data[n][0] for n in names)
        check_header(header, row)
        assert abs(header["Z"] * 299792.458 - row["rv"]) < 25
        linear = 10 ** (header["COEFF0"] + header["COEFF1"] * np.arange(flux.size))
        np.testing.assert_allclose(wave, linear, rtol=1e-7)
        check_pixels(flux, ivar, andmask, ormask, row["snr"])


def test_medium_resolution(night: tuple[str, Path, Table]) -> None:
    layout, out, truth = night
    for row in truth[truth["survey"] == "lamost-mrs"]:
        with fits.open(out / row["file"]) as hdus:
            header = hdus[0].header
            check_header(header, row)
            assert "Z" not in header and "SNRG" not in header
            assert len(hdus) == header["N_EXTEN"] == 9
            for arm in "BR":
                columns = pixels(hdus[f"COADD_{arm}"].data, layout)
                check_pixels(
                    columns["FLUX"],
                    columns["IVAR"],
                    columns["ANDMASK"],
                    columns["ORMASK"],
                    hdus[f"COADD_{arm}"].header["SNR"],
                )
                exposures = [hdu for hdu in hdus if hdu.name.startswith(f"{arm}-")]
                assert len(exposures) == 3
                for hdu in exposures:
                    assert hdu.name == f"{arm}-{hdu.header['LMJM']}"
                    assert hdu.header["LMJM"] in hdus[f"COADD_{arm}"].header["LMJMLIST"]
                    steps = np.diff(pixels(hdu.data, layout)["WAVELENGTH"])
                    # Those of the red arm descend, as in real files.
                    assert np.all(steps < 0) if arm == "R" else np.all(steps > 0)


def pixels(data: fits.FITS_rec, layout: str) -> dict[str, np.ndarray]:
    columns = {name: data[name] if layout == "dr7" else data[name][0] for name in data.names}
    if "LOGLAM" in columns:
        columns["WAVELENGTH"] = 10 ** columns["LOGLAM"].astype(float)
    return columns


def check_header(header: fits.Header, row: Table.Row) -> None:
    assert header["OBSID"] == row["obsid"]
    assert (header["RA"], header["DEC"]) == (row["ra"], row["dec"])
    assert row["file"].endswith(f"/{header['FILENAME']}.gz")
    numbers = (header["LMJD"], header["PLANID"], header["SPID"], header["FIBERID"])
    assert row["spectrum_id"] == "{}:{:05}-{}-{:02}-{:03}".format(row["survey"], *numbers)
    assert header["HELIO"] and header["VACUUM"]


def check_pixels(
    flux: np.ndarray, ivar: np.ndarray, andmask: np.ndarray, ormask: np.ndarray, snr: float
) -> None:
    assert np.all(np.isfinite(flux)) and np.all(ivar >= 0)
    np.testing.assert_array_equal(andmask, ormask)
    np.testing.assert_array_equal(andmask > 0, ivar == 0)
    assert np.sum(ivar == 0) < 40
    found = np.median((flux * np.sqrt(ivar))[ivar > 0])
    assert 0.5 < found / snr < 1.5
