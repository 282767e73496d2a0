//! What a catalogue is worth: its labels against those of a reference, or against themselves where
//! stars were observed more than once. Measured the same way every time: the same statistics, the
//! same bins.
//!
//! The parts: [`statistics`] and [`bins`] are pure; `source` reads tables of three formats, `names`
//! says which column is which label, `rows` are the rows of the catalogue that are evaluated;
//! `matching` finds their partners in a reference and [`agreement`] compares the two; [`repeats`]
//! pairs visits of a star. `figures` and `page` make the report. Equal inputs give equal bytes:
//! nothing here asks for the time.

mod abundances;
pub mod agreement;
pub mod bins;
mod figures;
mod figures_pairs;
mod listed;
mod matching;
mod names;
mod page;
pub mod repeats;
mod rows;
pub mod statistics;
mod text;

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;
use thiserror::Error;

pub use bins::{ColumnBins, ParseBinsError};
pub use matching::Mapped;
pub use names::{Map, ParseMapError};
pub use rows::{Label, LeftOut};
pub use text::lines;

use crate::catalogue::{CatalogueError, sha256_of_file};
use crate::table::{Source, TableError};
use agreement::{Agreement, Both};
use matching::Reference;
use repeats::Repeats;
use rows::Rows;

/// Columns that an error lists.
const LISTED: usize = 60;

/// An evaluation that could not be made.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum EvaluateError {
    /// The folder is no sealed catalogue.
    #[error("{0}: it is no sealed catalogue; let its run end, or run again with the same --out")]
    NotSealed(PathBuf),
    /// A table cannot be read or used.
    #[error(transparent)]
    Table(#[from] TableError),
    /// A column is missing.
    #[error("{path}: there is no column {wanted} among {columns}; {remedy}")]
    NoColumn {
        /// The table.
        path: PathBuf,
        /// What was looked for.
        wanted: String,
        /// What there is.
        columns: String,
        /// What to do.
        remedy: String,
    },
    /// No row is left to evaluate.
    #[error(
        "none of {read} rows is left: {bad} have flag_bad, {low_snr} a low or unknown S/N and {unlisted} \
         are not in the list; try --where-good false, a lower --min-snr or another list with --only"
    )]
    NoRows {
        /// Rows of the table.
        read: u64,
        /// Rows that were left out for their flags.
        bad: u64,
        /// Rows that were left out for their S/N.
        low_snr: u64,
        /// Rows that were left out because they are not listed.
        unlisted: u64,
    },
    /// The catalogue has no positions.
    #[error("the catalogue has no columns ra and dec; name a column that both share with --key")]
    NoPlaces,
    /// No star was observed twice.
    #[error(
        "no two of {rows} rows are visits of one star by {how}; try a larger --radius, or --key \
         with the column that names the star"
    )]
    NoRepeats {
        /// Rows that were looked at.
        rows: usize,
        /// How they were compared.
        how: String,
    },
    /// No row of the catalogue has a partner.
    #[error(
        "{path}: none of its {read} rows belongs to one of the catalogue's {rows} by {how}; try a \
         larger --radius, or --key with a column that both share (--key file=filename)"
    )]
    NoMatch {
        /// The reference.
        path: PathBuf,
        /// Rows of the catalogue.
        rows: usize,
        /// Rows of the reference.
        read: u64,
        /// How they were matched.
        how: String,
    },
    /// A mapping names nothing of the catalogue.
    #[error(
        "--map {name}: the catalogue has no such label; it has {labels}, their errors (teff_err), ra \
         and dec: name one of these"
    )]
    UnknownMap {
        /// What was mapped.
        name: String,
        /// The labels of the catalogue.
        labels: String,
    },
    /// A file could not be read or written.
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
}

impl EvaluateError {
    fn no_column(source: &Source, wanted: &str, remedy: &str) -> Self {
        let mut columns: Vec<&str> =
            source.columns.iter().take(LISTED).map(|column| column.name.as_str()).collect();
        if source.columns.len() > LISTED {
            columns.push("...");
        }
        Self::NoColumn {
            path: source.path.clone(),
            wanted: wanted.into(),
            columns: columns.join(", "),
            remedy: remedy.into(),
        }
    }
}

/// Which rows of the catalogue are evaluated.
#[derive(Debug, Clone, PartialEq)]
pub struct Selection {
    /// Leave rows with `flag_bad` out.
    pub good: bool,
    /// Leave rows of a lower or unknown S/N out.
    pub min_snr: Option<f64>,
    /// The column of the S/N: `None` for that in g, else the worse of two arms.
    pub snr: Option<String>,
    /// Leave rows out that this table does not list.
    pub only: Option<PathBuf>,
}

/// How rows belong together.
#[derive(Debug, Clone, PartialEq)]
pub enum Match {
    /// By equal keys.
    Key {
        /// Column of the catalogue.
        catalogue: String,
        /// Column of the reference.
        reference: String,
    },
    /// By position.
    Sky {
        /// Within so many arcseconds.
        radius: f64,
    },
}

impl fmt::Display for Match {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key { catalogue, reference } if catalogue == reference => {
                write!(f, "{catalogue}")
            }
            Self::Key { catalogue, reference } => write!(f, "{catalogue} = {reference}"),
            Self::Sky { radius } => write!(f, "position within {radius} arcsec"),
        }
    }
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// Folder of a sealed catalogue, or a table.
    pub catalogue: PathBuf,
    /// What it is compared with, if with anything.
    pub reference: Option<PathBuf>,
    /// Which columns of the reference are meant where their names do not say it.
    pub maps: Vec<Map>,
    /// By which columns residuals are binned, beside the usual ones.
    pub bins: Vec<ColumnBins>,
    /// Whether repeat visits are compared with each other.
    pub repeats: bool,
    /// Which rows are evaluated.
    pub selection: Selection,
    /// How rows are matched.
    pub how: Match,
}

/// The catalogue that was evaluated.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Evaluated {
    /// As it was named.
    pub path: String,
    /// SHA-256 of its table.
    pub sha256: String,
    /// Model and version, empty if the table does not say.
    pub model: String,
    /// Rows of the table.
    pub rows: u64,
    /// Rows that were left out.
    pub left_out: LeftOut,
    /// Whether rows with `flag_bad` were left out; not where the table has no such column.
    pub where_good: bool,
    /// Below which S/N rows were to be left out.
    pub min_snr: Option<f64>,
    /// The table that lists the rows that were to be evaluated, and the column that was compared.
    pub only: Option<String>,
    /// Which columns are the S/N, empty if there are none.
    pub snr: String,
    /// Rows that were evaluated.
    pub evaluated: usize,
}

/// All that was found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Evaluation {
    /// Version of this object's fields.
    pub schema: u32,
    /// The program.
    pub creator: &'static str,
    /// The catalogue.
    pub catalogue: Evaluated,
    /// How far it agrees with the reference, if one was named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agreement: Option<Agreement>,
    /// Its repeat visits, if they were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repeats: Option<Repeats>,
}

/// An evaluation with the rows from which pictures are drawn.
#[derive(Debug)]
pub struct Findings {
    /// The numbers.
    pub evaluation: Evaluation,
    rows: Rows,
    reference: Option<Reference>,
}

impl Findings {
    /// One self-contained HTML page with numbers and pictures.
    pub fn page(&self) -> String {
        page::page(self).into_string()
    }

    fn both(&self) -> Option<Both<'_>> {
        Some(Both { rows: &self.rows, reference: self.reference.as_ref()? })
    }
}

/// Evaluates a catalogue.
///
/// The labels and errors of its rows, four million at most, are in memory, and those of their
/// partners in the reference.
///
/// # Errors
/// [`EvaluateError`], which says what to do.
pub fn evaluate(request: &Request) -> Result<Findings, EvaluateError> {
    let Request { selection, how, .. } = request;
    let table = rows::table_of(&request.catalogue)?;
    let key = match how {
        Match::Key { catalogue, .. } => Some(catalogue.as_str()),
        Match::Sky { .. } => None,
    };
    let rows = Rows::read(&table, selection, key, &request.bins)?;
    if rows.len() == 0 {
        let LeftOut { bad, low_snr, unlisted } = rows.left_out;
        return Err(EvaluateError::NoRows { read: rows.read, bad, low_snr, unlisted });
    }
    let catalogue = Evaluated {
        path: request.catalogue.display().to_string(),
        sha256: sha256_of_file(&table)?,
        model: rows.model.clone(),
        rows: rows.read,
        left_out: rows.left_out,
        where_good: selection.good && rows.has_flags,
        min_snr: selection.min_snr,
        only: rows.only.clone(),
        snr: rows.snr_columns.clone(),
        evaluated: rows.len(),
    };
    let reference = request.reference.as_deref();
    let read = |path: &Path| Reference::read(path, &rows, how, &request.maps);
    let found = reference.map(read).transpose()?;
    let agreement = match (reference, &found) {
        (Some(path), Some(found)) => {
            let both = Both { rows: &rows, reference: found };
            let sha256 = sha256_of_file(path)?;
            Some(Agreement::of(both, path.display().to_string(), sha256, how.to_string()))
        }
        _ => None,
    };
    let repeats = request.repeats.then(|| Repeats::of(&rows, how)).transpose()?;
    let creator = concat!("starmill ", env!("CARGO_PKG_VERSION"));
    let evaluation = Evaluation { schema: 1, creator, catalogue, agreement, repeats };
    Ok(Findings { evaluation, rows, reference: found })
}
