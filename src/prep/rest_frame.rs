//! From observed wavelengths to those in the rest frame of the star.

use serde::Deserialize;

use crate::quality::Quality;
use crate::reject::{Code, Reject};
use crate::spectrum::Meta;

/// Speed of light, km/s.
pub(crate) const SPEED_OF_LIGHT: f64 = 299_792.458;
/// No star is faster, km/s: what a catalogue says beyond it is a slip, as good as nothing.
const FASTEST: f64 = 3000.0;

/// The step: which velocity, and what to do without one.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RestFrame {
    /// Which velocity.
    pub frame: Frame,
    /// What a spectrum without one becomes.
    pub missing: Missing,
}

/// Where the velocity comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Frame {
    /// [`Meta::rv_kms`].
    Rv,
}

/// What to do without a velocity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Missing {
    /// Take zero, and set a quality bit.
    Zero,
    /// Reject the spectrum.
    Reject,
}

/// A Doppler shift: the ratio of observed to rest wavelength, `1 + RV / c`.
///
/// Xiong et al. 2022, equation 1: `lambda' = lambda / (1 + RV / c)`, the form without relativity,
/// which at 300 km/s is 0.003 A off at 6500 A.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Doppler(f64);

impl Doppler {
    /// No shift.
    pub const NONE: Self = Self(1.0);

    /// The shift of a radial velocity, km/s, positive when receding.
    pub fn of(rv_kms: f64) -> Self {
        Self(1.0 + rv_kms / SPEED_OF_LIGHT)
    }

    /// The wavelength in the rest frame.
    pub fn to_rest(self, observed: f64) -> f64 {
        observed / self.0
    }

    /// The wavelength as observed.
    pub fn to_observed(self, rest: f64) -> f64 {
        rest * self.0
    }
}

impl RestFrame {
    /// The shift of a spectrum, and the quality bit of one that is a guess.
    ///
    /// # Errors
    /// [`Code::NO_RADIAL_VELOCITY`] if the step rejects spectra without one.
    pub fn doppler(&self, meta: &Meta) -> Result<(Doppler, Quality), Reject> {
        let Frame::Rv = self.frame;
        match (meta.rv_kms.filter(|rv| rv.abs() <= FASTEST), self.missing) {
            (Some(rv), _) => {
                let mut quality = Quality::NONE;
                quality.set_if(meta.rv_is_doubtful, Quality::RV_DOUBTFUL);
                Ok((Doppler::of(rv), quality))
            }
            (None, Missing::Zero) => Ok((Doppler::NONE, Quality::NO_RV)),
            (None, Missing::Reject) => Err(Code::NO_RADIAL_VELOCITY.because(match meta.rv_kms {
                Some(rv) => format!("its radial velocity is said to be {rv} km/s"),
                None => "its radial velocity is unknown".into(),
            })),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn without_a_velocity_the_setting_decides() {
        let check = |missing, rv_kms, expected: Result<(f64, Quality), Code>| {
            let meta = Meta { rv_kms, ..Meta::default() };
            let found = RestFrame { frame: Frame::Rv, missing }.doppler(&meta);
            let found = found.map(|(doppler, bits)| (doppler.to_rest(1.0), bits));
            assert_eq!(found.map_err(|reject| reject.code), expected, "{missing:?} {rv_kms:?}");
        };
        check(Missing::Reject, Some(0.0), Ok((1.0, Quality::NONE)));
        check(Missing::Zero, None, Ok((1.0, Quality::NO_RV)));
        check(Missing::Zero, Some(f64::NAN), Ok((1.0, Quality::NO_RV)));
        check(Missing::Reject, None, Err(Code::NO_RADIAL_VELOCITY));
        check(Missing::Reject, Some(-9999.0), Err(Code::NO_RADIAL_VELOCITY));
        let odd = Meta { rv_kms: Some(0.0), rv_is_doubtful: true, ..Meta::default() };
        let step = RestFrame { frame: Frame::Rv, missing: Missing::Reject };
        assert_eq!(step.doppler(&odd).unwrap().1, Quality::RV_DOUBTFUL);
    }

    proptest! {
        #[test]
        fn the_rest_frame_and_back_is_where_it_was(rv in -3000.0..3000.0, wave in 3000.0..11_000.0) {
            let doppler = Doppler::of(rv);
            prop_assert!((doppler.to_observed(doppler.to_rest(wave)) / wave - 1.0).abs() < 1e-15);
            // A receding star is seen too red.
            prop_assert_eq!(doppler.to_rest(wave) < wave, rv > 0.0);
        }
    }
}
