//! Synthetic giants and what FCResNet might say of them.

use ndarray::Array2;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use rand_distr::{Distribution, StandardNormal};
use starmill::config::Config;
use starmill::outcome::Identity;
use starmill::prep::Prepared;
use starmill::quality::Quality;
use starmill::setup::{Companion, Estimator, Goodness, Ready, ReadyForward, load_runtime};
use starmill::spectrum::Meta;
use starmill_onnx::{ConsistencySpec, ForwardEngine};

use super::support;

const SPEED_OF_LIGHT: f64 = 299_792.458;
/// LAMOST's pixels: the step of the logarithm to base ten.
const STEP: f64 = 1e-4;

/// A forward model, and the comparison of rows of FCResNet with it.
pub struct Population {
    engine: ForwardEngine,
    wave: Vec<f64>,
    companion: Box<Companion>,
    spec: ConsistencySpec,
    /// What spectra have beside star and noise, by pixel: a part of the flux.
    beside: Vec<f64>,
}

/// A star and its row.
#[derive(Clone)]
pub struct Star {
    truth: Vec<f32>,
    pub labels: Vec<f32>,
    pub rv_kms: Option<f64>,
    /// The velocity that it has.
    true_rv: f64,
    /// Wavelength, flux and ivar behind each other.
    pub native: Vec<f32>,
}

struct Random(ChaCha8Rng);

impl Random {
    fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    fn even(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * (f64::from(self.0.next_u32()) / f64::from(u32::MAX))
    }

    fn normal(&mut self) -> f64 {
        StandardNormal.sample(&mut self.0)
    }
}

impl Population {
    pub fn new(test: &str) -> Option<Self> {
        if !support::has_library(test) {
            return None;
        }
        let mut config = Config::load(None).unwrap();
        config.models.dir = support::root().join("onnx/models");
        config.infer.batch = 16;
        let runtime = load_runtime(&config).unwrap();
        let ready = Ready::open(&config, "fcresnet").unwrap();
        let spec = ready.model.manifest.consistency.clone().unwrap();
        let Estimator::Network(_, Some(companion)) =
            ready.proven_estimator(runtime, &config).unwrap()
        else {
            panic!("fcresnet has a forward model beside it")
        };
        let forward = ReadyForward::open(&config, "payne").unwrap();
        let engine = forward.proven_spectra(runtime, &config, 1).unwrap();
        let of_model = forward.model.model_error().unwrap();
        let beside = forward.wavelength.iter().zip(of_model).map(|(wave, of_model)| {
            let mut ranges = spec.unmodelled.iter();
            let error = ranges.find(|[first, last, _]| (first..last).contains(&wave));
            f64::from(of_model).hypot(error.map_or(0.0, |[_, _, error]| *error))
        });
        let beside = beside.collect();
        Some(Self { engine, wave: forward.wavelength, companion, spec, beside })
    }

    /// A giant whose other elements scatter, with labels that are off by their errors.
    pub fn star(&mut self, seed: u64, snr: f64) -> Star {
        let mut random = Random::new(seed);
        let teff = random.even(4100.0, 5500.0);
        let logg = (0.8 + 2.4 * (teff - 4000.0) / 1500.0 + 0.2 * random.normal()).clamp(0.4, 3.3);
        let fe_h = random.even(-1.5, 0.2);
        let truth: Vec<f64> = [teff, logg, fe_h]
            .into_iter()
            .chain((0..3).map(|_| (0.15 * random.normal()).clamp(-0.5, 0.5)))
            .collect();
        let others: Vec<f64> = (0..10).map(|_| fe_h + 0.15 * random.normal()).collect();
        let labels = truth
            .iter()
            .zip(&self.spec.errors)
            .map(|(label, error)| (label + error * random.normal()) as f32);
        let labels: Vec<f32> = labels.collect();
        let pixels = (random.even(-6.0, 6.0)).round();
        let flux = self.flux(&truth, &others);
        let mut star = self.observe(&flux, pixels, snr, &mut random);
        star.truth = Self::in_box(&truth);
        star.labels = Self::in_box(&labels.iter().map(|&x| f64::from(x)).collect::<Vec<_>>());
        star
    }

    /// Two giants in one fibre, with the labels of the brighter one.
    pub fn two_stars(&mut self, seed: u64, snr: f64, apart: f64) -> Star {
        let mut random = Random::new(seed + 1_000_000);
        let mut star = self.star(seed, snr);
        let (teff, fe_h) = (f64::from(star.truth[0]), f64::from(star.truth[2]));
        let truth: Vec<f64> = star.truth.iter().map(|&x| f64::from(x)).collect();
        let first = self.flux(&truth, &[fe_h; 10]);
        let mut other = truth;
        other[0] = (teff + 200.0).min(5700.0);
        other[1] = 3.0;
        let second = self.flux(&other, &[fe_h; 10]);
        let shift = (apart / SPEED_OF_LIGHT / STEP / std::f64::consts::LN_10).round() as usize;
        let both: Vec<f32> = (0..first.len())
            .map(|pixel| 0.6 * first[pixel] + 0.4 * second[pixel.saturating_sub(shift)])
            .collect();
        let pixels = (star.true_rv / SPEED_OF_LIGHT).ln_1p() / STEP / std::f64::consts::LN_10;
        let pair = self.observe(&both, pixels.round(), snr, &mut random);
        star.native = pair.native;
        star
    }

    pub fn judge(&mut self, stars: &[Star]) -> Vec<Goodness> {
        let rows: Vec<(Identity, Prepared)> = stars
            .iter()
            .map(|star| {
                let meta = Meta { rv_kms: star.rv_kms, ..Meta::default() };
                let prepared = Prepared {
                    input: vec![],
                    quality: Quality::NONE,
                    pixels: 0,
                    bad_pixels: 0,
                    empty_bins: 0,
                    native: star.native.clone(),
                };
                (Identity { name: None, survey: Some("lamost-lrs"), meta }, prepared)
            })
            .collect();
        let rows: Vec<_> = rows.iter().map(|(identity, prepared)| (identity, prepared)).collect();
        self.companion.judge(&rows, |row| &stars[row].labels).unwrap()
    }

    /// Labels a little within the box, where rows have a chi-square.
    fn in_box(labels: &[f64]) -> Vec<f32> {
        let ends =
            [[3810.0, 5940.0], [0.01, 3.49], [-2.3, 0.49], [-0.6, 0.5], [-0.6, 0.5], [-0.6, 0.5]];
        labels.iter().zip(ends).map(|(x, [low, high])| x.clamp(low, high) as f32).collect()
    }

    /// The model at the labels of FCResNet and ten further abundances [X/H].
    fn flux(&mut self, labels: &[f64], others: &[f64]) -> Vec<f32> {
        let fe_h = labels[2];
        let mut others = others.iter();
        let names = self.engine.manifest().labels.clone();
        let value = |name: &str| match name {
            "teff" => labels[0],
            "logg" => labels[1],
            "fe_h" => fe_h,
            "c_h" => fe_h + labels[3],
            "n_h" => fe_h + labels[4],
            "mg_h" => fe_h + labels[5],
            _ => *others.next().expect("ten further labels"),
        };
        let row: Vec<f64> = names.iter().map(|label| label.name.as_str()).map(value).collect();
        let row = Array2::from_shape_fn((1, row.len()), |(_, label)| row[label] as f32);
        self.engine.run(row.view()).unwrap().row(0).to_vec()
    }

    /// Flux under a continuum, moved by whole pixels, with noise.
    fn observe(&self, flux: &[f32], pixels: f64, snr: f64, random: &mut Random) -> Star {
        let factor = 10f64.powf(STEP * pixels);
        let wave: Vec<f32> = self.wave.iter().map(|wave| (wave * factor) as f32).collect();
        let slope = random.even(-1.0, 3.0);
        let continuum = |wave: f32| 1000.0 * (f64::from(wave) / 5500.0).powf(slope);
        let observed: Vec<f32> = wave
            .iter()
            .zip(flux)
            .zip(&self.beside)
            .map(|((&wave, &flux), &beside)| {
                let error = beside * random.normal() + random.normal() / snr;
                (continuum(wave) * (f64::from(flux) + error)) as f32
            })
            .collect();
        let ivar = wave.iter().map(|&wave| ((continuum(wave) / snr).powi(-2)) as f32);
        let native = wave.iter().copied().chain(observed).chain(ivar).collect();
        let true_rv = SPEED_OF_LIGHT * (factor - 1.0);
        let rv_kms = Some(true_rv + self.spec.rv_error * random.normal());
        Star { truth: vec![], labels: vec![], rv_kms, true_rv, native }
    }
}

impl Star {
    pub fn with_true_labels(&self) -> Self {
        Self { labels: self.truth.clone(), ..self.clone() }
    }

    /// H alpha as observed, in vacuum.
    pub fn h_alpha(&self) -> f64 {
        6564.61 * (1.0 + self.true_rv / SPEED_OF_LIGHT)
    }

    /// H alpha in emission: 0.6 of the continuum, 6 A wide.
    pub fn with_emission(&self) -> Self {
        let centre = self.h_alpha();
        self.changed(|wave, flux| {
            flux * (1.0 + 0.6 * (-0.5 * ((wave - centre) / 2.5).powi(2)).exp())
        })
    }

    /// Thirty pixels that are a fifth too high.
    pub fn with_artefact(&self) -> Self {
        self.changed(|wave, flux| if (5600.0..5640.0).contains(&wave) { 1.2 * flux } else { flux })
    }

    /// The velocity of the row is off by this, km/s.
    pub fn with_wrong_rv(&self, by: f64) -> Self {
        Self { rv_kms: self.rv_kms.map(|rv| rv + by), ..self.clone() }
    }

    fn changed(&self, flux: impl Fn(f64, f64) -> f64) -> Self {
        let mut star = self.clone();
        let pixels = star.native.len() / 3;
        for pixel in 0..pixels {
            let wave = f64::from(star.native[pixel]);
            let value = &mut star.native[pixels + pixel];
            *value = flux(wave, f64::from(*value)) as f32;
        }
        star
    }
}
