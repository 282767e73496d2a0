//! The steps of a recipe, recorded as they are run.

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::prep::{Grid, Observer, Seen, outliers};

/// What one step of the recipe did.
#[derive(Debug, Clone, Serialize)]
pub struct Step {
    /// Its name in the manifest.
    pub name: &'static str,
    /// What it did, a phrase each window that it treats apart.
    pub did: Vec<String>,
    /// The same in numbers; lists have one for each window.
    pub figures: Map<String, Value>,
    /// Whether it refused the spectrum.
    pub refused: bool,
    /// The values behind it on the grid of the model's input, if it changes values; shorter than the
    /// grid where a later window was refused.
    #[serde(skip)]
    pub values: Vec<f64>,
    /// Whether it left all values as they were.
    #[serde(skip)]
    pub changed_nothing: bool,
}

/// A recipe's steps in the order in which they came to an end.
#[derive(Debug)]
pub struct Record<'a> {
    grid: &'a Grid,
    steps: Vec<Step>,
    begun: Option<&'static str>,
    /// The values behind the last step, window by window.
    current: Vec<f64>,
}

impl<'a> Record<'a> {
    /// An empty record of a recipe with this grid.
    pub fn new(grid: &'a Grid) -> Self {
        Self { grid, steps: Vec::new(), begun: None, current: Vec::new() }
    }

    /// The steps of a spectrum that was prepared, or the last of which refused it.
    pub fn into_steps(mut self, was_refused: bool) -> Vec<Step> {
        if let Some(name) = self.begun.filter(|_| was_refused) {
            self.step(name).refused = true;
        }
        self.steps
    }

    fn step(&mut self, name: &'static str) -> &mut Step {
        let place = self.steps.iter().position(|step| step.name == name).unwrap_or_else(|| {
            self.steps.push(Step {
                name,
                did: Vec::new(),
                figures: Map::new(),
                refused: false,
                values: Vec::new(),
                changed_nothing: true,
            });
            self.steps.len() - 1
        });
        &mut self.steps[place]
    }

    fn note(&mut self, name: &'static str, did: String, figures: &Value) {
        let step = self.step(name);
        step.did.push(did);
        step.figures.extend(figures.as_object().cloned().unwrap_or_default());
    }

    /// Notes one window of a step that treats each apart.
    fn note_window(
        &mut self,
        name: &'static str,
        window: usize,
        did: &str,
        figures: &[(&str, usize)],
    ) {
        let titled = format!("{}: {did}", window_title(self.grid, window));
        let step = self.step(name);
        step.did.push(titled);
        for (key, value) in figures {
            let list = step.figures.entry(*key).or_insert_with(|| json!([]));
            list.as_array_mut().into_iter().for_each(|list| list.push(json!(value)));
        }
    }

    /// Keeps values that a step left in all windows; returns how many it changed.
    fn keep(&mut self, name: &'static str, values: &[f64]) -> usize {
        let changed = differing(&self.current, values);
        self.current = values.to_vec();
        let step = self.step(name);
        step.values = values.to_vec();
        step.changed_nothing = changed == 0;
        changed
    }

    /// The same for one window; returns what it was before.
    fn keep_window(&mut self, name: &'static str, window: usize, flux: &[f64]) -> Vec<f64> {
        let Some((bins, _)) = self.grid.windows().nth(window) else { return Vec::new() };
        let Some(kept) = self.current.get_mut(bins) else { return Vec::new() };
        let before = kept.to_vec();
        kept.copy_from_slice(flux);
        let changed = differing(&before, flux);
        let step = self.step(name);
        step.values.extend(flux);
        step.changed_nothing &= changed == 0;
        before
    }
}

/// How many values differ; all if there are not as many.
fn differing(before: &[f64], after: &[f64]) -> usize {
    if before.len() != after.len() {
        return after.len();
    }
    before.iter().zip(after).filter(|(before, after)| before.to_bits() != after.to_bits()).count()
}

/// The name of a window: its arm where there are two, and its range.
pub(super) fn window_title(grid: &Grid, window: usize) -> String {
    let windows = grid.windows().count();
    let arm = match (window, windows) {
        (0, 2) => "blue arm",
        (1, 2) => "red arm",
        _ => "window",
    };
    match grid.windows().nth(window) {
        Some((bins, _)) if windows > 1 => {
            let centres = &grid.centres()[bins];
            format!("{arm}, {:.1} to {:.1} A", centres[0], centres[centres.len() - 1])
        }
        _ => arm.to_owned(),
    }
}

impl Observer for Record<'_> {
    fn begin(&mut self, step: &'static str) {
        self.begun = Some(step);
    }

    fn see<'s>(&mut self, seen: impl FnOnce() -> Seen<'s>) {
        match seen() {
            Seen::Snr { snr, min } => {
                let snr = snr.map(f64::from);
                let found = snr.map_or("unknown".into(), |snr| format!("{snr:.1}"));
                let did = format!("S/N of the worse arm {found}, the limit is {min}");
                self.note("snr", did, &json!({ "snr": snr, "min": min }));
            }
            Seen::RestFrame { rv_kms } => {
                let did = match rv_kms {
                    Some(rv) => format!("wavelengths divided by 1 + RV / c, RV {rv} km/s"),
                    None => "no velocity is known: wavelengths taken as they are".into(),
                };
                self.note("rest_frame", did, &json!({ "rv": rv_kms }));
            }
            Seen::BadPixels { pixels, bad, longest_run } => {
                let did = bad_words(pixels, bad, longest_run);
                self.note("bad_pixels", did, &bad_figures(pixels, bad, longest_run));
            }
            Seen::Mask { window, good } => {
                let is_bad = |good: &&[bool]| good.first() == Some(&false);
                let runs = good.chunk_by(|a, b| a == b).filter(is_bad);
                let longest_run = runs.map(<[bool]>::len).max().unwrap_or(0);
                let bad = good.iter().filter(|good| !**good).count();
                let did = bad_words(window.len(), bad, longest_run);
                self.note("mask", did, &bad_figures(window.len(), bad, longest_run));
            }
            Seen::Degrade { empty, values } => {
                let bins = values.len();
                let did = format!("means in {bins} bins, {empty} of them empty and interpolated");
                self.note("degrade", did, &json!({ "bins": bins, "empty_bins": empty }));
                self.keep("degrade", values);
            }
            Seen::NativeGrid { bad, values } => {
                let did = format!("{} native pixels, {bad} of them interpolated", values.len());
                self.note(
                    "native_grid",
                    did,
                    &json!({ "pixels": values.len(), "bad_pixels": bad }),
                );
                self.keep("native_grid", values);
            }
            Seen::Zscore { values } => {
                let did = "scaled to zero mean and unit standard deviation".into();
                self.note("zscore", did, &json!({}));
                self.keep("zscore", values);
            }
            Seen::Resample { native, values } => {
                for (window, native) in native.iter().enumerate() {
                    let bins = self.grid.windows().nth(window).map_or(0, |(bins, _)| bins.len());
                    let did = format!("{} native pixels interpolated to {bins}", native.len());
                    let figures = [("native_pixels", native.len()), ("pixels", bins)];
                    self.note_window("resample", window, &did, &figures);
                }
                self.keep("resample", values);
            }
            Seen::Despike { window, flux } => {
                let before = self.keep_window("despike", window, flux);
                let replaced = differing(&before, flux);
                let did = format!("{replaced} of {} pixels replaced by the median", flux.len());
                self.note_window("despike", window, &did, &[("replaced", replaced)]);
            }
            Seen::Continuum { window, fits, filled, flux } => {
                let before = self.keep_window("continuum", window, flux);
                let left_out = outliers(&before, filled);
                let did = format!("settled after {fits} fits, {left_out} pixels left out of it");
                let figures = [("fits", fits), ("outliers", left_out)];
                self.note_window("continuum", window, &did, &figures);
            }
            Seen::Clip { values } => {
                let clipped = self.keep("clip", values);
                let did = format!("{clipped} of {} values limited", values.len());
                self.note("clip", did, &json!({ "clipped": clipped }));
            }
            Seen::Scale { values } => {
                let did = "less the mean of each pixel over the training set, by its deviation";
                self.note("scale", did.into(), &json!({}));
                self.keep("scale", values);
            }
        }
    }
}

fn bad_words(pixels: usize, bad: usize, longest_run: usize) -> String {
    match bad {
        0 => format!("all of {pixels} native pixels are good"),
        _ => format!("{bad} of {pixels} native pixels are bad, at most {longest_run} in a row"),
    }
}

fn bad_figures(pixels: usize, bad: usize, longest_run: usize) -> Value {
    json!({ "native_pixels": pixels, "bad_pixels": bad, "longest_run": longest_run })
}
