//! gzip and zstd: bombs, lies, damage, and what is neither.

use starmill::reject::Code;

use super::{Case, INFLATED_LIMIT, case, gzip};
use crate::support::lrs::{Layout, Lrs};

/// zstd's magic number.
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// A zstd frame without data, with single-segment header and an empty last block.
const EMPTY_FRAME: [u8; 9] = [0x28, 0xb5, 0x2f, 0xfd, 0x20, 0x00, 0x01, 0x00, 0x00];
/// A zstd frame that readers skip, with three bytes in it.
pub const SKIPPABLE_FRAME: [u8; 11] = *b"\x50\x2a\x4d\x18\x03\0\0\0any";

/// A gzip file with one byte changed, counted from the end where `at` is negative.
fn flipped(bytes: &[u8], at: isize, bits: u8) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let at = if at < 0 { bytes.len() - at.unsigned_abs() } else { at.unsigned_abs() };
    bytes[at] ^= bits;
    bytes
}

/// The same gzip file, announcing another size.
fn announcing(bytes: &[u8], size: u32) -> Vec<u8> {
    [&bytes[..bytes.len() - 4], &size.to_le_bytes()].concat()
}

/// The same gzip file with these flags and fields in its header.
pub fn with_fields(bytes: &[u8], flags: u8, fields: &[u8]) -> Vec<u8> {
    [&bytes[..3], &[flags], &bytes[4..10], fields, &bytes[10..]].concat()
}

/// A zstd frame that its own decoder may refuse: descriptor and header, then an empty last block.
fn frame(header: &[u8]) -> Vec<u8> {
    [&ZSTD, header, &[0x01, 0x00, 0x00]].concat()
}

pub fn cases() -> Vec<Case> {
    gzip_cases().into_iter().chain(zstd_cases()).chain(other_cases()).collect()
}

fn gzip_cases() -> Vec<Case> {
    let fits = Lrs::star(1).to_fits(Layout::Image);
    let whole = gzip(&fits);
    let middle = isize::try_from(whole.len() / 2).unwrap();
    let corrupt = |name, bytes| case(name, bytes, Code::CORRUPT_COMPRESSION, "gzip");
    vec![
        case("empty.fits.gz", gzip(b""), Code::NOT_FITS, "HDU 0"),
        corrupt("cut.fits.gz", whole[..whole.len() / 2].to_vec()),
        corrupt("magic-only.fits.gz", whole[..2].to_vec()),
        corrupt("flipped.fits.gz", flipped(&whole, middle, 0x55)),
        corrupt("crc.fits.gz", flipped(&whole, -8, 0x55)),
        corrupt("method.fits.gz", flipped(&whole, 2, 0x0f)),
        corrupt("reserved-flag.fits.gz", flipped(&whole, 3, 0x80)),
        corrupt("endless-name.fits.gz", [&whole[..3], &[8], &[b'x'; 4096]].concat()),
        corrupt("long-extra.fits.gz", with_fields(&whole, 4, &[0xff, 0xff])),
        corrupt("small-trailer.fits.gz", announcing(&whole, 10)),
        corrupt("large-trailer.fits.gz", announcing(&whole, u32::MAX)),
        corrupt("zero-trailer.fits.gz", announcing(&whole, 0)),
        corrupt("two.fits.gz", [gzip(b"abc"), whole.clone()].concat()),
        case("nested.fits.gz", gzip(&whole), Code::NOT_FITS, "SIMPLE"),
        case("nested-bomb.fits.gz", gzip(&gzip(&vec![0; 1 << 20])), Code::NOT_FITS, "SIMPLE"),
        case("bomb.fits.gz", gzip(&vec![0; INFLATED_LIMIT + 1]), Code::TOO_LARGE, "inflates"),
    ]
}

fn zstd_cases() -> Vec<Case> {
    let fits = Lrs::star(1).to_fits(Layout::Image);
    let whole = zstd::bulk::compress(&fits, 3).unwrap();
    let checked = {
        let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
        encoder.include_checksum(true).unwrap();
        std::io::copy(&mut &fits[..], &mut encoder).unwrap();
        encoder.finish().unwrap()
    };
    let bomb = zstd::encode_all(&vec![0u8; INFLATED_LIMIT + 1][..], 3).unwrap();
    // Each block of four bytes stands for 128 KiB.
    let run_lengths = {
        let block = (128 << 10 << 3 | 0b010_u32).to_le_bytes();
        let blocks = [&block[..3], b" "].concat().repeat(1 + INFLATED_LIMIT / (128 << 10));
        [&ZSTD, &[0x00, 0x50][..], &blocks, &[0x01, 0x00, 0x00]].concat()
    };
    let corrupt = |name, bytes| case(name, bytes, Code::CORRUPT_COMPRESSION, "zstd");
    vec![
        corrupt("cut.fits.zst", whole[..whole.len() / 2].to_vec()),
        corrupt("magic-only.fits.zst", whole[..4].to_vec()),
        corrupt("size.fits.zst", flipped(&whole, 6, 0x10)),
        corrupt("checksum.fits.zst", flipped(&checked, -1, 0x55)),
        corrupt("reserved-bit.fits.zst", flipped(&whole, 4, 0x08)),
        corrupt("trailing.fits.zst", [&whole[..], b"and more"].concat()),
        // A window of 2 GiB.
        corrupt("window.fits.zst", frame(&[0x00, 0xa8])),
        corrupt("dictionary.fits.zst", frame(&[0x21, 0x42, 0x00])),
        case("tiny-frames.fits.zst", EMPTY_FRAME.repeat(100_000), Code::NOT_FITS, "SIMPLE"),
        case("skippable-only.fits.zst", SKIPPABLE_FRAME.repeat(1000), Code::NOT_FITS, "SIMPLE"),
        case("in-gzip.fits.gz", gzip(&whole), Code::NOT_FITS, "SIMPLE"),
        case("bomb.fits.zst", bomb, Code::TOO_LARGE, "inflates"),
        case("run-lengths.fits.zst", run_lengths, Code::TOO_LARGE, "inflates"),
    ]
}

fn other_cases() -> Vec<Case> {
    let unknown =
        |name, magic: &[u8]| case(name, [magic, &[0; 4096]].concat(), Code::NOT_FITS, "SIMPLE");
    vec![
        unknown("other.bz2.fits", b"BZh91AY&SY"),
        unknown("other.xz.fits", b"\xfd7zXZ\0"),
        unknown("other.zip.fits", b"PK\x03\x04"),
        unknown("other.Z.fits", b"\x1f\x9d\x90"),
    ]
}
