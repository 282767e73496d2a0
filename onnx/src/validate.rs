//! The rules a manifest keeps that its types cannot express.

use std::collections::HashSet;
use std::path::{Component, Path};

use crate::manifest::{
    ColumnSpec, ConsistencySpec, CovarianceSpec, Derived, FileEntry, Label, Manifest, OutputSpec,
};

/// The version of the contract this crate reads.
const SCHEMA: u32 = 1;

/// Says what breaks a rule, as a phrase that names the key and the remedy.
pub(crate) fn validate(manifest: &Manifest) -> Result<(), String> {
    schema(manifest.schema)?;
    model_name(&manifest.name)?;
    if manifest.surveys.is_empty() {
        return Err("surveys is empty; name at least one survey".into());
    }
    manifest.files.iter().try_for_each(file)?;
    if manifest.input.pixels == 0 {
        return Err("input.pixels is 0; give the width of a prepared spectrum".into());
    }
    output(&manifest.output)?;
    labels(&manifest.labels)?;
    manifest.derived.iter().try_for_each(|derived| sums(derived, &manifest.labels))?;
    let names = manifest.labels.iter().map(|label| ("label", label.name.as_str()));
    let derived = manifest.derived.iter().map(|derived| ("derived", derived.name.as_str()));
    let columns = manifest.output.columns.iter();
    let columns = columns.map(|column| ("output.column", column.name.as_str()));
    unique(names.chain(derived).chain(columns))?;
    if !(manifest.quality.min_snr.is_finite() && manifest.quality.min_snr >= 0.0) {
        return Err("quality.min_snr is not a number from 0 up; correct it".into());
    }
    manifest.consistency.iter().try_for_each(|spec| consistency(spec, manifest.labels.len()))?;
    golden(manifest)
}

fn consistency(spec: &ConsistencySpec, labels: usize) -> Result<(), String> {
    let ConsistencySpec { errors, scatter, rv_error, false_alarm, limit, region_limit, .. } = spec;
    if spec.model.is_empty() {
        return Err("consistency.model is empty; name the folder of a forward model".into());
    }
    if errors.len() != labels {
        let count = errors.len();
        return Err(format!(
            "consistency.errors has {count} values for {labels} labels; give one for each"
        ));
    }
    if limit.len() < 2 || region_limit.len() < 2 {
        return Err("consistency.limit and region_limit need two values or more; calibrate".into());
    }
    let ranges = spec.skip.as_flattened().iter().chain(spec.unmodelled.as_flattened());
    let ranges = ranges.chain(spec.region_factors.as_flattened());
    let all = errors.iter().chain(limit).chain(region_limit).chain(ranges);
    let all = all.chain([scatter, rv_error, false_alarm]);
    if all.into_iter().all(|value| value.is_finite() && *value >= 0.0) {
        return Ok(());
    }
    Err("a number of consistency is negative or not finite; correct it".into())
}

/// Refuses a manifest of another version of the contract.
pub(crate) fn schema(schema: u32) -> Result<(), String> {
    if schema == SCHEMA {
        return Ok(());
    }
    Err(format!("schema is {schema}, this program reads {SCHEMA}; export the model again"))
}

/// True for names that serve as column names in every catalogue format: `^[a-z][a-z0-9_]*$`.
fn is_name(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

pub(crate) fn name(key: &str, text: &str) -> Result<(), String> {
    if is_name(text) {
        return Ok(());
    }
    Err(format!(
        "{key} {text:?} is not a name; use lower-case letters, digits and _, with a letter first"
    ))
}

/// Names a folder alone and no column, so that a dash may stand in it.
pub(crate) fn model_name(text: &str) -> Result<(), String> {
    if name("name", &text.replace('-', "_")).is_ok() {
        return Ok(());
    }
    Err(format!(
        "name {text:?} is not a name; use lower-case letters, digits, _ and -, with a letter first"
    ))
}

pub(crate) fn file(entry: &FileEntry) -> Result<(), String> {
    let path = entry.path.display();
    if !stays_inside(&entry.path) {
        return Err(format!("file {path} leaves the model folder; give a path below the folder"));
    }
    let is_digit = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    if entry.sha256.len() != 64 || !entry.sha256.chars().all(is_digit) {
        return Err(format!(
            "sha256 of {path} is not 64 lower-case hexadecimal digits; copy the output of sha256sum"
        ));
    }
    Ok(())
}

/// True for a path of plain names: not absolute, without `..`, not empty.
fn stays_inside(path: &Path) -> bool {
    let mut components = path.components().peekable();
    components.peek().is_some() && components.all(|part| matches!(part, Component::Normal(_)))
}

/// The most values of one column for one spectrum: a row stays small whatever a manifest says.
const MAX_WIDTH: usize = 4096;

fn output(output: &OutputSpec) -> Result<(), String> {
    output.columns.iter().try_for_each(column)?;
    if let Some(CovarianceSpec { rank, .. }) = output.covariance {
        if output.sigma.is_none() {
            return Err("output.covariance needs output.sigma; give both or sigma alone".into());
        }
        if !(1..=MAX_WIDTH).contains(&rank) {
            return Err(format!(
                "output.covariance.rank is {rank}; give 1 to {MAX_WIDTH} rows of the factor"
            ));
        }
    }
    match (&output.novelty, output.novelty_false_alarm) {
        (None, None) => Ok(()),
        (Some(_), Some(rate)) if rate > 0.0 && rate < 1.0 => Ok(()),
        _ => Err("output.novelty and output.novelty_false_alarm (between 0 and 1) belong \
                  together; give both or neither"
            .into()),
    }
}

fn column(column: &ColumnSpec) -> Result<(), String> {
    // Checked, because the product of hostile sizes overflows.
    let width = column.shape.iter().try_fold(1usize, |width, &size| width.checked_mul(size));
    match width {
        Some(1..=MAX_WIDTH) => Ok(()),
        _ => Err(format!(
            "shape of output.column {} is {:?}; give 1 to {MAX_WIDTH} values for a spectrum",
            column.name, column.shape
        )),
    }
}

fn labels(labels: &[Label]) -> Result<(), String> {
    if labels.is_empty() {
        return Err("there is no [[label]]; give one per column of the output".into());
    }
    labels.iter().try_for_each(|label| range(&label.name, label.valid))
}

/// Demands a lower and a larger upper bound of a label.
pub(crate) fn range(label: &str, [low, high]: [f64; 2]) -> Result<(), String> {
    if low.is_finite() && high.is_finite() && low < high {
        return Ok(());
    }
    Err(format!("valid of label {label} is [{low}, {high}]; give the lower bound, then the upper"))
}

fn sums(derived: &Derived, labels: &[Label]) -> Result<(), String> {
    if derived.sum.is_empty() {
        return Err(format!("sum of {} is empty; name the labels to add", derived.name));
    }
    match derived.sum.iter().find(|term| labels.iter().all(|label| label.name != **term)) {
        None => Ok(()),
        Some(term) => Err(format!(
            "sum of {} adds {term:?}, which is not a label; name only labels",
            derived.name
        )),
    }
}

/// Demands names, given with the key under which each stands, and each only once.
pub(crate) fn unique<'a>(
    names: impl Iterator<Item = (&'static str, &'a str)>,
) -> Result<(), String> {
    let mut seen = HashSet::new();
    for (key, text) in names {
        name(key, text)?;
        if !seen.insert(text) {
            return Err(format!("{key} {text:?} is named twice; rename one of the two"));
        }
    }
    Ok(())
}

fn golden(manifest: &Manifest) -> Result<(), String> {
    let golden = &manifest.golden;
    if golden.scale.len() != manifest.labels.len() {
        return Err(format!(
            "golden.scale has {} values for {} labels; give one per label",
            golden.scale.len(),
            manifest.labels.len()
        ));
    }
    let positive = |value: &f64| value.is_finite() && *value > 0.0;
    if !positive(&golden.tolerance) || !golden.scale.iter().all(positive) {
        return Err(
            "golden.tolerance and golden.scale must be positive numbers; correct them".into()
        );
    }
    Ok(())
}
