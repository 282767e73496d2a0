//! Whether a file on disk is as long as its headers declare, from the headers alone.

use std::io::{self, Read, Seek, SeekFrom};

use super::{BLOCK, FitsError, Header, MAX_HDUS};

/// What is read of a header at once: most have fewer cards.
const STEP: usize = 8 * BLOCK;

/// How far an HDU reaches, as its header says.
#[derive(Debug, Clone, Copy)]
pub struct Extent<'a> {
    /// Its cards.
    pub header: Header<'a>,
    /// Bytes of header, data and padding.
    pub length: usize,
}

impl<'a> Extent<'a> {
    /// The extent of the HDU that begins here; `None` while its header is not all there.
    ///
    /// # Errors
    /// [`FitsError`] when no further byte would make it an HDU.
    pub fn of(bytes: &'a [u8], hdu: usize) -> Result<Option<Self>, FitsError> {
        let (header, offset) = match Header::parse(bytes, hdu) {
            Ok(parsed) => parsed,
            Err(FitsError::NoEnd { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let data = header.data_bytes(hdu)?;
        let length = usize::try_from(data)
            .ok()
            .and_then(|data| data.checked_next_multiple_of(BLOCK)?.checked_add(offset))
            .ok_or(FitsError::Truncated { hdu, declared: data, present: 0 })?;
        Ok(Some(Self { header, length }))
    }
}

/// Whether all HDUs of a file of this size are there, down to the last byte of data. What is no
/// FITS, or is broken in a way that no further byte would mend, counts as whole.
///
/// # Errors
/// The operating system's error when the file cannot be read.
pub fn is_whole(file: &mut (impl Read + Seek), size: u64) -> io::Result<bool> {
    let mut bytes = Vec::new();
    let mut start = 0;
    for hdu in 0..MAX_HDUS {
        if start >= size {
            return Ok(start > 0);
        }
        file.seek(SeekFrom::Start(start))?;
        bytes.clear();
        let (header, offset) = loop {
            let before = bytes.len();
            file.by_ref().take(STEP as u64).read_to_end(&mut bytes)?;
            let magic: &[u8] = if hdu == 0 { b"SIMPLE  =" } else { b"XTENSION" };
            let common = magic.len().min(bytes.len());
            if bytes[..common] != magic[..common] {
                // Room that was reserved for a file is zeros until it is written.
                return Ok(bytes.first() != Some(&0));
            }
            match Header::parse(&bytes, hdu) {
                Ok(parsed) => break parsed,
                Err(FitsError::NoEnd { .. }) if bytes.len() > before => {}
                Err(FitsError::NoEnd { .. }) => return Ok(false),
                Err(_) => return Ok(true),
            }
        };
        let Ok(data) = header.data_bytes(hdu) else { return Ok(true) };
        let end = (start + offset as u64).saturating_add(data);
        if data > 0 && end > size {
            return Ok(false);
        }
        start = end.div_ceil(BLOCK as u64).saturating_mul(BLOCK as u64);
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn file() -> Vec<u8> {
        let header = |cards: &[&str]| {
            let cards = cards.iter().chain(&["END"]).map(|card| format!("{card:<80}"));
            let mut bytes = cards.collect::<String>().into_bytes();
            bytes.resize(bytes.len().div_ceil(BLOCK) * BLOCK, b' ');
            bytes
        };
        let mut bytes = header(&["SIMPLE  = T", "BITPIX  = 8", "NAXIS   = 0"]);
        let axes = ["NAXIS   = 2", "NAXIS1  = 100", "NAXIS2  = 50"];
        let more: Vec<String> = (0..400).map(|card| format!("KEY{card}  = 1")).collect();
        let mut cards = vec!["XTENSION= 'IMAGE   '", "BITPIX  = -32"];
        cards.extend(axes);
        cards.extend(more.iter().map(String::as_str));
        bytes.extend(header(&cards));
        bytes.extend(vec![1; (100 * 50 * 4_usize).next_multiple_of(BLOCK)]);
        bytes
    }

    #[test]
    fn a_file_is_whole_when_its_last_data_are_there() {
        let bytes = file();
        let is_whole =
            |bytes: &[u8]| is_whole(&mut Cursor::new(bytes), bytes.len() as u64).unwrap();
        assert!(is_whole(&bytes));
        let data = bytes.len() - 20_160;
        // Behind the last data there is padding, which readers do not need.
        assert!(is_whole(&bytes[..data + 20_000]));
        for length in [0, 5, 80, BLOCK - 1, BLOCK + 8, data - 1, data, data + 19_999] {
            // A primary header that ends with its cards is one that readers take.
            let ends_with_cards = length == BLOCK - 1;
            assert_eq!(is_whole(&bytes[..length]), ends_with_cards, "{length}");
        }
        assert!(!is_whole(&[0; 10_000]), "room reserved for a file");
        assert!(is_whole(b"no FITS at all"), "a reader says so");
        let broken = String::from_utf8(bytes[..BLOCK].to_vec()).unwrap().replace("= 8", "= 9");
        assert!(is_whole(broken.as_bytes()), "a reader says so");
    }
}
