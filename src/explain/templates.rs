//! Reference spectra of a model, and the one that is nearest to a star (Li et al. 2023, SPEMR,
//! section 3.5).

use std::io::Read;

use flate2::read::MultiGzDecoder;
use serde::Serialize;
use thiserror::Error;

use crate::fits::{Fits, FitsError};

/// The most bytes of an inflated file: a thousand times what a model ships.
const MOST_BYTES: u64 = 1 << 30;

/// Templates that cannot be used.
#[derive(Debug, Error)]
pub enum TemplatesError {
    /// The file is no gzip, or too large.
    #[error("the templates cannot be inflated: {0}; export the model again")]
    Inflate(std::io::Error),
    /// It is no FITS table, or lacks a column.
    #[error("the templates are no table of spectra: {0}; export the model again")]
    Fits(#[from] FitsError),
    /// It does not suit the model.
    #[error("the templates do not suit the model: {0}; export the model again")]
    Unsuitable(String),
}

/// Reference spectra without noise, as the recipe of their model leaves them before its step `scale`.
#[derive(Debug, Clone, PartialEq)]
pub struct Templates {
    stars: Vec<Template>,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Template {
    /// Its name.
    pub name: String,
    /// Its labels, in the order of the manifest.
    pub labels: Vec<f32>,
    /// Its flux on the grid of the model's input.
    #[serde(skip)]
    pub flux: Vec<f32>,
}

impl Templates {
    /// Reads a table `TEMPLATES`, gzipped: `NAME`, one column for each of the labels, and `FLUX` with
    /// `pixels` values a row.
    ///
    /// # Errors
    /// [`TemplatesError`] says what is missing.
    pub fn read(gzipped: &[u8], labels: &[&str], pixels: usize) -> Result<Self, TemplatesError> {
        let mut bytes = Vec::new();
        let mut inflated = MultiGzDecoder::new(gzipped).take(MOST_BYTES);
        inflated.read_to_end(&mut bytes).map_err(TemplatesError::Inflate)?;
        let fits = Fits::parse(&bytes)?;
        let unsuitable = |what: &str| TemplatesError::Unsuitable(what.to_owned());
        let table = fits.named("TEMPLATES").ok_or_else(|| unsuitable("no HDU is named so"))?;
        let table = table.table()?;
        let (name, flux) = (table.column("NAME")?, table.column("FLUX")?);
        if flux.repeat != pixels || table.rows == 0 {
            let what = format!("{} of {} pixels, not {pixels}", table.rows, flux.repeat);
            return Err(TemplatesError::Unsuitable(what));
        }
        let columns = labels.iter().map(|label| table.float_column(table.column(label)?));
        let columns = columns.collect::<Result<Vec<_>, FitsError>>()?;
        let star = |row: usize| -> Result<Template, FitsError> {
            Ok(Template {
                name: table.text(name, row)?,
                labels: columns.iter().map(|column| column[row]).collect(),
                flux: table.floats(flux, row)?,
            })
        };
        let stars = (0..table.rows).map(star).collect::<Result<Vec<_>, _>>()?;
        let numbers = stars.iter().flat_map(|star| star.labels.iter().chain(&star.flux));
        if !numbers.into_iter().all(|number| number.is_finite()) {
            return Err(unsuitable("a label or a flux is not finite"));
        }
        Ok(Self { stars })
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.stars.len()
    }

    /// The template whose labels are nearest, and how far they are: the root of the mean of
    /// `((label - template) / unit)^2`.
    ///
    /// The paper takes the Euclidean distance and does not say in which units; in kelvin and dex the
    /// temperature alone would decide. Here `units` are the errors of the labels, so that what the
    /// spectrum tells well counts more.
    pub fn nearest(&self, labels: &[f32], units: &[f64]) -> Option<(&Template, f64)> {
        let distance = |star: &Template| {
            let parts = labels.iter().zip(&star.labels).zip(units);
            let squares =
                parts.map(|((label, of_star), unit)| (f64::from(*label - *of_star) / unit).powi(2));
            (squares.sum::<f64>() / labels.len() as f64).sqrt()
        };
        let all = self.stars.iter().map(|star| (star, distance(star)));
        all.min_by(|a, b| a.1.total_cmp(&b.1))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    /// A table of two stars with the labels teff and `fe_h` and three pixels, in steps of 0.5.
    fn file(columns: &[(&str, &str)]) -> Vec<u8> {
        let mut cards = vec!["SIMPLE  = T".to_owned(), "BITPIX  = 8".into(), "NAXIS   = 0".into()];
        let mut bytes = block(&cards);
        let rows = [("cool", [4000.0f32, -1.0], [2i16, 1, 2]), ("hot", [6000.0, 0.0], [2, 2, 0])];
        cards = vec!["XTENSION= 'BINTABLE'".into(), "BITPIX  = 8".into(), "NAXIS   = 2".into()];
        cards.extend(["NAXIS1  = 18".into(), "NAXIS2  = 2".into(), "PCOUNT  = 0".into()]);
        cards.extend(["GCOUNT  = 1".into(), "TFIELDS = 4".into()]);
        cards.extend(["EXTNAME = 'TEMPLATES'".into(), "TSCAL4  = 0.5".into()]);
        for (number, (name, form)) in (1..).zip(columns) {
            cards.push(format!("TTYPE{number}  = '{name}'"));
            cards.push(format!("TFORM{number}  = '{form}'"));
        }
        bytes.extend(block(&cards));
        let mut data = Vec::new();
        for (name, labels, flux) in rows {
            data.extend(format!("{name:<4}").bytes());
            data.extend(labels.iter().flat_map(|label| label.to_be_bytes()));
            data.extend(flux.iter().flat_map(|flux| flux.to_be_bytes()));
        }
        data.resize(2880, 0);
        bytes.extend(data);
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&bytes).unwrap();
        gzip.finish().unwrap()
    }

    fn block(cards: &[String]) -> Vec<u8> {
        let cards = cards.iter().map(String::as_str).chain(["END"]);
        let mut bytes: Vec<u8> =
            cards.flat_map(|card| format!("{card:<80}").into_bytes()).collect();
        bytes.resize(bytes.len().next_multiple_of(2880), b' ');
        bytes
    }

    const COLUMNS: [(&str, &str); 4] =
        [("NAME", "4A"), ("TEFF", "1E"), ("FE_H", "1E"), ("FLUX", "3I")];

    #[test]
    fn labels_are_found_by_name_and_the_flux_is_scaled() {
        let templates = Templates::read(&file(&COLUMNS), &["fe_h", "teff"], 3).unwrap();
        assert_eq!(templates.count(), 2);
        let expected =
            Template { name: "cool".into(), labels: vec![-1.0, 4000.0], flux: vec![1.0, 0.5, 1.0] };
        assert_eq!(templates.stars[0], expected);
    }

    #[test]
    fn the_nearest_depends_on_the_units() {
        let templates = Templates::read(&file(&COLUMNS), &["teff", "fe_h"], 3).unwrap();
        let nearest = |units: [f64; 2]| {
            let (star, distance) = templates.nearest(&[5200.0, -0.9], &units).unwrap();
            (star.name.clone(), distance)
        };
        assert_eq!(nearest([1.0, 1.0]).0, "hot");
        let (name, distance) = nearest([1e9, 0.1]);
        assert_eq!(name, "cool");
        // The root of the mean over both labels.
        assert!((distance - 0.5f64.sqrt()).abs() < 1e-5, "{distance}");
    }

    #[test]
    fn a_file_that_does_not_suit_is_refused() {
        let check = |gzipped: &[u8], labels: &[&str], pixels, says: &str| {
            let error = Templates::read(gzipped, labels, pixels).unwrap_err().to_string();
            assert!(error.contains(says) && error.contains("export the model again"), "{error}");
        };
        let good = file(&COLUMNS);
        check(&good, &["teff", "logg"], 3, "no column logg");
        check(&good, &["teff"], 4, "2 of 3 pixels, not 4");
        check(&good[..good.len() / 2], &["teff"], 3, "inflated");
        check(b"no gzip at all", &["teff"], 3, "inflated");
        let mut other = COLUMNS;
        other[0] = ("TITLE", "4A");
        check(&file(&other), &["teff"], 3, "no column NAME");
    }
}
