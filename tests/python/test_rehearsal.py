"""Files of the rehearsal are observations of their own, and noon is where it should be."""

import gzip
import io
from datetime import UTC, datetime

from astropy.io import fits
from astropy.time import Time
from scene import longitude_of_noon
from sky import Exposure, Sky

TAKEN = datetime(2026, 11, 21, 15, 30, tzinfo=UTC)
EXPOSURE = Exposure(TAKEN, "HD000007")


def test_a_file_names_its_own_observation() -> None:
    sky = Sky.of_benchmarks(2)
    for number in (5, 6):
        content = gzip.decompress(sky.file(700_000_000 + number, EXPOSURE, 260, TAKEN))
        with fits.open(io.BytesIO(content)) as hdus:
            header = hdus[0].header
            assert header["OBSID"] == 700_000_000 + number
            assert (header["PLANID"], header["SPID"], header["FIBERID"]) == ("HD000007", 2, 11)
            assert header["DATE-OBS"] == "2026-11-21T15:30:00"
            assert header["DATE"] == "2026-11-21T15:30:00"
            # The local day of UTC + 8 h.
            assert header["LMJD"] == int(Time(TAKEN).mjd + 8 / 24)
    assert EXPOSURE.name(260) == "spec-61365-HD000007_sp02-011.fits.gz"


def test_noon_is_there_at_that_moment() -> None:
    for hour in range(24):
        longitude = longitude_of_noon(datetime(2026, 11, 21, hour, 30, tzinfo=UTC))
        assert -180 <= longitude <= 180
        assert (hour + 0.5 + longitude / 15) % 24 == 12
