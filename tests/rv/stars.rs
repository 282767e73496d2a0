//! Syntheses as a spectrograph sees them: shifted, on native pixels, with a response and noise.
//!
//! `stars.bin` holds 24 SYNSPEC spectra that lie between the templates, in the bins and the format of
//! `velocity_templates.py`, so that measuring them includes the mismatch of templates.

use std::fs;

use starmill::spectrum::{Arrays, Meta, Spectrum};

use crate::support;

/// Speed of light, km/s.
pub const SPEED_OF_LIGHT: f64 = 299_792.458;
const STEP: f64 = 2e-5;
const ARMS: [(u32, usize); 2] = [(184_784, 1580), (190_084, 1245)];
/// First native pixel and number of them, steps of half a bin: 4950 to 5350 and 6300 to 6800 A.
const NATIVE: [(f64, usize); 2] = [(369_461.0, 3375), (379_935.0, 3317)];

/// A star without noise.
pub struct Star {
    pub teff: f32,
    flux: [Vec<f64>; 2],
}

/// All stars of the fixture.
pub fn stars() -> Vec<Star> {
    let bytes = fs::read(support::root().join("tests/rv/stars.bin")).expect("the fixture");
    let pixels: usize = ARMS.iter().map(|(_, bins)| bins).sum();
    let star = |record: &[u8]| {
        let (labels, flux) = record.split_at(16);
        let mut flux = flux
            .chunks_exact(2)
            .map(|value| f64::from(u16::from_le_bytes([value[0], value[1]])) / 40_000.0);
        let flux = ARMS.map(|(_, bins)| flux.by_ref().take(bins).collect());
        Star { teff: f32::from_le_bytes(labels[..4].try_into().unwrap()), flux }
    };
    let stars: Vec<Star> = bytes.chunks_exact(16 + 2 * pixels).map(star).collect();
    assert_eq!(stars.len(), 24);
    stars
}

impl Star {
    /// The spectrum at a velocity (km/s) with a S/N a pixel in either arm.
    pub fn spectrum(&self, velocity: f64, snr: [f64; 2], noise: &mut Noise) -> Spectrum {
        let mut arrays = Arrays::default();
        for (arm, (first, pixels)) in NATIVE.into_iter().enumerate() {
            let phase = noise.uniform();
            for pixel in 0..pixels {
                let log = (first + phase + pixel as f64) * 0.5 * STEP;
                let rest = log - (1.0 + velocity / SPEED_OF_LIGHT).log10();
                let x = 2.0 * pixel as f64 / pixels as f64 - 1.0;
                let response = 1000.0 * (0.5 * x - 0.3 * x * x).exp();
                let flux = response * self.at(arm, rest / STEP);
                let sigma = response / snr[arm];
                arrays.wave.push(10f64.powf(log));
                arrays.flux.push((flux + sigma * noise.gaussian()) as f32);
                arrays.ivar.push((1.0 / (sigma * sigma)) as f32);
            }
        }
        arrays.andmask = vec![0; arrays.wave.len()];
        arrays.ormask = vec![0; arrays.wave.len()];
        Spectrum::new("lamost-mrs", arrays, Meta::default()).expect("a spectrum")
    }

    /// A star without lines.
    pub fn flat() -> Self {
        Self { teff: f32::NAN, flux: ARMS.map(|(_, bins)| vec![1.0; bins]) }
    }

    /// This star with another one of the same light, which recedes faster.
    pub fn and(&self, other: &Self, velocity: f64) -> Self {
        let shift = (1.0 + velocity / SPEED_OF_LIGHT).log10() / STEP;
        let flux = [0, 1].map(|arm| {
            let (first, bins) = ARMS[arm];
            let both = (0..bins).map(|bin| {
                let place = f64::from(first) + bin as f64;
                0.5 * (self.at(arm, place) + other.at(arm, place - shift))
            });
            both.collect()
        });
        Self { teff: self.teff, flux }
    }

    /// Normalised flux between bins, by cubics; one beyond them.
    fn at(&self, arm: usize, place: f64) -> f64 {
        let flux = &self.flux[arm];
        let place = place - f64::from(ARMS[arm].0);
        let at = |bin: f64| {
            let bin = bin.clamp(0.0, flux.len() as f64 - 1.0);
            flux[bin as usize]
        };
        let (bin, part) = (place.floor(), place - place.floor());
        let [a, b, c, d] = [-1.0, 0.0, 1.0, 2.0].map(|step| at(bin + step));
        b + 0.5
            * part
            * (c - a + part * (2.0 * a - 5.0 * b + 4.0 * c - d + part * (3.0 * (b - c) + d - a)))
    }
}

/// Random numbers that are the same in every run (splitmix64).
pub struct Noise(pub u64);

impl Noise {
    pub fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((bits ^ (bits >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub fn gaussian(&mut self) -> f64 {
        let (radius, turn) = (self.uniform().max(1e-300), self.uniform());
        (-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * turn).cos()
    }
}
