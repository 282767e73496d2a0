//! Sealed catalogues of made-up stars, without a model: a real store, segments and seal.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use starmill::catalogue::{LabelColumn, Made, ModelColumns, Provenance, Schema, Store};
use starmill::input::Digest;
use starmill::outcome::{Estimate, Identity, Origin, Outcome, SourceFile};
use starmill::quality::Quality;
use starmill::reject::Code;
use starmill::spectrum::Meta;

/// A star that gave a row.
#[derive(Clone, Debug)]
pub struct Star {
    pub name: String,
    pub ra: f64,
    pub dec: f64,
    pub snr: f32,
    pub date_obs: String,
    /// `teff`, `logg`, `fe_h`.
    pub values: [f32; 3],
    pub quality: Quality,
}

/// Numbers that look random and follow from their seed.
pub struct Dice(pub u64);

impl Dice {
    /// Between 0 and 1.
    pub fn uniform(&mut self) -> f64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Mean 0, standard deviation 1, near enough.
    pub fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.uniform()).sum::<f64>() - 6.0
    }
}

/// Giants of several plates over a night, as a survey would see them.
#[expect(clippy::cast_possible_truncation, reason = "labels are single precision")]
pub fn giants(night: &str, count: usize) -> Vec<Star> {
    let mut dice = Dice(night.bytes().fold(7, |seed, byte| seed * 31 + u64::from(byte)));
    let plates: Vec<(f64, f64)> =
        (0..8).map(|_| (20.0 + dice.uniform() * 320.0, dice.uniform() * 60.0)).collect();
    let star = |number: usize| {
        let plate = number * plates.len() / count.max(1);
        let (ra, dec) = plates[plate];
        let fe_h = -0.3 - dice.uniform().powi(3) * 1.9 + 0.15 * dice.normal();
        let logg = 3.4 - 2.8 * dice.uniform().powf(1.6);
        let teff = 3750.0 + 420.0 * logg - 180.0 * fe_h + 60.0 * dice.normal();
        let weather = 1.0 - 0.07 * (plate as f64 - 3.0).powi(2);
        let snr = (10.0 + 70.0 * dice.uniform().powi(2)) * weather.max(0.15);
        let mut quality = Quality::NONE;
        quality.set_if(snr < 15.0, Quality::LOW_SNR);
        quality.set_if(dice.uniform() < 0.06, Quality::EXTRAPOLATION);
        quality.set_if(dice.uniform() < 0.03, Quality::LABEL_RANGE);
        let minutes = plate * 60 + number % 3 * 20;
        Star {
            name: format!("made-up:{night}-{number:05}"),
            ra: ra + (dice.uniform() - 0.5) * 5.0 / f64::to_radians(dec).cos(),
            dec: dec + (dice.uniform() - 0.5) * 5.0,
            snr: snr as f32,
            date_obs: format!("{night}T{:02}:{:02}:00", 11 + minutes / 60, minutes % 60),
            values: [teff as f32, logg as f32, fe_h as f32],
            quality,
        }
    };
    (0..count).map(star).collect()
}

/// Seals a catalogue of these stars, a file each, and of rejects: file, code, detail.
pub fn seal(folder: &Path, stars: &[Star], rejects: &[(&str, Code, &str)]) {
    seal_of_model(folder, "made-up 1", stars, rejects);
}

/// The same with another model.
pub fn seal_of_model(folder: &Path, model: &str, stars: &[Star], rejects: &[(&str, Code, &str)]) {
    let mut store = Store::open(folder, model, schema(model)).unwrap();
    let rows = stars.iter().map(row);
    let rejects = rejects.iter().map(|(file, code, detail)| Outcome {
        origin: origin(file.into(), file.as_bytes()),
        identity: Arc::default(),
        content: Err(code.because(*detail)),
    });
    let outcomes: Vec<Outcome> = rows.chain(rejects).collect();
    commit(&mut store, &outcomes);
    let entry = |key: &str, value: &str| (key.to_owned(), value.to_owned(), String::new());
    let provenance = Provenance { entries: vec![entry("MODEL", model), entry("PROVIDER", "none")] };
    let made = Made { provenance, ..Made::default() };
    store.seal(&made, &|| false).unwrap();
}

/// Commits outcomes in segments.
pub fn commit(store: &mut Store, outcomes: &[Outcome]) {
    for outcomes in outcomes.chunks(1024) {
        let encoded = store.encode(outcomes).unwrap();
        let inputs = encoded.inputs().to_vec();
        store.commit_encoded(&encoded, &inputs).unwrap();
    }
}

/// The columns of these stars.
pub fn schema(model: &str) -> Schema {
    let label = |name: &str, unit: &str, description: &str| LabelColumn {
        name: name.into(),
        unit: unit.into(),
        description: description.into(),
        ..LabelColumn::default()
    };
    let labels = vec![
        label("teff", "K", "Effective temperature"),
        label("logg", "", "Logarithm of the surface gravity, cgs"),
        label("fe_h", "dex", "Metallicity [Fe/H]"),
    ];
    Schema::of_model(model, &ModelColumns { labels, errors: true, ..ModelColumns::default() })
}

fn origin(path: PathBuf, content: &[u8]) -> Origin {
    let digest = Digest::of(content);
    let (sequence, first, spectra, total, parts) = (0, 0, 1, 1, 1);
    let (night, arrived) = (None, None);
    let file = SourceFile { sequence, path, digest, first, spectra, total, parts, night, arrived };
    Origin { file: Arc::new(file), index: 0 }
}

/// The outcome of a star.
pub fn row(star: &Star) -> Outcome {
    let meta = Meta {
        ra: Some(star.ra),
        dec: Some(star.dec),
        date_obs: Some(star.date_obs.clone()),
        snr: [None, Some(star.snr), None, None, None],
        ..Meta::default()
    };
    let name = Some(star.name.clone());
    Outcome {
        origin: origin(format!("{}.fits", star.name).into(), star.name.as_bytes()),
        identity: Arc::new(Identity { name, survey: Some("made-up"), meta }),
        content: Ok(Estimate {
            values: star.values.to_vec(),
            errors: vec![50.0, 0.1, 0.05],
            novelty: 0.5,
            quality: star.quality,
            pixels: 100,
            ..Estimate::default()
        }),
    }
}
