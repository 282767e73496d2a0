//! A star beside the template that fits its labels best.

use serde::Serialize;

use super::record::window_title;
use super::templates::{Template, Templates};
use crate::prep::Grid;
use crate::spectrum::Spectrum;

/// The best-fitting template of a star and what it leaves.
#[derive(Debug, Clone, Serialize)]
pub struct Fit {
    /// The template.
    pub template: Template,
    /// Of how many it was chosen.
    pub of: usize,
    /// How far its labels are, see [`Templates::nearest`].
    pub distance: f64,
    /// What the distance of each label is measured in.
    pub units: &'static str,
    /// What is left in each window.
    pub windows: Vec<Residual>,
    /// The star's flux, as the recipe leaves it before its step `scale`.
    #[serde(skip)]
    pub flux: Vec<f64>,
}

/// The star's flux less that of the template, in one window.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Residual {
    /// The window.
    pub window: String,
    /// Root mean square, in units of the pseudo-continuum.
    pub rms: f64,
    /// What noise alone would give native pixels: the inverse of their median S/N by ivar.
    pub noise: Option<f64>,
    /// Mean square of the residual in units of that noise. Interpolation averages neighbours, so a
    /// perfect template leaves about 2/3, not 1.
    pub chi2: Option<f64>,
}

impl Fit {
    /// Finds the template for these labels and subtracts it from the star; `None` where there is no
    /// template, or the flux is not on its grid.
    pub fn find(
        templates: &Templates,
        (labels, units): (&[f32], &[f64]),
        named: &'static str,
        (spectrum, grid, flux): (&Spectrum, &Grid, &[f64]),
    ) -> Option<Self> {
        let (template, distance) = templates.nearest(labels, units)?;
        if flux.len() != template.flux.len() || flux.len() != grid.bins() {
            return None;
        }
        let windows = grid.windows().enumerate().map(|(number, (bins, edges))| {
            let pairs = flux[bins.clone()].iter().zip(&template.flux[bins.clone()]);
            let squares: f64 = pairs.map(|(flux, of)| (flux - f64::from(*of)).powi(2)).sum();
            let rms = (squares / bins.len() as f64).sqrt();
            let noise = noise(spectrum, edges[0]..edges[edges.len() - 1]);
            let chi2 = noise.map(|noise| (rms / noise).powi(2));
            Residual { window: window_title(grid, number), rms, noise, chi2 }
        });
        Some(Self {
            of: templates.count(),
            distance,
            units: named,
            windows: windows.collect(),
            flux: flux.to_vec(),
            template: template.clone(),
        })
    }

    /// The star's flux less the template's.
    pub fn residual(&self) -> Vec<f64> {
        self.flux.iter().zip(&self.template.flux).map(|(flux, of)| flux - f64::from(*of)).collect()
    }
}

/// The inverse of the median S/N of the native pixels there. A velocity would move the range by a
/// thousandth, which changes no median.
fn noise(spectrum: &Spectrum, range: std::ops::Range<f64>) -> Option<f64> {
    let pixels = spectrum.flux().iter().zip(spectrum.ivar());
    let within = spectrum.wave().iter().zip(pixels).filter(|(wave, _)| range.contains(wave));
    let snr = within.map(|(_, (flux, ivar))| f64::from(*flux) * f64::from(*ivar).sqrt());
    let mut snr: Vec<f64> = snr.filter(|snr| snr.is_finite() && *snr > 0.0).collect();
    let middle = snr.len() / 2;
    let (_, median, _) =
        (!snr.is_empty()).then(|| snr.select_nth_unstable_by(middle, f64::total_cmp))?;
    Some(1.0 / *median)
}
