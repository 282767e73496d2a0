//! Spectra with what each step of the recipe makes of them, as Python wrote them.

use serde::Deserialize;
use starmill::prep::{Prepared, Recipe};
use starmill::reject::Reject;
use starmill::spectrum::{Arrays, Meta, Spectrum};

/// The steps after which the values are compared, in order.
pub const STEPS: [&str; 5] = ["resample", "despike", "continuum", "clip", "scale"];

/// A file of cases.
#[derive(Deserialize)]
pub struct Cases {
    /// Means and deviations of each pixel.
    scale: [Vec<f32>; 2],
    pub cases: Vec<Case>,
}

/// One spectrum.
#[derive(Deserialize)]
pub struct Case {
    pub name: String,
    wave: Vec<f64>,
    flux: Vec<Option<f32>>,
    ivar: Vec<Option<f32>>,
    andmask: Vec<u16>,
    ormask: Vec<u16>,
    snr_b: Option<f32>,
    snr_r: Option<f32>,
    rv_kms: Option<f64>,
    recipe: Vec<toml::Table>,
    /// The values after each step.
    pub steps: std::collections::BTreeMap<String, Vec<f64>>,
    /// Why it has none of them, or not all.
    pub reject: Option<String>,
}

impl Cases {
    /// The recipe of a case up to a step.
    pub fn recipe_to(&self, case: &Case, last: &str) -> Recipe {
        let is_last = |step: &toml::Table| step["step"].as_str() == Some(last);
        let end = case.recipe.iter().position(is_last).expect("the recipe has the step");
        let [means, deviations] = &self.scale;
        let scale: Vec<u8> =
            means.iter().chain(deviations).flat_map(|number| number.to_le_bytes()).collect();
        Recipe::parse(&case.recipe[..=end], means.len(), Some(&scale)).expect("a sound recipe")
    }

    /// The whole recipe of a case.
    pub fn recipe(&self, case: &Case) -> Recipe {
        self.recipe_to(case, STEPS[STEPS.len() - 1])
    }

    /// Prepares a case up to a step.
    pub fn prepare_to(&self, case: &Case, last: &str) -> Result<Prepared, Reject> {
        self.recipe_to(case, last).prepare(&case.spectrum())
    }
}

impl Case {
    pub fn spectrum(&self) -> Spectrum {
        let numbers = |values: &[Option<f32>]| -> Vec<f32> {
            values.iter().map(|value| value.unwrap_or(f32::NAN)).collect()
        };
        let arrays = Arrays {
            wave: self.wave.clone(),
            flux: numbers(&self.flux),
            ivar: numbers(&self.ivar),
            andmask: self.andmask.clone(),
            ormask: self.ormask.clone(),
        };
        let (snr_b, snr_r, rv_kms) = (self.snr_b, self.snr_r, self.rv_kms);
        let meta = Meta { snr_b, snr_r, rv_kms, ..Meta::default() };
        Spectrum::new("lamost-mrs", arrays, meta).expect("a sound spectrum")
    }
}
