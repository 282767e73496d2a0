//! Tables that are larger than memory, read in portions of rows.

use std::io::{self, Read};

use thiserror::Error;

use super::{BLOCK, FitsError, Header, MAX_HDUS, Table};

/// Bytes of rows in memory at once; a row that is longer is refused.
const PORTION: usize = 1 << 20;

/// Why a table could not be read.
#[derive(Debug, Error)]
pub enum ScanError {
    /// The bytes could not be had.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// They are not what they should be.
    #[error("{0}")]
    Fits(#[from] FitsError),
}

/// Shows the first binary table of a FITS file to `visit`, some rows at a time and at least once;
/// the rows of what it sees count from 0.
///
/// # Errors
/// [`ScanError`], also of `visit`.
pub fn scan_table<E: From<ScanError>>(
    source: &mut impl Read,
    visit: &mut dyn FnMut(&Table) -> Result<(), E>,
) -> Result<(), E> {
    for hdu in 0..MAX_HDUS {
        let bytes = read_header(source, hdu)?;
        let (header, _) = Header::parse(&bytes, hdu).map_err(ScanError::from)?;
        if header.text("XTENSION").as_deref() == Some("BINTABLE") {
            return scan_rows(source, &Table::layout(hdu, header).map_err(ScanError::from)?, visit);
        }
        let length = header.data_bytes(hdu).map_err(ScanError::from)?;
        let padded = length.div_ceil(BLOCK as u64).saturating_mul(BLOCK as u64);
        io::copy(&mut source.by_ref().take(padded), &mut io::sink()).map_err(ScanError::from)?;
    }
    Err(ScanError::from(FitsError::TooManyHdus { hdu: MAX_HDUS }).into())
}

fn read_header(source: &mut impl Read, hdu: usize) -> Result<Vec<u8>, ScanError> {
    let mut bytes = Vec::new();
    loop {
        let before = bytes.len();
        source.by_ref().take(BLOCK as u64).read_to_end(&mut bytes)?;
        if bytes.is_empty() {
            let what = "the file ends without a binary table".into();
            return Err(FitsError::Malformed { hdu, what }.into());
        }
        let magic: &[u8] = if hdu == 0 { b"SIMPLE  =" } else { b"XTENSION" };
        if !bytes.starts_with(magic) {
            let what = format!("{} was expected", String::from_utf8_lossy(magic));
            return Err(FitsError::Malformed { hdu, what }.into());
        }
        match Header::parse(&bytes, hdu) {
            Ok(_) => return Ok(bytes),
            Err(FitsError::NoEnd { .. }) if bytes.len() == before + BLOCK => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn scan_rows<E: From<ScanError>>(
    source: &mut impl Read,
    layout: &Table,
    visit: &mut dyn FnMut(&Table) -> Result<(), E>,
) -> Result<(), E> {
    let row = layout.row_bytes();
    if row > PORTION {
        let what = format!("a row has {row} bytes, the most is {PORTION}");
        return Err(ScanError::from(FitsError::Malformed { hdu: layout.hdu(), what }).into());
    }
    let most = PORTION / row.max(1);
    let mut portion = Vec::with_capacity(most.min(layout.rows) * row);
    let mut left = layout.rows;
    loop {
        let rows = most.min(left);
        portion.clear();
        let wanted = rows * row;
        source.by_ref().take(wanted as u64).read_to_end(&mut portion).map_err(ScanError::from)?;
        if portion.len() < wanted {
            let (declared, present) = ((left * row) as u64, portion.len() as u64);
            let cut = FitsError::Truncated { hdu: layout.hdu(), declared, present };
            return Err(ScanError::from(cut).into());
        }
        visit(&layout.of_rows(rows, &portion))?;
        left -= rows;
        if left == 0 {
            return Ok(());
        }
    }
}
