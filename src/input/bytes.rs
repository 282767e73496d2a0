//! A file's bytes, hashed and inflated under limits.
//!
//! gzip is inflated by libdeflate into memory that the trailer announces; CFITSIO would inflate
//! under one global lock, so that reading could not use a second core.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::reject::{Code, Reject};

/// Upper limits on sizes, from config.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The largest file that is read, bytes.
    pub file_bytes: u64,
    /// The largest size that a compressed file may inflate to, bytes.
    pub inflated_bytes: u64,
}

/// BLAKE3 of a file as it lies on disk: a quarter of the cost of SHA-256, which would be a fifth of
/// that of inflating. `b3sum` prints the same.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// The digest of some bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }

    /// The digest of a file of any size.
    ///
    /// # Errors
    /// The operating system's error when it cannot be read.
    pub fn of_file(path: &Path) -> std::io::Result<Self> {
        let mut hasher = blake3::Hasher::new();
        std::io::copy(&mut File::open(path)?, &mut hasher)?;
        Ok(Self(*hasher.finalize().as_bytes()))
    }
}

impl std::fmt::Display for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&blake3::Hash::from_bytes(self.0).to_hex())
    }
}

impl std::fmt::Debug for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}

/// Reads and inflates one file after another in buffers that it keeps, for allocating them anew
/// for every file costs as much as hashing it.
pub struct Reader {
    limits: Limits,
    raw: Vec<u8>,
    inflated: Vec<u8>,
    gzip: libdeflater::Decompressor,
}

impl Reader {
    /// A reader under limits.
    pub fn new(limits: Limits) -> Self {
        let gzip = libdeflater::Decompressor::new();
        Self { limits, raw: Vec::new(), inflated: Vec::new(), gzip }
    }

    /// Reads a whole file and returns the digest of its bytes as they lie on disk. The name is
    /// opened as it is: nothing in it is an instruction.
    ///
    /// # Errors
    /// [`Code::UNREADABLE`], [`Code::TOO_LARGE`] or [`Code::EMPTY_FILE`].
    pub fn read(&mut self, path: &Path) -> Result<Digest, Reject> {
        let unreadable = |error: std::io::Error| Code::UNREADABLE.because(error.to_string());
        let limit = self.limits.file_bytes;
        let file = File::open(path).map_err(unreadable)?;
        let metadata = file.metadata().map_err(unreadable)?;
        if !metadata.is_file() {
            // A FIFO or device would block or never end.
            return Err(Code::UNREADABLE.because("it is not a regular file"));
        }
        let too_large =
            |size: u64| Code::TOO_LARGE.because(format!("{size} bytes, the limit is {limit}"));
        let size = metadata.len();
        if size > limit {
            return Err(too_large(size));
        }
        self.raw.clear();
        self.raw.reserve(usize::try_from(size).unwrap_or(0) + 1);
        // The file may grow while it is read, so the limit holds for the reading too.
        file.take(limit.saturating_add(1)).read_to_end(&mut self.raw).map_err(unreadable)?;
        match self.raw.len() as u64 {
            0 => Err(Code::EMPTY_FILE.because("0 bytes")),
            size if size > limit => Err(too_large(size)),
            _ => Ok(Digest::of(&self.raw)),
        }
    }

    /// The bytes last read, as they lie on disk.
    pub fn raw(&self) -> &[u8] {
        &self.raw
    }

    /// The FITS bytes of the file last read, inflated if its first bytes are those of gzip or zstd.
    ///
    /// # Errors
    /// [`Code::CORRUPT_COMPRESSION`] or [`Code::TOO_LARGE`].
    pub fn inflate(&mut self) -> Result<&[u8], Reject> {
        let limit = self.limits.inflated_bytes;
        match self.raw.as_slice() {
            [0x1f, 0x8b, ..] => {
                let size = gzip_size(&self.raw, limit)?;
                self.inflated.resize(size, 0);
                inflate_gzip(&mut self.gzip, &self.raw, &mut self.inflated)?;
                Ok(&self.inflated)
            }
            [0x28, 0xb5, 0x2f, 0xfd, ..] => {
                inflate_zstd(&self.raw, limit, &mut self.inflated)?;
                Ok(&self.inflated)
            }
            _ => Ok(&self.raw),
        }
    }
}

fn too_large(limit: u64) -> Reject {
    Code::TOO_LARGE.because(format!("it inflates to more than {limit} bytes"))
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
    match gzip.gzip_decompress(raw, inflated) {
        Ok(length) if length == inflated.len() => Ok(()),
        Ok(_) => {
            Err(gzip_corrupt("several members or bytes behind the end; compress it anew as one"))
        }
        Err(libdeflater::DecompressionError::BadData) => {
            Err(gzip_corrupt("the data are cut short or damaged"))
        }
        Err(libdeflater::DecompressionError::InsufficientSpace) => {
            Err(gzip_corrupt("it inflates to more than its trailer says"))
        }
    }
}

fn inflate_zstd(raw: &[u8], limit: u64, inflated: &mut Vec<u8>) -> Result<(), Reject> {
    let corrupt =
        |error: std::io::Error| Code::CORRUPT_COMPRESSION.because(format!("zstd: {error}"));
    let mut decoder = zstd::Decoder::new(raw).map_err(corrupt)?;
    // 128 MiB: a frame that asks for a larger window is refused by the decoder.
    decoder.window_log_max(27).map_err(corrupt)?;
    inflated.clear();
    decoder.take(limit.saturating_add(1)).read_to_end(inflated).map_err(corrupt)?;
    if inflated.len() as u64 > limit {
        return Err(too_large(limit));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { file_bytes: 1 << 20, inflated_bytes: 100_000 };

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut compressor = libdeflater::Compressor::new(libdeflater::CompressionLvl::default());
        let mut out = vec![0; compressor.gzip_compress_bound(bytes.len())];
        let length = compressor.gzip_compress(bytes, &mut out).unwrap();
        out.truncate(length);
        out
    }

    fn inflate(raw: Vec<u8>, limits: Limits) -> Result<Vec<u8>, Reject> {
        let mut reader = Reader { raw, ..Reader::new(limits) };
        reader.inflate().map(<[u8]>::to_vec)
    }

    fn code(result: Result<Vec<u8>, Reject>) -> Code {
        result.unwrap_err().code
    }

    #[test]
    fn every_compression_gives_the_same_bytes() {
        let bytes: Vec<u8> = (0..50_000u32).map(|n| n.to_le_bytes()[0]).collect();
        assert_eq!(inflate(bytes.clone(), LIMITS).unwrap(), bytes);
        assert_eq!(inflate(gzip(&bytes), LIMITS).unwrap(), bytes);
        assert_eq!(inflate(zstd::encode_all(&bytes[..], 3).unwrap(), LIMITS).unwrap(), bytes);
    }

    #[test]
    fn a_bomb_stops_at_the_limit() {
        let zeros = vec![0u8; 100_001];
        assert_eq!(code(inflate(gzip(&zeros), LIMITS)), Code::TOO_LARGE);
        assert_eq!(
            code(inflate(zstd::encode_all(&zeros[..], 3).unwrap(), LIMITS)),
            Code::TOO_LARGE
        );
        // A trailer that lies: more than it says, and more than deflate could ever hold.
        let mut small = gzip(&zeros);
        let end = small.len();
        small[end - 4..].copy_from_slice(&10u32.to_le_bytes());
        assert_eq!(code(inflate(small.clone(), LIMITS)), Code::CORRUPT_COMPRESSION);
        small[end - 4..].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(code(inflate(small, LIMITS)), Code::CORRUPT_COMPRESSION);
    }

    #[test]
    fn damage_is_found() {
        let whole = gzip(&[7u8; 5000]);
        for cut in [2, 3, 10, whole.len() / 2, whole.len() - 1] {
            assert_eq!(code(inflate(whole[..cut].to_vec(), LIMITS)), Code::CORRUPT_COMPRESSION);
        }
        let twice = [gzip(b"first member"), gzip(b"and another")].concat();
        assert_eq!(code(inflate(twice, LIMITS)), Code::CORRUPT_COMPRESSION);
        let frame = zstd::encode_all(&[7u8; 5000][..], 3).unwrap();
        let cut = frame[..frame.len() - 1].to_vec();
        assert_eq!(code(inflate(cut, LIMITS)), Code::CORRUPT_COMPRESSION);
    }

    #[test]
    fn only_regular_files_of_a_sane_size_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.fits");
        let mut reader = Reader::new(LIMITS);
        let mut read = |path: &Path| reader.read(path).map_err(|reject| reject.code);
        assert_eq!(read(&path).unwrap_err(), Code::UNREADABLE);
        std::fs::write(&path, b"").unwrap();
        assert_eq!(read(&path).unwrap_err(), Code::EMPTY_FILE);
        std::fs::write(&path, vec![1; (1 << 20) + 1]).unwrap();
        assert_eq!(read(&path).unwrap_err(), Code::TOO_LARGE);
        assert_eq!(read(folder.path()).unwrap_err(), Code::UNREADABLE);
        std::fs::write(&path, b"abc").unwrap();
        // b3sum of the three letters.
        let digest = "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85";
        assert_eq!(read(&path).unwrap().to_string(), digest);
    }
}
