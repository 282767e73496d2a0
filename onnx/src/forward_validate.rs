//! The rules a forward model's manifest keeps that its types cannot express.

use crate::forward_manifest::{
    FitSpec, ForwardLabel, ForwardManifest, Normalisation, SpectrumSpec,
};
use crate::validate;

/// The most pixels of one spectrum, far more than any survey has.
const MAX_PIXELS: usize = 1 << 17;
/// The most labels: a Jacobian stays in memory whatever a manifest says.
const MAX_LABELS: usize = 128;
/// The most starting points and iterations of a fit.
const MAX_FIT: usize = 1000;

/// Says what breaks a rule, as a phrase that names the key and the remedy.
pub(crate) fn validate(manifest: &ForwardManifest) -> Result<(), String> {
    validate::schema(manifest.schema)?;
    validate::model_name(&manifest.name)?;
    manifest.files.iter().try_for_each(validate::file)?;
    labels(&manifest.labels)?;
    let has_resolution = manifest.position("resolution").is_some();
    spectrum(&manifest.spectrum, has_resolution)?;
    if let Some(fit) = &manifest.fit {
        check_fit(fit, &manifest.labels)?;
    }
    if !is_positive(manifest.golden.tolerance) {
        return Err("golden.tolerance must be a positive number; correct it".into());
    }
    Ok(())
}

fn labels(labels: &[ForwardLabel]) -> Result<(), String> {
    if !(1..=MAX_LABELS).contains(&labels.len()) {
        return Err(format!(
            "there are {} [[label]]; give 1 to {MAX_LABELS}, one per column of the input",
            labels.len()
        ));
    }
    validate::unique(labels.iter().map(|label| ("label", label.name.as_str())))?;
    for label in labels {
        validate::range(&label.name, label.valid)?;
        if !label.contains(label.default) {
            return Err(format!(
                "default of label {} is {}, outside its valid range; give one inside",
                label.name, label.default
            ));
        }
        if !is_positive(label.step) {
            return Err(format!(
                "step of label {} is {}; give a positive number",
                label.name, label.step
            ));
        }
    }
    Ok(())
}

fn spectrum(spectrum: &SpectrumSpec, has_resolution: bool) -> Result<(), String> {
    if !(2..=MAX_PIXELS).contains(&spectrum.pixels) {
        return Err(format!(
            "spectrum.pixels is {}; give 2 to {MAX_PIXELS} pixels",
            spectrum.pixels
        ));
    }
    if let Normalisation::Gaussian { fwhm } = spectrum.normalisation
        && !is_positive(fwhm)
    {
        return Err(format!("spectrum.normalisation.fwhm is {fwhm}; give a positive width"));
    }
    match spectrum.resolving_power {
        Some(_) if has_resolution => {
            return Err("spectrum.resolving_power and the label resolution exclude each other; \
                        give one"
                .into());
        }
        None if !has_resolution => {
            return Err(
                "spectrum.resolving_power is missing; give it, or a label resolution".into()
            );
        }
        Some(power) if !is_positive(power) => {
            return Err(format!("spectrum.resolving_power is {power}; give a positive number"));
        }
        _ => {}
    }
    if !(spectrum.model_error.is_finite() && spectrum.model_error >= 0.0) {
        return Err("spectrum.model_error is not a number from 0 up; correct it".into());
    }
    Ok(())
}

fn check_fit(fit: &FitSpec, labels: &[ForwardLabel]) -> Result<(), String> {
    if !(1..=MAX_FIT).contains(&fit.max_iterations) {
        return Err(format!("fit.max_iterations is {}; give 1 to {MAX_FIT}", fit.max_iterations));
    }
    if !(1..=MAX_FIT).contains(&fit.starts.len()) {
        return Err(format!("fit.starts has {} points; give 1 to {MAX_FIT}", fit.starts.len()));
    }
    for (number, start) in fit.starts.iter().enumerate() {
        if start.len() != labels.len() {
            return Err(format!(
                "point {number} of fit.starts has {} values for {} labels; give one per label",
                start.len(),
                labels.len()
            ));
        }
        if let Some((label, value)) =
            labels.iter().zip(start).find(|(label, value)| !label.contains(**value))
        {
            return Err(format!(
                "point {number} of fit.starts has {value} for {}, outside its valid range; give \
                 one inside",
                label.name
            ));
        }
    }
    let limits = fit.limit.iter().chain(&fit.region_limit).chain([&fit.false_alarm]);
    if !limits.into_iter().all(|value| value.is_finite() && *value >= 0.0) {
        return Err("a limit of fit is negative or not finite; correct it".into());
    }
    match fit.skip.iter().find(|[from, to]| !(*from >= 0.0 && from < to && to.is_finite())) {
        None => Ok(()),
        Some([from, to]) => Err(format!(
            "a range of fit.skip is [{from}, {to}]; give its first wavelength, then its last"
        )),
    }
}

fn is_positive(value: f64) -> bool {
    value.is_finite() && value > 0.0
}
