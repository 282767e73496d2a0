//! The pseudo-continuum: a polynomial that leaves the lines out.

use serde::Deserialize;

use super::lanes::{self, LANES};
use super::resample::Window;
use crate::reject::{Code, Reject};

/// The highest order of the polynomial.
const MAX_ORDER: usize = 5;
/// Its coefficients.
const TERMS: usize = MAX_ORDER + 1;
/// The most fits that a recipe may ask for.
const MOST_FITS: usize = 1000;
/// Scatter round the polynomial, in standard deviations of the flux, that is rounding alone: what a
/// polynomial explains wholly has no outliers.
const DIGITS: f64 = 1e-6;

/// The step: a least-squares polynomial in standardised log10(lambda), by which the flux is divided.
///
/// Xiong et al. 2022 fit order 5 (section 2.2). Their published code does it again and again: pixels
/// outside `-upper sigma < fit - flux < lower sigma` become the fit, until there are none. The
/// code standardises the flux for it, with which the fit moves along, and sets no limit to the
/// number of fits: spectra of stars take 9 on average, noise and bands up to 32.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Continuum {
    /// Order of the polynomial, 1 to 5.
    pub order: usize,
    /// How far below the fit a flux may lie, standard deviations.
    pub lower: f64,
    /// How far above.
    pub upper: f64,
    /// The most fits; a spectrum that needs more is a reject.
    pub max_iterations: usize,
}

/// Polynomials on the pixels of a window that are orthogonal to each other and of unit length, so
/// that each coefficient of a fit is a sum over the pixels, and an outlier that is replaced changes
/// it by one product: no equations are solved for a spectrum, and no sum is made twice.
#[derive(Debug, Clone, PartialEq)]
pub struct Basis {
    /// log10(lambda), standardised.
    x: Vec<f64>,
    /// The polynomials at each pixel; those above the order are zero.
    values: Vec<[f64; TERMS]>,
    /// Their coefficients in powers of x, from the constant up.
    powers: [[f64; TERMS]; TERMS],
}

impl Continuum {
    /// The polynomials for a window.
    ///
    /// # Errors
    /// A phrase on settings that allow no fit.
    pub fn basis(&self, window: &Window) -> Result<Basis, String> {
        if !(1..=MAX_ORDER).contains(&self.order) {
            return Err(format!("order is {}, it must be 1 to {MAX_ORDER}", self.order));
        }
        if window.pixels() <= 2 * TERMS {
            return Err(format!("a window has {} pixels, too few to fit", window.pixels()));
        }
        if !(self.lower > 0.0 && self.upper > 0.0) {
            return Err("lower and upper must be above 0".into());
        }
        if !(1..=MOST_FITS).contains(&self.max_iterations) {
            return Err(format!(
                "max_iterations is {}, it must be 1 to {MOST_FITS}",
                self.max_iterations
            ));
        }
        Ok(Basis::new(window, self.order))
    }

    /// Divides the flux of one window by its pseudo-continuum; returns how many fits it took.
    /// `filled` is room to work in.
    ///
    /// # Errors
    /// [`Code::FLAT_SPECTRUM`] for a flux without variation, [`Code::BAD_CONTINUUM`] for a
    /// polynomial that is not positive everywhere, or that `max_iterations` fits do not settle.
    pub fn divide(
        &self,
        basis: &Basis,
        flux: &mut [f64],
        filled: &mut Vec<f64>,
    ) -> Result<usize, Reject> {
        let (centre, spread) = lanes::mean_and_deviation(flux);
        // Below this the digits of single-precision fluxes are all that varies.
        if !(spread.is_finite() && spread > 1e-7 * centre.abs()) {
            return Err(
                Code::FLAT_SPECTRUM.because(format!("its standard deviation is {spread:e}"))
            );
        }
        filled.clear();
        filled.extend(flux.iter().map(|flux| (flux - centre) / spread));
        let (polynomial, fits) = self.fit(basis, filled)?;
        let mut least = f64::INFINITY;
        for (flux, &x) in flux.iter_mut().zip(&basis.x) {
            let continuum = at(&polynomial, x) * spread + centre;
            least = if continuum < least { continuum } else { least };
            *flux /= continuum;
        }
        if least > 0.0 {
            return Ok(fits);
        }
        Err(Code::BAD_CONTINUUM.because(format!("the pseudo-continuum goes down to {least:.4}")))
    }

    /// Coefficients in powers of x, and the number of fits. Outliers of `y`, whose mean must be near
    /// zero, become the fit.
    fn fit(&self, basis: &Basis, y: &mut [f64]) -> Result<([f64; TERMS], usize), Reject> {
        let count = y.len() as f64;
        let mut state = Fit { coefficients: basis.project(y), squares: lanes::sum(y, |y| y * y) };
        for fits in 1..=self.max_iterations {
            let polynomial = basis.in_powers(&state.coefficients);
            // Pythagoras: what the polynomials do not hold of the squares is that of the residuals,
            // whose mean is zero because a constant is among the polynomials.
            let held: f64 = state.coefficients.iter().map(|c| c * c).sum();
            let sigma = ((state.squares - held).max(0.0) / count).sqrt();
            if sigma <= DIGITS {
                return Ok((polynomial, fits));
            }
            let limits = (-self.upper * sigma, self.lower * sigma);
            if !state.fill(basis, y, &polynomial, limits) {
                return Ok((polynomial, fits));
            }
        }
        Err(Code::BAD_CONTINUUM
            .because(format!("{} fits leave outliers all the same", self.max_iterations)))
    }
}

/// A fit as sums over the pixels.
struct Fit {
    /// Products with the polynomials of the basis.
    coefficients: [f64; TERMS],
    /// Squares.
    squares: f64,
}

impl Fit {
    /// Replaces outliers of `y` by the polynomial and keeps the sums; returns whether there were any.
    fn fill(
        &mut self,
        basis: &Basis,
        y: &mut [f64],
        polynomial: &[f64; TERMS],
        (low, high): (f64, f64),
    ) -> bool {
        let mut any = false;
        let (xs, _) = basis.x.as_chunks::<LANES>();
        let whole = xs.len() * LANES;
        let (ys, rest) = y.as_chunks_mut::<LANES>();
        for (chunk, (xs, ys)) in xs.iter().zip(ys).enumerate() {
            let mut fitted = [0.0; LANES];
            let mut stay = true;
            for lane in 0..LANES {
                fitted[lane] = at(polynomial, xs[lane]);
                let above = fitted[lane] - ys[lane];
                stay &= above > low;
                stay &= above < high;
            }
            if !stay {
                any = true;
                for (lane, (y, fitted)) in ys.iter_mut().zip(fitted).enumerate() {
                    self.fill_one(&basis.values[chunk * LANES + lane], y, fitted, (low, high));
                }
            }
        }
        for (y, (values, &x)) in
            rest.iter_mut().zip(basis.values[whole..].iter().zip(&basis.x[whole..]))
        {
            any |= self.fill_one(values, y, at(polynomial, x), (low, high));
        }
        any
    }

    fn fill_one(
        &mut self,
        values: &[f64; TERMS],
        y: &mut f64,
        fitted: f64,
        (low, high): (f64, f64),
    ) -> bool {
        let above = fitted - *y;
        if above > low && above < high {
            return false;
        }
        for (coefficient, value) in self.coefficients.iter_mut().zip(values) {
            *coefficient += value * above;
        }
        self.squares += above * (fitted + *y);
        *y = fitted;
        true
    }
}

impl Basis {
    fn new(window: &Window, order: usize) -> Self {
        let log: Vec<f64> = (0..window.pixels()).map(|pixel| window.pixel(pixel).log10()).collect();
        Self::of_log(&log, order)
    }

    /// Polynomials up to `order`, at most 5, at these log10(lambda).
    pub(crate) fn of_log(log: &[f64], order: usize) -> Self {
        let (centre, spread) = lanes::mean_and_deviation(log);
        let x: Vec<f64> = log.iter().map(|log| (log - centre) / spread).collect();
        let mut basis =
            Self { values: vec![[0.0; TERMS]; x.len()], powers: [[0.0; TERMS]; TERMS], x };
        for term in 0..=order {
            basis.add(term);
        }
        basis
    }

    /// Makes the polynomial of order `term`: x times the one before, less what those before hold of
    /// it. Done twice, since the first time leaves rounding (Gram and Schmidt).
    fn add(&mut self, term: usize) {
        let mut powers = [0.0; TERMS];
        let mut column: Vec<f64> = match term.checked_sub(1) {
            None => {
                powers[0] = 1.0;
                vec![1.0; self.x.len()]
            }
            Some(before) => {
                powers[1..].copy_from_slice(&self.powers[before][..MAX_ORDER]);
                self.x.iter().zip(&self.values).map(|(x, values)| x * values[before]).collect()
            }
        };
        for _ in 0..2 {
            let held = self.project(&column);
            for (value, values) in column.iter_mut().zip(&self.values) {
                *value -= values.iter().zip(&held).map(|(value, held)| value * held).sum::<f64>();
            }
            for (held, before) in held.iter().zip(&self.powers) {
                for (power, before) in powers.iter_mut().zip(before) {
                    *power -= held * before;
                }
            }
        }
        let length = lanes::sum(&column, |value| value * value).sqrt();
        for (values, value) in self.values.iter_mut().zip(column) {
            values[term] = value / length;
        }
        self.powers[term] = powers.map(|power| power / length);
    }

    /// Products of `y` with each polynomial.
    fn project(&self, y: &[f64]) -> [f64; TERMS] {
        // Two sums each, so that none waits for the other.
        let mut sums = [[0.0; TERMS]; 2];
        let (pairs, odd) = self.values.as_chunks::<2>();
        let (y_pairs, y_odd) = y.as_chunks::<2>();
        for (values, y) in pairs.iter().zip(y_pairs) {
            for side in 0..2 {
                for term in 0..TERMS {
                    sums[side][term] += values[side][term] * y[side];
                }
            }
        }
        for (values, y) in odd.iter().zip(y_odd) {
            for term in 0..TERMS {
                sums[0][term] += values[term] * y;
            }
        }
        std::array::from_fn(|term| sums[0][term] + sums[1][term])
    }

    /// The coefficients of a sum of the polynomials in powers of x.
    fn in_powers(&self, coefficients: &[f64; TERMS]) -> [f64; TERMS] {
        let mut sum = [0.0; TERMS];
        for (coefficient, powers) in coefficients.iter().zip(&self.powers) {
            for (sum, power) in sum.iter_mut().zip(powers) {
                *sum += coefficient * power;
            }
        }
        sum
    }
}

/// How many pixels of a window were outliers of its continuum, from the flux that was divided and from
/// the room in which [`Continuum::divide`] replaced them.
pub fn outliers(flux: &[f64], filled: &[f64]) -> usize {
    let (centre, spread) = lanes::mean_and_deviation(flux);
    let is_replaced =
        |(flux, filled): &(&f64, &f64)| ((**flux - centre) / spread).to_bits() != filled.to_bits();
    flux.iter().zip(filled).filter(is_replaced).count()
}

/// The polynomial at x, by Horner's rule.
#[inline]
fn at(polynomial: &[f64; TERMS], x: f64) -> f64 {
    let [lower @ .., highest] = polynomial;
    lower.iter().rev().fold(*highest, |sum, coefficient| sum * x + coefficient)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PUBLISHED: Continuum =
        Continuum { order: 5, lower: 3.0, upper: 4.0, max_iterations: 100 };

    fn window(end: f64) -> Window {
        Window::new([4968.0, end, 0.1]).unwrap()
    }

    fn divided(flux: &[f64], end: f64) -> Result<(Vec<f64>, usize), Code> {
        let basis = PUBLISHED.basis(&window(end)).unwrap();
        let mut flux = flux.to_vec();
        let fits = PUBLISHED.divide(&basis, &mut flux, &mut Vec::new());
        fits.map(|fits| (flux, fits)).map_err(|reject| reject.code)
    }

    #[test]
    fn the_polynomials_are_orthogonal_and_are_what_their_powers_say() {
        let basis = PUBLISHED.basis(&window(5328.0)).unwrap();
        for term in 0..TERMS {
            let column: Vec<f64> = basis.values.iter().map(|values| values[term]).collect();
            for (other, product) in basis.project(&column).into_iter().enumerate() {
                let expected = f64::from(u8::from(other == term));
                assert!((product - expected).abs() < 1e-13, "{term} {other}");
            }
            for (x, value) in basis.x.iter().zip(column) {
                assert!((at(&basis.powers[term], *x) - value).abs() < 1e-13, "{term}");
            }
        }
    }

    #[test]
    fn settings_that_allow_no_fit_are_refused() {
        let check = |settings: Continuum, says: &str| {
            let error = settings.basis(&window(5328.0)).unwrap_err();
            assert!(error.contains(says), "{error:?} should say {says:?}");
        };
        check(Continuum { order: 0, ..PUBLISHED }, "order is 0");
        check(Continuum { order: 6, ..PUBLISHED }, "1 to 5");
        check(Continuum { lower: 0.0, ..PUBLISHED }, "above 0");
        check(Continuum { upper: f64::NAN, ..PUBLISHED }, "above 0");
        check(Continuum { max_iterations: 0, ..PUBLISHED }, "max_iterations is 0");
        check(Continuum { max_iterations: usize::MAX, ..PUBLISHED }, "1 to 1000");
        assert!(PUBLISHED.basis(&window(4969.0)).unwrap_err().contains("too few"));
    }

    #[test]
    fn lines_are_left_out() {
        let line = |pixel: f64| 0.6 * (-0.5 * ((pixel - 150.0) / 4.0).powi(2)).exp();
        let level = |pixel: f64| 800.0 + 0.5 * pixel;
        let pixels = || (0..400).map(f64::from);
        let flux: Vec<f64> = pixels().map(|p| level(p) * (1.0 - line(p))).collect();
        let (found, fits) = divided(&flux, 5008.0).unwrap();
        assert!(fits > 3);
        let worst = found.iter().zip(pixels()).map(|(y, p)| (y - 1.0 + line(p)).abs());
        assert!(worst.fold(0.0, f64::max) < 1e-3);
    }

    #[test]
    fn what_has_no_continuum_is_a_reject() {
        assert_eq!(divided(&[7.0; 400], 5008.0), Err(Code::FLAT_SPECTRUM));
        assert_eq!(divided(&[f64::NAN; 400], 5008.0), Err(Code::FLAT_SPECTRUM));
        let through_zero: Vec<f64> = (0..400).map(|pixel| f64::from(pixel) - 100.0).collect();
        assert_eq!(divided(&through_zero, 5008.0), Err(Code::BAD_CONTINUUM));
        let basis = PUBLISHED.basis(&window(5008.0)).unwrap();
        let mut noisy: Vec<f64> = (0..400).map(|i| 9.0 + f64::from(i * i % 17)).collect();
        noisy[100] = 1e3;
        let once = Continuum { max_iterations: 1, ..PUBLISHED };
        let reject = once.divide(&basis, &mut noisy, &mut Vec::new()).unwrap_err();
        assert!(reject.detail.contains("1 fits"), "{reject}");
    }

    proptest! {
        #[test]
        fn a_polynomial_of_order_five_becomes_one(
            level in 1e-3..1e6,
            shape in prop::array::uniform5(-0.15..0.15),
        ) {
            prop_assume!(shape.iter().any(|c: &f64| c.abs() > 1e-3));
            let basis = PUBLISHED.basis(&window(5328.0)).unwrap();
            let flux: Vec<f64> = basis
                .x
                .iter()
                // Powers of a number below 1, so that the sum stays positive.
                .map(|x| {
                    let u = x / 1.8;
                    level * shape.iter().rev().fold(0.0, |sum, c| sum * u + c).mul_add(u, 1.0)
                })
                .collect();
            let (found, fits) = divided(&flux, 5328.0).unwrap();
            prop_assert_eq!(fits, 1);
            prop_assert!(found.iter().all(|y| (y - 1.0).abs() < 1e-9));
        }

        #[test]
        fn the_unit_of_the_flux_does_not_matter(unit in 1e-6..1e6, seed in 0u64..1000) {
            let flux = |unit: f64| -> Vec<f64> {
                let mut state = seed;
                let noise = std::iter::repeat_with(|| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    (state >> 40) as f64 / f64::from(1 << 24)
                });
                noise.take(500).map(|noise| unit * (1.0 + 0.1 * noise)).collect()
            };
            let (one, fits) = divided(&flux(1.0), 5018.0).unwrap();
            let (other, same) = divided(&flux(unit), 5018.0).unwrap();
            prop_assert_eq!(fits, same);
            prop_assert!(one.iter().zip(&other).all(|(a, b)| (a - b).abs() < 1e-9));
        }
    }
}
