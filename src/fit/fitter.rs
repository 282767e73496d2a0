//! Many fits side by side, so that the network sees batches.

use std::borrow::Borrow;
use std::sync::Arc;

use nalgebra::{DMatrix, DVector};
use ndarray::{Array2, Axis};

use super::compare::{Comparison, Gradient, RV_STEP};
use super::forward::{FitError, Forward, Plan};
use super::interpolate::Grid;
use super::regions::{Region, Tally, regions};
use super::search::{Left, Search, invert};
use super::smoother::Smoother;
use super::target::{Observation, Target};

/// Starting points that are tried one after the other until a fit converges.
const TRIES: usize = 2;
/// Steps between velocities that are tried where none is known, km/s: less than a line's width.
const RV_GRID: f64 = 75.0;

/// Fits a model to spectra. It owns the model, and room that is used again.
pub struct Fitter<F> {
    forward: F,
    plan: Arc<Plan>,
    grid: Grid,
    starts: Arc<[Start]>,
    comparison: Comparison,
    smoother: Option<Arc<Smoother>>,
}

/// What the model gives at a starting point, of which no fit has to ask again.
struct Start {
    flux: Vec<f32>,
    gradient: Gradient,
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
    /// The region that fits worst for what its limit is, if any has enough pixels.
    pub worst: Option<Region>,
    /// Whether the whole or a region is beyond its limit.
    pub poor: bool,
    /// Steps that were tried, of the last starting point.
    pub iterations: usize,
    /// Whether the last step was small against the errors.
    pub converged: bool,
}

/// One fit on its way.
struct Run {
    index: usize,
    target: Target,
    /// Starting points by chi-square, the worst first, and the velocity of all.
    starts: Vec<usize>,
    rv_kms: f64,
    search: Search,
    iterations: usize,
    stage: Stage,
    found: Option<Fitted>,
    result: Option<Result<Fitted, FitError>>,
}

/// What a run evaluates next.
enum Stage {
    /// A trial, with derivatives.
    Trial,
    /// Where it will end, without derivatives. The matrix is `J^T W J` for the noise of the data.
    Last(DMatrix<f64>),
    /// Where it ended without having converged, with derivatives.
    Closing,
}

impl<F: Forward> Fitter<F> {
    /// Prepares a model for fits, and evaluates it at the starting points.
    ///
    /// # Errors
    /// Those of the model.
    pub fn new(mut forward: F, plan: Arc<Plan>) -> Result<Self, F::Error> {
        let grid = Grid::new(forward.wave());
        let mut starts = Vec::with_capacity(plan.starts.len());
        for labels in plan.starts.chunks(forward.batch()) {
            let (flux, gradient) = forward.gradient(rows(labels).view())?;
            for (flux, derivatives) in flux.outer_iter().zip(gradient.outer_iter()) {
                let mut gradient = Gradient::default();
                gradient.lay(&derivatives, plan.labels.iter().map(|label| label.step));
                starts.push(Start { flux: flux.to_vec(), gradient });
            }
        }
        let comparison = Comparison::default();
        Ok(Self { forward, plan, grid, starts: starts.into(), comparison, smoother: None })
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
        let mut gradient = Gradient::default();
        loop {
            // A run that has ended makes room for the next at once, so that batches stay full.
            while runs.len() < self.forward.batch()
                && let Some((index, observation)) = waiting.next()
            {
                match self.begin(index, observation) {
                    Ok(mut run) => match run.result.take() {
                        Some(result) => results[index] = result,
                        None => runs.push(run),
                    },
                    Err(error) => results[index] = Err(error),
                }
            }
            if runs.is_empty() {
                return Ok(results);
            }
            let (flux, derivatives) = self.forward.gradient(self.places(&runs).view())?;
            for (row, run) in runs.iter_mut().enumerate() {
                let steps = self.plan.labels.iter().map(|label| label.step);
                gradient.lay(&derivatives.index_axis(Axis(0), row), steps);
                self.advance(run, flux.row(row).as_slice().unwrap_or_default(), &gradient);
            }
            let last = runs.iter_mut().filter(|run| matches!(run.stage, Stage::Last(_)));
            let mut last: Vec<&mut Run> = last.collect();
            if !last.is_empty() {
                let flux = self.forward.flux(self.places(&last).view())?;
                for (run, flux) in last.iter_mut().zip(flux.outer_iter()) {
                    self.arrive(run, flux.as_slice().unwrap_or_default());
                }
            }
            runs.retain_mut(|run| match run.result.take() {
                Some(result) => {
                    results[run.index] = result;
                    false
                }
                None => true,
            });
        }
    }

    /// Finds where to start: each starting point is compared at the velocity that is known, or at
    /// the one that suits the first best. Then it takes the first step.
    fn begin(&mut self, index: usize, observation: &Observation<'_>) -> Result<Run, FitError> {
        let mut target = Target::new(observation, &self.grid, &self.plan, &mut self.smoother)?;
        let limit = self.plan.max_rv_kms;
        let rv_kms = match observation.rv_kms.filter(|rv| rv.abs() < limit) {
            Some(rv) => rv,
            None => self.scan(&target).unwrap_or(0.0),
        };
        self.comparison.go(&target, &self.grid, rv_kms);
        let mut starts = Vec::with_capacity(self.starts.len());
        let mut least = f64::INFINITY;
        let mut ratio = Vec::new();
        for (number, start) in self.starts.iter().enumerate() {
            if let Some(chi2) = self.comparison.chi2(&target, &start.flux) {
                starts.push((chi2, number));
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
        target.flatten(&ratio, &self.plan.model_error, &self.grid);
        starts.sort_by(|a, b| b.0.total_cmp(&a.0));
        let from = starts.len().saturating_sub(TRIES);
        let starts: Vec<usize> = starts.drain(from..).map(|(_, number)| number).collect();
        let search = self.search(0, rv_kms);
        let (iterations, stage, found, result) = (0, Stage::Trial, None, None);
        let mut run =
            Run { index, target, starts, rv_kms, search, iterations, stage, found, result };
        self.next_start(&mut run);
        Ok(run)
    }

    fn scan(&mut self, target: &Target) -> Option<f64> {
        let starts = Arc::clone(&self.starts);
        let mut best: Option<(f64, f64)> = None;
        let mut rv = -(self.plan.max_rv_kms / RV_GRID).floor() * RV_GRID;
        while rv <= self.plan.max_rv_kms {
            self.comparison.go(target, &self.grid, rv);
            let chi2 = self.comparison.chi2(target, &starts.first()?.flux);
            if let Some(chi2) = chi2.filter(|&chi2| best.is_none_or(|(least, _)| chi2 < least)) {
                best = Some((chi2, rv));
            }
            rv += RV_GRID;
        }
        best.map(|(_, rv)| rv)
    }

    /// A search from a starting point.
    fn search(&self, start: usize, rv_kms: f64) -> Search {
        let place = |labels: &mut dyn Iterator<Item = f64>, rv: f64| {
            let scaled = labels.zip(&self.plan.labels).map(|(x, label)| x / label.step);
            DVector::from_iterator(self.plan.labels.len() + 1, scaled.chain([rv / RV_STEP]))
        };
        let end = |side: usize, rv: f64| {
            place(&mut self.plan.labels.iter().map(|label| label.valid[side]), rv)
        };
        let start = place(&mut self.plan.starts[start].iter().copied(), rv_kms);
        Search::new(&start, end(0, -self.plan.max_rv_kms), end(1, self.plan.max_rv_kms))
    }

    /// The labels of a place, in physical units and never outside their bounds.
    fn labels(&self, place: &DVector<f64>) -> Vec<f64> {
        let labels = place.iter().zip(&self.plan.labels);
        labels.map(|(x, label)| (x * label.step).clamp(label.valid[0], label.valid[1])).collect()
    }

    /// The labels of all trials.
    fn places<R: Borrow<Run>>(&self, runs: &[R]) -> Array2<f32> {
        let places = runs.iter().map(|run| self.labels(&run.borrow().search.trial));
        rows(&places.collect::<Vec<_>>())
    }

    /// Chi-square at the trial.
    fn chi2(&mut self, run: &Run, flux: &[f32]) -> Option<f64> {
        let rv_kms = run.search.trial[run.search.trial.len() - 1] * RV_STEP;
        self.comparison.go(&run.target, &self.grid, rv_kms);
        self.comparison.chi2(&run.target, flux)
    }

    /// Goes on with what the model gives at the trial.
    fn advance(&mut self, run: &mut Run, flux: &[f32], gradient: &Gradient) {
        let chi2 = self.chi2(run, flux);
        let is_first = run.search.best.is_none();
        let is_closing = matches!(run.stage, Stage::Closing);
        run.iterations += usize::from(!is_first && !is_closing);
        if let Some(chi2) = chi2.filter(|_| is_closing || run.search.takes(chi2)) {
            let model = (&self.grid, flux, gradient);
            run.search.take(self.comparison.normal(&run.target, model, chi2));
            let left = run.search.left();
            if is_closing || left == Left::Nothing {
                let noise = self.comparison.noise(&run.target, gradient.labels);
                return self.conclude(run, left != Left::Far, &noise);
            }
            if left == Left::OneStep && run.search.last_step() {
                run.stage = Stage::Last(self.comparison.noise(&run.target, gradient.labels));
                return;
            }
        } else if is_first || is_closing {
            return self.next_start(run);
        } else {
            run.search.refuse();
        }
        if run.iterations >= self.plan.max_iterations || !run.search.step() {
            run.search.go_back();
            run.stage = Stage::Closing;
        }
    }

    /// Ends with what the model gives after the last step, or before it if that is better.
    fn arrive(&mut self, run: &mut Run, flux: &[f32]) {
        let chi2 = self.chi2(run, flux);
        run.iterations += 1;
        let chi2 = chi2.filter(|_| run.search.takes(chi2));
        let stage = std::mem::replace(&mut run.stage, Stage::Closing);
        if let (Some(chi2), Stage::Last(noise)) = (chi2, stage) {
            run.search.arrive(chi2);
            self.conclude(run, true, &noise);
        } else {
            run.search.go_back();
        }
    }

    fn next_start(&mut self, run: &mut Run) {
        let Some(start) = run.starts.pop() else {
            run.result = Some(run.found.take().ok_or(FitError::NoFlux));
            return;
        };
        run.search = self.search(start, run.rv_kms);
        (run.iterations, run.stage) = (0, Stage::Trial);
        let starts = Arc::clone(&self.starts);
        self.advance(run, &starts[start].flux, &starts[start].gradient);
    }

    /// Takes what is found at the place of the last comparison, or goes on from another start.
    fn conclude(&mut self, run: &mut Run, converged: bool, noise: &DMatrix<f64>) {
        let fitted = self.fitted(run, converged, noise);
        let is_end = run.starts.is_empty() || fitted.as_ref().is_some_and(|it| it.converged);
        run.found = better(run.found.take(), fitted);
        if is_end {
            run.result = Some(run.found.take().ok_or(FitError::NoFlux));
        } else {
            self.next_start(run);
        }
    }

    fn fitted(&self, run: &Run, converged: bool, noise: &DMatrix<f64>) -> Option<Fitted> {
        let (place, normal) = run.search.best.as_ref()?;
        let target = &run.target;
        let steps: Vec<f64> =
            self.plan.labels.iter().map(|label| label.step).chain([RV_STEP]).collect();
        let scaled = invert(&normal.curvature)?;
        let covariance =
            DMatrix::from_fn(steps.len(), steps.len(), |i, j| scaled[(i, j)] * steps[i] * steps[j]);
        let bound = invert(noise)?;
        let bound = bound.diagonal().iter().zip(&steps).map(|(v, step)| v.sqrt() * step).collect();
        let freedom = target.pixels as f64 - steps.len() as f64 - target.continuum_freedom;
        let tally = |pixel| self.comparison.tally(target, pixel);
        let regions = regions(target.smoother.wave(), self.plan.smoothing_fwhm, tally);
        let mut whole = Tally::default();
        for (_, tally) in &regions {
            whole.add(*tally);
        }
        whole.freedom = freedom;
        let verdict = self.plan.limits.judge(whole, regions.into_iter());
        Some(Fitted {
            labels: self.labels(place),
            rv_kms: place[steps.len() - 1] * RV_STEP,
            covariance,
            bound,
            at_end: run.search.at_bound(place),
            chi2: normal.chi2,
            freedom,
            chi2_continuum: target.chi2_continuum,
            worst: verdict.worst,
            poor: verdict.poor,
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

#[expect(clippy::cast_possible_truncation, reason = "the network takes single precision")]
fn rows(labels: &[Vec<f64>]) -> Array2<f32> {
    let width = labels.first().map_or(0, Vec::len);
    Array2::from_shape_fn((labels.len(), width), |(row, label)| labels[row][label] as f32)
}
