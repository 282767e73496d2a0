//! The desks of a flow: one for a run, one for each open night in a service.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use super::desk::WholePart;
use super::{Counters, Desk};
use crate::catalogue::{Store, StoreError};
use crate::ledger::Ledger;
use crate::night::Night;
use crate::outcome::Outcome;

/// A catalogue to write into.
pub struct Opened {
    /// The catalogue.
    pub store: Store,
    /// Ledgers of the sealed catalogues that it supplements.
    pub earlier: Vec<Ledger>,
}

/// Opens the catalogue of a night, or that of the run where there are no nights.
pub type OpenCatalogue = Box<dyn FnMut(Option<Night>) -> Result<Opened, StoreError> + Send>;

/// Desks by night. They open on demand; of more than so many the longest unused is put away.
pub struct Rack {
    open: OpenCatalogue,
    most: usize,
    desks: BTreeMap<Option<Night>, Desk>,
    counters: Arc<Counters>,
}

/// What became of the wish to have a catalogue for oneself.
pub enum Taken {
    /// It is not open here.
    Absent,
    /// Outcomes of it are on their way.
    Busy,
    /// Here it is.
    Store(Box<Store>),
}

impl Rack {
    /// A rack without desks.
    pub fn new(most: usize, counters: Arc<Counters>, open: OpenCatalogue) -> Self {
        Self { open, most, desks: BTreeMap::new(), counters }
    }

    /// The desk of a night, opened if need be.
    ///
    /// # Errors
    /// Those of opening the catalogue.
    pub fn desk(&mut self, night: Option<Night>) -> Result<&mut Desk, StoreError> {
        match self.desks.entry(night) {
            Entry::Occupied(desk) => Ok(desk.into_mut()),
            Entry::Vacant(place) => {
                let Opened { store, earlier } = (self.open)(night)?;
                Ok(place.insert(Desk::new(store, earlier, Arc::clone(&self.counters))))
            }
        }
    }

    /// Every desk that is open.
    pub fn desks(&mut self) -> impl Iterator<Item = &mut Desk> {
        self.desks.values_mut()
    }

    /// Spectra that wait for their commit on all desks.
    pub(super) fn waiting(&self) -> usize {
        self.desks.values().map(Desk::waiting).sum()
    }

    /// Whether the desk of this night is open.
    pub(super) fn is_open(&self, night: Option<Night>) -> bool {
        self.desks.contains_key(&night)
    }

    /// Whether a desk must go before another comes.
    pub(super) fn is_full(&self) -> bool {
        self.desks.len() >= self.most
    }

    /// Puts away the desk that was not used for the longest time, if any is idle.
    pub(super) fn put_one_away(&mut self) {
        let idle = self.desks.iter().filter(|(_, desk)| desk.is_idle());
        let oldest = idle.min_by_key(|(_, desk)| desk.last_used()).map(|(night, _)| *night);
        if let Some(night) = oldest {
            self.desks.remove(&night);
        }
    }

    /// Takes an outcome; to take it again changes nothing. Returns the part if it is whole now.
    pub(super) fn gather(&mut self, outcome: &Outcome) -> Result<Option<WholePart>, StoreError> {
        Ok(self.desk(outcome.origin.file.night)?.gather(outcome))
    }

    /// Takes the catalogue of a night off the rack, unless something of it is on its way.
    pub fn take(&mut self, night: Night) -> Taken {
        let night = Some(night);
        match self.desks.get(&night) {
            None => Taken::Absent,
            Some(desk) if !desk.is_idle() => Taken::Busy,
            Some(_) => match self.desks.remove(&night) {
                Some(desk) => Taken::Store(Box::new(desk.store)),
                None => Taken::Absent,
            },
        }
    }
}
