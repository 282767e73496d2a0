//! Sealing: from segments to the catalogue and the table of rejects, in both formats.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::batch::judged_schema;
use super::columns::Schema;
use super::judge::{Judge, Verdict};
use super::judged::judged;
use super::manifest::Manifest;
use super::merge::{ROWS, merge};
use super::recover::remove_scratch;
use super::reductions::{Earlier, Reductions, Superseded};
use super::sink::Sink;
use super::{CatalogueError, inputs_list, publish};
use crate::failpoint::crash_point;
use crate::ledger::Ledger;

/// Stem of the catalogue's files.
pub const CATALOGUE: &str = "catalogue";
/// Stem of the files of rejects.
pub const REJECTS: &str = "rejects";

/// What made the rows; it goes into the headers of both formats. It holds nothing that differs
/// between two runs over the same inputs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Provenance {
    /// Keyword (at most eight characters), value, comment.
    pub entries: Vec<(String, String, String)>,
}

/// All that the manifest says beside what the catalogue itself holds. Nothing of it may differ
/// between two runs that give the same rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Made {
    /// What made the rows.
    pub provenance: Provenance,
    /// SHA-256 of each file of the model, by its name.
    pub model_files: BTreeMap<String, String>,
    /// The settings that can change a row or a reject.
    pub settings: BTreeMap<String, String>,
}

/// How many outcomes a catalogue holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Rows.
    pub rows: u64,
    /// Rejects.
    pub rejects: u64,
}

/// What is sealed, and where.
pub(super) struct Sealing<'a> {
    /// The folder that gets the published files.
    pub(super) folder: &'a Path,
    /// The folder of segments.
    pub(super) segments: &'a Path,
    pub(super) schema: &'a Schema,
    pub(super) model_id: &'a str,
    pub(super) made: &'a Made,
    pub(super) ledger: &'a Ledger,
    /// The folders of the volumes that this one supplements, the oldest first.
    pub(super) earlier: &'a [PathBuf],
    pub(super) give_up: &'a dyn Fn() -> bool,
}

/// Merges the segments into the published files.
///
/// Of several rows for one observation the newest reduction counts; the settings say whether the
/// others become rejects or rows with a higher number. Rows of earlier volumes of the night take
/// part as if all were sealed together.
///
/// # Errors
/// [`CatalogueError::Conservation`] when rows and rejects do not add up, [`CatalogueError::GivenUp`]
/// when asked to; the old catalogue stays then, as it does after any other [`CatalogueError`] that
/// comes before names are exchanged.
pub(super) fn seal(sealing: &Sealing<'_>) -> Result<Counts, CatalogueError> {
    crash_point!("seal-begins");
    let written = write(sealing).and_then(|(counts, replaced)| {
        let inputs = inputs_list::write(sealing.folder, sealing.ledger)?;
        publish::sync(sealing.folder)?;
        Manifest::of(sealing, counts, inputs, replaced)?.write(sealing.folder)?;
        crash_point!("seal-written");
        publish::publish(sealing.folder)?;
        Ok(counts)
    });
    // Whatever the end: half a catalogue under temporary names is of no use.
    let removed = remove_scratch(sealing.folder);
    let counts = written?;
    removed?;
    Ok(counts)
}

/// Writes the four tables under temporary names; also counts the rows whose files have another
/// content by now.
fn write(sealing: &Sealing<'_>) -> Result<(Counts, u64), CatalogueError> {
    let Sealing { folder, schema, ledger, give_up, made: Made { provenance, .. }, .. } = sealing;
    let mut rows = Sink::create(folder, CATALOGUE, schema, schema.rows(), provenance)?;
    let mut rejects = Sink::create(folder, REJECTS, schema, schema.rejects(), provenance)?;
    let segments = ledger.segments()?.into_iter();
    let segments = segments.map(|segment| sealing.segments.join(segment.name)).collect();
    let mut merged = merge(segments, ROWS, folder, give_up)?;
    let earlier = Earlier::open(sealing.earlier, ledger, folder, give_up)?;
    let rule = Reductions::of(&sealing.made.settings);
    let mut judge = Judge::new(rule, Superseded::of(ledger)?, earlier);
    let judged_schema = judged_schema(schema);
    while let Some(batch) = merged.next_batch()? {
        if give_up() {
            return Err(CatalogueError::GivenUp);
        }
        let verdicts = judge.judge(&batch)?;
        let batch = judged(&batch, &verdicts, &judged_schema)
            .map_err(CatalogueError::parquet(&rows.parquet))?;
        rows.write(&batch, &verdicts, |verdict| matches!(verdict, Verdict::Row { .. }))?;
        rejects.write(&batch, &verdicts, |verdict| matches!(verdict, Verdict::Reject(_)))?;
    }
    let counts = Counts { rows: rows.count, rejects: rejects.count };
    let replaced = judge.replaced;
    let spectra = ledger.totals()?.1 + replaced;
    if counts.rows + counts.rejects != spectra {
        let Counts { rows, rejects } = counts;
        return Err(CatalogueError::Conservation { rows, rejects, spectra });
    }
    for sink in [rows, rejects] {
        sink.finish(provenance, give_up)?;
    }
    Ok((counts, replaced))
}
