//! Which outcome stands for an observation, and what becomes of the others.

use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use arrow_array::{Int32Array, RecordBatch};

use super::CatalogueError;
use super::batch::{content_in, name_in, text_column};
use super::columns::{CODE, FILE, FILE_BLAKE3};
use super::merge::keys;
use super::reductions::{Earlier, EarlierRow, Reductions, Superseded};
use crate::reject::{Code, Reject};

/// What becomes of a row of a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is published.
    Row {
        /// 1 for the reduction that counts.
        reduction: i32,
        /// It takes the place of a row of an earlier volume.
        replaces: bool,
    },
    /// With the new reason if the segment held a row.
    Reject(Option<Reject>),
    /// Its path has another content by now: it is in no table.
    Superseded,
}

/// Judges the rows of a merge one after the other. It holds one observation, whatever their number.
pub(super) struct Judge<'a> {
    rule: Reductions,
    superseded: Superseded<'a>,
    earlier: Option<Earlier<'a>>,
    observation: Option<Observation>,
    /// Rows of contents that their paths do not have any more.
    pub(super) replaced: u64,
}

/// The reductions of one observation so far, in the canonical order.
struct Observation {
    name: Vec<u8>,
    /// The one that counts.
    winner: Option<Reduction>,
    /// The one before, of which another file may have the same bytes.
    last: Option<Reduction>,
    /// The number given last.
    number: i32,
    is_in_earlier: bool,
}

#[derive(Debug, Clone)]
struct Reduction {
    digest: String,
    file: String,
    /// Whether its path has another content by now.
    replaced: bool,
    is_earlier: bool,
}

impl<'a> Judge<'a> {
    pub(super) fn new(
        rule: Reductions,
        superseded: Superseded<'a>,
        earlier: Option<Earlier<'a>>,
    ) -> Self {
        Self { rule, superseded, earlier, observation: None, replaced: 0 }
    }

    pub(super) fn judge(&mut self, batch: &RecordBatch) -> Result<Vec<Verdict>, CatalogueError> {
        let codes = batch.column_by_name(CODE).expect("segments have every column");
        let codes: &Int32Array = codes.as_primitive::<Int32Type>();
        let (files, digests) = (text_column(batch, FILE), text_column(batch, FILE_BLAKE3));
        let mut verdicts = Vec::with_capacity(batch.num_rows());
        for row in 0..batch.num_rows() {
            let (file, digest) = (files.value(row), digests.value(row));
            let replaced = self.superseded.holds(digest, file)?;
            verdicts.push(if codes.value(row) == 0 {
                let (file, digest) = (file.to_owned(), digest.to_owned());
                let reduction = Reduction { digest, file, replaced, is_earlier: false };
                self.judge_row(keys(batch).value(row), reduction)?
            } else if replaced {
                Verdict::Superseded
            } else {
                Verdict::Reject(None)
            });
        }
        Ok(verdicts)
    }

    fn judge_row(&mut self, key: &[u8], reduction: Reduction) -> Result<Verdict, CatalogueError> {
        let name = name_in(key);
        let mut observation = match self.observation.take() {
            Some(observation) if observation.name == name => observation,
            _ => self.begin(name)?,
        };
        if let Some(earlier) = &mut self.earlier {
            while let Some(row) = earlier.next_until(name, content_in(key))? {
                let EarlierRow { digest, file, replaced } = row;
                let reduction = Reduction { digest, file, replaced, is_earlier: true };
                observation.place(self.rule, reduction);
            }
        }
        let replaced = reduction.replaced;
        let verdict = observation.place(self.rule, reduction);
        if replaced && matches!(verdict, Verdict::Row { .. }) {
            self.replaced += 1;
        }
        self.observation = Some(observation);
        Ok(verdict)
    }

    fn begin(&mut self, name: &[u8]) -> Result<Observation, CatalogueError> {
        let is_in_earlier = match &mut self.earlier {
            Some(earlier) => earlier.go_to(name)?,
            None => false,
        };
        let (winner, last, number) = (None, None, 1);
        Ok(Observation { name: name.to_vec(), winner, last, number, is_in_earlier })
    }
}

impl Observation {
    fn place(&mut self, rule: Reductions, reduction: Reduction) -> Verdict {
        match (rule, &self.winner) {
            (Reductions::Newest, _) if reduction.replaced => Verdict::Superseded,
            (Reductions::Newest, Some(winner)) => {
                Verdict::Reject(Some(self.lost_to(winner, &reduction)))
            }
            (Reductions::Newest, None) => self.count(reduction),
            (Reductions::All, _) => match &self.last {
                Some(last) if last.digest == reduction.digest => {
                    if reduction.replaced {
                        Verdict::Superseded
                    } else if last.replaced {
                        // What counts must not be lost to what was replaced.
                        self.count(reduction)
                    } else {
                        Verdict::Reject(Some(self.lost_to(last, &reduction)))
                    }
                }
                _ => self.count(reduction),
            },
        }
    }

    /// Gives it its number. The first is kept for one that was not replaced: whoever rewrites a file
    /// with an older reduction wants that one.
    fn count(&mut self, reduction: Reduction) -> Verdict {
        self.last = Some(reduction.clone());
        if self.winner.is_none() && !reduction.replaced {
            self.winner = Some(reduction);
            return Verdict::Row { reduction: 1, replaces: self.is_in_earlier };
        }
        self.number = self.number.saturating_add(1);
        Verdict::Row { reduction: self.number, replaces: false }
    }

    fn lost_to(&self, winner: &Reduction, loser: &Reduction) -> Reject {
        let place = if winner.is_earlier { ", in an earlier volume of the night" } else { "" };
        if winner.digest == loser.digest {
            Code::DUPLICATE_CONTENT.because(format!("the same bytes as {}{place}", winner.file))
        } else {
            let name = String::from_utf8_lossy(&self.name);
            Code::DUPLICATE_SPECTRUM
                .because(format!("{name} is in the catalogue from {}{place}", winner.file))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdicts(rule: Reductions, reductions: &[(&str, bool)]) -> Vec<i32> {
        let (winner, last, number) = (None, None, 1);
        let name = b"a".to_vec();
        let mut observation = Observation { name, winner, last, number, is_in_earlier: false };
        let place = |(digest, replaced): &(&str, bool)| {
            let (digest, file) = ((*digest).to_owned(), "a.fits".to_owned());
            let reduction = Reduction { digest, file, replaced: *replaced, is_earlier: false };
            match observation.place(rule, reduction) {
                Verdict::Row { reduction, .. } => reduction,
                Verdict::Reject(reject) => {
                    -i32::from(reject.expect("rows lose for a reason").code.number())
                }
                Verdict::Superseded => 0,
            }
        };
        reductions.iter().map(place).collect()
    }

    #[test]
    fn the_newest_that_was_not_replaced_counts_and_the_others_are_numbered_behind_it() {
        use Reductions::{All, Newest};
        let (content, spectrum) = (-17, -18);
        let check = |reductions: &[(&str, bool)], newest: &[i32], all: &[i32]| {
            assert_eq!(verdicts(Newest, reductions), newest, "{reductions:?}");
            assert_eq!(verdicts(All, reductions), all, "{reductions:?}");
        };
        let (kept, replaced) = (false, true);
        check(&[("c", kept), ("b", kept), ("a", kept)], &[1, spectrum, spectrum], &[1, 2, 3]);
        check(&[("b", kept), ("b", kept), ("a", kept)], &[1, content, spectrum], &[1, content, 2]);
        check(&[("b", kept), ("a", replaced)], &[1, 0], &[1, 2]);
        check(&[("c", replaced), ("b", kept), ("a", kept)], &[0, 1, spectrum], &[2, 1, 3]);
        check(&[("b", replaced)], &[0], &[2]);
        check(&[("b", kept), ("b", replaced)], &[1, 0], &[1, 0]);
        check(&[("b", replaced), ("b", kept)], &[0, 1], &[2, 1]);
    }
}
