//! Which outcome stands for an observation, and why the others do not.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use arrow_array::{Array, ArrayRef, Int32Array, RecordBatch, StringArray};

use super::batch::name_in;
use super::columns::{CODE, DETAIL, FILE, FILE_BLAKE3, REASON, REMEDY};
use super::merge::keys;
use crate::input::Digest;
use crate::ledger::{Ledger, LedgerError};
use crate::reject::{Code, Reject};

/// Inputs that a newer content of the same path replaces, as the ledger knows them.
pub(super) struct Superseded<'a> {
    /// `None` if no path ever had another content, which is the common case.
    ledger: Option<&'a Ledger>,
}

impl<'a> Superseded<'a> {
    pub(super) fn of(ledger: &'a Ledger) -> Result<Self, LedgerError> {
        Ok(Self { ledger: ledger.has_superseded()?.then_some(ledger) })
    }

    fn holds(&self, digest: &str, file: &str) -> Result<bool, LedgerError> {
        let Some(ledger) = self.ledger else { return Ok(false) };
        // A digest that is none has no newer content; its row then fails the count.
        blake3::Hash::from_hex(digest)
            .map_or(Ok(false), |hash| ledger.is_superseded(Digest(*hash.as_bytes()), file))
    }
}

/// What becomes of a row of a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    Row,
    /// With the new reason if the segment held a row.
    Reject(Option<Reject>),
    Superseded,
}

/// The row that stands for an observation.
pub(super) struct Winner {
    name: Vec<u8>,
    digest: String,
    file: String,
}

fn text_column<'a>(batch: &'a RecordBatch, name: &str) -> &'a StringArray {
    batch.column_by_name(name).expect("segments have every column").as_string()
}

pub(super) fn judge(
    batch: &RecordBatch,
    winner: &mut Option<Winner>,
    superseded: &Superseded<'_>,
) -> Result<Vec<Verdict>, LedgerError> {
    let codes: &Int32Array =
        batch.column_by_name(CODE).expect("segments have every column").as_primitive::<Int32Type>();
    let (files, digests) = (text_column(batch, FILE), text_column(batch, FILE_BLAKE3));
    let mut verdicts = Vec::with_capacity(batch.num_rows());
    for row in 0..batch.num_rows() {
        let (file, digest) = (files.value(row), digests.value(row));
        if superseded.holds(digest, file)? {
            verdicts.push(Verdict::Superseded);
            continue;
        }
        if codes.value(row) != 0 {
            verdicts.push(Verdict::Reject(None));
            continue;
        }
        let name = name_in(keys(batch).value(row));
        verdicts.push(match winner {
            Some(winner) if winner.name == name => Verdict::Reject(Some(lost_to(winner, digest))),
            _ => {
                let (digest, file) = (digest.to_owned(), file.to_owned());
                *winner = Some(Winner { name: name.to_vec(), digest, file });
                Verdict::Row
            }
        });
    }
    Ok(verdicts)
}

fn lost_to(winner: &Winner, digest: &str) -> Reject {
    if winner.digest == digest {
        Code::DUPLICATE_CONTENT.because(format!("the same bytes as {}", winner.file))
    } else {
        let name = String::from_utf8_lossy(&winner.name);
        Code::DUPLICATE_SPECTRUM.because(format!("{name} is in the catalogue from {}", winner.file))
    }
}

/// Puts the reasons of rows that lost into the columns of rejects.
pub(super) fn with_verdicts(
    batch: &RecordBatch,
    verdicts: &[Verdict],
) -> Result<RecordBatch, arrow_schema::ArrowError> {
    if !verdicts.iter().any(|verdict| matches!(verdict, Verdict::Reject(Some(_)))) {
        return Ok(batch.clone());
    }
    let lost = |row: usize| match &verdicts[row] {
        Verdict::Reject(reject) => reject.as_ref(),
        _ => None,
    };
    let codes = batch.column_by_name(CODE).expect("segments have every column");
    let codes = codes.as_primitive::<Int32Type>();
    let codes: Int32Array = (0..batch.num_rows())
        .map(|row| {
            Some(lost(row).map_or(codes.value(row), |reject| i32::from(reject.code.number())))
        })
        .collect();
    let text = |name: &str, new: &dyn Fn(&Reject) -> String| -> ArrayRef {
        let old = text_column(batch, name);
        let kept = |row| old.is_valid(row).then(|| old.value(row).to_owned());
        let texts = (0..batch.num_rows())
            .map(|row| lost(row).map_or_else(|| kept(row), |reject| Some(new(reject))));
        Arc::new(texts.collect::<StringArray>())
    };
    let mut columns = batch.columns().to_vec();
    let mut replace = |name: &str, array: ArrayRef| -> Result<(), arrow_schema::ArrowError> {
        columns[batch.schema().index_of(name)?] = array;
        Ok(())
    };
    replace(CODE, Arc::new(codes))?;
    replace(REASON, text(REASON, &|reject| reject.code.entry().name.to_owned()))?;
    replace(DETAIL, text(DETAIL, &|reject| reject.detail.clone()))?;
    replace(REMEDY, text(REMEDY, &|reject| reject.code.entry().remedy.to_owned()))?;
    RecordBatch::try_new(batch.schema(), columns)
}
