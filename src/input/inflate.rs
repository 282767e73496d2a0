//! gzip and zstd, from memory into memory, under a limit.
//!
//! gzip is inflated by libdeflate into memory that the trailer announces; CFITSIO would inflate
//! under one global lock, so that reading could not use a second core.

use std::io::Read;

use memchr::memmem;

use super::bytes::SMALL_INFLATED;
use crate::fits::BLOCK;
use crate::reject::{Code, Reject};

/// Memory that a zstd frame may ask for: what every usual level needs.
pub const SMALL_WINDOW: usize = 1 << SMALL_WINDOW_LOG;
/// The same for a large file, which is read alone: what the highest levels and `--long` need.
pub const LARGE_WINDOW: usize = 1 << LARGE_WINDOW_LOG;
const SMALL_WINDOW_LOG: u32 = 23;
const LARGE_WINDOW_LOG: u32 = 27;

const GZIP: [u8; 2] = [0x1f, 0x8b];
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// How inflating ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Done {
    /// The bytes are not compressed.
    AsItIs,
    /// The inflated bytes are in [`Inflater::bytes`].
    Inflated,
    /// It takes more memory than a reader may use without its turn with large files.
    TooLargeWithoutTurn,
}

/// How much of a file is needed, judged by its first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// At least so many bytes, to judge further.
    Bytes(usize),
    /// Of these so many, and nothing behind them.
    Enough(usize),
    /// All of it.
    Whole,
}

/// A decompressor with its buffer.
pub(super) struct Inflater {
    gzip: libdeflater::Decompressor,
    inflated: Vec<u8>,
}

/// Whether it can be told beforehand that these bytes inflate to a large file.
pub(super) fn needs_turn(raw: &[u8]) -> bool {
    raw.starts_with(&GZIP)
        && gzip_size(raw, u64::MAX).is_ok_and(|announced| announced > SMALL_INFLATED)
}

impl Inflater {
    pub(super) fn new() -> Self {
        Self { gzip: libdeflater::Decompressor::new(), inflated: Vec::new() }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.inflated
    }

    /// Inflates only the beginning of a gzip file, as far as `need` asks for, and gives its length;
    /// `None` if all of the file is to be inflated.
    ///
    /// The checksum stands behind the data, so it is not compared. What shows a file that is cut
    /// short is its end: the trailer of a whole one is the size of what it holds, which for FITS is a
    /// number of blocks, and of the last bytes of a cut one at most one in three thousand passes.
    pub(super) fn inflate_needed(
        &mut self,
        raw: &[u8],
        limit: u64,
        need: &dyn Fn(&[u8]) -> Need,
    ) -> Option<usize> {
        if !raw.starts_with(&GZIP) {
            return None;
        }
        let size = gzip_size(raw, limit).ok().filter(|size| size.is_multiple_of(BLOCK))?;
        let mut decoder = flate2::bufread::GzDecoder::new(raw);
        self.inflated.clear();
        loop {
            let more = match need(&self.inflated) {
                Need::Enough(length) => return Some(length.min(self.inflated.len())),
                Need::Bytes(length) if length <= size => {
                    length.checked_sub(self.inflated.len()).filter(|&more| more > 0)?
                }
                Need::Bytes(_) | Need::Whole => return None,
            };
            let before = self.inflated.len();
            reserve(&mut self.inflated, before + more).ok()?;
            decoder.by_ref().take(more as u64).read_to_end(&mut self.inflated).ok()?;
            if self.inflated.len() < before + more {
                return None;
            }
        }
    }

    /// Inflates to at most `limit` bytes; without the `turn` to at most [`SMALL_INFLATED`].
    pub(super) fn inflate(&mut self, raw: &[u8], limit: u64, turn: bool) -> Result<Done, Reject> {
        if raw.starts_with(&GZIP) {
            let size = gzip_size(raw, limit)?;
            reserve(&mut self.inflated, size)?;
            self.inflated.resize(size, 0);
            inflate_gzip(&mut self.gzip, raw, &mut self.inflated)?;
            Ok(Done::Inflated)
        } else if is_zstd(raw) {
            inflate_zstd(raw, limit, turn, &mut self.inflated)
        } else {
            Ok(Done::AsItIs)
        }
    }
}

/// Whether the bytes begin with a zstd frame, or with one that a decoder skips.
fn is_zstd(raw: &[u8]) -> bool {
    raw.starts_with(&ZSTD) || matches!(raw, [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..])
}

fn too_large(limit: u64) -> Reject {
    Code::TOO_LARGE.because(format!("it inflates to more than {limit} bytes"))
}

/// Makes room for so many bytes in all, without the abort of an allocation that fails.
fn reserve(buffer: &mut Vec<u8>, size: usize) -> Result<(), Reject> {
    buffer.try_reserve_exact(size.saturating_sub(buffer.len())).map_err(|_| {
        Code::TOO_LARGE.because(format!("there is no memory for the {size} bytes it inflates to"))
    })
}

fn gzip_corrupt(what: &str) -> Reject {
    Code::CORRUPT_COMPRESSION.because(format!("gzip: {what}"))
}

/// The size that the trailer announces, if it is believable and within the limit.
fn gzip_size(raw: &[u8], limit: u64) -> Result<usize, Reject> {
    let trailer = raw.last_chunk::<4>().ok_or_else(|| gzip_corrupt("no trailer"))?;
    let announced = u64::from(u32::from_le_bytes(*trailer));
    // Deflate cannot shrink data by more than 1032 to 1, so a larger announcement is false.
    if announced > raw.len() as u64 * 1032 {
        return Err(gzip_corrupt("the data are cut short or damaged"));
    }
    if announced > limit {
        return Err(too_large(limit));
    }
    usize::try_from(announced).map_err(|_| too_large(limit))
}

fn inflate_gzip(
    gzip: &mut libdeflater::Decompressor,
    raw: &[u8],
    inflated: &mut [u8],
) -> Result<(), Reject> {
    let several =
        || gzip_corrupt("several members or bytes behind the end; compress it anew as one");
    // libdeflate ends with the first member, and the size of the last may be the same. Another one
    // begins with these bytes, which one sound file in three hundred has by chance; a file of one
    // member cannot lose a byte, a file of several can.
    let may_be_several = memmem::find(&raw[1..], &[GZIP[0], GZIP[1], 8]).is_some();
    if may_be_several && gzip.gzip_decompress(&raw[..raw.len() - 1], inflated).is_ok() {
        return Err(several());
    }
    match gzip.gzip_decompress(raw, inflated) {
        Ok(length) if length == inflated.len() => Ok(()),
        Ok(_) => Err(several()),
        Err(libdeflater::DecompressionError::BadData) => {
            Err(gzip_corrupt("the data are cut short or damaged"))
        }
        Err(libdeflater::DecompressionError::InsufficientSpace) => {
            Err(gzip_corrupt("it inflates to more than its trailer says"))
        }
    }
}

fn inflate_zstd(
    raw: &[u8],
    limit: u64,
    turn: bool,
    inflated: &mut Vec<u8>,
) -> Result<Done, Reject> {
    let corrupt =
        |error: std::io::Error| Code::CORRUPT_COMPRESSION.because(format!("zstd: {error}"));
    let small = limit.min(SMALL_INFLATED as u64);
    let mut decoder = zstd::Decoder::with_buffer(raw).map_err(corrupt)?;
    // A frame that asks for a larger window is refused by the decoder.
    decoder
        .window_log_max(if turn { LARGE_WINDOW_LOG } else { SMALL_WINDOW_LOG })
        .map_err(corrupt)?;
    inflated.clear();
    // The system gives memory when it is first written to, so a reserve costs what is used of it.
    reserve(inflated, usize::try_from(small).unwrap_or(SMALL_INFLATED) + 1)?;
    let mut take = |limit: u64, inflated: &mut Vec<u8>| {
        let left = limit.saturating_add(1).saturating_sub(inflated.len() as u64);
        decoder.by_ref().take(left).read_to_end(inflated)
    };
    if let Err(error) = take(small, inflated) {
        // Without the turn this may be the larger window of a sound file.
        return if turn { Err(corrupt(error)) } else { Ok(Done::TooLargeWithoutTurn) };
    }
    if inflated.len() as u64 > small && small < limit {
        if !turn {
            return Ok(Done::TooLargeWithoutTurn);
        }
        reserve(inflated, usize::try_from(limit).unwrap_or(usize::MAX).saturating_add(1))?;
        take(limit, inflated).map_err(corrupt)?;
    }
    if inflated.len() as u64 > limit {
        return Err(too_large(limit));
    }
    Ok(Done::Inflated)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: u64 = 100_000;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut compressor = libdeflater::Compressor::new(libdeflater::CompressionLvl::default());
        let mut out = vec![0; compressor.gzip_compress_bound(bytes.len())];
        let length = compressor.gzip_compress(bytes, &mut out).unwrap();
        out.truncate(length);
        out
    }

    fn inflate(raw: Vec<u8>, limit: u64) -> Result<Vec<u8>, Reject> {
        let mut inflater = Inflater::new();
        match inflater.inflate(&raw, limit, true)? {
            Done::AsItIs => Ok(raw),
            _ => Ok(inflater.bytes().to_vec()),
        }
    }

    fn code(result: Result<Vec<u8>, Reject>) -> Code {
        result.unwrap_err().code
    }

    #[test]
    fn every_compression_gives_the_same_bytes() {
        let bytes: Vec<u8> = (0..50_000u32).map(|n| n.to_le_bytes()[0]).collect();
        assert_eq!(inflate(bytes.clone(), LIMIT).unwrap(), bytes);
        assert_eq!(inflate(gzip(&bytes), LIMIT).unwrap(), bytes);
        let frame = zstd::encode_all(&bytes[..], 3).unwrap();
        let skipped = [&[0x51, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3][..], &frame].concat();
        assert_eq!(inflate(skipped, LIMIT).unwrap(), bytes);
        assert_eq!(inflate(zstd::encode_all(&bytes[..], 3).unwrap(), LIMIT).unwrap(), bytes);
    }

    #[test]
    fn a_bomb_stops_at_the_limit() {
        let zeros = vec![0u8; 100_001];
        assert_eq!(code(inflate(gzip(&zeros), LIMIT)), Code::TOO_LARGE);
        assert_eq!(code(inflate(zstd::encode_all(&zeros[..], 3).unwrap(), LIMIT)), Code::TOO_LARGE);
        // A trailer that lies: more than it says, and more than deflate could ever hold.
        let mut small = gzip(&zeros);
        let end = small.len();
        small[end - 4..].copy_from_slice(&10u32.to_le_bytes());
        assert_eq!(code(inflate(small.clone(), LIMIT)), Code::CORRUPT_COMPRESSION);
        small[end - 4..].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(code(inflate(small, LIMIT)), Code::CORRUPT_COMPRESSION);
    }

    #[test]
    fn damage_is_found() {
        let whole = gzip(&[7u8; 5000]);
        for cut in [2, 3, 10, whole.len() / 2, whole.len() - 1] {
            assert_eq!(code(inflate(whole[..cut].to_vec(), LIMIT)), Code::CORRUPT_COMPRESSION);
        }
        let twice = [gzip(b"first member"), gzip(b"and another")].concat();
        assert_eq!(code(inflate(twice, LIMIT)), Code::CORRUPT_COMPRESSION);
        // Members of one size, even of the same bytes, must not lose what is behind the first.
        for (front, back) in [(b"front", b"back "), (b"twice", b"twice")] {
            let twice = [gzip(front), gzip(back)].concat();
            assert_eq!(code(inflate(twice, LIMIT)), Code::CORRUPT_COMPRESSION);
        }
        // The same bytes inside of one member are only bytes: here they are stored as they are.
        let mut stored = libdeflater::Compressor::new(libdeflater::CompressionLvl::new(0).unwrap());
        let bytes = [[0x1f, 0x8b, 8].as_slice(), &gzip(b"inner")].concat();
        let mut out = vec![0; stored.gzip_compress_bound(bytes.len())];
        let length = stored.gzip_compress(&bytes, &mut out).unwrap();
        assert_eq!(inflate(out[..length].to_vec(), LIMIT).unwrap(), bytes);
        let frame = zstd::encode_all(&[7u8; 5000][..], 3).unwrap();
        let cut = frame[..frame.len() - 1].to_vec();
        assert_eq!(code(inflate(cut, LIMIT)), Code::CORRUPT_COMPRESSION);
    }

    #[test]
    fn what_needs_much_memory_waits_for_its_turn() {
        let zeros = vec![0u8; SMALL_INFLATED + 1];
        let (gzip, zstd) = (gzip(&zeros), zstd::encode_all(&zeros[..], 1).unwrap());
        assert!(needs_turn(&gzip));
        assert!(!needs_turn(&zstd));
        let limit = zeros.len() as u64;
        let mut inflater = Inflater::new();
        assert_eq!(inflater.inflate(&zstd, limit, false).unwrap(), Done::TooLargeWithoutTurn);
        assert_eq!(inflater.inflate(&zstd, limit, true).unwrap(), Done::Inflated);
        assert_eq!(inflater.bytes(), zeros);
        assert_eq!(code(inflate(zstd, limit - 1)), Code::TOO_LARGE);
    }
}
