//! How well the labels of a row fit its spectrum.
//!
//! The model's flux at these labels is moved to the pixels of the data and both are normalised with
//! the same Gaussian, as in a fit. Nothing is fitted but the smooth continuum, and the velocity of a
//! star of which none is known; so it costs a hundredth of a fit.
//!
//! The variance of a pixel is that of the data plus that of the model: its own error, and what the
//! errors of labels leave.

use std::ops::Range;

use super::groups::{Groups, IN_FWHM, rises};
use super::regions::{FWHM_IN_REGION, Limits, Region, Tally, Verdict};
use super::shift::{Moved, Place, Source};
use crate::prep::{Doppler, Pixels};

/// Groups in a region.
const GROUPS_IN_REGION: usize = FWHM_IN_REGION * IN_FWHM;
/// Good pixels under the kernel below which the continuum is a guess.
const FEWEST_UNDER_KERNEL: f64 = 5.0;
/// Pixels below which there is no chi-square.
const FEWEST: f64 = 100.0;
/// Grids of wavelengths that are remembered: surveys have one, or one for each spectrograph.
const MOST_GRIDS: usize = 8;
/// Velocities that are tried where none is known, km/s, and to what step they are narrowed.
const MOST_RV: f64 = 600.0;
const FIRST_STEP: f64 = 60.0;
const LAST_STEP: f64 = 2.0;

/// How well labels fit.
#[derive(Debug, Clone, PartialEq)]
pub struct Consistency {
    /// Chi-square.
    pub chi2: f64,
    /// Its degrees of freedom: pixels less what the continuum takes, and the velocity.
    pub freedom: f64,
    /// Radial velocity, km/s.
    pub rv_kms: f64,
    /// The region that fits worst for what its limit is, if any has enough pixels.
    pub worst: Option<Region>,
    /// Whether the whole or a region is beyond its limit.
    pub poor: bool,
}

impl Consistency {
    /// Chi-square by degrees of freedom.
    pub fn reduced_chi2(&self) -> f64 {
        self.chi2 / self.freedom
    }
}

/// A model spectrum that is held against data.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// Flux on the grid of the model.
    pub flux: &'a [f32],
    /// Its squared error, in each pixel.
    pub variance: &'a [f32],
}

/// Compares spectra with those of a model. It holds room that is used again.
#[derive(Debug)]
pub struct Checker {
    source: Source,
    fwhm: f64,
    limits: Limits,
    grids: Vec<Grid>,
    room: Room,
}

/// What is known of the pixels of a spectrum.
#[derive(Debug)]
struct Grid {
    wave: Vec<f32>,
    place: Place,
    groups: Groups,
}

/// The last comparison.
#[derive(Debug, Default)]
struct Room {
    flux: Vec<f32>,
    variance: Vec<f32>,
    ivar: Vec<f32>,
    /// By group: weighted data, weighted model, pixels.
    data: Vec<f64>,
    model: Vec<f64>,
    pixels: Vec<f64>,
    sums: [Vec<f64>; 3],
    /// The continuum in the middle of each group, and how much it rises; zero if it is not known.
    continuum: Vec<f64>,
    rise: Vec<f64>,
    chi2: Vec<f64>,
    freedom: Vec<f64>,
    /// The model's part of the variance, summed over the pixels.
    share: Vec<f64>,
    /// By pixel, on the way to those.
    products: [Vec<f32>; 3],
}

impl Checker {
    /// For a model on these wavelengths: vacuum, Angstrom, at rest, increasing. `fwhm` is that of the
    /// Gaussian that normalises, Angstrom.
    pub fn new(wave: &[f64], fwhm: f64, limits: Limits) -> Self {
        let source = Source::new(wave);
        Self { source, fwhm, limits, grids: Vec::new(), room: Room::default() }
    }

    /// Compares a spectrum with a model at a velocity, or at the one that suits it best if none is
    /// known; `None` where too few pixels have a model and a continuum.
    pub fn compare(
        &mut self,
        pixels: Pixels<'_>,
        expected: Expected<'_>,
        rv_kms: Option<f64>,
    ) -> Option<Consistency> {
        if pixels.wave.len() < 2 {
            return None;
        }
        self.remember(pixels.wave);
        let (rv_kms, parameters) = match rv_kms {
            Some(rv_kms) => (rv_kms, 0.0),
            None => (self.best_velocity(pixels, expected)?, 1.0),
        };
        let chi2 = self.chi2_at(pixels, expected, rv_kms)?;
        let freedom = self.room.freedom.iter().sum::<f64>() - parameters;
        let Verdict { worst, poor } = self.judge()?;
        Some(Consistency { chi2, freedom, rv_kms, worst, poor })
    }

    /// The model of the last comparison as the star's spectrum should be: wavelength as observed, flux
    /// in the unit of the data, and the continuum, in each pixel of the model; NaN where the data have
    /// no continuum.
    #[expect(clippy::cast_possible_truncation, reason = "spectra are single precision")]
    pub fn spectrum(&self, flux: &[f32], rv_kms: f64) -> Vec<[f32; 3]> {
        let doppler = Doppler::of(rv_kms);
        let Some(Grid { groups, .. }) = self.grids.last() else { return Vec::new() };
        let pixels = self.source.wave().iter().zip(flux).map(|(&wave, &flux)| {
            let wave = doppler.to_observed(wave);
            let continuum = groups
                .find(wave)
                .map(|(group, place)| self.room.continuum[group] + self.room.rise[group] * place);
            let continuum = continuum.filter(|&continuum| continuum > 0.0).unwrap_or(f64::NAN);
            [wave as f32, (f64::from(flux) * continuum) as f32, continuum as f32]
        });
        pixels.collect()
    }

    /// Makes the grid of these wavelengths the last one.
    fn remember(&mut self, wave: &[f32]) {
        if let Some(known) = self.grids.iter().rposition(|grid| is_same(&grid.wave, wave)) {
            self.grids[known..].rotate_left(1);
            return;
        }
        if self.grids.len() == MOST_GRIDS {
            self.grids.remove(0);
        }
        self.grids.push(Grid {
            wave: wave.to_vec(),
            place: self.source.place(wave),
            groups: Groups::new(wave, self.fwhm),
        });
    }

    fn best_velocity(&mut self, pixels: Pixels<'_>, expected: Expected<'_>) -> Option<f64> {
        let mut best: Option<(f64, f64)> = None;
        let attempt = |this: &mut Self, rv: f64, best: &mut Option<(f64, f64)>| {
            let chi2 = this.chi2_at(pixels, expected, rv);
            if let Some(chi2) = chi2.filter(|&chi2| best.is_none_or(|(least, _)| chi2 < least)) {
                *best = Some((chi2, rv));
            }
        };
        let mut rv = -MOST_RV;
        while rv <= MOST_RV {
            attempt(self, rv, &mut best);
            rv += FIRST_STEP;
        }
        let mut step = 0.5 * FIRST_STEP;
        while step >= LAST_STEP {
            let (_, middle) = best?;
            attempt(self, middle - step, &mut best);
            attempt(self, middle + step, &mut best);
            step *= 0.5;
        }
        best.map(|(_, rv)| rv)
    }

    /// Chi-square at a velocity; leaves what it consists of in the room.
    fn chi2_at(&mut self, pixels: Pixels<'_>, expected: Expected<'_>, rv_kms: f64) -> Option<f64> {
        let Self { source, grids, room, .. } = self;
        let Grid { wave, place, groups } = grids.last()?;
        let count = wave.len();
        room.flux.resize(count, 0.0);
        room.variance.resize(count, 0.0);
        room.products.iter_mut().for_each(|products| products.resize(count, 0.0));
        room.ivar.clear();
        room.ivar.extend_from_slice(pixels.ivar);
        let Room { flux, variance, ivar, .. } = room;
        let out = Moved { flux, variance, ivar };
        source.moved((wave, *place), rv_kms, (expected.flux, expected.variance), out);
        room.sum(groups, pixels.flux);
        room.normalise(groups);
        room.compare(groups, pixels.flux);
        let chi2 = room.chi2.iter().sum::<f64>();
        let freedom = room.freedom.iter().sum::<f64>();
        (chi2.is_finite() && freedom > FEWEST).then_some(chi2)
    }

    /// The worst region, and whether the last comparison is beyond its limits.
    fn judge(&self) -> Option<Verdict> {
        let groups = &self.grids.last()?.groups;
        let count = groups.list.len();
        let regions = (0..count).step_by(GROUPS_IN_REGION).map(|start| {
            let end = (start + GROUPS_IN_REGION).min(count);
            ([groups.begin(start), groups.begin(end)], self.room.tally(start..end))
        });
        Some(self.limits.judge(self.room.tally(0..count), regions))
    }
}

impl Room {
    /// What some groups add up to.
    fn tally(&self, groups: Range<usize>) -> Tally {
        groups.fold(Tally::default(), |mut tally, group| {
            tally.add(Tally {
                chi2: self.chi2[group],
                freedom: self.freedom[group],
                pixels: self.pixels[group],
                share: self.share[group],
            });
            tally
        })
    }

    /// Sums each group.
    fn sum(&mut self, groups: &Groups, flux: &[f32]) {
        let [data, model, counts] = &mut self.products;
        let products = data.iter_mut().zip(&mut *model).zip(counts.iter_mut());
        let pixels = flux.iter().zip(&self.flux).zip(&self.ivar);
        for (((data, model), count), ((flux, of_model), ivar)) in products.zip(pixels) {
            *data = ivar * flux;
            *model = ivar * of_model;
            *count = if *ivar > 0.0 { 1.0 } else { 0.0 };
        }
        groups.totals(data, &mut self.data);
        groups.totals(model, &mut self.model);
        groups.totals(counts, &mut self.pixels);
    }

    /// Finds the continuum: the ratio of data to model under the kernel; then once more with both
    /// divided by it, for a continuum that falls within the kernel favours its upper end.
    fn normalise(&mut self, groups: &Groups) {
        let Self { data, model, pixels, sums: [of_data, of_model, near], continuum, .. } = self;
        groups.sum(pixels, near);
        for pass in 0..2 {
            groups.sum(data, of_data);
            groups.sum(model, of_model);
            let ratios = of_data.iter().zip(&*of_model).zip(&*near).map(|((data, model), near)| {
                let is_known = *near >= FEWEST_UNDER_KERNEL && *data > 0.0 && *model > 0.0;
                if is_known { data / model } else { 0.0 }
            });
            if pass == 0 {
                continuum.clear();
                continuum.extend(ratios);
            } else {
                continuum.iter_mut().zip(ratios).for_each(|(continuum, ratio)| *continuum *= ratio);
            }
            if pass == 0 {
                data.iter_mut().zip(&*continuum).for_each(|(data, c)| *data *= c);
                model.iter_mut().zip(&*continuum).for_each(|(model, c)| *model *= c * c);
            }
        }
        rises(&self.continuum, &mut self.rise);
    }

    /// Chi-square and degrees of freedom of each group. A linear smoother `H` takes `tr(2 H - H H^T)`
    /// of them (Hastie & Tibshirani 1990, section 3.5); `model` holds its weights.
    #[expect(clippy::cast_possible_truncation, reason = "flux is single precision")]
    fn compare(&mut self, groups: &Groups, data: &[f32]) {
        let [continuum, chi2, share] = &mut self.products;
        for (at, within) in groups.list.iter().cloned().enumerate() {
            let (middle, rise) = (self.continuum[at] as f32, self.rise[at] as f32);
            let places = continuum[within.clone()].iter_mut().zip(&groups.offset[within]);
            places.for_each(|(continuum, place)| *continuum = middle + rise * place);
        }
        let model = self.flux.iter().zip(&self.variance).zip(&*continuum);
        let observed = data.iter().zip(&self.ivar);
        let sums = chi2.iter_mut().zip(share.iter_mut());
        for ((chi2, share), (((flux, variance), continuum), (data, ivar))) in
            sums.zip(model.zip(observed))
        {
            let residual = data - flux * continuum;
            let of_model = variance * continuum * continuum;
            let weight = ivar / (1.0 + ivar * of_model);
            *chi2 = weight * residual * residual;
            *share = weight * of_model;
        }
        groups.totals(chi2, &mut self.chi2);
        groups.totals(share, &mut self.share);
        let [squares, sum, _] = &mut self.sums;
        groups.sum(&self.model, sum);
        groups.sum_squared(&self.model, squares);
        self.freedom.clear();
        for at in 0..groups.list.len() {
            if self.continuum[at] <= 0.0 || self.model[at] <= 0.0 {
                (self.chi2[at], self.share[at]) = (0.0, 0.0);
                self.freedom.push(0.0);
                continue;
            }
            let weight = self.model[at];
            let taken = weight * (2.0 * groups.own_weight() - squares[at] / sum[at]) / sum[at];
            self.freedom.push((self.pixels[at] - taken).max(0.0));
        }
    }
}

/// Whether two grids are equal to the last bit. Blocks of pixels are compared at once.
fn is_same(one: &[f32], other: &[f32]) -> bool {
    const BLOCK: usize = 64;
    let differ = |(one, other): (&f32, &f32)| one.to_bits() ^ other.to_bits();
    let mut blocks = one.chunks(BLOCK).zip(other.chunks(BLOCK));
    one.len() == other.len()
        && blocks.all(|(one, other)| one.iter().zip(other).map(differ).fold(0, |a, b| a | b) == 0)
}
