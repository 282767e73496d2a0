//! Many fits side by side, so that the network sees batches.

use std::sync::Arc;

use nalgebra::{DMatrix, DVector};
use ndarray::{Array2, ArrayView1, ArrayView2, Axis};

use super::compare::{Comparison, RV_STEP};
use super::forward::{FitError, Forward, Plan};
use super::search::{Search, invert};
use super::smoother::Smoother;
use super::spline::{Curves, Knots};
use super::target::{Observation, Target};

/// Starting points that are tried one after the other until a fit converges.
const TRIES: usize = 2;
/// Steps between velocities that are tried where none is known, km/s: less than a line's width.
const RV_GRID: f64 = 75.0;

/// Fits a model to spectra. It owns the model, and room that is used again.
pub struct Fitter<F> {
    forward: F,
    plan: Arc<Plan>,
    knots: Knots,
    starts: Vec<Curves>,
    comparison: Comparison,
    flux: Curves,
    gradient: Curves,
    smoother: Option<Arc<Smoother>>,
}

/// What a fit found.
#[derive(Debug, Clone, PartialEq)]
pub struct Fitted {
    /// The labels, in the model's order and units.
    pub labels: Vec<f64>,
    /// Radial velocity, km/s.
    pub rv_kms: f64,
    /// Covariance of the labels and the velocity, which comes last: the inverse of `J^T W J`, with
    /// the variances of data and model as weights. It is not scaled with chi-square.
    pub covariance: DMatrix<f64>,
    /// The Cramer-Rao bound of each label and of the velocity: what an unbiased measurement on this
    /// spectrum could reach, if the model had no error (Ting et al. 2017, section 4).
    pub bound: Vec<f64>,
    /// Which labels, and last whether the velocity, lie at the end of what is allowed.
    pub at_end: Vec<bool>,
    /// Chi-square.
    pub chi2: f64,
    /// Its degrees of freedom: pixels less parameters less what the continuum takes.
    pub freedom: f64,
    /// Chi-square of the smooth continuum without any line.
    pub chi2_continuum: f64,
    /// Steps that were tried, of the last starting point.
    pub iterations: usize,
    /// Whether the last step was small against the errors.
    pub converged: bool,
}

/// One fit on its way.
struct Run {
    index: usize,
    target: Target,
    /// Starting points by chi-square, the worst first.
    starts: Vec<DVector<f64>>,
    search: Search,
    iterations: usize,
    /// Whether it evaluates where it ended, without having converged.
    closing: bool,
    found: Option<Fitted>,
}

impl<F: Forward> Fitter<F> {
    /// Prepares a model for fits, and evaluates it at the starting points.
    ///
    /// # Errors
    /// Those of the model.
    pub fn new(mut forward: F, plan: Arc<Plan>) -> Result<Self, F::Error> {
        let knots = Knots::new(forward.wave());
        let mut starts = Vec::with_capacity(plan.starts.len());
        for labels in plan.starts.chunks(forward.batch()) {
            let flux = forward.flux(rows(labels).view())?;
            starts.extend(flux.rows().into_iter().map(|flux| {
                let mut curve = Curves::default();
                lay_flux(&knots, &mut curve, &flux);
                curve
            }));
        }
        Ok(Self {
            forward,
            plan,
            knots,
            starts,
            comparison: Comparison::default(),
            flux: Curves::default(),
            gradient: Curves::default(),
            smoother: None,
        })
    }

    /// The model.
    pub fn forward(&self) -> &F {
        &self.forward
    }

    /// The model, to be run apart from fits.
    pub fn forward_mut(&mut self) -> &mut F {
        &mut self.forward
    }

    /// Fits each spectrum. What comes out for one does not depend on the others.
    ///
    /// # Errors
    /// Those of the model; a spectrum that cannot be fitted has an error of its own.
    pub fn fit(
        &mut self,
        observations: &[Observation<'_>],
    ) -> Result<Vec<Result<Fitted, FitError>>, F::Error> {
        let mut results: Vec<Result<Fitted, FitError>> =
            observations.iter().map(|_| Err(FitError::NoFlux)).collect();
        let mut waiting = observations.iter().enumerate();
        let mut runs: Vec<Run> = Vec::new();
        loop {
            // A run that has ended makes room for the next at once, so that batches stay full.
            while runs.len() < self.forward.batch()
                && let Some((index, observation)) = waiting.next()
            {
                match self.begin(index, observation) {
                    Ok(run) => runs.push(run),
                    Err(error) => results[index] = Err(error),
                }
            }
            if runs.is_empty() {
                return Ok(results);
            }
            let labels: Vec<Vec<f64>> =
                runs.iter().map(|run| self.labels(&run.search.trial)).collect();
            let (flux, gradient) = self.forward.gradient(rows(&labels).view())?;
            for (row, run) in runs.iter_mut().enumerate() {
                let (flux, gradient) = (flux.row(row), gradient.index_axis(Axis(0), row));
                if let Some(result) = self.advance(run, &flux, &gradient) {
                    results[run.index] = result;
                    run.index = usize::MAX;
                }
            }
            runs.retain(|run| run.index != usize::MAX);
        }
    }

    /// Finds where to start: each starting point is compared at the velocity that is known, or at
    /// the one that suits the first best.
    fn begin(&mut self, index: usize, observation: &Observation<'_>) -> Result<Run, FitError> {
        let mut target = Target::new(observation, &self.knots, &self.plan, &mut self.smoother)?;
        let limit = self.plan.max_rv_kms;
        let rv = match observation.rv_kms.filter(|rv| rv.abs() < limit) {
            Some(rv) => rv,
            None => self.scan(&target).unwrap_or(0.0),
        };
        let mut starts = Vec::with_capacity(self.starts.len());
        let mut least = f64::INFINITY;
        let mut ratio = Vec::new();
        for (curve, labels) in self.starts.iter().zip(&self.plan.starts) {
            if let Some(chi2) = self.comparison.chi2(&target, &self.knots, curve, rv) {
                let scaled = labels.iter().zip(&self.plan.labels).map(|(x, label)| x / label.step);
                let place: Vec<f64> = scaled.chain([rv / RV_STEP]).collect();
                starts.push((chi2, DVector::from_vec(place)));
                if chi2 < least {
                    least = chi2;
                    ratio.clear();
                    ratio.extend_from_slice(self.comparison.ratio());
                }
            }
        }
        if starts.is_empty() {
            return Err(FitError::NoFlux);
        }
        target.flatten(&ratio, &self.plan.model_error, &self.knots);
        starts.sort_by(|a, b| b.0.total_cmp(&a.0));
        let from = starts.len().saturating_sub(TRIES);
        let mut starts: Vec<DVector<f64>> = starts.drain(from..).map(|(_, place)| place).collect();
        let search = self.search(&starts.pop().ok_or(FitError::NoFlux)?);
        let (iterations, closing, found) = (0, false, None);
        Ok(Run { index, target, starts, search, iterations, closing, found })
    }

    fn scan(&mut self, target: &Target) -> Option<f64> {
        let first = self.starts.first()?;
        let mut best: Option<(f64, f64)> = None;
        let mut rv = -(self.plan.max_rv_kms / RV_GRID).floor() * RV_GRID;
        while rv <= self.plan.max_rv_kms {
            let chi2 = self.comparison.chi2(target, &self.knots, first, rv);
            if let Some(chi2) = chi2.filter(|&chi2| best.is_none_or(|(least, _)| chi2 < least)) {
                best = Some((chi2, rv));
            }
            rv += RV_GRID;
        }
        best.map(|(_, rv)| rv)
    }

    fn search(&self, start: &DVector<f64>) -> Search {
        let end = |side: usize, rv: f64| {
            let labels = self.plan.labels.iter().map(move |label| label.valid[side] / label.step);
            DVector::from_iterator(self.plan.labels.len() + 1, labels.chain([rv / RV_STEP]))
        };
        let rv = self.plan.max_rv_kms;
        Search::new(start, end(0, -rv), end(1, rv))
    }

    /// The labels of a place, in physical units and never outside their bounds.
    fn labels(&self, place: &DVector<f64>) -> Vec<f64> {
        let labels = place.iter().zip(&self.plan.labels);
        labels.map(|(x, label)| (x * label.step).clamp(label.valid[0], label.valid[1])).collect()
    }

    /// Goes on with what the model gives at the trial; the result, if that was the end.
    fn advance(
        &mut self,
        run: &mut Run,
        flux: &ArrayView1<'_, f32>,
        gradient: &ArrayView2<'_, f32>,
    ) -> Option<Result<Fitted, FitError>> {
        lay_flux(&self.knots, &mut self.flux, flux);
        let rv = run.search.trial[run.search.trial.len() - 1] * RV_STEP;
        let chi2 = self.comparison.chi2(&run.target, &self.knots, &self.flux, rv);
        let is_first = run.search.best.is_none();
        if let Some(chi2) = chi2.filter(|_| run.closing || run.search.takes(chi2)) {
            let steps = self.plan.labels.iter().map(|label| label.step);
            let rows: Vec<(&[f32], f64)> = gradient
                .outer_iter()
                .zip(steps)
                .filter_map(|(row, step)| Some((row.to_slice()?, step)))
                .collect();
            self.knots.lay(&mut self.gradient, rows.into_iter());
            let normal = self.comparison.normal(&run.target, &self.gradient, chi2);
            run.search.take(normal);
        } else if is_first || run.closing {
            return self.next_start(run);
        } else {
            run.search.refuse();
        }
        run.iterations += usize::from(!is_first && !run.closing);
        // Only a trial that was taken is still in the room of the comparison.
        let is_here = run.search.best.as_ref().is_some_and(|(place, _)| *place == run.search.trial);
        let converged = is_here && run.search.has_converged();
        if is_here && (converged || run.closing) {
            let fitted = self.conclude(run, converged);
            if fitted.as_ref().is_some_and(|fitted| fitted.converged) || run.starts.is_empty() {
                return Some(better(run.found.take(), fitted).ok_or(FitError::NoFlux));
            }
            run.found = better(run.found.take(), fitted);
            return self.next_start(run);
        }
        if run.iterations >= self.plan.max_iterations || !run.search.step() {
            let (place, _) = run.search.best.as_ref()?;
            run.search.trial = place.clone();
            run.closing = true;
        }
        None
    }

    fn next_start(&self, run: &mut Run) -> Option<Result<Fitted, FitError>> {
        let Some(start) = run.starts.pop() else {
            return Some(run.found.take().ok_or(FitError::NoFlux));
        };
        (run.search, run.iterations, run.closing) = (self.search(&start), 0, false);
        None
    }

    /// What is found at the place of the last comparison.
    fn conclude(&mut self, run: &Run, converged: bool) -> Option<Fitted> {
        let (place, normal) = run.search.best.as_ref()?;
        let steps: Vec<f64> =
            self.plan.labels.iter().map(|label| label.step).chain([RV_STEP]).collect();
        let scaled = invert(&normal.curvature)?;
        let covariance =
            DMatrix::from_fn(steps.len(), steps.len(), |i, j| scaled[(i, j)] * steps[i] * steps[j]);
        let bound = invert(&self.comparison.noise(&run.target))?;
        let bound = bound.diagonal().iter().zip(&steps).map(|(v, step)| v.sqrt() * step).collect();
        Some(Fitted {
            labels: self.labels(place),
            rv_kms: place[steps.len() - 1] * RV_STEP,
            covariance,
            bound,
            at_end: run.search.at_bound(place),
            chi2: normal.chi2,
            freedom: run.target.pixels as f64 - steps.len() as f64 - run.target.continuum_freedom,
            chi2_continuum: run.target.chi2_continuum,
            iterations: run.iterations,
            converged,
        })
    }
}

impl Fitted {
    /// The errors of the labels and the velocity: the roots of the covariance's diagonal.
    pub fn errors(&self) -> Vec<f64> {
        self.covariance.diagonal().iter().map(|variance| variance.sqrt()).collect()
    }

    /// Chi-square by degrees of freedom.
    pub fn reduced_chi2(&self) -> f64 {
        self.chi2 / self.freedom
    }

    /// A matrix `F` with `F^T F` the covariance: the transpose of its Cholesky factor.
    pub fn factor(&self) -> Option<DMatrix<f64>> {
        Some(nalgebra::Cholesky::new(self.covariance.clone())?.l().transpose())
    }
}

/// The one that converged, else the one of smaller chi-square.
fn better(first: Option<Fitted>, second: Option<Fitted>) -> Option<Fitted> {
    match (first, second) {
        (Some(first), Some(second)) => {
            let is_first = (first.converged && !second.converged)
                || (first.converged == second.converged && first.chi2 < second.chi2);
            Some(if is_first { first } else { second })
        }
        (first, second) => first.or(second),
    }
}

fn lay_flux(knots: &Knots, curve: &mut Curves, flux: &ArrayView1<'_, f32>) {
    if let Some(flux) = flux.as_slice() {
        knots.lay(curve, [(flux, 1.0)].into_iter());
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the network takes single precision")]
fn rows(labels: &[Vec<f64>]) -> Array2<f32> {
    let width = labels.first().map_or(0, Vec::len);
    Array2::from_shape_fn((labels.len(), width), |(row, label)| labels[row][label] as f32)
}
