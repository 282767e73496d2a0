//! What rows and spectra are matched by.

/// The numbers that a key is made of.
#[derive(Clone, Copy)]
pub(super) enum Key {
    Exposure { lmjm: i64, spid: i64, fiberid: i64 },
    Coadd { lmjm: i64, spid: i64, fiberid: i64 },
    Obsid { obsid: i64, lmjd: i64 },
    File { number: i64 },
}

impl Key {
    /// One number; `None` where the parts are not of the size that identifiers have.
    pub(super) fn packed(self) -> Option<u64> {
        let part = |value: i64, bits: u32| {
            u64::try_from(value).ok().filter(|value| value.checked_shr(bits) == Some(0))
        };
        let of_minute = |kind: u64, lmjm, spid, fiberid| {
            Some(kind << 62 | part(lmjm, 32)? << 24 | part(spid, 8)? << 16 | part(fiberid, 16)?)
        };
        match self {
            Self::Exposure { lmjm, spid, fiberid } => of_minute(0, lmjm, spid, fiberid),
            Self::Coadd { lmjm, spid, fiberid } => of_minute(1, lmjm, spid, fiberid),
            Self::Obsid { obsid, lmjd } => Some(2 << 62 | part(obsid, 42)? << 20 | part(lmjd, 20)?),
            Self::File { number } => Some(3 << 62 | part(number, NAME_BITS)?),
        }
    }
}

/// Bits of the number that stands for a file's name: as many as rows of numbers hold exactly. Two
/// names of a million share one with a probability of one in ten thousand; where their velocities
/// differ, neither is believed.
const NAME_BITS: u32 = 52;

/// The number that stands for a file's name.
pub(super) fn name_number(name: &[u8]) -> i64 {
    let digest = blake3::hash(name);
    let (first, _) = digest.as_bytes().split_first_chunk::<8>().expect("a digest has 32 bytes");
    (u64::from_le_bytes(*first) >> (64 - NAME_BITS)).cast_signed()
}
