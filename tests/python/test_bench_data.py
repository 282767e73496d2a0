"""Benchmark files are what they stand in for: valid, distinct, reproducible, noisy as stated."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from lrs_layouts import LAYOUTS, PLATE, Observation, file_bytes
from make_lrs import REAL_RATIO, Order, make
from synthetic import Universe

COUNT = 40


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("archive")
    make(folder, Order(COUNT, seed=7, compress=True), LAYOUTS, workers=2)
    return folder


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_file_is_a_spectrum_of_its_layout(archive: Path, layout: str) -> None:
    files = sorted((archive / layout).rglob("*.fits.gz"))
    assert len(files) == COUNT
    for path in files:
        with fits.open(path) as hdus:
            header = hdus[0].header
            assert header["FILENAME"] + ".gz" == path.name
            if layout == "table":
                arrays = [hdus["COADD"].data[name][0] for name in ("FLUX", "IVAR", "WAVELENGTH")]
            else:
                arrays = list(hdus[0].data[:3])
            assert ("OBSID" in header) == (layout != "pilot")
        flux, ivar, third = arrays
        assert flux.size in (3909, 3908, 3904, 3890)
        assert np.all(np.isfinite(flux)) and np.all(ivar >= 0)
        if layout != "pilot":
            log_wave = header["COEFF0"] + header["COEFF1"] * np.arange(flux.size)
            assert np.allclose(np.log10(third), log_wave, atol=1.2e-7)


@pytest.mark.skipif(not shutil.which("fitsverify"), reason="skipped: fitsverify is not installed")
@pytest.mark.parametrize("layout", LAYOUTS)
def test_files_are_as_valid_as_real_ones(archive: Path, layout: str) -> None:
    path = next((archive / layout).rglob("*.fits.gz"))
    verdict = subprocess.run(
        ["fitsverify", "-q", str(path)], capture_output=True, text=True, check=False
    ).stdout
    # Real tables keep NAXIS1 and NAXIS2 beside NAXIS = 0 and a dispersion without an axis.
    expected = "5 warnings and 2 errors" if layout == "table" else "verification OK"
    assert expected in verdict


def test_sizes_are_those_of_real_files(tmp_path: Path) -> None:
    written = make(tmp_path, Order(100, seed=1, compress=True), LAYOUTS, workers=2)
    for layout, size in written.items():
        assert size["stored"] / size["inflated"] == pytest.approx(REAL_RATIO[layout], rel=0.04)


def test_one_seed_gives_one_archive_whatever_the_workers(archive: Path, tmp_path: Path) -> None:
    make(tmp_path, Order(COUNT, seed=7, compress=True), ("image",), workers=1)
    files = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*.gz"))
    assert len(files) == COUNT
    for path in files:
        assert (tmp_path / path).read_bytes() == (archive / path).read_bytes()


def test_observations_are_distinct() -> None:
    numbers = [0, 1, 249, 250, PLATE - 1, PLATE, 2 * PLATE + 17]
    observations = [Observation(layout, number) for layout in LAYOUTS for number in numbers]
    assert len({observation.obsid for observation in observations}) == len(observations)
    assert len({observation.name for observation in observations}) == len(observations)
    assert len({file_of(observation) for observation in observations[:2]}) == 2


def file_of(observation: Observation) -> bytes:
    spectrum = Universe().spectrum(np.random.default_rng(observation.number))
    content = file_bytes(observation, spectrum)
    assert len(content) % 2880 == 0
    return content


def test_noise_is_what_ivar_says() -> None:
    universe = Universe()
    scatter = []
    for seed in range(60):
        spectrum = universe.spectrum(np.random.default_rng(seed))
        good = spectrum.ivar > 0
        second = np.convolve(spectrum.flux, [1, -2, 1], mode="same") / np.sqrt(6)
        inside = good & np.roll(good, 1) & np.roll(good, -1)
        # Between the last strong line of the red arm and the first telluric-like trough.
        inside &= (spectrum.wavelength > 7350) & (spectrum.wavelength < 8400)
        if spectrum.snr["i"] < 30:
            scatter.append(np.std(second[inside] * np.sqrt(spectrum.ivar[inside])))
    assert len(scatter) >= 10
    assert np.median(scatter) == pytest.approx(1.0, abs=0.1)
