//! Radial velocities from the spectra themselves: a cross-correlation with synthetic templates.
//!
//! Each arm is put into bins of constant velocity (`bins`), divided by its pseudo-continuum and
//! correlated, with weights from its ivar, with every template at every trial velocity in Fourier
//! space (Tonry & Davis 1979). The arms are put together by their likelihoods (Zucker 2003, MNRAS 342,
//! 1291), in which the noise of each is what its best template leaves: neither a wrong ivar nor a
//! template that is somewhat unlike the star makes an error too small. The peak of the sum, as a
//! parabola, is the velocity; its curvature is the error.
//!
//! LAMOST's wavelengths are heliocentric, in coadds and in exposures alike (`HELIO = T`; `HELIO_RV` is
//! what was added), so that the velocity is too.
//!
//! Nothing here reads a file, a clock or a random number, or writes a log.

mod bins;
mod correlate;
mod templates;
mod trust;

use std::f64::consts::LN_10;
use std::sync::{Arc, OnceLock};

use bins::{ARMS, Depths, MARGIN, STEP, Span};
use correlate::{Arm, LAGS, Room, log_likelihood};
use templates::{Fourier, Template};
pub use trust::{Trust, Why};

use crate::input::Digest;
use crate::prep::Basis;
use crate::spectrum::Spectrum;

/// Speed of light, km/s.
const SPEED_OF_LIGHT: f64 = 299_792.458;
/// Counts changes of the method; what was measured by another belongs into another catalogue.
const METHOD: u32 = 1;
/// The likelihood takes bins for independent, which they are not wholly: their edges cut pixels, and a
/// continuum was fitted. Errors are this times as large, so that pulls of shifted syntheses have
/// unit width at every S/N (`tests/rv`).
const CALIBRATION: f64 = 1.05;
/// What templates between those that there are add to the error, km/s; it counts at high S/N alone.
const FLOOR: f64 = 0.1;
/// Half-widths of the parabolas, bins, one after the other: at high S/N a peak is a parabola near its
/// top alone.
const NEARER: [f64; 4] = [0.5, 0.25, 0.125, 0.0625];

/// The most memory that measuring takes, bytes: 1.5 MB for the templates, which are shared, and 0.2 MB
/// in each reader.
pub const BYTES: u64 = 8 << 20;

/// Measures velocities against templates that it holds.
pub struct Measurer {
    fourier: Fourier,
    templates: Vec<Template>,
    inner: [Span; 2],
    bases: [Basis; 2],
}

/// What was measured, believed or not.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// Radial velocity in the frame of the wavelengths, km/s, positive when receding.
    pub velocity: f64,
    /// Its standard error, km/s, without that of the wavelengths' zero point.
    pub error: f64,
    /// The same of the blue and the red arm alone, each where it has its own highest peak.
    pub arms: [Option<(f64, f64)>; 2],
    /// Height of the peak: the correlation coefficient, both arms together.
    pub height: f64,
    /// Height of the highest other peak of any template, as a part of that.
    pub second: f64,
    /// By how much the velocity is more likely than any other peak: difference of natural logarithms.
    pub gain: f64,
    /// teff, logg, `m_h` and v sin i of the best template.
    pub template: [f32; 4],
    /// Whether it can be believed.
    pub trust: Trust,
}

/// A curve of log likelihoods over the lags, of one template.
type Curve = [f64; LAGS];

impl Measurer {
    /// The one of this process, made at the first call.
    pub fn shared() -> Arc<Self> {
        static SHARED: OnceLock<Arc<Measurer>> = OnceLock::new();
        Arc::clone(SHARED.get_or_init(|| Arc::new(Self::new())))
    }

    fn new() -> Self {
        let fourier = Fourier::new();
        let templates = templates::read(templates::BYTES, &fourier);
        let inner = ARMS.map(Span::inner);
        Self { bases: inner.map(Span::basis), fourier, templates, inner }
    }

    /// Digest of the templates and of the method: what a catalogue with such velocities is bound to.
    pub fn digest() -> Digest {
        let mut bytes = templates::BYTES.to_vec();
        bytes.extend(METHOD.to_le_bytes());
        Digest::of(&bytes)
    }

    /// Measures the velocity of a spectrum; `None` if it has no arm with enough usable pixels.
    pub fn measure(&self, spectrum: &Spectrum) -> Option<Measured> {
        let arms: [Option<Arm>; 2] = std::array::from_fn(|arm| {
            let depths = Depths::of(spectrum, self.inner[arm], &self.bases[arm])?;
            Arm::new(&depths, &self.fourier)
        });
        if arms.iter().all(Option::is_none) {
            return None;
        }
        let mut room = Room::new();
        let curves: Vec<[Curve; 2]> = self
            .templates
            .iter()
            .map(|template| {
                std::array::from_fn(|arm| match &arms[arm] {
                    Some(spectrum) => spectrum
                        .at_all(&template.arms[arm], &self.fourier, &mut room)
                        .map(|coefficient| log_likelihood(coefficient, spectrum.bins)),
                    None => [0.0; LAGS],
                })
            })
            .collect();
        let sums: Vec<Curve> = curves
            .iter()
            .map(|[blue, red]| std::array::from_fn(|lag| blue[lag] + red[lag]))
            .collect();
        let (best, lag) = highest(&sums, 0..0)?;
        let other =
            highest(&sums, hill(&sums[best], lag)).map(|(template, lag)| sums[template][lag]);
        let template = &self.templates[best];
        let likelihood = |arm: usize, lag: f64| {
            arms[arm].as_ref().map_or(0.0, |spectrum| {
                log_likelihood(spectrum.at(&template.arms[arm], lag), spectrum.bins)
            })
        };
        let (place, error) = top(lag, |lag| likelihood(0, lag) + likelihood(1, lag))?;
        let peak = likelihood(0, place) + likelihood(1, place);
        let alone = std::array::from_fn(|arm| {
            arms[arm].as_ref()?;
            let lag = highest_lag(&curves[best][arm])?;
            top(lag, |lag| likelihood(arm, lag)).map(calibrated)
        });
        let total: f64 = arms.iter().flatten().map(|arm| arm.bins).sum();
        let height = |likelihood: f64| (1.0 - (-2.0 * likelihood.max(0.0) / total).exp()).sqrt();
        let (velocity, error) = calibrated((place, error));
        let other = other.unwrap_or(0.0);
        let measured = Measured {
            velocity,
            error,
            arms: alone,
            height: height(peak),
            second: height(other) / height(peak),
            gain: peak - other,
            template: template.labels,
            trust: Trust::Yes,
        };
        Some(Measured { trust: trust::judge(&measured), ..measured })
    }
}

/// Velocity and error, km/s, of a place among the lags and its error in bins. Both are rounded to a
/// metre a second, far below any error, so that the last digits of a transform, which differ from
/// processor to processor, do not reach the catalogue.
fn calibrated((place, error): (f64, f64)) -> (f64, f64) {
    let rounded = |value: f64| (value * 1000.0).round() / 1000.0;
    let velocity = SPEED_OF_LIGHT * (LN_10 * STEP * (place - MARGIN as f64)).exp_m1();
    let error = CALIBRATION * error * SPEED_OF_LIGHT * LN_10 * STEP;
    (rounded(velocity), rounded(error.hypot(FLOOR)))
}

/// Template and lag of the most likely one outside some lags.
fn highest(curves: &[Curve], without: std::ops::Range<usize>) -> Option<(usize, usize)> {
    let all = curves
        .iter()
        .enumerate()
        .flat_map(|(template, curve)| (0..LAGS).map(move |lag| (template, lag, curve[lag])));
    all.filter(|(_, lag, _)| !without.contains(lag))
        .max_by(|a, b| a.2.total_cmp(&b.2))
        .map(|(template, lag, _)| (template, lag))
}

fn highest_lag(curve: &Curve) -> Option<usize> {
    highest(std::slice::from_ref(curve), 0..0).map(|(_, lag)| lag)
}

/// The lags on the slopes of a peak, where other templates have the same one.
fn hill(curve: &Curve, peak: usize) -> std::ops::Range<usize> {
    /// As far as any line reaches.
    const LEAST: usize = 5;
    let falls = |(before, after): (usize, usize)| curve[after] < curve[before];
    let right = (peak..LAGS - 1).take_while(|&lag| falls((lag, lag + 1))).count();
    let left = (1..=peak).rev().take_while(|&lag| falls((lag, lag - 1))).count();
    peak.saturating_sub(left.max(LEAST))..(peak + right.max(LEAST) + 1).min(LAGS)
}

/// The top of a peak near a whole lag, and the standard error of its place: one over the root of the
/// negative curvature there (Zucker 2003, equation 9). `None` if it is no peak.
fn top(lag: usize, likelihood: impl Fn(f64) -> f64) -> Option<(f64, f64)> {
    let mut place = lag as f64;
    let mut curvature = 0.0;
    for half in NEARER {
        let [left, middle, right] = [place - half, place, place + half].map(&likelihood);
        curvature = (left - 2.0 * middle + right) / (half * half);
        let slope = right - left;
        // On a slope that bends upwards, or far from the top, the parabola knows the direction alone.
        let step = if curvature < 0.0 { -0.5 * slope / (half * curvature) } else { slope };
        place += step.clamp(-half, half);
    }
    (curvature < 0.0).then(|| (place, (-1.0 / curvature).sqrt()))
}
