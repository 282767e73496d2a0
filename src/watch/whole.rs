//! Whether the structure of a file is whole, by what is cheap to see.
//!
//! What can never become whole counts as whole: its reader says what is wrong with it.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use rustix::fs::OFlags;

use super::settle::Identity;
use crate::fits::{self, BLOCK};
use crate::input::{Limits, Reader, SMALL_FILE, SMALL_INFLATED};

/// DEFLATE makes nothing smaller than by this factor.
const MOST_INFLATED: u64 = 1032;

/// Looks into files.
pub struct Inspector {
    reader: Reader,
}

impl Inspector {
    pub fn new() -> Self {
        let limits =
            Limits { file_bytes: SMALL_FILE as u64, inflated_bytes: SMALL_INFLATED as u64 };
        Self { reader: Reader::new(limits) }
    }

    /// Whether the file of this name is whole, and which content that is said of.
    pub fn inspect(&mut self, path: &Path) -> io::Result<(Identity, bool)> {
        // To open a FIFO would wait for its writer.
        let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed();
        let mut file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
        let identity = Identity::of(&file.metadata()?);
        let mut magic = Vec::new();
        file.by_ref().take(4).read_to_end(&mut magic)?;
        let is_whole = match magic[..] {
            [0x1f, 0x8b, ..] => {
                gzip_is_whole(&mut file, identity.size)? || self.inflates(path, identity.size)
            }
            [a, b, c, d] if is_zstd_magic(u32::from_le_bytes([a, b, c, d])) => {
                zstd_is_whole(&mut file, identity.size)?
            }
            _ => fits::is_whole(&mut file, identity.size)?,
        };
        Ok((identity, is_whole))
    }

    /// A file of several members, or of a FITS file without padding, has no trailer to believe.
    /// Large ones are not inflated for that, they wait.
    fn inflates(&mut self, path: &Path, size: u64) -> bool {
        let mut rest = |delay: Duration| std::thread::sleep(delay);
        size <= SMALL_FILE as u64
            && self.reader.read(path, &mut rest).is_ok()
            && self.reader.inflate(&mut rest).is_ok()
    }
}

/// A gzip file ends with the size of what it holds, and a FITS file is whole blocks. A file that is
/// cut anywhere else ends with bytes of which one in thousands passes for such a size.
fn gzip_is_whole(file: &mut File, size: u64) -> io::Result<bool> {
    if size < 18 {
        return Ok(false);
    }
    let mut trailer = [0; 4];
    file.seek(SeekFrom::End(-4))?;
    file.read_exact(&mut trailer)?;
    let inflated = u64::from(u32::from_le_bytes(trailer));
    let is_plausible = inflated <= size.saturating_mul(MOST_INFLATED) && inflated >= size / 2;
    Ok(inflated > 0 && inflated.is_multiple_of(BLOCK as u64) && is_plausible)
}

const ZSTD: u32 = 0xfd2f_b528;
/// The lowest of sixteen magic numbers of frames that decoders skip.
const SKIPPABLE: u32 = 0x184d_2a50;

fn is_zstd_magic(magic: u32) -> bool {
    magic == ZSTD || magic & !0xf == SKIPPABLE
}

/// Walks the frames and blocks by their sizes (RFC 8878, section 3.1).
fn zstd_is_whole(file: &mut File, size: u64) -> io::Result<bool> {
    // Blocks are three bytes long at least, and many are read at once.
    let mut file = io::BufReader::with_capacity(512, file);
    let mut at = 0;
    while at < size {
        file.seek(SeekFrom::Start(at))?;
        let Some(magic) = word(&mut file)? else { return Ok(false) };
        if !is_zstd_magic(magic) {
            return Ok(true);
        }
        if magic != ZSTD {
            let Some(length) = word(&mut file)? else { return Ok(false) };
            at += 8 + u64::from(length);
            continue;
        }
        let Some([descriptor]) = bytes(&mut file)? else { return Ok(false) };
        let is_single_segment = descriptor >> 5 & 1 == 1;
        let window = u64::from(!is_single_segment);
        let dictionary = [0, 1, 2, 4][usize::from(descriptor & 3)];
        let content = match descriptor >> 6 {
            0 => u64::from(is_single_segment),
            flag => 1 << flag,
        };
        let checksum = if descriptor >> 2 & 1 == 1 { 4 } else { 0 };
        at += 5 + window + dictionary + content;
        loop {
            let here = file.stream_position()?;
            file.seek_relative(at.cast_signed() - here.cast_signed())?;
            let Some([a, b, c]) = bytes(&mut file)? else { return Ok(false) };
            let block = u32::from_le_bytes([a, b, c, 0]);
            // A block of one repeated byte holds that byte.
            let length = if block >> 1 & 3 == 1 { 1 } else { u64::from(block >> 3) };
            at += 3 + length;
            if block & 1 == 1 {
                break;
            }
        }
        at += checksum;
    }
    Ok(at == size)
}

fn word(file: &mut impl Read) -> io::Result<Option<u32>> {
    Ok(bytes(file)?.map(u32::from_le_bytes))
}

/// The next bytes; `None` at the end of the file.
fn bytes<const N: usize>(file: &mut impl Read) -> io::Result<Option<[u8; N]>> {
    let mut bytes = [0; N];
    match file.read_exact(&mut bytes) {
        Ok(()) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn fits() -> Vec<u8> {
        let cards = ["SIMPLE  = T", "BITPIX  = 8", "NAXIS   = 1", "NAXIS1  = 500000", "END"];
        let mut bytes = cards.map(|card| format!("{card:<80}")).concat().into_bytes();
        bytes.resize(BLOCK, b' ');
        // Some of it compresses and some does not.
        let noise = (0_u32..300_000).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8);
        bytes.extend(noise);
        bytes.resize(BLOCK + 500_000_usize.next_multiple_of(BLOCK), 0);
        bytes
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut compressor =
            libdeflater::Compressor::new(libdeflater::CompressionLvl::new(1).unwrap());
        let mut packed = vec![0; compressor.gzip_compress_bound(bytes.len())];
        let length = compressor.gzip_compress(bytes, &mut packed).unwrap();
        packed.truncate(length);
        packed
    }

    fn zstd(bytes: &[u8], checksum: bool) -> Vec<u8> {
        let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
        encoder.include_checksum(checksum).unwrap();
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn a_file_that_is_cut_anywhere_is_not_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.fits");
        let mut inspector = Inspector::new();
        let mut is_whole = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            inspector.inspect(&path).unwrap().1
        };
        let fits = fits();
        let mut frames = zstd(&fits, true);
        frames.extend(zstd(&fits, false));
        let single = zstd::bulk::compress(&fits, 1).unwrap();
        let cases = [
            ("plain", fits.clone()),
            ("gzip", gzip(&fits)),
            ("gzip without padding", gzip(&fits[..BLOCK + 500_000])),
            ("zstd", zstd(&fits, true)),
            ("zstd of two frames", frames),
            ("zstd of one segment", single),
        ];
        for (name, bytes) in &cases {
            assert!(is_whole(bytes), "{name}");
            for part in 0..50 {
                let length = bytes.len() * part / 50;
                let ends_a_frame = name.contains("frames") && length == bytes.len() / 2;
                assert!(!is_whole(&bytes[..length]) || ends_a_frame, "{name} cut at {length}");
            }
            assert!(*name == "plain" || !is_whole(&bytes[..bytes.len() - 1]), "{name}");
        }
        assert!(is_whole(b"anything else"));
    }

    #[test]
    fn what_cannot_be_opened_is_an_error_of_the_system() {
        let error = Inspector::new().inspect(Path::new("/no/such.fits")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
