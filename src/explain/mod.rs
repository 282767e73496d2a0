//! `starmill explain`: one spectrum on the way of a run, and what each step did to it.
//!
//! [`replay()`] runs the code of a run while a [`Record`] looks on, and [`respond`] runs it again on the
//! spectrum with a little less and a little more flux here and there. An [`Explanation`] is what is told
//! of both, to programs as JSON, to people as [`lines`], as a [`page()`] and as pictures. All but
//! these two is pure.

mod features;
mod fit;
mod model;
mod page;
mod record;
mod replay;
mod respond;
mod sensitivity;
mod templates;
mod text;

pub use features::{FEATURES, Feature, Pair};
pub use fit::{Fit, Residual};
pub use model::ModelFit;
pub use page::{Pictures, page};
pub use record::{Record, Step};
pub use replay::{Replay, Which, replay};
pub use respond::respond;
pub use sensitivity::{Answer, Region, Sensitivity};
pub use templates::{Template, Templates, TemplatesError};
pub use text::{lines, sensitivity_words};

use serde::Serialize;

use crate::catalogue::{Comparison, path_text};
use crate::outcome::Estimate;
use crate::plot::{Curve, Ink, Panel};
use crate::reject::Reject;
use crate::setup::Ready;
use crate::spectrum::{Meta, Spectrum};

/// All that is told of one spectrum.
#[derive(Debug, Clone, Serialize)]
pub struct Explanation {
    /// The file, as it was given.
    pub file: String,
    /// BLAKE3 of the file.
    pub blake3: String,
    /// The reader that took it.
    pub layout: Option<&'static str>,
    /// Which spectrum of the file, from 0.
    pub index: usize,
    /// The identifier of its row.
    pub spectrum_id: String,
    /// Name and version of the model.
    pub model: String,
    /// The spectrum as it was read.
    pub spectrum: Option<Native>,
    /// The steps of the recipe, as far as they went.
    pub steps: Vec<Step>,
    /// The row, without what the header says.
    pub row: Option<Row>,
    /// Why there is no row.
    pub reject: Option<Refusal>,
    /// The best-fitting template.
    pub template: Option<Fit>,
    /// Why there is none.
    pub no_template: Option<&'static str>,
    /// The model spectrum at its labels.
    pub model_fit: Option<ModelFit>,
    /// Why there is none.
    pub no_model_fit: Option<&'static str>,
    /// How its labels answer to the flux of each region.
    pub sensitivity: Option<Sensitivity>,
    /// Why that is not known.
    pub no_sensitivity: Option<&'static str>,
    /// What a catalogue says of the spectrum.
    pub catalogue: Option<Comparison>,
}

/// A spectrum as it was read.
#[derive(Debug, Clone, Serialize)]
pub struct Native {
    /// The survey.
    pub survey: &'static str,
    /// Identifier of the survey.
    pub obsid: Option<i64>,
    /// Row of the table that it is, from 0, where a table holds many.
    pub row: Option<usize>,
    /// Name of the star beside its identifier.
    pub designation: Option<String>,
    /// Local modified Julian minute.
    pub lmjm: Option<i64>,
    /// Whether it is a single exposure.
    pub exposure: bool,
    /// Right ascension, degrees.
    pub ra: Option<f64>,
    /// Declination, degrees.
    pub dec: Option<f64>,
    /// Median UTC of the observation.
    pub date_obs: Option<String>,
    /// The survey's class and subclass.
    pub class: Option<String>,
    /// The S/N by band or arm, as far as the file gives it.
    pub snr: Vec<(&'static str, f32)>,
    /// Radial velocity, km/s.
    pub rv: Option<f64>,
    /// Its error, km/s.
    pub rv_err: Option<f64>,
    /// Where it comes from.
    pub rv_source: Option<String>,
    /// Pixels.
    pub pixels: usize,
    /// First and last wavelength, vacuum Angstrom.
    pub range: [f64; 2],
    /// Pixels without ivar, with a bit in the andmask, with one in the ormask, and repaired.
    pub masked: [usize; 4],
}

/// A row.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// Its labels, then derived ones.
    pub labels: Vec<LabelValue>,
    /// How unlike the training spectra it is.
    pub novelty: Option<f32>,
    /// Its quality bits.
    pub flags: Vec<Flag>,
    /// Whether one of them says that it is not for science without a further look.
    pub flag_bad: bool,
}

/// A label of a row.
#[derive(Debug, Clone, Serialize)]
pub struct LabelValue {
    /// Name.
    pub name: String,
    /// Unit.
    pub unit: String,
    /// Value.
    pub value: f32,
    /// Its error, if the model has one.
    pub error: Option<f32>,
    /// That of the best-fitting template, if it has one.
    pub template: Option<f32>,
}

/// A quality bit.
#[derive(Debug, Clone, Serialize)]
pub struct Flag {
    /// Name.
    pub name: &'static str,
    /// What it means.
    pub meaning: &'static str,
    /// Whether it makes a row bad.
    pub bad: bool,
}

/// A reject.
#[derive(Debug, Clone, Serialize)]
pub struct Refusal {
    /// Its code.
    pub code: u8,
    /// Its name.
    pub reason: &'static str,
    /// What was found.
    pub detail: String,
    /// What the code means.
    pub meaning: &'static str,
    /// What to do.
    pub remedy: &'static str,
    /// The stage of a run that refused it: read, prepare or infer.
    pub stage: Option<&'static str>,
    /// The step of the recipe that refused it.
    pub step: Option<&'static str>,
}

impl Explanation {
    /// What is told of a replay. `templates` are those of the model, if it has any.
    pub fn of(ready: &Ready, replay: &Replay, templates: Option<&Templates>) -> Self {
        let Replay { layout, spectrum, steps, outcome, refused_by, model_fit } = replay;
        let (model_fit, no_model_fit) = match model_fit {
            Ok(fit) => (Some(fit.clone()), None),
            Err(why) => (None, outcome.content.is_ok().then_some(*why)),
        };
        let origin = &outcome.origin;
        let fit = best_fit(ready, replay, templates);
        let row = outcome.content.as_ref().ok().map(|row| Row::of(ready, row, fit.as_ref()));
        let no_template = match (&row, &fit, templates) {
            (None, ..) | (_, Some(_), _) => None,
            (Some(_), None, None) => Some("the model has no templates"),
            (Some(_), None, Some(_)) => Some("the templates are not on the grid of the recipe"),
        };
        Self {
            file: path_text(&origin.file.path),
            blake3: origin.file.digest.to_string(),
            layout: *layout,
            index: origin.index,
            spectrum_id: outcome.spectrum_id(),
            model: ready.id_with_hash(),
            spectrum: spectrum.as_ref().map(Native::of),
            steps: steps.clone(),
            row,
            reject: outcome
                .content
                .as_ref()
                .err()
                .map(|reject| Refusal::of(reject, *refused_by, steps)),
            template: fit,
            no_template,
            model_fit,
            no_model_fit,
            sensitivity: None,
            no_sensitivity: None,
            catalogue: None,
        }
    }

    /// The same with how the labels of a row answer to the flux, or why that is not known.
    #[must_use]
    pub fn with_sensitivity(self, found: Result<Sensitivity, &'static str>) -> Self {
        let (sensitivity, why) = match found {
            Ok(found) => (Some(found), None),
            Err(why) => (None, Some(why)),
        };
        let no_sensitivity = why.filter(|_| self.row.is_some());
        Self { sensitivity, no_sensitivity, ..self }
    }

    /// The star as the network takes it, before it is scaled pixel by pixel.
    pub fn star(&self) -> Option<&[f64]> {
        let mut steps = self.steps.iter().rev();
        steps.find(|step| step.name != "scale" && !step.values.is_empty()).map(|step| &*step.values)
    }

    /// What is drawn below the native flux: the values behind each step that changed some, then the
    /// star beside its template.
    pub fn panels(&self) -> Vec<Panel> {
        let drawn =
            self.steps.iter().filter(|step| !step.values.is_empty() && !step.changed_nothing);
        let last = self.steps.iter().rev().find(|step| !step.values.is_empty());
        let is_last = |step: &Step| last.is_some_and(|last| last.name == step.name);
        let mut panels: Vec<Panel> = drawn
            .map(|step| Panel {
                title: format!("{}: {}", step.name, step.did.join("; ")),
                curves: vec![Curve {
                    ink: if is_last(step) { Ink::Input } else { Ink::Flux },
                    values: step.values.clone(),
                }],
            })
            .collect();
        if let Some(fit) = &self.template {
            let template = fit.template.flux.iter().map(|&flux| f64::from(flux)).collect();
            panels.push(Panel {
                title: format!("best-fitting template (red): {}; residual", fit.template.name),
                curves: vec![
                    Curve { ink: Ink::Star, values: fit.flux.clone() },
                    Curve { ink: Ink::Template, values: template },
                    Curve { ink: Ink::Residual, values: fit.residual() },
                ],
            });
        }
        panels
    }
}

/// The template for the labels of a row.
fn best_fit(ready: &Ready, replay: &Replay, templates: Option<&Templates>) -> Option<Fit> {
    let (row, templates) = (replay.outcome.content.as_ref().ok()?, templates?);
    let manifest = &ready.model.manifest;
    let labels = row.values.get(..manifest.labels.len())?;
    let errors: Vec<f64> = row.errors.iter().map(|&error| f64::from(error)).collect();
    let (units, named) = match errors.get(..labels.len()) {
        Some(errors) if errors.iter().all(|&error| error > 0.0) => {
            (errors, "the errors of the labels")
        }
        _ => (manifest.golden.scale.as_slice(), "the spread of the labels in training"),
    };
    let before =
        replay.steps.iter().rev().find(|step| step.name != "scale" && !step.values.is_empty());
    let shown = (replay.spectrum.as_ref()?, ready.recipe.grid(), before?.values.as_slice());
    Fit::find(templates, (labels, units), named, shown)
}

impl Native {
    fn of(spectrum: &Spectrum) -> Self {
        let Meta { class, subclass, snr, snr_b, snr_r, snr_median, .. } = &spectrum.meta;
        let meta = &spectrum.meta;
        let bands = ["u", "g", "r", "i", "z"].into_iter().zip(*snr);
        let bands =
            bands.chain([("blue arm", *snr_b), ("red arm", *snr_r), ("median pixel", *snr_median)]);
        let class = class.as_ref().map(|class| {
            format!("{class} {}", subclass.as_deref().unwrap_or("")).trim_end().to_owned()
        });
        let set = |bits: &[u16]| bits.iter().filter(|&&bits| bits != 0).count();
        let wave = spectrum.wave();
        Self {
            survey: spectrum.survey(),
            obsid: meta.obsid,
            row: meta.row,
            designation: meta.designation.clone(),
            lmjm: meta.lmjm,
            exposure: meta.is_exposure,
            ra: meta.ra,
            dec: meta.dec,
            date_obs: meta.date_obs.clone(),
            class,
            snr: bands.filter_map(|(band, snr)| Some((band, snr?))).collect(),
            rv: meta.rv_kms,
            rv_err: meta.rv_err_kms,
            rv_source: meta.rv_source.clone(),
            pixels: wave.len(),
            range: [wave[0], wave[wave.len() - 1]],
            masked: [
                spectrum.ivar().iter().filter(|&&ivar| ivar <= 0.0).count(),
                set(spectrum.andmask()),
                set(spectrum.ormask()),
                spectrum.repaired(),
            ],
        }
    }
}

impl Row {
    fn of(ready: &Ready, row: &Estimate, fit: Option<&Fit>) -> Self {
        let manifest = &ready.model.manifest;
        let names = manifest.labels.iter().map(|label| (&label.name, &label.unit));
        let names = names.chain(manifest.derived.iter().map(|label| (&label.name, &label.unit)));
        let label =
            |(place, ((name, unit), &value)): (usize, ((&String, &String), &f32))| LabelValue {
                name: name.clone(),
                unit: unit.clone(),
                value,
                error: row.errors.get(place).copied(),
                template: fit.and_then(|fit| fit.template.labels.get(place).copied()),
            };
        let flag = |bit: &'static crate::quality::Bit| Flag {
            name: bit.name,
            meaning: bit.meaning,
            bad: bit.bad,
        };
        Self {
            labels: names.zip(&row.values).enumerate().map(label).collect(),
            novelty: Some(row.novelty).filter(|novelty| novelty.is_finite()),
            flags: row.quality.bits().map(flag).collect(),
            flag_bad: row.quality.is_bad(),
        }
    }
}

impl Refusal {
    fn of(reject: &Reject, stage: Option<&'static str>, steps: &[Step]) -> Self {
        let entry = reject.code.entry();
        Self {
            code: reject.code.number(),
            reason: entry.name,
            detail: reject.detail.clone(),
            meaning: entry.meaning,
            remedy: entry.remedy,
            stage,
            step: steps.iter().find(|step| step.refused).map(|step| step.name),
        }
    }
}
