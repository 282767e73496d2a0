//! Which spectra are too noisy.

use serde::Deserialize;

use super::mask::Rule;
use crate::quality::Quality;
use crate::reject::{Code, Reject};
use crate::spectrum::Meta;

/// The limit on S/N. Xiong et al. 2022 (section 2.1) drop spectra of S/N below 10 and do not say in
/// which arm, so the worse one counts ([`Meta::limiting_snr`]).
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SnrRule {
    /// The lowest S/N a pixel.
    pub min: f64,
    /// What a lower one does to the spectrum.
    pub below: Rule,
}

impl SnrRule {
    /// Judges the S/N that the file states; an unknown one sets a bit.
    ///
    /// # Errors
    /// [`Code::LOW_SNR`] if the rule rejects.
    pub fn judge(&self, meta: &Meta) -> Result<Quality, Reject> {
        let Some(snr) = meta.limiting_snr().map(f64::from) else {
            return Ok(Quality::SNR_UNKNOWN);
        };
        match self.below {
            Rule::Reject if snr < self.min => Err(Code::LOW_SNR
                .because(format!("its S/N is {snr:.1}, the recipe needs {}", self.min))),
            Rule::Flag if snr < self.min => Ok(Quality::LOW_SNR),
            _ => Ok(Quality::NONE),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worse_arm_counts() {
        let check = |below, snr_b, snr_r, expected| {
            let meta = Meta { snr_b, snr_r, ..Meta::default() };
            let found = SnrRule { min: 10.0, below }.judge(&meta).map_err(|reject| reject.code);
            assert_eq!(found, expected, "{below:?} {snr_b:?} {snr_r:?}");
        };
        check(Rule::Reject, Some(30.0), Some(9.9), Err(Code::LOW_SNR));
        check(Rule::Reject, Some(30.0), Some(10.0), Ok(Quality::NONE));
        check(Rule::Reject, None, Some(9.0), Err(Code::LOW_SNR));
        check(Rule::Reject, None, None, Ok(Quality::SNR_UNKNOWN));
        check(Rule::Flag, Some(0.0), Some(50.0), Ok(Quality::LOW_SNR));
        check(Rule::Ignore, Some(0.0), Some(50.0), Ok(Quality::NONE));
    }
}
