//! What low- and medium-resolution files of LAMOST have in common.

use crate::fits::{Fits, Header};
use crate::spectrum::Meta;

pub(super) fn require_lamost(fits: &Fits) -> Result<(), String> {
    match fits.primary().header.text("TELESCOP") {
        Some(telescope) if telescope == "LAMOST" => Ok(()),
        Some(telescope) => Err(format!("TELESCOP is {telescope}")),
        None => Err("there is no TELESCOP".into()),
    }
}

/// Masks are stored as floats. A value that is no small whole number is itself a defect and sets
/// every bit.
pub(super) fn mask_bits(values: &[f32]) -> Vec<u16> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked")]
    #[expect(clippy::float_cmp, reason = "a whole number survives the way there and back")]
    let bits = |value: f32| {
        let whole = value as u16;
        if f32::from(whole) == value { whole } else { u16::MAX }
    };
    values.iter().copied().map(bits).collect()
}

/// A S/N; -9999 stands for missing.
pub(super) fn signal_to_noise(header: &Header, keyword: &str) -> Option<f32> {
    #[expect(clippy::cast_possible_truncation, reason = "a catalogue column of 32 bits")]
    let narrow = |value: f64| value as f32;
    header.float(keyword).map(narrow).filter(|&value| value > -999.0 && value.is_finite())
}

/// What the primary header says of an observation, without S/N.
pub(super) fn observation(header: &Header) -> Meta {
    let small = |keyword: &str| header.integer(keyword).and_then(|n| i32::try_from(n).ok());
    Meta {
        obsid: header.integer("OBSID").filter(|&obsid| obsid > 0),
        lmjd: small("LMJD"),
        planid: header.text("PLANID"),
        spid: small("SPID"),
        fiberid: small("FIBERID"),
        ra: header.float("RA").filter(|ra| (0.0..=360.0).contains(ra)),
        dec: header.float("DEC").filter(|dec| (-90.0..=90.0).contains(dec)),
        date_obs: header.text("DATE-OBS"),
        date_reduced: header.text("DATE"),
        class: header.text("CLASS"),
        subclass: header.text("SUBCLASS").filter(|subclass| subclass != "Non"),
        z: header.float("Z").filter(|&z| z > -999.0),
        z_err: header.float("Z_ERR").filter(|&error| error > -999.0),
        fibermask: small("FIB_MASK").or_else(|| small("FIBERMAS")),
        release: header.text("DATA_V"),
        ..Meta::default()
    }
}
