//! Where labels come from: a table, a grid, or a Sobol sequence.

use std::path::{Path, PathBuf};

use starmill_onnx::{ForwardLabel, ForwardManifest};

use super::axis::{Axis, Fixed};
use super::sobol::Sobol;
use super::{GenerateError, table};

/// A label of the model, as it stands in the labels and in the file.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// Name.
    pub name: String,
    /// Unit.
    pub unit: String,
    /// UCD.
    pub ucd: String,
    /// One line for a reader.
    pub description: String,
    /// Trained range.
    pub valid: [f64; 2],
    /// The value of rows that say nothing of it: that of `--set`, else the model's default.
    pub value: f64,
    /// Whether this value stands in all rows because nothing was said of the label.
    pub is_default: bool,
}

impl Column {
    fn of(label: &ForwardLabel) -> Self {
        Self {
            name: label.name.clone(),
            unit: label.unit.clone(),
            ucd: label.ucd.clone(),
            description: label.description.clone(),
            valid: label.valid,
            value: label.default,
            is_default: true,
        }
    }

    /// Whether a value lies in the trained range; one that is not a number does not.
    pub fn contains(&self, value: f64) -> bool {
        let [low, high] = self.valid;
        (low..=high).contains(&value)
    }
}

/// How ranges make rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pattern {
    /// Every combination of the values of the ranges, the last one changing fastest.
    Grid,
    /// Points that fill the ranges evenly.
    Sobol {
        /// How many.
        points: u64,
        /// Which ones.
        seed: u64,
    },
}

/// Labels, row by row.
#[derive(Debug, Clone)]
pub struct Source {
    columns: Vec<Column>,
    rows: RowSource,
}

#[derive(Debug, Clone)]
enum RowSource {
    /// The file, and where in it each label of the model stands, if it does.
    Table { path: PathBuf, positions: Vec<Option<usize>>, ignored: Vec<String> },
    /// The ranges, each with the number of its label.
    Pattern { pattern: Pattern, axes: Vec<(usize, Axis)>, count: u64 },
}

/// What takes a row: its number, from 1, and all labels in the order of the model. A value that is
/// missing is not a number.
pub(super) type Visit<'a> = dyn FnMut(u64, &[f64]) -> Result<(), GenerateError> + 'a;

impl Source {
    /// The rows of a CSV or Parquet table whose columns are named as labels; what it lacks has the
    /// value of `fixed` or the default of the model.
    ///
    /// # Errors
    /// [`GenerateError::Table`], [`GenerateError::UnknownLabel`], and [`GenerateError::Twice`] for a
    /// label that is in the table and fixed.
    pub fn table(
        manifest: &ForwardManifest,
        path: &Path,
        fixed: &[Fixed],
    ) -> Result<Self, GenerateError> {
        let mut columns = columns(manifest, fixed)?;
        let names = table::names(path)?;
        let positions: Vec<Option<usize>> = columns
            .iter()
            .map(|column| names.iter().position(|name| *name == column.name))
            .collect();
        for (column, position) in columns.iter_mut().zip(&positions) {
            if position.is_some() && fixed.iter().any(|fixed| fixed.label == column.name) {
                return Err(GenerateError::Twice(column.name.clone()));
            }
            column.is_default &= position.is_none();
        }
        if positions.iter().all(Option::is_none) {
            let problem = format!(
                "none of its columns is a label of the model; name at least one of {}",
                listed(&columns)
            );
            return Err(GenerateError::Table { path: path.to_owned(), problem });
        }
        let is_label = |name: &String| columns.iter().any(|column| column.name == *name);
        let ignored = names.into_iter().filter(|name| !is_label(name)).collect();
        let rows = RowSource::Table { path: path.to_owned(), positions, ignored };
        Ok(Self { columns, rows })
    }

    /// The rows that ranges make. A Sobol sequence without ranges fills the whole trained box, but
    /// for what is fixed.
    ///
    /// # Errors
    /// [`GenerateError::UnknownLabel`], [`GenerateError::Twice`], and [`GenerateError::Pattern`] for
    /// ranges that do not make the pattern.
    pub fn pattern(
        manifest: &ForwardManifest,
        pattern: Pattern,
        ranges: &[Axis],
        fixed: &[Fixed],
    ) -> Result<Self, GenerateError> {
        let mut columns = columns(manifest, fixed)?;
        let mut axes: Vec<(usize, Axis)> = Vec::new();
        for axis in ranges {
            let at = position(&columns, &axis.label)?;
            let is_taken = axes.iter().any(|(other, _)| *other == at);
            if is_taken || fixed.iter().any(|fixed| fixed.label == axis.label) {
                return Err(GenerateError::Twice(axis.label.clone()));
            }
            axes.push((at, axis.clone()));
        }
        if matches!(pattern, Pattern::Sobol { .. }) && axes.is_empty() {
            let free = columns.iter().enumerate().filter(|(_, column)| column.is_default);
            axes.extend(free.map(|(at, column)| {
                let [low, high] = column.valid;
                (at, Axis { label: column.name.clone(), low, high, step: None })
            }));
        }
        for (at, _) in &axes {
            columns[*at].is_default = false;
        }
        let count = count(pattern, &axes)?;
        Ok(Self { columns, rows: RowSource::Pattern { pattern, axes, count } })
    }

    /// The labels in the order of the model.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// Columns of a table that are no labels.
    pub fn ignored(&self) -> &[String] {
        match &self.rows {
            RowSource::Table { ignored, .. } => ignored,
            RowSource::Pattern { .. } => &[],
        }
    }

    /// Calls `visit` for every row in order.
    pub(super) fn for_each(&self, visit: &mut Visit) -> Result<(), GenerateError> {
        let mut labels: Vec<f64> = self.columns.iter().map(|column| column.value).collect();
        match &self.rows {
            RowSource::Table { path, positions, .. } => {
                table::for_each(path, positions, &mut |row, values| {
                    let present = labels.iter_mut().zip(positions);
                    let present = present.filter(|(_, position)| position.is_some());
                    for ((label, _), value) in present.zip(values) {
                        *label = *value;
                    }
                    visit(row, &labels)
                })
            }
            RowSource::Pattern { pattern: Pattern::Grid, axes, count } => {
                for row in 0..*count {
                    let mut rest = row;
                    for (at, axis) in axes.iter().rev() {
                        labels[*at] = axis.value(rest % axis.count());
                        rest /= axis.count();
                    }
                    visit(row + 1, &labels)?;
                }
                Ok(())
            }
            RowSource::Pattern { pattern: Pattern::Sobol { seed, .. }, axes, count } => {
                let mut sequence = Sobol::new(axes.len(), *seed);
                for row in 1..=*count {
                    for ((at, axis), fraction) in axes.iter().zip(sequence.point()) {
                        labels[*at] = axis.at(fraction);
                    }
                    visit(row, &labels)?;
                }
                Ok(())
            }
        }
    }
}

/// The labels of the model with what is fixed of them.
fn columns(manifest: &ForwardManifest, fixed: &[Fixed]) -> Result<Vec<Column>, GenerateError> {
    let mut columns: Vec<Column> = manifest.labels.iter().map(Column::of).collect();
    for Fixed { label, value } in fixed {
        let at = position(&columns, label)?;
        if !columns[at].is_default {
            return Err(GenerateError::Twice(label.clone()));
        }
        (columns[at].value, columns[at].is_default) = (*value, false);
    }
    Ok(columns)
}

fn position(columns: &[Column], label: &str) -> Result<usize, GenerateError> {
    columns.iter().position(|column| column.name == label).ok_or_else(|| {
        GenerateError::UnknownLabel { label: label.to_owned(), known: listed(columns) }
    })
}

fn listed(columns: &[Column]) -> String {
    columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>().join(", ")
}

/// The number of rows.
fn count(pattern: Pattern, axes: &[(usize, Axis)]) -> Result<u64, GenerateError> {
    let wrong = |text: String| Err(GenerateError::Pattern(text));
    match pattern {
        Pattern::Grid => {
            if let Some((_, axis)) = axes.iter().find(|(_, axis)| axis.step.is_none()) {
                let label = &axis.label;
                return wrong(format!(
                    "the range of {label} has no step, which a grid needs; write \
                     {label}=LOW:HIGH:STEP"
                ));
            }
            if axes.is_empty() {
                return wrong("a grid of no ranges; give --range LABEL=LOW:HIGH:STEP".into());
            }
            let count = axes.iter().try_fold(1u64, |all, (_, axis)| all.checked_mul(axis.count()));
            count.filter(|&count| count <= Sobol::POINTS).map_or_else(
                || {
                    wrong(format!(
                        "a grid of more than {} spectra; use larger steps",
                        Sobol::POINTS
                    ))
                },
                Ok,
            )
        }
        Pattern::Sobol { points, .. } => {
            if let Some((_, axis)) = axes.iter().find(|(_, axis)| axis.step.is_some()) {
                let label = &axis.label;
                return wrong(format!(
                    "the range of {label} has a step, which a Sobol sequence does not take; write \
                     {label}=LOW:HIGH"
                ));
            }
            if axes.len() > Sobol::DIMENSIONS {
                return wrong(format!(
                    "{} labels vary, and this sequence has {} dimensions; fix some with --set",
                    axes.len(),
                    Sobol::DIMENSIONS
                ));
            }
            if !(1..=Sobol::POINTS).contains(&points) {
                return wrong(format!("{points} points; give 1 to {}", Sobol::POINTS));
            }
            Ok(points)
        }
    }
}
