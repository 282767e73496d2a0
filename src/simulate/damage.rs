//! Files that arrive broken, each with the reject that is expected of it.

use super::dice::Dice;
use crate::reject::Code;

/// What is wrong with a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Damage {
    /// No byte arrived.
    Empty,
    /// The transfer stopped.
    Truncated,
    /// A bit of the compressed data's checksum is wrong.
    Checksum,
    /// Not a FITS file, and not compressed.
    Garbage,
    /// Compressed soundly, but the FITS file inside was cut.
    CutInside,
    /// No pixel has a variance.
    ZeroIvar,
    /// No flux is a number.
    NotANumber,
}

impl Damage {
    const ALL: [Self; 7] = [
        Self::Empty,
        Self::Truncated,
        Self::Checksum,
        Self::Garbage,
        Self::CutInside,
        Self::ZeroIvar,
        Self::NotANumber,
    ];

    /// One of them. The checksum of a file of exposures is not met when the sum before them is all
    /// that is taken.
    pub(super) fn draw(dice: &mut Dice, has_exposures: bool) -> Self {
        let damage = Self::ALL[dice.below(Self::ALL.len())];
        if has_exposures && damage == Self::Checksum { Self::Truncated } else { damage }
    }

    /// The reject that a model for the survey gives.
    pub(super) fn expected(self) -> Code {
        match self {
            Self::Empty => Code::EMPTY_FILE,
            Self::Truncated | Self::Checksum => Code::CORRUPT_COMPRESSION,
            Self::Garbage => Code::NOT_FITS,
            Self::CutInside => Code::CORRUPT_FITS,
            Self::ZeroIvar | Self::NotANumber => Code::TOO_MANY_BAD_PIXELS,
        }
    }

    /// What becomes of the pixels before they are written.
    pub(super) fn spoil(self, flux: &mut [f32], ivar: &mut [f32]) {
        match self {
            Self::ZeroIvar => ivar.fill(0.0),
            Self::NotANumber => flux.fill(f32::NAN),
            _ => {}
        }
    }

    /// What becomes of the FITS file before it is compressed.
    pub(super) fn cut(self, fits: &mut Vec<u8>) {
        // Behind the first header and in the first data.
        if self == Self::CutInside {
            fits.truncate(20_000);
        }
    }

    /// What becomes of the compressed file.
    pub(super) fn break_file(self, file: &mut Vec<u8>) {
        match self {
            Self::Empty => file.clear(),
            // Within what even the sum of the exposures needs.
            Self::Truncated => file.truncate(file.len() / 20),
            Self::Checksum => {
                // A gzip member ends with CRC-32 and length, of four bytes each.
                let crc = file.len().saturating_sub(8);
                file[crc] ^= 1;
            }
            Self::Garbage => {
                file.truncate(9999);
                for (place, byte) in (0..=255_u8).cycle().zip(file.iter_mut()) {
                    *byte = b'a' + place % 26;
                }
            }
            _ => {}
        }
    }
}
