//! Quality bits of a catalogue row, one name and one sentence each.
//!
//! Bits 0 to 18 are named here; 19 to 30 are reserved for later steps and model kinds; bit 31 stays clear so that the mask is a positive 32-bit integer everywhere.

/// A set of quality bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Quality(i32);

/// One named bit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bit {
    /// Position, 0 to 30.
    pub bit: u8,
    /// Name as printed.
    pub name: &'static str,
    /// What it means.
    pub meaning: &'static str,
    /// Whether a row with this bit is not for science without a further look (`flag_bad`).
    pub bad: bool,
}

macro_rules! bits {
    ($($constant:ident = $bit:literal, $name:literal, $bad:literal, $meaning:literal;)*) => {
        impl Quality {
            $(#[doc = $meaning] pub const $constant: Self = Self(1 << $bit);)*
        }
        /// Every named bit in order.
        pub const BITS: &[Bit] = &[
            $(Bit { bit: $bit, name: $name, bad: $bad, meaning: $meaning },)*
        ];
    };
}

bits! {
    LOW_SNR = 0, "low_snr", false, "The S/N, in g or in the worse of two arms, is below the limit that the model's manifest states.";
    SNR_UNKNOWN = 1, "snr_unknown", false, "The file gives no S/N in g and none of its arms, so `low_snr` could not be decided.";
    BAD_PIXELS = 2, "bad_pixels", false, "Some pixels in the model's window are unusable: masked, without ivar or not finite.";
    EMPTY_BINS = 3, "empty_bins", false, "Some input bins had no usable pixel and were interpolated.";
    REPAIRED_VALUES = 4, "repaired_values", false, "Some pixels had a NaN, an infinity or a negative ivar; they count as bad.";
    FIBER_MASK = 5, "fiber_mask", false, "The survey's fibre mask is not zero.";
    OR_MASK = 6, "or_mask", false, "Some pixels in the model's window carry an ormask bit: bad in at least one exposure.";
    LABEL_RANGE = 7, "label_range", true, "A label lies outside the range on which the model was trained.";
    EXTRAPOLATION = 8, "extrapolation", true, "The spectrum is unlike the model's training spectra (novelty above 1).";
    NOT_A_STAR = 9, "not_a_star", true, "The survey classifies the object as something other than a star.";
    NO_IDENTITY = 10, "no_identity", false, "The header identifies no observation; the row is named by the digest of its file.";
    CLASS_UNKNOWN = 11, "class_unknown", false, "The survey gives no class for the object.";
    OLDER_REDUCTION = 12, "older_reduction", true, "A newer reduction of this observation has a row.";
    NEWER_REDUCTION = 13, "newer_reduction", false, "An earlier volume of the night has a row of this observation, whose place this one takes.";
    NO_RV = 14, "no_rv", true, "No radial velocity is known; the spectrum was prepared as if it were zero.";
    RV_DOUBTFUL = 15, "rv_doubtful", true, "The radial velocity was measured, but the arms contradict each other or a second peak is nearly as high: perhaps two stars.";
    FIT_NOT_CONVERGED = 16, "fit_not_converged", true, "The fit ended before its steps were small against the errors.";
    FIT_AT_BOUND = 17, "fit_at_bound", false, "A fitted label lies at the end of its range; the column `at_bound` says which.";
    FIT_LOST = 18, "fit_lost", true, "The temperature, the gravity or the velocity of the fit lies at the end of its range.";
    POOR_FIT = 19, "poor_fit", false, "The forward model at these labels does not fit: chi-square, or that of the worst region, is beyond that of good synthetic rows.";
}

impl Quality {
    /// No bit set.
    pub const NONE: Self = Self(0);

    /// The mask as stored.
    pub const fn value(self) -> i32 {
        self.0
    }

    /// The mask of a stored value.
    pub fn from_value(value: i32) -> Self {
        Self(value)
    }

    /// Adds the bits of `other` if `condition` holds.
    pub fn set_if(&mut self, condition: bool, other: Self) {
        if condition {
            self.0 |= other.0;
        }
    }

    /// Whether all bits of `other` are set.
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether any bit says that the row is not for science without a further look.
    pub fn is_bad(self) -> bool {
        self.bits().any(|bit| bit.bad)
    }

    /// The named bits that are set.
    pub fn bits(self) -> impl Iterator<Item = &'static Bit> {
        BITS.iter().filter(move |bit| self.0 >> bit.bit & 1 == 1)
    }
}

impl std::ops::BitOr for Quality {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl std::fmt::Display for Quality {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<_> = self.bits().map(|bit| bit.name).collect();
        f.write_str(if names.is_empty() { "-" } else { "" })?;
        f.write_str(&names.join("+"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_unique_and_outside_the_reserved_range() {
        for (position, bit) in BITS.iter().enumerate() {
            assert!(bit.bit < 20, "{} is in the reserved range", bit.name);
            assert!(
                BITS[..position].iter().all(|other| other.bit != bit.bit && other.name != bit.name)
            );
        }
    }

    #[test]
    fn a_mask_names_its_bits_and_knows_what_is_bad() {
        let mut quality = Quality::NONE;
        assert_eq!(quality.to_string(), "-");
        quality.set_if(true, Quality::LOW_SNR);
        quality.set_if(false, Quality::FIBER_MASK);
        assert!(!quality.is_bad());
        let quality = quality | Quality::EXTRAPOLATION;
        assert_eq!(quality.to_string(), "low_snr+extrapolation");
        assert_eq!(quality.value(), 1 | 256);
        assert!(quality.is_bad() && quality.contains(Quality::LOW_SNR));
    }
}
