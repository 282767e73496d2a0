//! The columns of catalogue and rejects: name, type, unit, UCD, meaning and value, in one place.
//! Both formats, the docs and the tests are made from this list.

use std::sync::Arc;

use super::column_list::{identity_columns, provenance_columns, quality_columns, verdict_columns};
use super::gaia_columns::gaia_columns;
use super::medium_columns::medium_columns;
use super::model_columns::model_columns;
use super::published::name_as_published;
use crate::outcome::Outcome;

/// The type of a column. Missing values are null in Parquet; in FITS they are TNULL for integers,
/// NaN for floats and blank for text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// ASCII text.
    Text,
    /// 64-bit integer.
    Int64,
    /// 32-bit integer.
    Int32,
    /// 32-bit float.
    Float32,
    /// 64-bit float.
    Float64,
    /// True or false, never missing.
    Logical,
    /// So many 32-bit floats; a missing one is NaN in both formats.
    Floats(usize),
    /// So many 32-bit integers, never missing.
    Integers(usize),
}

/// A value on its way into a column.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// For [`Kind::Text`].
    Text(Option<String>),
    /// For [`Kind::Int64`] and [`Kind::Int32`].
    Int(Option<i64>),
    /// For [`Kind::Float32`] and [`Kind::Float64`].
    Float(Option<f64>),
    /// For [`Kind::Logical`].
    Logical(bool),
    /// For [`Kind::Floats`] and [`Kind::Integers`], as many as it says.
    Values(Vec<f32>),
}

/// How a column gets its value from an outcome.
pub(super) type Value = Arc<dyn Fn(&Outcome) -> Cell + Send + Sync>;

/// One column.
#[derive(Clone)]
pub struct Column {
    /// Name in both formats.
    pub name: String,
    /// Type.
    pub kind: Kind,
    /// Unit, empty if it has none.
    pub unit: String,
    /// Unified content descriptor (IVOA UCD1+), empty if none fits.
    pub ucd: String,
    /// One sentence.
    pub description: String,
    /// Name in the publication's own catalogue, empty if it has none.
    pub alias: String,
    /// Shape of [`Kind::Floats`] and [`Kind::Integers`], slowest axis first.
    pub shape: Vec<usize>,
    /// Whether the column is in the catalogue.
    pub in_rows: bool,
    /// Whether it is in the table of rejects.
    pub in_rejects: bool,
    /// Whether its value follows from all outcomes of a catalogue, so that segments lack it.
    pub at_seal: bool,
    pub(super) value: Value,
}

/// A label as the catalogue describes it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LabelColumn {
    /// Name.
    pub name: String,
    /// Unit.
    pub unit: String,
    /// UCD.
    pub ucd: String,
    /// One sentence.
    pub description: String,
    /// Name in the publication's own catalogue, empty if it has none.
    pub alias: String,
}

/// A column of several values as the catalogue describes it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VectorColumn {
    /// Name.
    pub name: String,
    /// Unit.
    pub unit: String,
    /// UCD.
    pub ucd: String,
    /// One sentence.
    pub description: String,
    /// Slowest axis first.
    pub shape: Vec<usize>,
    /// Whether the values are whole numbers.
    pub integer: bool,
}

impl VectorColumn {
    /// Values in a row.
    pub fn width(&self) -> usize {
        self.shape.iter().product()
    }
}

/// The columns that a model adds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ModelColumns {
    /// Labels, then derived labels.
    pub labels: Vec<LabelColumn>,
    /// Whether each of them has an error.
    pub errors: bool,
    /// Columns of several values, in the order of `Estimate::vectors`.
    pub vectors: Vec<VectorColumn>,
}

/// All columns for one model.
#[derive(Clone)]
pub struct Schema {
    /// Columns in order.
    pub columns: Vec<Column>,
}

impl Column {
    /// The value for an outcome.
    pub fn value(&self, outcome: &Outcome) -> Cell {
        (self.value)(outcome)
    }

    /// The shape of a column of several values, such as `6x17`; empty for one value.
    pub(super) fn shape_text(&self) -> String {
        let sizes: Vec<String> = self.shape.iter().map(usize::to_string).collect();
        sizes.join("x")
    }

    /// The integer that stands for a missing value in FITS; LAMOST catalogues use the same.
    pub const TNULL: i64 = -9999;
}

impl std::fmt::Debug for Column {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Column({}: {:?})", self.name, self.kind)
    }
}

/// Name of the column that says why there is no row; 0 for rows. Segments alone have it for rows.
pub(super) const CODE: &str = "code";
pub(super) const DETAIL: &str = "detail";
pub(super) const REASON: &str = "reason";
pub(super) const REMEDY: &str = "remedy";
pub(super) const SPECTRUM_ID: &str = "spectrum_id";
pub(super) const FLAGS: &str = "flags";
pub(super) const FLAG_BAD: &str = "flag_bad";
pub(super) const REDUCTION: &str = "reduction";
pub(super) const FILE: &str = "file";
pub(super) const FILE_INDEX: &str = "file_index";
pub(super) const FILE_BLAKE3: &str = "file_blake3";

impl Schema {
    /// The columns for a model of these labels and nothing beside them.
    pub fn new(model_id: &str, labels: &[LabelColumn]) -> Self {
        let labels = labels.to_vec();
        Self::of_model(model_id, &ModelColumns { labels, ..ModelColumns::default() })
    }

    /// The columns for a model.
    pub fn of_model(model_id: &str, model: &ModelColumns) -> Self {
        let mut columns = identity_columns();
        columns.extend(quality_columns());
        columns.extend(model_columns(model));
        columns.extend(verdict_columns());
        columns.extend(provenance_columns(model_id));
        Self { columns }
    }

    /// The columns of segments.
    pub(super) fn segment_columns(&self) -> impl Iterator<Item = &Column> {
        self.columns.iter().filter(|column| !column.at_seal)
    }

    /// The same with the columns of medium-resolution surveys, behind what the survey says of the
    /// object. Other catalogues do not have them.
    #[must_use]
    pub fn with_medium(mut self) -> Self {
        let position = identity_columns().len();
        self.columns.splice(position..position, medium_columns());
        name_as_published(&mut self.columns);
        self
    }

    /// The same with the columns of Gaia XP spectra, at the same place.
    #[must_use]
    pub fn with_gaia(mut self) -> Self {
        let position = identity_columns().len();
        self.columns.splice(position..position, gaia_columns());
        self
    }

    /// The columns that [`Self::with_gaia`] adds.
    pub fn gaia() -> Vec<Column> {
        gaia_columns()
    }

    /// The columns that [`Self::with_medium`] adds.
    pub fn medium() -> Vec<Column> {
        let mut columns = medium_columns();
        name_as_published(&mut columns);
        columns
    }

    /// The columns of the catalogue.
    pub fn rows(&self) -> impl Iterator<Item = &Column> {
        self.columns.iter().filter(|column| column.in_rows)
    }

    /// The columns of the table of rejects.
    pub fn rejects(&self) -> impl Iterator<Item = &Column> {
        self.columns.iter().filter(|column| column.in_rejects)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_every_column_is_in_a_table() {
        let label = LabelColumn { name: "teff".into(), unit: "K".into(), ..LabelColumn::default() };
        let vector =
            VectorColumn { name: "votes".into(), shape: vec![4, 2], ..VectorColumn::default() };
        let model = ModelColumns { labels: vec![label], errors: true, vectors: vec![vector] };
        let schema = Schema::of_model("m 1", &model).with_medium();
        let position = |name: &str| schema.columns.iter().position(|column| column.name == name);
        assert_eq!(position("teff_err"), position("teff").map(|position| position + 1));
        assert!(position("votes").is_some());
        for (position, column) in schema.columns.iter().enumerate() {
            assert!(
                column.description.len() <= 60,
                "{} is too long for a card",
                column.description
            );
            assert!(column.in_rows || column.in_rejects, "{}", column.name);
            assert!(schema.columns[..position].iter().all(|other| other.name != column.name));
        }
    }
}
