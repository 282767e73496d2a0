//! From the rows of a catalogue to the velocities that can be believed.

use super::key::Key;
use super::{Entry, FASTEST, Fault, RvSettings};

/// Gathers the entries of rows.
pub(super) struct Builder {
    pub(super) entries: Vec<Entry>,
    most: usize,
    max_err: f64,
    pub(super) rows: u64,
    pub(super) by_minute: bool,
    pub(super) by_night: bool,
    pub(super) by_path: bool,
}

/// Positions in what [`super::rows::read`] gives: keys, then three for each velocity.
pub(super) const OBSID: usize = 0;
pub(super) const LMJM: usize = 1;
pub(super) const SPID: usize = 2;
pub(super) const FIBERID: usize = 3;
pub(super) const LMJD: usize = 4;
pub(super) const COADD: usize = 5;
pub(super) const PATH: usize = 6;
pub(super) const KEYS: usize = 7;

impl Builder {
    pub(super) fn new(settings: &RvSettings) -> Self {
        let (most, max_err) = (settings.max_keys, settings.max_err);
        Self {
            entries: Vec::new(),
            most,
            max_err,
            rows: 0,
            by_minute: false,
            by_night: false,
            by_path: false,
        }
    }

    /// Takes one row; `has` says which of the columns there are.
    pub(super) fn add(&mut self, row: &[Option<f64>], has: &[bool]) -> Result<(), Fault> {
        if self.rows == 0 {
            self.by_minute = has[LMJM] && has[SPID] && has[FIBERID];
            self.by_night = has[LMJD];
            self.by_path = has[PATH];
            // Memory is taken when it is written to, so this costs what is used of it, and the array
            // never moves.
            self.entries.try_reserve_exact(self.most).map_err(|_| Fault::TooMany)?;
        }
        self.rows += 1;
        let Some((velocity, error, rank)) = self.velocity(&row[KEYS..], &has[KEYS..]) else {
            return Ok(());
        };
        #[expect(clippy::cast_possible_truncation, reason = "checked to be whole and in range")]
        let whole = |position: usize| {
            row[position].filter(|x| x.fract() == 0.0 && x.abs() < 9e15).map(|x| x as i64)
        };
        let is_coadd = row[COADD].is_some_and(|coadd| coadd != 0.0);
        let minute = || {
            let (lmjm, spid, fiberid) = (whole(LMJM)?, whole(SPID)?, whole(FIBERID)?);
            if is_coadd {
                Key::Coadd { lmjm, spid, fiberid }.packed()
            } else {
                Key::Exposure { lmjm, spid, fiberid }.packed()
            }
        };
        let night = || {
            // Where rows say so, those of single exposures are not of the night.
            let is_of_night = is_coadd || !has[COADD];
            let lmjd = if self.by_night { whole(LMJD)? } else { 0 };
            let key = Key::Obsid { obsid: whole(OBSID)?, lmjd };
            key.packed().filter(|_| is_of_night)
        };
        let file = || Key::File { number: whole(PATH)? }.packed();
        for key in [file(), minute(), night()].into_iter().flatten() {
            if self.entries.len() == self.most {
                return Err(Fault::TooMany);
            }
            self.entries.push(Entry { key, velocity, error, rank });
        }
        Ok(())
    }

    /// The first velocity of a row that can be believed.
    fn velocity(&self, values: &[Option<f64>], has: &[bool]) -> Option<(f32, f32, u8)> {
        let triples = values.as_chunks::<3>().0.iter().zip(has.as_chunks::<3>().0);
        #[expect(
            clippy::cast_possible_truncation,
            reason = "six digits are more than catalogues give"
        )]
        let mut believed = triples.enumerate().filter_map(|(rank, ([rv, error, flag], has))| {
            let rv = rv.filter(|rv| !is_missing(*rv) && rv.abs() < FASTEST)?;
            let error = error.filter(|error| (0.0..=self.max_err).contains(error));
            let is_doubtful = (has[1] && error.is_none()) || flag.is_some_and(|flag| flag != 0.0);
            let rank = u8::try_from(rank).ok()?;
            (!is_doubtful).then(|| (rv as f32, error.map_or(f32::NAN, |error| error as f32), rank))
        });
        believed.next()
    }
}

/// -999 and -9999, with any number of nines behind the point, stand for none.
fn is_missing(value: f64) -> bool {
    (-1000.0..-998.99).contains(&value) || value <= -9998.99
}
