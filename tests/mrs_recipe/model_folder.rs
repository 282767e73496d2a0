//! The golden spectra of the model folders, which the exporter writes with the model's own recipe
//! and scale.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::Deserialize;
use starmill::prep::Recipe;
use starmill::spectrum::{Arrays, Meta, Spectrum};

use crate::{TOLERANCE, support};

#[derive(Deserialize)]
struct Golden {
    cases: Vec<Case>,
}

/// One spectrum; masks list the pixels that are not zero, `ivar` is 1 where it is not zero.
#[derive(Deserialize)]
struct Case {
    name: String,
    arms: Vec<Arm>,
    flux: Vec<f32>,
    ivar_zero: Vec<usize>,
    andmask: BTreeMap<usize, u16>,
    ormask: BTreeMap<usize, u16>,
    snr_b: Option<f32>,
    snr_r: Option<f32>,
    rv_kms: Option<f64>,
    /// `pixels`, and the values there after each step.
    expected: Option<BTreeMap<String, Vec<f64>>>,
    reject: Option<String>,
}

#[derive(Deserialize)]
struct Arm {
    log_first: f64,
    log_step: f64,
    n: u32,
}

impl Case {
    fn spectrum(&self) -> Spectrum {
        let waves = self.arms.iter().map(|arm| {
            (0..arm.n).map(|pixel| 10f64.powf(arm.log_first + arm.log_step * f64::from(pixel)))
        });
        let wave: Vec<f64> = waves.flatten().collect();
        let mask = |bits: &BTreeMap<usize, u16>| -> Vec<u16> {
            (0..wave.len()).map(|pixel| bits.get(&pixel).copied().unwrap_or(0)).collect()
        };
        let mut ivar = vec![1.0; wave.len()];
        self.ivar_zero.iter().for_each(|pixel| ivar[*pixel] = 0.0);
        let (andmask, ormask) = (mask(&self.andmask), mask(&self.ormask));
        let arrays = Arrays { flux: self.flux.clone(), ivar, andmask, ormask, wave };
        let (snr_b, snr_r, rv_kms) = (self.snr_b, self.snr_r, self.rv_kms);
        let meta = Meta { snr_b, snr_r, rv_kms, ..Meta::default() };
        Spectrum::new("lamost-mrs", arrays, meta).expect("a sound spectrum")
    }
}

fn compare(folder: &Path) {
    let read = |name: &str| fs::read(folder.join(name)).expect(name);
    let text = String::from_utf8(read("manifest.toml")).expect("text");
    let manifest: toml::Table = text.parse().expect("a sound manifest");
    let steps = manifest["recipe"].as_array().expect("steps");
    let steps: Vec<toml::Table> =
        steps.iter().map(|step| step.as_table().expect("a step").clone()).collect();
    let scale = read("scale.f32");
    let golden: Golden = serde_json::from_slice(&read("recipe_golden.json")).expect("sound cases");
    for case in &golden.cases {
        for (end, step) in steps.iter().enumerate() {
            let name = step["step"].as_str().expect("a name");
            if !crate::cases::STEPS.contains(&name) {
                continue;
            }
            let what = format!("{}, {}, {name}", folder.display(), case.name);
            let recipe = Recipe::parse(&steps[..=end], scale.len() / 8, Some(&scale)).expect(&what);
            match (recipe.prepare(&case.spectrum()), &case.expected) {
                (Ok(prepared), Some(expected)) => {
                    for (pixel, value) in expected["pixels"].iter().zip(&expected[name]) {
                        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
                        let found = f64::from(prepared.input[*pixel as usize]);
                        let difference = (found - value).abs() / value.abs().max(1.0);
                        assert!(difference <= TOLERANCE, "{what}, pixel {pixel}: {difference:e}");
                    }
                }
                (Err(reject), None) => {
                    assert_eq!(Some(reject.code.entry().name), case.reject.as_deref(), "{what}");
                }
                (found, _) => panic!("{what}: {:?}, Python: {:?}", found.err(), case.reject),
            }
        }
    }
}

#[test]
fn model_folders_have_golden_spectra_that_the_recipe_reproduces() {
    for model in ["rrnet", "spemr"] {
        compare(&support::root().join("onnx/models").join(model));
    }
}
