//! `starmill inspect --json`: what is in a file, for programs and for the comparison with others.

use std::path::Path;

use serde_json::{Value, json};

use crate::fits::Fits;
use crate::input::Digest;
use crate::reject::Reject;
use crate::spectrum::Spectrum;
use crate::stage::Reading;
use crate::survey::Layout;

/// A file with all spectra that are taken of it.
pub(super) fn file(
    layout: &dyn Layout,
    fits: &Fits,
    digest: Digest,
    (path, reading): (&Path, &Reading),
) -> Value {
    let spectra: Vec<Value> = (0..layout.count(fits))
        .map(|index| match layout.read(fits, index) {
            Ok(mut read) => {
                reading.complete(path, &mut read);
                spectrum(&read)
            }
            Err(reject) => rejected(&reject),
        })
        .collect();
    json!({
        "blake3": digest.to_string(),
        "layout": layout.name(),
        "survey": layout.survey(),
        "hdus": fits.hdus.len(),
        "spectra": spectra,
    })
}

/// Why there is no spectrum.
pub(super) fn rejected(reject: &Reject) -> Value {
    json!({ "reject": reject.code.entry().name, "detail": reject.detail })
}

fn spectrum(spectrum: &Spectrum) -> Value {
    let meta = &spectrum.meta;
    let sum = |values: &[f32]| values.iter().map(|&value| f64::from(value)).sum::<f64>();
    let set = |mask: &[u16]| mask.iter().filter(|&&bits| bits != 0).count();
    let wave = spectrum.wave();
    json!({
        "name": spectrum.name(),
        "obsid": meta.obsid,
        "row": meta.row,
        "designation": meta.designation,
        "magnitudes": meta.magnitudes,
        "lmjd": meta.lmjd,
        "planid": meta.planid,
        "spid": meta.spid,
        "fiberid": meta.fiberid,
        "exposure": meta.is_exposure,
        "lmjm": meta.lmjm,
        "ra": meta.ra,
        "dec": meta.dec,
        "date_obs": meta.date_obs,
        "date_reduced": meta.date_reduced,
        "release": meta.release,
        "class": meta.class,
        "fibermask": meta.fibermask,
        "snr": meta.snr,
        "snr_blue": meta.snr_b,
        "snr_red": meta.snr_r,
        "snr_median": meta.snr_median,
        "rv": meta.rv_kms,
        "rv_err": meta.rv_err_kms,
        "rv_source": meta.rv_source,
        "pixels": wave.len(),
        "first": wave[0],
        "last": wave[wave.len() - 1],
        "sums": {
            "wave": wave.iter().sum::<f64>(),
            "flux": sum(spectrum.flux()),
            "ivar": sum(spectrum.ivar()),
        },
        "without_ivar": spectrum.ivar().iter().filter(|&&ivar| ivar <= 0.0).count(),
        "in_andmask": set(spectrum.andmask()),
        "in_ormask": set(spectrum.ormask()),
        "repaired": spectrum.repaired(),
    })
}
