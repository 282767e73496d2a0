//! The main features of the spectra of cool stars, and how the model fits each.

use serde::Serialize;

use crate::prep::Doppler;

/// A feature: its name, and its wavelength in vacuum at rest, Angstrom.
///
/// Lines are those that Gray & Corbally 2009 (Stellar Spectral Classification) name for types F to M,
/// with wavelengths in air of the NIST Atomic Spectra Database, converted with the formula of Morton
/// 2000; bands are given by their heads.
pub const FEATURES: [(&str, f64); 44] = [
    ("Ca II K", 3934.77),
    ("Ca II H", 3969.59),
    ("Mn I", 4031.89),
    ("Fe I", 4046.95),
    ("Fe I", 4064.74),
    ("Fe I", 4072.89),
    ("Sr II", 4078.86),
    ("H\u{3b4}", 4102.89),
    ("CN, Sr II", 4216.71),
    ("Ca I", 4227.92),
    ("Fe I", 4272.96),
    ("CH (G)", 4306.21),
    ("H\u{3b3}", 4341.68),
    ("Fe I", 4384.77),
    ("Fe I", 4405.99),
    ("Ba II", 4555.31),
    ("H\u{3b2}", 4862.68),
    ("Fe I", 4892.86),
    ("Fe I", 4921.87),
    ("Ba II", 4935.46),
    ("Fe I", 4958.98),
    ("Mg b", 5168.76),
    ("Mg b", 5174.12),
    ("Mg b", 5185.04),
    ("Cr I", 5207.49),
    ("Fe I", 5271.01),
    ("Fe I", 5329.52),
    ("Fe I", 5372.98),
    ("Fe I", 5407.27),
    ("Mg I", 5529.94),
    ("Ca I", 5590.30),
    ("Na D", 5891.58),
    ("Na D", 5897.55),
    ("Ca I", 6123.91),
    ("Ba II", 6143.41),
    ("Ca I", 6163.88),
    ("Ca I", 6440.86),
    ("Ba II", 6498.70),
    ("H\u{3b1}", 6564.60),
    ("Li I", 6709.66),
    ("TiO", 7055.95),
    ("K I", 7667.01),
    ("K I", 7701.08),
    ("O I", 7775.14),
];

/// Pixels on each side of a feature that belong to it, in units of its wavelength: 180 km/s.
const HALF_WIDTH: f64 = 6e-4;

/// How the model fits one feature.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Feature {
    /// Its name.
    pub name: &'static str,
    /// Where it is observed, vacuum Angstrom.
    pub wave: f64,
    /// Depth of the data below the continuum, as a part of it.
    pub depth: f64,
    /// That of the model.
    pub model_depth: f64,
    /// The difference in units of its error from noise alone.
    pub off: f64,
}

/// Data and model in one pixel.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pair {
    /// Vacuum wavelength as observed, Angstrom.
    pub wave: f64,
    /// The star's flux, by the continuum.
    pub flux: f64,
    /// One standard deviation of its noise.
    pub sigma: f64,
    /// The model's, by the same continuum.
    pub model: f64,
}

/// The features of which the spectrum has pixels.
pub fn features(pairs: &[Pair], rv_kms: f64) -> Vec<Feature> {
    let doppler = Doppler::of(rv_kms);
    let feature = |&(name, rest): &(&'static str, f64)| {
        let wave = doppler.to_observed(rest);
        let first = pairs.partition_point(|pair| pair.wave < wave * (1.0 - HALF_WIDTH));
        let last = pairs.partition_point(|pair| pair.wave <= wave * (1.0 + HALF_WIDTH));
        let within = &pairs[first..last];
        let count = within.len() as f64;
        let mean = |of: fn(&Pair) -> f64| within.iter().map(of).sum::<f64>() / count;
        let sigma = mean(|pair| pair.sigma * pair.sigma).sqrt() / count.sqrt();
        let (flux, model) = (mean(|pair| pair.flux), mean(|pair| pair.model));
        (within.len() >= 2).then(|| Feature {
            name,
            wave,
            depth: 1.0 - flux,
            model_depth: 1.0 - model,
            off: (flux - model) / sigma,
        })
    };
    FEATURES.iter().filter_map(feature).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_come_in_order_and_one_that_differs_stands_out() {
        assert!(FEATURES.windows(2).all(|pair| pair[0].1 < pair[1].1));
        let doppler = Doppler::of(100.0);
        let pixel = |i: i32| {
            let wave = 5100.0 + f64::from(i);
            let is_sodium = (doppler.to_rest(wave) - 5894.5).abs() < 8.0;
            let flux = if is_sodium { 0.5 } else { 0.9 };
            Pair { wave, flux, sigma: 0.02, model: 0.9 }
        };
        let pairs: Vec<Pair> = (0..1000).map(pixel).collect();
        let found = features(&pairs, 100.0);
        assert!(found.iter().all(|feature| (5100.0..6100.0).contains(&feature.wave)));
        for feature in &found {
            let expected = if feature.name == "Na D" { 0.5 } else { 0.1 };
            assert!((feature.depth - expected).abs() < 1e-9, "{feature:?}");
            assert_eq!(feature.off < -20.0, feature.name == "Na D", "{feature:?}");
        }
        assert_eq!(found.iter().filter(|feature| feature.name == "Na D").count(), 2);
    }
}
