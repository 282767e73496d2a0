"""The three file layouts of LAMOST low-resolution spectra, written byte by byte.

The data releases use an image whose third row is continuum-subtracted flux (``pilot``: pilot survey
and DR1), an image whose third row is the wavelength (``image``: DR2 to DR8), and a table of one
row (``table``: DR9 and later). Headers carry the keywords of real files, in their order, with
synthetic values. Real tables keep NAXIS1 and NAXIS2 beside NAXIS = 0, against the standard; so do
these.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from synthetic import MISSING, Spectrum

LAYOUTS = ("pilot", "image", "table")
BLOCK = 2880
FIBERS = 250
SPECTROGRAPHS = 16
PLATE = FIBERS * SPECTROGRAPHS
FIRST_LMJD = 56000
FIRST_OBSID = 900_000_000


@dataclass(frozen=True)
class Observation:
    """What names one spectrum of a layout: its number gives plate, spectrograph and fibre."""

    layout: str
    number: int

    @property
    def obsid(self) -> int:
        """Identifier that no other observation of any layout has."""
        return FIRST_OBSID + LAYOUTS.index(self.layout) * 10_000_000 + self.number

    @property
    def plan(self) -> str:
        """Name of the plate."""
        return f"SYN{LAYOUTS.index(self.layout) + 1}N{self.number // PLATE + 1:04d}"

    @property
    def lmjd(self) -> int:
        """Local modified Julian day; each plate has its own night."""
        return FIRST_LMJD + self.number // PLATE

    @property
    def spectrograph(self) -> int:
        """Spectrograph, 1 to 16."""
        return self.number % PLATE // FIBERS + 1

    @property
    def fiber(self) -> int:
        """Fibre, 1 to 250."""
        return self.number % FIBERS + 1

    @property
    def name(self) -> str:
        """File name in the survey's pattern, without the ending of compression."""
        return f"spec-{self.lmjd}-{self.plan}_sp{self.spectrograph:02d}-{self.fiber:03d}.fits"


def file_bytes(observation: Observation, spectrum: Spectrum) -> bytes:
    """Return the uncompressed FITS file of an observation."""
    primary = header(primary_cards(observation, spectrum))
    s = spectrum
    if observation.layout == "table":
        normalised = (
            s.flux / s.continuum if is_normalised(observation) else np.full_like(s.flux, MISSING)
        )
        columns = (s.flux, s.ivar, s.wavelength, s.andmask, s.ormask, normalised)
        return primary + header(table_cards(s.flux.size)) + data(columns)
    third = s.flux - s.continuum if observation.layout == "pilot" else s.wavelength
    return primary + data((s.flux, s.ivar, third, s.andmask, s.ormask))


def is_normalised(observation: Observation) -> bool:
    """Whether a table holds a normalised spectrum: every second one does."""
    return observation.number % 2 == 0


def data(rows: tuple[np.ndarray, ...]) -> bytes:
    """Return rows as big-endian floats, filled up to whole blocks."""
    content = np.stack(rows).astype(">f4").tobytes()
    return content + bytes(-len(content) % BLOCK)


def header(cards: Iterator[tuple]) -> bytes:
    """Return cards of (keyword, value, comment) as header blocks."""
    text = "".join(card(*entry) for entry in cards) + "END".ljust(80)
    return text.ljust(len(text) + -len(text) % BLOCK).encode("ascii")


def card(keyword: str, value: object = None, comment: str = "", form: str = "") -> str:
    """Return one card of 80 characters; without a value it is commentary."""
    if value is None:
        return f"{keyword:8}{comment}".ljust(80)
    if isinstance(value, str):
        text = f"'{value:8}'".ljust(20)
    elif isinstance(value, bool):
        text = f"{'T' if value else 'F':>20}"
    else:
        text = f"{value:>20{form}}"
    return f"{keyword:8}= {text} / {comment}"[:80].ljust(80)


def primary_cards(observation: Observation, spectrum: Spectrum) -> Iterator[tuple]:
    """Yield the cards of the primary header."""
    pilot, table = observation.layout == "pilot", observation.layout == "table"
    yield "SIMPLE", True, "synthetic spectrum in a LAMOST layout"
    yield "BITPIX", 16 if table else -32
    yield "NAXIS", 0 if table else 2
    yield "NAXIS1", spectrum.flux.size
    yield "NAXIS2", 5
    yield "EXTEND", True
    yield from file_cards(observation, pilot, table)
    yield from target_cards(observation, pilot, table, spectrum)
    yield from condition_cards(observation)
    yield from reduction_cards(observation)
    yield from result_cards(pilot, spectrum)


def file_cards(observation: Observation, pilot: bool, table: bool) -> Iterator[tuple]:
    """Yield what describes the file."""
    yield "COMMENT", None, "--------FILE INFORMATION"
    yield "FILENAME", observation.name
    if not pilot:
        yield "OBSID", observation.obsid, "Unique number of this spectrum"
    yield "AUTHOR", "starmill bench", "Who compiled the information"
    if not pilot:
        yield "DATA_V", "SYNTHETIC DR10" if table else "SYNTHETIC DR7", "Data release"
    if table:
        yield "N_EXTEN", 2, "Number of extensions"
        yield "NORM", int(is_normalised(observation)), "1 if there is a normalised spectrum"
    else:
        third = "Subcontinuum" if pilot else "Wavelength,"
        rows = f"Flux Inverse {third} Andmask Ormask"
        yield "EXTEN0", rows if pilot else "Flux, Inverse, Wavelength, Andmask, Ormask"
        yield "N_EXTEN", 1, "Number of extensions"
        if not pilot:
            yield "EXTNAME", "Flux", "Name of the extension"
    yield "ORIGIN", "SYNTHETIC", "No telescope saw this spectrum"
    yield "DATE", "2026-01-01T00:00:00", "When this file was made (UTC)"


def target_cards(
    observation: Observation, pilot: bool, table: bool, spectrum: Spectrum
) -> Iterator[tuple]:
    """Yield telescope, time and target."""
    yield "COMMENT", None, "--------TELESCOPE PARAMETERS"
    yield "TELESCOP", "LAMOST", "Layout of this telescope"
    yield "LONGITUD", 117.58, "[deg] Longitude of site", ".2f"
    yield "LATITUDE", 40.39, "[deg] Latitude of site", ".2f"
    yield "FOCUS", 19964, "[mm] Telescope focus"
    yield "CAMPRO", "NEWCAM", "Camera program"
    yield "CAMVER", "v2.0", "Camera program version"
    yield "COMMENT", None, "--------OBSERVATION PARAMETERS"
    minute = observation.number % 1440
    day = f"2012-{observation.lmjd % 12 + 1:02d}-{observation.lmjd % 28 + 1:02d}"
    time = f"{day}T{minute // 60:02d}:{minute % 60:02d}:00"
    yield "DATE-OBS", time, "Median UTC of the observation"
    yield "DATE-BEG", f"{time}.0", "Start, local time"
    yield "DATE-END", f"{time}.0", "End, local time"
    yield "LMJD", observation.lmjd, "Local modified Julian day"
    yield "MJD", observation.lmjd - 1, "Modified Julian day"
    first = observation.lmjd * 1440 + minute
    yield "LMJMLIST", f"{first}-{first + 30}-{first + 60}", "Local modified Julian minutes"
    yield "PLANID", observation.plan, "Plan in use"
    ra = 0.0036 * (observation.obsid % 100_000)
    dec = -10.0 + 0.0007 * (observation.obsid % 100_000)
    yield "RA", ra, "[deg] Right ascension of object", ".6f"
    yield "DEC", dec, "[deg] Declination of object", ".6f"
    if not pilot:
        yield "RA_OBS", ra, "[deg] Right ascension while observing", ".6f"
        yield "DEC_OBS", dec, "[deg] Declination while observing", ".6f"
        yield "OFFSET", False, "Whether the fibre was offset"
        yield "OFFSET_V", 0.0, "Offset in arcsecond", ".2f"
    yield "DESIG", f"SYNTHETIC J{observation.obsid}", "Designation of target"
    yield "FIBERID", observation.fiber, "Fibre"
    yield "CELL_ID", f"F{observation.fiber:04d}", "Fibre unit on the focal plane"
    x, y = 7.0 * (observation.fiber - 125), 75.0 * (observation.spectrograph - 8)
    yield "X_VALUE", x if pilot else f"{x:.10f}", "[mm] X on the focal plane"
    yield "Y_VALUE", y if pilot else f"{y:.10f}", "[mm] Y on the focal plane"
    yield "OBJNAME", str(observation.obsid), "Name of object"
    yield "OBJTYPE", "Star", "Object type of the input catalogue"
    yield "OBJSOURC" if pilot else "TSOURCE", "SYN", "Name of the input catalogue"
    yield "T_INFO" if pilot else "TCOMMENT", "none", "Target information"
    yield "T_FROM" if pilot else "TFROM", "none", "Target catalogue"
    yield "FIB_TYPE" if table else "FIBERTYP", "Obj", "Fibre type of object"
    if not pilot:
        yield "FIB_MASK" if table else "FIBERMAS", spectrum.fibermask, "Warning bits, 0: all well"
    if table:
        for band in "GRIZY":
            yield f"MAG_PS_{band}", 15.0, "[mag] Magnitude of object", ".2f"
    else:
        yield "MAGTYPE", "gri", "Kinds of magnitudes"
        for number in range(1, 8):
            yield f"MAG{number}", 15.0 if number < 4 else 99.0, "[mag] Magnitude", ".2f"
    yield "OBS_TYPE", "OBJ", "The type of target (OBJ, FLAT, ARC or BIAS)"
    yield "OBSCOMM", "Science", "Science or test"
    yield "RADECSYS", "FK5", "Equatorial coordinate system"
    yield "EQUINOX", 2000.0, "Equinox in years", ".2f"
    for camera in ("", "_B", "_R"):
        yield f"NEXP{camera}", 3, "Number of valid exposures"
    for keyword in ("EXPT_B", "EXPT_R", "EXPTIME"):
        yield keyword, 1800.0, "[s] Exposure time", ".2f"
    yield "BESTEXP", first, "Minute of the best exposure"
    yield "SCAMEAN", 3.3, "[ADU] Mean level of scattered light", ".2f"


def condition_cards(observation: Observation) -> Iterator[tuple]:
    """Yield spectrograph and weather."""
    yield "COMMENT", None, "--------SPECTROGRAPH PARAMETERS"
    yield "SPID", observation.spectrograph, "Spectrograph"
    yield "SPRA", 180.0, "[deg] Mean right ascension", ".7f"
    yield "SPDEC", 30.0, "[deg] Mean declination", ".7f"
    yield "SLIT_MOD", "x2/3", "Slit mode"
    yield "COMMENT", None, "--------WEATHER CONDITION"
    yield "SEEING", 3.0, "[arcsec] Seeing", ".2f"
    yield "MOONPHA", 6.08, "[day] Moon phase", ".2f"
    yield "TEMP_AIR", 7.2, "[deg] Temperature outside", ".2f"
    # Real files hold a blank text where this number is missing.
    yield "TEMP_FP", "", "[deg] Temperature of the focal plane"
    yield "DEWPOINT", 8.0, "[deg]", ".2f"
    yield "DUST", "", "Reserved"
    yield "HUMIDITY", -120.6, "", ".2f"
    yield "WINDD", 199.3, "[deg] Wind direction", ".2f"
    yield "WINDS", 1.6, "[m/s] Wind speed", ".2f"
    yield "SKYLEVEL", "", "Reserved"


def reduction_cards(observation: Observation) -> Iterator[tuple]:
    """Yield reduction and dispersion."""
    yield "COMMENT", None, "--------DATA REDUCTION PARAMETERS"
    yield "LAMPLIST", "lamphgcdne.dat", "Arc lamp lines"
    yield "SKYLIST", "skylines.dat", "Sky lines"
    yield "EXTRACT", "aperture", "Extraction method"
    yield "SFLATTEN", True, "Super flat has been applied"
    yield "PCASKYSB", True, "Sky subtraction by principal components"
    yield "NSKIES", 17, "Sky fibres"
    yield "SKYCHI2", 1.9, "Mean chi^2 of sky subtraction", ".1f"
    yield "SCHI2MIN", 1.6, "Minimum chi^2 of sky subtraction", ".1f"
    yield "SCHI2MAX", 2.3, "Maximum chi^2 of sky subtraction", ".1f"
    yield "NSTD", 4, "Good standard stars"
    yield "FSTAR", "48-52-77-86", "Fibres of standard stars"
    yield "FCBY", "auto", "Origin of standard stars"
    yield "HELIO", True, "Heliocentric correction was applied"
    yield "HELIO_RV", 9.85119, "[km/s] Heliocentric correction", ".5f"
    yield "VACUUM", True, "Wavelengths are in vacuum"
    yield "NWORDER", 2, "Number of linear-log10 coefficients"
    yield "WFITTYPE", "LOG-LINEAR", "Linear-log10 dispersion"
    yield "COEFF0", 3.5682, "Log10 wavelength of the first pixel", ".4f"
    yield "COEFF1", 0.0001, "Log10 dispersion per pixel", ".4f"
    yield "WAT0_001", "system=linear"
    yield "WAT1_001", "wtype=linear label=Wavelength units=Angstroms"
    yield "CRVAL1", 3.5682, "Log10 wavelength of the first pixel", ".4f"
    yield "CD1_1", 0.0001, "Log10 dispersion per pixel", ".4f"
    yield "CRPIX1", 1, "First pixel (from 1)"
    yield "CTYPE1", "LINEAR"
    yield "DC-FLAG", 1, "Log-linear flag"
    yield "VERSPIPE", "v2.9.7", "Version of pipeline"


def result_cards(pilot: bool, spectrum: Spectrum) -> Iterator[tuple]:
    """Yield the survey's own analysis."""
    yield "COMMENT", None, "--------SPECTRA ANALYSIS RESULTS"
    yield "CLASS", "STAR", "Class of object"
    yield "SUBCLASS", "K1", "Subclass of object"
    yield "Z", spectrum.redshift, "Redshift of object", ".8f"
    yield "Z_ERR", 0.00002725, "Error of redshift", ".8f"
    if not pilot:
        yield "ZFLAG", "LASP", "Which method gave the redshift"
    for band, snr in spectrum.snr.items():
        keyword = f"SN_{band.upper()}" if pilot else f"SNR{band.upper()}"
        yield keyword, snr, f"S/N of {band} filter", ".2f"


def table_cards(pixels: int) -> Iterator[tuple]:
    """Yield the cards of the table's header."""
    names = ("FLUX", "IVAR", "WAVELENGTH", "ANDMASK", "ORMASK", "NORMALIZATION")
    yield "XTENSION", "BINTABLE", "Binary table"
    yield "BITPIX", 8
    yield "NAXIS", 2
    yield "NAXIS1", 4 * pixels * len(names), "Bytes per row"
    yield "NAXIS2", 1, "Rows"
    yield "PCOUNT", 0
    yield "GCOUNT", 1
    yield "TFIELDS", len(names), "Columns"
    yield "EXTNAME", "COADD", "Name of the extension"
    for number, name in enumerate(names, start=1):
        yield f"TTYPE{number}", name
    for number in range(1, len(names) + 1):
        yield f"TFORM{number}", f"{pixels}E"
