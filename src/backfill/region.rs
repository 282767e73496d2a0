//! A part of the sky: a cone, or what a multi-order coverage map covers.

use std::fmt;
use std::io::BufReader;
use std::path::Path;
use std::str::FromStr;

use cdshealpix::nested;
use moc::deser::ascii::from_ascii_ivoa;
use moc::deser::fits::{MocIdxType, MocQtyType, MocType, from_fits_ivoa};
use moc::deser::json::from_json_aladin;
use moc::moc::range::{CellSelection, RangeMOC};
use moc::moc::{
    CellMOCIntoIterator, CellMOCIterator, CellOrCellRangeMOCIntoIterator,
    CellOrCellRangeMOCIterator, RangeMOCIterator,
};
use moc::qty::Hpx;

use super::BackfillError;

/// A part of the sky.
#[derive(Debug, Clone)]
pub enum Region {
    /// All within an angle of a place.
    Cone(Cone),
    /// All that a map covers.
    Map(RangeMOC<u64, Hpx<u64>>),
}

/// All within an angle of a place; degrees.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cone {
    ra: f64,
    dec: f64,
    radius: f64,
}

impl fmt::Display for Cone {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "{},{},{}", self.ra, self.dec, self.radius)
    }
}

impl FromStr for Cone {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split(|it: char| it == ',' || it.is_whitespace());
        let parts = parts.filter(|part| !part.is_empty());
        let numbers: Option<Vec<f64>> = parts.map(|part| part.parse().ok()).collect();
        match numbers.as_deref() {
            Some(&[ra, dec, radius])
                if (0.0..=360.0).contains(&ra)
                    && (-90.0..=90.0).contains(&dec)
                    && radius > 0.0
                    && radius <= 180.0 =>
            {
                Ok(Self { ra, dec, radius })
            }
            _ => Err("a cone is RA,DEC,RADIUS in degrees, such as 180.0,32.5,1.5".into()),
        }
    }
}

/// The finest order of HEALPix.
const FINEST: u8 = 29;

impl Region {
    /// Reads a map in FITS, JSON or ASCII, as IVOA's recommendation MOC 2.0 has them.
    ///
    /// # Errors
    /// [`BackfillError::Request`] if it is none of the sky.
    pub fn map(path: &Path) -> Result<Self, BackfillError> {
        let bytes = std::fs::read(path).map_err(BackfillError::io(path))?;
        let wrong = |why: String| {
            BackfillError::Request(format!(
                "{}: {why}; give a map of the sky in FITS, JSON or ASCII as MOC 2.0 has it",
                path.display()
            ))
        };
        if bytes.starts_with(b"SIMPLE") {
            let read = from_fits_ivoa(BufReader::new(bytes.as_slice()));
            return match read.map_err(|error| wrong(error.to_string()))? {
                MocIdxType::U64(MocQtyType::Hpx(map)) => Ok(Self::Map(match map {
                    MocType::Ranges(map) => map.into_range_moc(),
                    MocType::Cells(map) => map.into_cell_moc_iter().ranges().into_range_moc(),
                })),
                _ => Err(wrong("it is no map of the sky with 64-bit indices".into())),
            };
        }
        let text = String::from_utf8(bytes).map_err(|error| wrong(error.to_string()))?;
        if text.trim_start().starts_with('{') {
            let map = from_json_aladin::<u64, Hpx<u64>>(&text);
            let map = map.map_err(|error| wrong(error.to_string()))?;
            return Ok(Self::Map(map.into_cell_moc_iter().ranges().into_range_moc()));
        }
        let map = from_ascii_ivoa::<u64, Hpx<u64>>(&text);
        let map = map.map_err(|error| wrong(error.to_string()))?;
        Ok(Self::Map(map.into_cellcellrange_moc_iter().ranges().into_range_moc()))
    }

    /// Cells of HEALPix that cover it and perhaps a little more.
    pub fn cells(&self) -> RangeMOC<u64, Hpx<u64>> {
        match self {
            Self::Cone(cone) => cone.cells(),
            Self::Map(map) => map.clone(),
        }
    }

    /// Two declinations, in degrees, between which it lies.
    pub fn declinations(&self) -> (f64, f64) {
        match self {
            Self::Cone(cone) => (cone.dec - cone.radius, cone.dec + cone.radius),
            Self::Map(_) => (-90.0, 90.0),
        }
    }

    /// Whether a place, in degrees, is in it; what is no place is not.
    pub fn contains(&self, ra: f64, dec: f64) -> bool {
        if !(ra.is_finite() && (-90.0..=90.0).contains(&dec)) {
            return false;
        }
        match self {
            Self::Cone(cone) => cone.contains(ra, dec),
            Self::Map(map) => {
                let cell = nested::hash(FINEST, ra.to_radians(), dec.to_radians());
                map.contains_val(&cell)
            }
        }
    }
}

/// The order of the cells by which a cone is covered: they are about as wide as a sixteenth of its
/// radius, so that some hundred cover it.
fn order_for(radius: f64) -> u8 {
    const WIDTH_OF_BASE_CELLS: f64 = 58.6;
    let finest_useful = 24;
    (0..finest_useful)
        .find(|&order| WIDTH_OF_BASE_CELLS / f64::from(1_u32 << order) < radius / 16.0)
        .unwrap_or(finest_useful)
}

impl Cone {
    fn cells(&self) -> RangeMOC<u64, Hpx<u64>> {
        if self.radius >= 90.0 {
            let sky = 0..12 << (2 * u32::from(FINEST));
            return RangeMOC::from_maxdepth_ranges(0, std::iter::once(sky), None);
        }
        // What rounding makes of the edge is within the cells as well.
        let radius = (self.radius * (1.0 + 1e-9) + 1e-9).to_radians();
        let (ra, dec) = (self.ra.to_radians(), self.dec.to_radians());
        RangeMOC::from_cone(ra, dec, radius, order_for(self.radius), 2, CellSelection::All)
    }

    fn contains(&self, ra: f64, dec: f64) -> bool {
        // Haversines keep their digits in small cones.
        let half = |angle: f64| (angle.to_radians() / 2.0).sin().powi(2);
        let cosines = dec.to_radians().cos() * self.dec.to_radians().cos();
        half(dec - self.dec) + cosines * half(ra - self.ra) <= half(self.radius)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cone_knows_the_meridian_and_the_pole() {
        let cone = |text: &str| Region::Cone(text.parse().unwrap());
        let at_zero = cone("0.5,0,1");
        assert!(at_zero.contains(359.6, 0.0));
        assert!(!at_zero.contains(359.4, 0.0));
        let at_pole = cone("0,90,1");
        assert!(at_pole.contains(123.0, 89.1));
        assert!(!at_pole.contains(123.0, 88.9));
        assert!(!at_pole.contains(f64::NAN, 89.5));
        assert_eq!("1 -2  3".parse::<Cone>(), "1, -2,3".parse());
        for wrong in ["", "1,2", "1,2,0", "361,0,1", "0,91,1", "a,b,c", "1,2,nan"] {
            assert!(wrong.parse::<Cone>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn maps_are_read_in_all_their_forms() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("map");
        // The base cell 4 is centred on the equator at right ascension 0.
        for map in ["{\"0\": [4]}", "0/4"] {
            std::fs::write(&path, map).unwrap();
            let region = Region::map(&path).unwrap();
            assert!(region.contains(359.9, 1.0), "{map}");
            assert!(!region.contains(180.0, 1.0), "{map}");
        }
        let map = from_ascii_ivoa::<u64, Hpx<u64>>("0/4").unwrap();
        let map = map.into_cellcellrange_moc_iter().ranges().into_range_moc();
        let mut fits = Vec::new();
        moc::deser::fits::ranges_to_fits_ivoa(
            moc::moc::RangeMOCIntoIterator::into_range_moc_iter(map),
            None,
            None,
            &mut fits,
        )
        .unwrap();
        std::fs::write(&path, fits).unwrap();
        let region = Region::map(&path).unwrap();
        assert!(region.contains(0.1, -1.0) && !region.contains(180.0, 1.0));
        std::fs::write(&path, "no map").unwrap();
        assert!(Region::map(&path).is_err());
    }
}
