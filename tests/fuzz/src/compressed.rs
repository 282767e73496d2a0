//! Properties of reading compressed files: what comes out is what went in, or a reject.

use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

use arbitrary::Arbitrary;
use starmill::input::{Limits, Reader};
use starmill::reject::{Code, Reject};

use crate::budget::{self, SLACK};

const LIMITS: Limits = Limits { file_bytes: 1 << 20, inflated_bytes: 1 << 18 };

/// The reader takes names, so the bytes pass through a file; in memory where the system allows.
static PATH: LazyLock<PathBuf> = LazyLock::new(|| {
    let memory = PathBuf::from("/dev/shm");
    let folder = if memory.is_dir() { memory } else { std::env::temp_dir() };
    folder.join(format!("starmill-fuzz-{}", std::process::id()))
});

const SKIPPABLE_FRAME: &[u8] = b"\x50\x2a\x4d\x18\x03\0\0\0any";

/// A compressed file from a description.
#[derive(Debug, Clone, Arbitrary)]
pub struct File {
    payload: Vec<u8>,
    repeated: u16,
    form: Form,
    /// Positions and what is added to the byte there.
    damage: Vec<(u16, u8)>,
    cut: Option<u16>,
}

#[derive(Debug, Clone, Arbitrary)]
enum Form {
    /// These bytes as they are.
    Raw,
    Gzip {
        fields: Fields,
        twice: bool,
    },
    Zstd {
        level: u8,
        skippable: Skippable,
        twice: bool,
    },
    /// gzip in gzip, or zstd in gzip: one layer is undone, never two.
    Nested {
        zstd: bool,
    },
}

/// Where a frame stands that holds no data (RFC 8878, section 3.1.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Arbitrary)]
enum Skippable {
    Nowhere,
    First,
    Last,
}

/// Optional parts of a gzip header (RFC 1952).
#[derive(Debug, Clone, Arbitrary)]
struct Fields {
    extra: Option<Vec<u8>>,
    name: Option<String>,
    comment: Option<String>,
}

/// Writes, reads, inflates and compares.
pub fn check(file: &File) {
    let mut payload = file.payload.repeat(1 + usize::from(file.repeated % 2048));
    payload.truncate(2 * (1 << 18));
    let (sound, inner) = file.form.bytes(&payload);
    let mut bytes = sound.clone();
    for &(at, add) in file.damage.iter().take(16) {
        let length = bytes.len().max(1);
        if let Some(byte) = bytes.get_mut(usize::from(at) % length) {
            *byte = byte.wrapping_add(add);
        }
    }
    let cut = usize::from(file.cut.unwrap_or(0)).min(bytes.len());
    bytes.truncate(bytes.len() - cut);
    let result = read_twice(&bytes);
    let intact = bytes == sound;
    let expected = inner.as_deref().unwrap_or(&payload);
    let several = file.form.has_several_parts();
    let compressed = !matches!(file.form, Form::Raw);
    match result {
        // Checksums make damage an error, or it was in a field that does not matter.
        Ok(inflated) if compressed && !several && bytes.get(..4) == sound.get(..4) => {
            assert!(inflated == expected, "{} bytes came back wrong", expected.len());
        }
        // A file that is not known as compressed comes back as it is.
        Ok(inflated) if compressed && intact && inflated != bytes => {
            assert!(inflated == expected, "parts are lost: {file:?}");
        }
        Err(reject) if intact && compressed && !several => {
            let too_large = expected.len() as u64 > LIMITS.inflated_bytes;
            assert!(too_large && reject.code == Code::TOO_LARGE, "{reject}");
        }
        Ok(_) | Err(_) => {}
    }
}

/// Reads bytes as a file twice with one reader, and holds it to its limits.
///
/// # Errors
/// The reject, where the reader gives one.
pub fn read_twice(bytes: &[u8]) -> Result<Vec<u8>, Reject> {
    fs::write(&*PATH, bytes).expect("a file for the reader");
    let most = usize::try_from(LIMITS.inflated_bytes).expect("a small limit");
    // The buffer may double once on its way to the limit, and the answer is held twice.
    budget::within(6 * most + 4 * bytes.len() + SLACK, || {
        let mut reader = Reader::new(LIMITS);
        let mut read = || -> Result<Vec<u8>, Reject> {
            reader.read(&PATH, &mut std::thread::sleep)?;
            reader.inflate(&mut std::thread::sleep).map(<[u8]>::to_vec)
        };
        let (first, second) = (read(), read());
        assert_eq!(first.is_ok(), second.is_ok());
        if let (Ok(first), Ok(second)) = (&first, &second) {
            assert!(first == second, "a reader that was used before reads otherwise");
            assert!(first.len() <= most.max(bytes.len()));
        }
        first
    })
}

impl Form {
    /// The file, and what it inflates to where that is not the payload.
    fn bytes(&self, payload: &[u8]) -> (Vec<u8>, Option<Vec<u8>>) {
        match self {
            Self::Raw => (payload.to_vec(), None),
            Self::Gzip { fields, twice: false } => (gzip(payload, Some(fields)), None),
            Self::Gzip { fields, twice: true } => {
                let (front, back) = payload.split_at(payload.len() / 2);
                ([gzip(front, Some(fields)), gzip(back, None)].concat(), None)
            }
            Self::Zstd { level, skippable, twice } => {
                let at = if *twice { payload.len() / 2 } else { 0 };
                let level = i32::from(level % 4);
                let mut frames = Vec::new();
                if *skippable == Skippable::First {
                    frames.extend(SKIPPABLE_FRAME);
                }
                if *twice {
                    frames.extend(zstd(&payload[..at], level));
                }
                frames.extend(zstd(&payload[at..], level));
                if *skippable == Skippable::Last {
                    frames.extend(SKIPPABLE_FRAME);
                }
                (frames, None)
            }
            Self::Nested { zstd: inner_zstd } => {
                let inner = if *inner_zstd { zstd(payload, 1) } else { gzip(payload, None) };
                (gzip(&inner, None), Some(inner))
            }
        }
    }

    fn has_several_parts(&self) -> bool {
        match self {
            Self::Gzip { twice, .. } => *twice,
            Self::Zstd { twice, skippable, .. } => *twice || *skippable != Skippable::Nowhere,
            Self::Raw | Self::Nested { .. } => false,
        }
    }
}

fn gzip(bytes: &[u8], fields: Option<&Fields>) -> Vec<u8> {
    let level = libdeflater::CompressionLvl::new(1).expect("a level that exists");
    let mut compressor = libdeflater::Compressor::new(level);
    let mut out = vec![0; compressor.gzip_compress_bound(bytes.len())];
    let length = compressor.gzip_compress(bytes, &mut out).expect("room enough");
    out.truncate(length);
    let Some(Fields { extra, name, comment }) = fields else {
        return out;
    };
    let mut header = Vec::new();
    let mut flags = 0;
    if let Some(extra) = extra {
        let extra = &extra[..extra.len().min(1000)];
        flags |= 4;
        header.extend(u16::try_from(extra.len()).expect("cut above").to_le_bytes());
        header.extend(extra);
    }
    for (flag, text) in [(8, name), (16, comment)] {
        if let Some(text) = text {
            flags |= flag;
            header.extend(text.bytes().filter(|&byte| byte != 0));
            header.push(0);
        }
    }
    out[3] = flags;
    out.splice(10..10, header);
    out
}

fn zstd(bytes: &[u8], level: i32) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), level).expect("an encoder");
    encoder.include_checksum(true).expect("a known option");
    std::io::copy(&mut &*bytes, &mut encoder).expect("writing to memory");
    encoder.finish().expect("writing to memory")
}
