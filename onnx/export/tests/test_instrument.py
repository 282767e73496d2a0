"""What is between a star and a LAMOST file is of the size that real files show."""

import numpy as np

from starmill_export import instrument, lamost

BANDS = {
    "oxygen, B band": ((6869, 6900), (6830, 6860), (6950, 6970)),
    "water": ((7170, 7220), (7100, 7150), (7360, 7400)),
}
"""A part of a band, and what lies on either side of it, in Angstrom."""


def _by_its_sides(wave, flux, band):
    inside, *sides = (np.median(flux[..., (wave > a) & (wave < b)], axis=-1) for a, b in band)
    return inside / np.mean(sides, axis=0)


def test_the_pipeline_divides_the_bands_of_the_air_out(real_data):
    found = {name: [] for name in BANDS}
    for path in sorted(real_data.glob("lrs_dr[18]*/spec-*"))[::2]:
        observation = lamost.read(path)
        spectrum = observation.spectrum
        if observation.snr_g > 20 and (spectrum.ivar > 0).mean() > 0.9:
            for name, band in BANDS.items():
                found[name].append(_by_its_sides(spectrum.wave, spectrum.flux, band))
    for name, ratios in found.items():
        assert len(ratios) > 10
        assert abs(np.median(ratios) - 1) < 0.02, name


def test_what_is_left_of_a_band_lies_on_either_side_of_none():
    transmission = instrument.telluric(2000, np.random.default_rng(1))
    for name, band in BANDS.items():
        ratios = _by_its_sides(instrument.NATIVE, transmission, band)
        assert abs(ratios.mean() - 1) < 0.003, name
        assert 0.008 < ratios.std() < 0.04, name
    assert (transmission[:, instrument.NATIVE < 5800] == 1).all()
