//! How the labels of one spectrum answer to its flux, region by region.
//!
//! The flux *as it was read* is raised and lowered by a small part within a region, and the changed
//! spectra take the way of every spectrum: recipe, then network. Half the difference of the labels is
//! their answer. What the recipe makes of the change is part of it: where it scales by mean and
//! deviation, or divides by a pseudo-continuum, all regions feel a change in one of them, and a change
//! of the whole flux by one factor changes nothing, so that the answers of all regions together are
//! about zero.

use ndarray::{Array2, ArrayView2};
use serde::Serialize;

use super::features::FEATURES;
use crate::prep::{Doppler, Grid, Recipe, Workspace};
use crate::setup::known_rv;
use crate::spectrum::Spectrum;

/// Regions at most, in all windows of the grid together, but for narrower ones at ends of windows:
/// what is to be run is bounded by this, two spectra for each.
const MOST_REGIONS: usize = 144;
/// The part by which the flux is raised and lowered.
const STEP: f64 = 0.01;
/// The same where the recipe decides which pixels stand out: the network must answer to the region,
/// not to one pixel more or less that is replaced.
const STEP_OF_OUTLIERS: f64 = 0.02;
/// The change of the flux for which answers are stated.
const LOWER: f64 = 0.01;
/// Regions that are named for each label.
const NAMED: usize = 3;

/// The answers of all labels.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Sensitivity {
    /// The part by which the flux was raised and lowered.
    pub step: f64,
    /// The part by which it is lower in what is stated.
    pub lower: f64,
    /// Whether wavelengths are those at rest, by the velocity of the spectrum; else as observed.
    pub at_rest: bool,
    /// The regions.
    pub regions: Vec<Region>,
    /// Labels of the network; derived ones are sums of them.
    pub labels: Vec<Answer>,
    /// Names of features and where they are on the scale of the regions.
    #[serde(skip)]
    pub features: Vec<(&'static str, f64)>,
}

/// A region of the wavelength.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Region {
    /// Where it begins, vacuum Angstrom.
    pub from: f64,
    /// Where it ends.
    pub to: f64,
    /// Native pixels in it.
    pub pixels: usize,
    /// Which of [`FEATURES`] lie in it.
    pub features: Vec<&'static str>,
}

/// The answer of one label.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Answer {
    /// Its name.
    pub name: String,
    /// Its unit.
    pub unit: String,
    /// Its change where the flux of each region is 1 % lower; `None` where the recipe refuses the
    /// changed spectrum.
    pub change: Vec<Option<f64>>,
    /// The regions with the largest changes of either sign, the largest first.
    pub strongest: Vec<usize>,
    /// Root mean square over the regions of what raising and lowering do alike, by that of the change:
    /// near 0 where the answer is a straight line, near 1 where it is none.
    pub bend: Option<f64>,
}

impl Sensitivity {
    /// Changes the spectrum region by region. `labels` are names and units of what `network` gives for
    /// up to `batch` prepared spectra, shape `[spectra, labels]`.
    ///
    /// # Errors
    /// Those of the network.
    pub fn of<E>(
        (recipe, spectrum): (&Recipe, &Spectrum),
        labels: &[(&str, &str)],
        batch: usize,
        network: impl FnMut(ArrayView2<'_, f32>) -> Result<Array2<f32>, E>,
    ) -> Result<Self, E> {
        let step = if recipe.has_outliers() { STEP_OF_OUTLIERS } else { STEP };
        let doppler = recipe.doppler(&spectrum.meta);
        let at_rest = doppler != Doppler::NONE;
        let star = known_rv(&spectrum.meta).filter(|_| !at_rest).map_or(Doppler::NONE, Doppler::of);
        let wave = spectrum.wave();
        let first = |at: f64| wave.partition_point(|&wave| wave < doppler.to_observed(at));
        let edges = edges(recipe.grid());
        let pixels: Vec<_> = edges.iter().map(|&[from, to]| first(from)..first(to)).collect();
        // The spectrum as it is, then each region lower and higher.
        let changed = |case: usize| match case.checked_sub(1) {
            None => spectrum.clone(),
            Some(case) => {
                let factor = if case % 2 == 0 { 1.0 - step } else { 1.0 + step };
                spectrum.with_flux_times(pixels[case / 2].clone(), single(factor))
            }
        };
        let found = run(recipe, changed, (1 + 2 * edges.len(), batch), network)?;
        let regions = edges.iter().zip(&pixels).map(|(&[from, to], pixels)| {
            let within =
                FEATURES.iter().filter(|(_, wave)| (from..to).contains(&star.to_observed(*wave)));
            let mut named: Vec<_> = within.map(|(name, _)| *name).collect();
            named.dedup();
            Region { from, to, pixels: pixels.len(), features: named }
        });
        let answer = |(label, &(name, unit)): (usize, &(&str, &str))| {
            let of = |case: usize| found[case].as_ref().map(|labels| f64::from(labels[label]));
            let pair = |region: usize| Some((of(1 + 2 * region)?, of(2 + 2 * region)?));
            let sides: Vec<_> = (0..edges.len()).map(pair).collect();
            Answer::of((name, unit), of(0), &sides, LOWER / step)
        };
        Ok(Self {
            step,
            lower: LOWER,
            at_rest,
            features: FEATURES.map(|(name, wave)| (name, star.to_observed(wave))).to_vec(),
            regions: regions.collect(),
            labels: labels.iter().enumerate().map(answer).collect(),
        })
    }
}

impl Answer {
    /// The answer of a label that is `base` for the spectrum as it is, and has a pair of values for
    /// each region, the flux of which is lower and higher.
    fn of(
        (name, unit): (&str, &str),
        base: Option<f64>,
        sides: &[Option<(f64, f64)>],
        scale: f64,
    ) -> Self {
        let change = |&(lower, higher): &(f64, f64)| scale * (lower - higher) / 2.0;
        let changes: Vec<Option<f64>> =
            sides.iter().map(|sides| sides.as_ref().map(change)).collect();
        let known = || sides.iter().flatten();
        let straight: f64 = known().map(|sides| change(sides).powi(2)).sum();
        let bent = base.map(|base| {
            let bend =
                |(lower, higher): &(f64, f64)| scale * (f64::midpoint(*lower, *higher) - base);
            known().map(|sides| bend(sides).powi(2)).sum::<f64>()
        });
        let mut strongest: Vec<usize> =
            (0..changes.len()).filter(|&region| changes[region].is_some()).collect();
        let size = |&region: &usize| changes[region].map_or(0.0, f64::abs);
        strongest.sort_by(|a, b| size(b).total_cmp(&size(a)));
        strongest.truncate(NAMED);
        Self {
            name: name.to_owned(),
            unit: unit.to_owned(),
            strongest,
            bend: bent.filter(|_| straight > 0.0).map(|bent| (bent / straight).sqrt()),
            change: changes,
        }
    }
}

/// Runs so many cases in batches; `None` where the recipe refuses one.
fn run<E>(
    recipe: &Recipe,
    changed: impl Fn(usize) -> Spectrum,
    (cases, batch): (usize, usize),
    mut network: impl FnMut(ArrayView2<'_, f32>) -> Result<Array2<f32>, E>,
) -> Result<Vec<Option<Vec<f32>>>, E> {
    let (mut found, mut workspace) = (vec![None; cases], Workspace::default());
    let numbers: Vec<usize> = (0..cases).collect();
    for numbers in numbers.chunks(batch.max(1)) {
        let (mut taken, mut inputs) = (Vec::new(), Vec::new());
        for &case in numbers {
            if let Ok(prepared) = recipe.prepare_in(&mut workspace, &changed(case)) {
                taken.push(case);
                inputs.extend(prepared.input);
            }
        }
        let width = inputs.len().checked_div(taken.len()).unwrap_or(0);
        let Ok(inputs) = ArrayView2::from_shape((taken.len(), width), &inputs) else { continue };
        if taken.is_empty() {
            continue;
        }
        let labels = network(inputs)?;
        for (case, labels) in taken.into_iter().zip(labels.rows()) {
            found[case] = Some(labels.to_vec());
        }
    }
    Ok(found)
}

/// The regions of a grid: whole bins, as few as possible, within one window.
fn edges(grid: &Grid) -> Vec<[f64; 2]> {
    let bins = grid.bins().div_ceil(MOST_REGIONS).max(1);
    let of_window = |edges: &[f64]| -> Vec<[f64; 2]> {
        let last = edges.len() - 1;
        let region = |first: usize| [edges[first], edges[(first + bins).min(last)]];
        (0..last).step_by(bins).map(region).collect()
    };
    grid.windows().flat_map(|(_, edges)| of_window(edges)).collect()
}

#[expect(clippy::cast_possible_truncation, reason = "flux is single precision")]
fn single(value: f64) -> f32 {
    value as f32
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;
    use crate::prep::tests::{BINS, ZSCORE, recipe, spectrum};

    const LABELS: [(&str, &str); 2] = [("a", "K"), ("b", "dex")];

    /// The answers of labels that follow from the input of 143 values.
    fn answers(recipe: &Recipe, batch: usize, label: fn(&[f32]) -> [f32; 2]) -> Sensitivity {
        let spectrum = spectrum(|wave| (100.0 + 20.0 * (wave / 300.0).sin()) as f32);
        let network = |inputs: ArrayView2<'_, f32>| -> Result<Array2<f32>, Infallible> {
            assert!((1..=batch).contains(&inputs.nrows()));
            let rows: Vec<[f32; 2]> =
                inputs.rows().into_iter().map(|row| label(&row.to_vec())).collect();
            Ok(Array2::from_shape_fn((rows.len(), 2), |(row, label)| rows[row][label]))
        };
        let Ok(found) = Sensitivity::of((recipe, &spectrum), &LABELS, batch, network);
        found
    }

    #[test]
    fn a_label_answers_to_the_regions_that_it_is_made_of() {
        // One label is ten times the flux of a bin, less another; one is a product.
        let label = |flux: &[f32]| [10.0 * flux[40] - flux[90], flux[40] * flux[41] / 100.0];
        let found = answers(&recipe(BINS).unwrap(), 256, label);
        assert_eq!((found.regions.len(), found.labels.len(), found.at_rest), (143, 2, false));
        assert!(found.regions.windows(2).all(|pair| pair[0].to == pair[1].from));
        let [line, product] = &found.labels[..] else { panic!("{:?}", found.labels) };
        assert_eq!((line.name.as_str(), line.unit.as_str()), ("a", "K"));
        assert_eq!(line.strongest[..2], [40, 90]);
        let change = |answer: &Answer, region: usize| answer.change[region].unwrap();
        // A per cent less of a flux of about 100, ten times and once. A native pixel may lie across
        // the edge of two bins.
        assert!((-13.0..-7.0).contains(&change(line, 40)), "{}", change(line, 40));
        assert!((0.7..1.3).contains(&change(line, 90)), "{}", change(line, 90));
        let others = |region: &usize| ![39, 40, 41, 89, 90, 91].contains(region);
        assert!((0..143).filter(others).all(|region| change(line, region) == 0.0));
        assert!(line.bend.unwrap() < 1e-3, "{:?}", line.bend);
        let mut named = product.strongest[..2].to_vec();
        named.sort_unstable();
        assert_eq!(named, [40, 41]);
        // Portions that are run together change nothing.
        assert_eq!(answers(&recipe(BINS).unwrap(), 7, label), found);
    }

    #[test]
    fn where_the_recipe_scales_all_regions_together_change_nothing() {
        let label = |flux: &[f32]| [flux[40], flux[40] - flux[100]];
        let scaled = recipe(&[BINS, ZSCORE].concat()).unwrap();
        let found = answers(&scaled, 256, label);
        for answer in &found.labels {
            let sum: f64 = answer.change.iter().flatten().sum();
            let size: f64 = answer.change.iter().flatten().map(|change| change.abs()).sum();
            assert!(sum.abs() < 0.01 * size, "{sum} of {size}");
            // The mean and the deviation are those of all pixels.
            assert!(answer.change.iter().all(|change| change.unwrap() != 0.0));
        }
    }

    #[test]
    fn an_answer_that_is_no_line_bends_and_what_is_refused_has_none() {
        let of = |sides: &[Option<(f64, f64)>]| Answer::of(("a", "K"), Some(1.0), sides, 0.5);
        let found = of(&[Some((3.0, -1.0)), None, Some((0.0, 2.0)), Some((1.0, 1.0))]);
        assert_eq!(found.change, [Some(1.0), None, Some(-0.5), Some(0.0)]);
        assert_eq!(found.strongest, [0, 2, 3]);
        assert_eq!(found.bend, Some(0.0));
        assert_eq!(of(&[Some((3.0, 1.0))]).bend, Some(1.0));
        assert_eq!(of(&[None]).bend, None);
    }
}
