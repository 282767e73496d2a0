//! Verdicts put into the columns of a batch.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use arrow_array::{Array, ArrayRef, BooleanArray, Int32Array, RecordBatch, StringArray};
use arrow_schema::{ArrowError, SchemaRef};

use super::batch::text_column;
use super::columns::{CODE, DETAIL, FLAG_BAD, FLAGS, REASON, REMEDY};
use super::judge::Verdict;
use crate::quality::Quality;
use crate::reject::Reject;

/// The batch of a segment as the tables get it: with the reasons of rows that lost, the quality bits
/// of reductions, and the columns that only the seal knows. `schema` is that of all of them.
pub(super) fn judged(
    batch: &RecordBatch,
    verdicts: &[Verdict],
    schema: &SchemaRef,
) -> Result<RecordBatch, ArrowError> {
    let mut columns = batch.columns().to_vec();
    let mut replace = |name: &str, array: ArrayRef| -> Result<(), ArrowError> {
        columns[batch.schema().index_of(name)?] = array;
        Ok(())
    };
    if verdicts.iter().any(|verdict| matches!(verdict, Verdict::Reject(Some(_)))) {
        reasons(batch, verdicts, &mut replace)?;
    }
    if verdicts.iter().any(|verdict| bits(verdict) != Quality::NONE) {
        qualities(batch, verdicts, &mut replace)?;
    }
    let reduction = |verdict: &Verdict| match verdict {
        Verdict::Row { reduction, .. } => Some(*reduction),
        Verdict::Reject(_) | Verdict::Superseded => None,
    };
    columns.push(Arc::new(verdicts.iter().map(reduction).collect::<Int32Array>()));
    RecordBatch::try_new(Arc::clone(schema), columns)
}

type Replace<'a> = dyn FnMut(&str, ArrayRef) -> Result<(), ArrowError> + 'a;

fn reasons(
    batch: &RecordBatch,
    verdicts: &[Verdict],
    replace: &mut Replace<'_>,
) -> Result<(), ArrowError> {
    let lost = |row: usize| match &verdicts[row] {
        Verdict::Reject(reject) => reject.as_ref(),
        _ => None,
    };
    let codes = integers(batch, CODE);
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
    replace(CODE, Arc::new(codes))?;
    replace(REASON, text(REASON, &|reject| reject.code.entry().name.to_owned()))?;
    replace(DETAIL, text(DETAIL, &|reject| reject.detail.clone()))?;
    replace(REMEDY, text(REMEDY, &|reject| reject.code.entry().remedy.to_owned()))
}

/// The quality bits that follow from the other reductions.
fn bits(verdict: &Verdict) -> Quality {
    let mut bits = Quality::NONE;
    if let Verdict::Row { reduction, replaces } = verdict {
        bits.set_if(*reduction > 1, Quality::OLDER_REDUCTION);
        bits.set_if(*replaces, Quality::NEWER_REDUCTION);
    }
    bits
}

fn qualities(
    batch: &RecordBatch,
    verdicts: &[Verdict],
    replace: &mut Replace<'_>,
) -> Result<(), ArrowError> {
    let old = integers(batch, FLAGS);
    let new = |row: usize| Quality::from_value(old.value(row)) | bits(&verdicts[row]);
    let flags: Int32Array =
        (0..batch.num_rows()).map(|row| old.is_valid(row).then(|| new(row).value())).collect();
    let bad: BooleanArray = (0..batch.num_rows()).map(|row| Some(new(row).is_bad())).collect();
    replace(FLAGS, Arc::new(flags))?;
    replace(FLAG_BAD, Arc::new(bad))
}

fn integers<'a>(batch: &'a RecordBatch, name: &str) -> &'a Int32Array {
    let column = batch.column_by_name(name).expect("segments have every column");
    column.as_primitive::<Int32Type>()
}
