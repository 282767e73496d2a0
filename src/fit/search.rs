//! Levenberg-Marquardt within bounds, a step at a time.
//!
//! Damping follows Nielsen 1999 (IMM-REP-1999-05), scaled with the diagonal as Marquardt does.
//! Bounds are held by projection with an active set (Kanzow, Yamashita & Fukushima 2004): a
//! parameter at its bound whose pull goes outward is left out of the equations and the others are
//! solved for; what this would move beyond a bound is held there, and the rest is solved for again.

use nalgebra::{Cholesky, DMatrix, DVector};

use super::compare::Normal;

/// A fit has converged when the step that is left, without damping, is shorter than this in units
/// of the errors of all parameters together; squared.
const CONVERGED: f64 = 0.005 * 0.005;
/// A step shorter than this is the last: what the next would correct is far shorter. Squared.
const LAST: f64 = 0.05 * 0.05;
/// A step that should gain less chi-square than this is as small as the rounding of a network in
/// single precision, and is not asked what it gained.
const ROUNDING: f64 = 0.01;
const FIRST_DAMPING: f64 = 1e-3;
const LEAST_DAMPING: f64 = 1e-10;
/// Damping at which steps are too small to lead anywhere.
const MOST_DAMPING: f64 = 1e9;
/// What is added to a diagonal of ones before it is inverted, so that a label without any line in
/// the window gets a very large error instead of none.
const RIDGE: f64 = 1e-12;

/// How far a search is from its end.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Left {
    /// It is there.
    Nothing,
    /// A step so short that the equations after it need not be asked.
    OneStep,
    /// Farther.
    Far,
}

/// Where a search stands. Parameters are in units of their steps.
#[derive(Debug, Clone)]
pub(super) struct Search {
    low: DVector<f64>,
    high: DVector<f64>,
    /// The place of the next evaluation.
    pub(super) trial: DVector<f64>,
    /// The best place so far and its equations.
    pub(super) best: Option<(DVector<f64>, Normal)>,
    predicted: f64,
    damping: f64,
    growth: f64,
}

impl Search {
    pub(super) fn new(start: &DVector<f64>, low: DVector<f64>, high: DVector<f64>) -> Self {
        let trial = clamp(start, &low, &high);
        Self { low, high, trial, best: None, predicted: 0.0, damping: FIRST_DAMPING, growth: 2.0 }
    }

    /// Whether a trial of this chi-square is taken.
    pub(super) fn takes(&self, chi2: Option<f64>) -> bool {
        match (&self.best, chi2) {
            (_, None) => false,
            (None, Some(_)) => true,
            (Some((_, best)), Some(chi2)) => {
                chi2 < best.chi2 || (self.predicted < ROUNDING && chi2 < best.chi2 + ROUNDING)
            }
        }
    }

    /// Goes to the trial, whose equations these are.
    pub(super) fn take(&mut self, normal: Normal) {
        if let Some((_, best)) = &self.best {
            let gain = (best.chi2 - normal.chi2) / self.predicted.max(f64::MIN_POSITIVE);
            let factor = 1.0 - (2.0 * gain.clamp(0.0, 1.0) - 1.0).powi(3);
            self.damping = (self.damping * factor.max(1.0 / 3.0)).max(LEAST_DAMPING);
            self.growth = 2.0;
        }
        self.best = Some((self.trial.clone(), normal));
    }

    /// Stays, and makes the next step shorter.
    pub(super) fn refuse(&mut self) {
        self.damping *= self.growth;
        self.growth *= 2.0;
    }

    /// What is left to go from the best place.
    pub(super) fn left(&self) -> Left {
        let Some((place, normal)) = &self.best else { return Left::Far };
        let free = self.free(place, normal);
        let length = solve(normal, &free, 0.0)
            .map(|step| step.iter().zip(&normal.pull).map(|(s, p)| s * p).sum::<f64>());
        match length {
            Some(length) if length < CONVERGED => Left::Nothing,
            Some(length) if length < LAST => Left::OneStep,
            _ => Left::Far,
        }
    }

    /// Goes to the last trial, where nothing but chi-square is asked.
    pub(super) fn arrive(&mut self, chi2: f64) {
        if let Some((place, normal)) = &mut self.best {
            place.copy_from(&self.trial);
            normal.chi2 = chi2;
        }
    }

    /// Chooses the best place so far as the next trial.
    pub(super) fn go_back(&mut self) {
        if let Some((place, _)) = &self.best {
            self.trial = place.clone();
        }
    }

    /// Chooses the last trial: what is left, all but undamped.
    pub(super) fn last_step(&mut self) -> bool {
        self.damping = LEAST_DAMPING;
        self.step()
    }

    /// Chooses the next trial, unless no step leads on.
    pub(super) fn step(&mut self) -> bool {
        let Some((place, normal)) = &self.best else { return false };
        let free = self.free(place, normal);
        while self.damping < MOST_DAMPING {
            if let Some(trial) = self.within(place, normal, free.clone()) {
                let step = &trial - place;
                let predicted =
                    2.0 * step.dot(&normal.pull) - (&normal.curvature * &step).dot(&step);
                if predicted > 0.0 {
                    (self.trial, self.predicted) = (trial, predicted);
                    return true;
                }
            }
            self.damping *= self.growth;
            self.growth *= 2.0;
        }
        false
    }

    /// Solves for a step within the bounds: what would leave them stays at them, and the others are
    /// solved for again, given that.
    fn within(
        &self,
        place: &DVector<f64>,
        normal: &Normal,
        mut free: Vec<usize>,
    ) -> Option<DVector<f64>> {
        let mut held = DVector::zeros(place.len());
        loop {
            let rest = Normal {
                chi2: normal.chi2,
                pull: &normal.pull - &normal.curvature * &held,
                curvature: normal.curvature.clone(),
            };
            let trial = place + solve(&rest, &free, self.damping)? + &held;
            let kept = clamp(&trial, &self.low, &self.high);
            let count = free.len();
            free.retain(|&i| {
                let stays = (self.low[i]..=self.high[i]).contains(&trial[i]);
                if !stays {
                    held[i] = kept[i] - place[i];
                }
                stays
            });
            if free.len() == count {
                return Some(kept);
            }
        }
    }

    /// Parameters that lie at a bound.
    pub(super) fn at_bound(&self, place: &DVector<f64>) -> Vec<bool> {
        let bounds = self.low.iter().zip(&self.high);
        place.iter().zip(bounds).map(|(x, (low, high))| x <= low || x >= high).collect()
    }

    /// Parameters that may move: all but those that press against their bound.
    fn free(&self, place: &DVector<f64>, normal: &Normal) -> Vec<usize> {
        (0..place.len())
            .filter(|&i| {
                let (x, pull) = (place[i], normal.pull[i]);
                !(x <= self.low[i] && pull <= 0.0 || x >= self.high[i] && pull >= 0.0)
            })
            .collect()
    }
}

fn clamp(place: &DVector<f64>, low: &DVector<f64>, high: &DVector<f64>) -> DVector<f64> {
    place.zip_zip_map(low, high, f64::clamp)
}

/// The damped step of the free parameters; zero for the others.
fn solve(normal: &Normal, free: &[usize], damping: f64) -> Option<DVector<f64>> {
    let scale = scales(&normal.curvature);
    let matrix = DMatrix::from_fn(free.len(), free.len(), |row, column| {
        let (i, j) = (free[row], free[column]);
        let one = if row == column { damping + RIDGE } else { 0.0 };
        normal.curvature[(i, j)] * scale[i] * scale[j] + one
    });
    let pull = DVector::from_fn(free.len(), |row, _| normal.pull[free[row]] * scale[free[row]]);
    let solution = Cholesky::new(matrix)?.solve(&pull);
    let mut step = DVector::zeros(normal.pull.len());
    for (value, &i) in solution.iter().zip(free) {
        step[i] = value * scale[i];
    }
    step.iter().all(|step| step.is_finite()).then_some(step)
}

/// The inverse of a matrix `J^T W J`: the covariance of the parameters.
pub(super) fn invert(matrix: &DMatrix<f64>) -> Option<DMatrix<f64>> {
    let scale = scales(matrix);
    let size = matrix.nrows();
    let scaled = DMatrix::from_fn(size, size, |i, j| {
        matrix[(i, j)] * scale[i] * scale[j] + if i == j { RIDGE } else { 0.0 }
    });
    let inverse = Cholesky::new(scaled)?.inverse();
    Some(DMatrix::from_fn(size, size, |i, j| inverse[(i, j)] * scale[i] * scale[j]))
}

/// Factors that make the diagonal one.
fn scales(matrix: &DMatrix<f64>) -> DVector<f64> {
    let diagonal = matrix.diagonal();
    let least = (diagonal.max() * RIDGE).max(f64::MIN_POSITIVE);
    diagonal.map(|value| 1.0 / value.max(least).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `(x - centre)^T H (x - centre)` as the chi-square of a linear model.
    fn normal(hessian: &DMatrix<f64>, centre: &DVector<f64>, at: &DVector<f64>) -> Normal {
        let pull = hessian * (centre - at);
        let chi2 = pull.dot(&(centre - at));
        Normal { chi2, pull, curvature: hessian.clone() }
    }

    fn minimum(hessian: &DMatrix<f64>, centre: &DVector<f64>) -> DVector<f64> {
        let ends = |end| DVector::from_element(centre.len(), end);
        let mut search = Search::new(&ends(0.0), ends(-1.0), ends(1.0));
        for _ in 0..100 {
            assert!(search.trial.iter().all(|x| (-1.0..=1.0).contains(x)), "a bound was left");
            let normal = normal(hessian, centre, &search.trial);
            if search.takes(Some(normal.chi2)) {
                search.take(normal);
            } else {
                search.refuse();
            }
            if search.left() == Left::Nothing || !search.step() {
                break;
            }
        }
        search.best.unwrap().0
    }

    #[test]
    fn a_parabola_has_its_minimum_in_the_box_or_on_its_face() {
        let hessian = DMatrix::from_row_slice(2, 2, &[1e6, 0.6e6, 0.6e6, 1e6]);
        let check = |centre: [f64; 2], expected: [f64; 2]| {
            let found = minimum(&hessian, &DVector::from_row_slice(&centre));
            for (found, expected) in found.iter().zip(expected) {
                assert!((found - expected).abs() < 1e-5, "{found} is not {expected}");
            }
        };
        check([0.3, -0.2], [0.3, -0.2]);
        // Outside in the first alone: the second gives way by what the two share.
        check([2.0, 0.0], [1.0, 0.6]);
        check([2.0, 2.0], [1.0, 1.0]);
        check([-3.0, 0.0], [-1.0, -1.0]);
    }

    #[test]
    fn a_label_without_lines_gets_a_very_large_error() {
        let matrix = DMatrix::from_row_slice(2, 2, &[4.0, 0.0, 0.0, 0.0]);
        let covariance = invert(&matrix).unwrap();
        assert!((covariance[(0, 0)] - 0.25).abs() < 1e-9);
        assert!(covariance[(1, 1)] > 1e10 && covariance[(1, 1)].is_finite());
    }
}
