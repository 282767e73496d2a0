//! A small, checked reader of FITS structure: headers, images and binary tables, from memory.
//!
//! It covers what the survey layouts of [`crate::survey`] need and refuses the rest with an error
//! that names the HDU. Every size that a header declares is checked against the bytes at hand
//! before anything is allocated, so a hostile file costs no more than its own length. CFITSIO
//! writes our catalogues, but untrusted bytes do not reach it. The format: FITS Standard 4.0,
//! <https://fits.gsfc.nasa.gov/fits_standard.html>.

mod extent;
mod header;
mod scan;
mod table;

pub use extent::{Extent, is_whole};
pub use header::{Header, Value};
pub use scan::{ScanError, scan_table};
pub use table::{Column, Numbers, Table};

use std::cell::OnceCell;

use thiserror::Error;

/// Bytes in a FITS block; headers and data are padded to whole blocks.
pub const BLOCK: usize = 2880;
/// More HDUs than any survey file has: a file that claims more is refused.
const MAX_HDUS: usize = 4096;

/// What is wrong with the structure of a file. Every variant names the HDU, counted from 0.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
pub enum FitsError {
    /// The first bytes are not those of a FITS file.
    #[error("HDU 0: the file does not begin with SIMPLE, so it is not FITS")]
    NotFits,
    /// A header runs to the end of the file without its END card.
    #[error("HDU {hdu}: the header has no END card")]
    NoEnd {
        /// HDU number.
        hdu: usize,
    },
    /// A mandatory keyword is absent or makes no sense.
    #[error("HDU {hdu}: {keyword} is missing or invalid")]
    Keyword {
        /// HDU number.
        hdu: usize,
        /// The keyword.
        keyword: String,
    },
    /// The declared data are longer than the file.
    #[error("HDU {hdu}: {declared} bytes of data are declared, {present} are there")]
    Truncated {
        /// HDU number.
        hdu: usize,
        /// Bytes that the header declares.
        declared: u64,
        /// Bytes left in the file.
        present: u64,
    },
    /// More HDUs than the reader accepts.
    #[error("HDU {hdu}: more HDUs than any survey file has")]
    TooManyHdus {
        /// HDU number at which reading stopped.
        hdu: usize,
    },
    /// A table or image is not of the declared form.
    #[error("HDU {hdu}: {what}")]
    Malformed {
        /// HDU number.
        hdu: usize,
        /// What is wrong.
        what: String,
    },
}

/// One header and data unit, borrowed from the bytes of its file.
#[derive(Debug, Clone, Copy)]
pub struct Hdu<'a> {
    /// Position in the file, 0 for the primary HDU.
    pub number: usize,
    /// The header cards.
    pub header: Header<'a>,
    /// The data without padding; exactly as long as the header declares.
    pub data: &'a [u8],
}

/// The structure of a whole file.
#[derive(Debug, Clone)]
pub struct Fits<'a> {
    /// All HDUs in order.
    pub hdus: Vec<Hdu<'a>>,
    /// EXTNAME of each, searched for once: a file may have thousands of HDUs with long headers.
    names: Vec<String>,
    /// Tables as far as they were asked for: one of many rows is opened once, not for every row.
    tables: Vec<OnceCell<Result<Table<'a>, FitsError>>>,
}

impl<'a> Fits<'a> {
    /// Finds the HDUs of a file held in memory.
    ///
    /// # Errors
    /// [`FitsError`] when the bytes are not FITS, or when a header or its data are cut short.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, FitsError> {
        if !bytes.starts_with(b"SIMPLE  =") {
            return Err(FitsError::NotFits);
        }
        let mut hdus = Vec::new();
        let mut rest = bytes;
        while !rest.is_empty() {
            let number = hdus.len();
            if number > 0 && !rest.starts_with(b"XTENSION") {
                // Padding or special records after the last HDU are allowed (section 3.5).
                break;
            }
            if number == MAX_HDUS {
                return Err(FitsError::TooManyHdus { hdu: number });
            }
            let (header, data_offset) = Header::parse(rest, number)?;
            let declared = header.data_bytes(number)?;
            let present = (rest.len() - data_offset.min(rest.len())) as u64;
            let length = usize::try_from(declared)
                .ok()
                .filter(|_| declared <= present)
                .ok_or(FitsError::Truncated { hdu: number, declared, present })?;
            // A header without data may end before its padding does.
            let data = rest.get(data_offset..data_offset + length).unwrap_or_default();
            hdus.push(Hdu { number, header, data });
            let next = data_offset + length.div_ceil(BLOCK) * BLOCK;
            rest = rest.get(next..).unwrap_or_default();
        }
        let names = hdus.iter().map(|hdu: &Hdu| hdu.header.text("EXTNAME").unwrap_or_default());
        let tables = vec![OnceCell::new(); hdus.len()];
        Ok(Self { names: names.collect(), hdus, tables })
    }

    /// This HDU as a binary table, opened on the first call.
    ///
    /// # Errors
    /// [`FitsError`] when there is no such HDU, or when it is no binary table.
    pub fn table(&self, hdu: usize) -> Result<&Table<'a>, FitsError> {
        let what = || FitsError::Malformed { hdu, what: "there is no such extension".into() };
        let opened = self.tables.get(hdu).ok_or_else(what)?;
        opened.get_or_init(|| self.hdus[hdu].table()).as_ref().map_err(Clone::clone)
    }

    /// The primary HDU, which every parsed file has.
    pub fn primary(&self) -> &Hdu<'a> {
        &self.hdus[0]
    }

    /// The first extension of this EXTNAME.
    pub fn named(&self, extname: &str) -> Option<&Hdu<'a>> {
        self.extensions().find(|(name, _)| *name == extname).map(|(_, hdu)| hdu)
    }

    /// All extensions with their EXTNAME, which is empty where there is none.
    pub fn extensions(&self) -> impl Iterator<Item = (&str, &Hdu<'a>)> {
        self.names.iter().map(String::as_str).zip(&self.hdus).skip(1)
    }
}

impl<'a> Hdu<'a> {
    /// One row of a two-dimensional float image (BITPIX -32), decoded from big-endian.
    ///
    /// # Errors
    /// [`FitsError::Malformed`] when the HDU is no such image or has no such row.
    pub fn image_row(&self, row: usize) -> Result<Vec<f32>, FitsError> {
        let (width, height) = self.float_image_shape().ok_or_else(|| FitsError::Malformed {
            hdu: self.number,
            what: "a two-dimensional BITPIX -32 image was expected".into(),
        })?;
        if row >= height {
            return Err(FitsError::Malformed {
                hdu: self.number,
                what: format!("the image has {height} rows, row {row} counted from 0 was expected"),
            });
        }
        let mut values = decode_f32(&self.data[row * width * 4..(row + 1) * width * 4]);
        if let Some(scaling) = self.header.scaling(self.number, "BSCALE", "BZERO")? {
            apply_scaling(&mut values, scaling);
        }
        Ok(values)
    }

    /// Width and height if this HDU is a two-dimensional BITPIX -32 image.
    pub fn float_image_shape(&self) -> Option<(usize, usize)> {
        let is_image = self.header.integer("BITPIX") == Some(-32)
            && self.header.integer("NAXIS") == Some(2)
            && self.header.text("XTENSION").is_none_or(|kind| kind == "IMAGE");
        let axis = |key| self.header.integer(key).and_then(|n| usize::try_from(n).ok());
        let shape = is_image.then(|| Some((axis("NAXIS1")?, axis("NAXIS2")?))).flatten()?;
        // GCOUNT and PCOUNT could make axes that promise more, or less, than the data hold.
        let bytes = shape.0.checked_mul(shape.1)?.checked_mul(4)?;
        (bytes == self.data.len()).then_some(shape)
    }

    /// The HDU as a binary table.
    ///
    /// # Errors
    /// [`FitsError`] when it is not one, or when its columns do not fill its rows.
    pub fn table(&self) -> Result<Table<'a>, FitsError> {
        Table::parse(self)
    }
}

/// Decodes big-endian 32-bit floats.
pub(crate) fn decode_f32(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks::<4>().0.iter().map(|chunk| f32::from_be_bytes(*chunk)).collect()
}

/// Stored values to physical ones (FITS Standard 4.0, equations 3 and 7), in double precision.
pub(crate) fn apply_scaling(values: &mut [f32], (scale, zero): (f64, f64)) {
    #[expect(clippy::cast_possible_truncation, reason = "spectra are single precision")]
    for value in values {
        *value = (zero + scale * f64::from(*value)) as f32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn header(cards: &[&str]) -> Vec<u8> {
        let mut bytes: Vec<u8> =
            cards.iter().flat_map(|card| format!("{card:<80}").into_bytes()).collect();
        bytes.extend(format!("{:<80}", "END").into_bytes());
        bytes.resize(bytes.len().div_ceil(BLOCK) * BLOCK, b' ');
        bytes
    }

    fn image(pixels: &[f32]) -> Vec<u8> {
        let width = format!("NAXIS1  = {:>20}", pixels.len());
        let mut bytes = header(&[
            "SIMPLE  =                    T",
            "BITPIX  =                  -32",
            "NAXIS   =                    2",
            &width,
            "NAXIS2  =                    1",
        ]);
        bytes.extend(pixels.iter().flat_map(|pixel| pixel.to_be_bytes()));
        bytes.resize(bytes.len().div_ceil(BLOCK) * BLOCK, 0);
        bytes
    }

    #[test]
    fn an_image_row_comes_back_bit_for_bit() {
        let bytes = image(&[1.5, -0.0, f32::NAN, 3e-39]);
        let fits = Fits::parse(&bytes).unwrap();
        let row = fits.primary().image_row(0).unwrap();
        let bits: Vec<u32> = row.iter().map(|value| value.to_bits()).collect();
        assert_eq!(bits, [1.5f32, -0.0, f32::NAN, 3e-39].map(f32::to_bits));
        assert!(fits.primary().image_row(1).is_err());
    }

    #[test]
    fn a_primary_header_without_data_ignores_stray_axis_cards() {
        let bytes = header(&[
            "SIMPLE  =                    T",
            "BITPIX  =                   16",
            "NAXIS   =                    0 / Number of array dimensions",
            "NAXIS1  =                 3909 /",
            "NAXIS2  =                    5 /",
        ]);
        assert!(Fits::parse(&bytes).unwrap().primary().data.is_empty());
    }

    #[test]
    fn a_size_beyond_the_file_is_refused_before_it_is_allocated() {
        let bytes = header(&[
            "SIMPLE  =                    T",
            "BITPIX  =                  -32",
            "NAXIS   =                    2",
            "NAXIS1  =  4611686018427387904",
            "NAXIS2  =  4611686018427387904",
        ]);
        assert!(matches!(Fits::parse(&bytes), Err(FitsError::Keyword { hdu: 0, .. })));
    }

    #[test]
    fn a_header_without_data_may_end_without_its_padding() {
        let whole = header(&[
            "SIMPLE  =                    T",
            "BITPIX  =                   16",
            "NAXIS   =                    0",
        ]);
        let fits = Fits::parse(&whole[..4 * 80]).unwrap();
        assert!(fits.primary().data.is_empty());
    }

    #[test]
    fn an_image_of_no_groups_is_an_error() {
        let bytes = header(&[
            "SIMPLE  =                    T",
            "BITPIX  =                  -32",
            "NAXIS   =                    2",
            "NAXIS1  =        1099511627776",
            "NAXIS2  =                    5",
            "GCOUNT  =                    0",
        ]);
        let fits = Fits::parse(&bytes).unwrap();
        assert_eq!(fits.primary().float_image_shape(), None);
        assert!(fits.primary().image_row(2).is_err());
    }

    proptest! {
        #[test]
        fn any_cut_of_a_file_is_an_error_or_shorter_never_a_panic(cut in 0usize..6000) {
            let bytes = image(&[1.0; 700]);
            let part = &bytes[..cut.min(bytes.len())];
            if let Ok(fits) = Fits::parse(part) {
                prop_assert!(part.len() >= BLOCK + 2800);
                prop_assert_eq!(fits.primary().image_row(0).unwrap().len(), 700);
            }
        }

        #[test]
        fn any_flip_of_a_byte_is_survived(at in 0usize..2880, to: u8) {
            let mut bytes = image(&[1.0; 700]);
            bytes[at] = to;
            if let Ok(fits) = Fits::parse(&bytes) {
                let _ = fits.primary().image_row(0);
                let _ = fits.primary().table();
            }
        }
    }
}
