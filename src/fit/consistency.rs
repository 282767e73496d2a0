//! How well given labels fit a spectrum: the labels stay, the velocity may move.

use nalgebra::DVector;

use super::compare::RV_STEP;
use super::fitter::{Fitter, lay_flux, rows};
use super::forward::{FitError, Forward};
use super::search::Search;
use super::spline::Curves;
use super::target::{Observation, Target};

/// Steps that the velocity is given.
const STEPS: usize = 12;
/// Regions in which the worst fit is looked for, Angstrom.
const REGION: f64 = 100.0;
/// Pixels below which a region says nothing.
const FEWEST_IN_REGION: usize = 20;

/// Whether the velocity is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Velocity {
    /// It is that of the observation, or zero if none is known.
    Fixed,
    /// It is fitted, beginning with that of the observation.
    Free,
}

/// How well labels fit.
#[derive(Debug, Clone, PartialEq)]
pub struct Consistency {
    /// Chi-square.
    pub chi2: f64,
    /// Its degrees of freedom.
    pub freedom: f64,
    /// Chi-square of the smooth continuum without any line.
    pub chi2_continuum: f64,
    /// Radial velocity, km/s.
    pub rv_kms: f64,
    /// The region that fits worst, if any has enough pixels.
    pub worst: Option<Region>,
}

/// A region of a spectrum and how well it fits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Region {
    /// First and last wavelength, as observed, Angstrom.
    pub wave: [f64; 2],
    /// Chi-square by pixel.
    pub reduced_chi2: f64,
}

impl Consistency {
    /// Chi-square by degrees of freedom.
    pub fn reduced_chi2(&self) -> f64 {
        self.chi2 / self.freedom
    }
}

impl<F: Forward> Fitter<F> {
    /// Compares each spectrum with the model of the labels beside it.
    ///
    /// # Errors
    /// Those of the model; a spectrum that cannot be compared has an error of its own.
    pub fn consistency(
        &mut self,
        pairs: &[(Vec<f64>, Observation<'_>)],
        velocity: Velocity,
    ) -> Result<Vec<Result<Consistency, FitError>>, F::Error> {
        let mut results = Vec::with_capacity(pairs.len());
        for pairs in pairs.chunks(self.forward.batch()) {
            let labels: Vec<Vec<f64>> = pairs.iter().map(|(labels, _)| labels.clone()).collect();
            let flux = self.forward.flux(rows(&labels).view())?;
            for (flux, (_, observation)) in flux.rows().into_iter().zip(pairs) {
                lay_flux(&self.knots, &mut self.flux, &flux);
                results.push(self.compare(observation, velocity));
            }
        }
        Ok(results)
    }

    /// Compares a spectrum with the flux that was laid last.
    fn compare(
        &mut self,
        observation: &Observation<'_>,
        velocity: Velocity,
    ) -> Result<Consistency, FitError> {
        let mut target = Target::new(observation, &self.knots, &self.plan, &mut self.smoother)?;
        let limit = self.plan.max_rv_kms;
        let known = observation.rv_kms.filter(|rv| rv.abs() < limit).unwrap_or(0.0);
        if self.comparison.chi2(&target, &self.knots, &self.flux, known).is_none() {
            return Err(FitError::NoFlux);
        }
        target.flatten(self.comparison.ratio(), &self.plan.model_error, &self.knots);
        let place = |rv: f64| DVector::from_element(1, rv / RV_STEP);
        let mut search = Search::new(&place(known), place(-limit), place(limit));
        // The velocity alone moves, so no further spectrum of the network is needed.
        let no_labels = Curves::default();
        for _ in 0..STEPS {
            let rv = search.trial[0] * RV_STEP;
            let chi2 = self.comparison.chi2(&target, &self.knots, &self.flux, rv);
            match chi2.filter(|_| search.takes(chi2)) {
                Some(chi2) => {
                    search.take(self.comparison.normal(&target, &no_labels, chi2));
                }
                None if search.best.is_none() => return Err(FitError::NoFlux),
                None => search.refuse(),
            }
            if velocity == Velocity::Fixed || search.has_converged() || !search.step() {
                break;
            }
        }
        let (place, _) = search.best.ok_or(FitError::NoFlux)?;
        let rv_kms = place[0] * RV_STEP;
        let chi2 = self.comparison.chi2(&target, &self.knots, &self.flux, rv_kms);
        let parameters = if velocity == Velocity::Free { 1.0 } else { 0.0 };
        Ok(Consistency {
            chi2: chi2.ok_or(FitError::NoFlux)?,
            freedom: target.pixels as f64 - parameters - target.continuum_freedom,
            chi2_continuum: target.chi2_continuum,
            rv_kms,
            worst: self.worst(&target),
        })
    }

    /// The region that fits worst at the place of the last comparison.
    fn worst(&self, target: &Target) -> Option<Region> {
        let wave = target.smoother.wave();
        let mut worst: Option<Region> = None;
        let mut start = 0;
        while start < wave.len() {
            let end = wave.partition_point(|&w| w < wave[start] + REGION).max(start + 1);
            let counted = || (start..end).filter(|&pixel| target.counted[pixel] > 0.0);
            let pixels = counted().count();
            let square = |pixel: usize| {
                target.counted[pixel] * self.comparison.residual(target, pixel).powi(2)
            };
            let reduced_chi2 = counted().map(square).sum::<f64>() / pixels as f64;
            let is_worst = worst.is_none_or(|worst| reduced_chi2 > worst.reduced_chi2);
            if pixels >= FEWEST_IN_REGION && is_worst {
                worst = Some(Region { wave: [wave[start], wave[end - 1]], reduced_chi2 });
            }
            start = end;
        }
        worst
    }
}
