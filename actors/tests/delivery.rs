//! The last stage loses nothing by a panic, if it keeps what it holds outside.

mod common;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use common::{SUPERVISION, room, run};
use proptest::prelude::*;
use starmill_actors::{
    Batching, BoxError, Ending, Flow, Halt, Next, Outlet, Payload, Source, Stage, Supervision,
    Width,
};

const ITEMS: u64 = 100;

/// What became of one item.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Fate {
    /// How often it was given to `process`.
    delivered: u32,
    /// How often a call of `process` with it and others panicked.
    crashed_with_others: u32,
    /// How often `process` did its work for it.
    recorded: u32,
    salvaged: u32,
}

/// The state outside of the stage, which survives it.
#[derive(Clone, Default)]
struct Book(Arc<Mutex<Pages>>);

#[derive(Default)]
struct Pages {
    fates: BTreeMap<u64, Fate>,
    calls: usize,
}

impl Book {
    fn open(&self) -> MutexGuard<'_, Pages> {
        // The panics of this test come while it is locked.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An item that carries what its salvage needs.
struct Letter {
    id: u64,
    book: Book,
}

impl Payload for Letter {
    fn bytes(&self) -> usize {
        1
    }
}

struct Letters(std::ops::Range<u64>, Book);

impl Source for Letters {
    type Out = Letter;
    fn next(&mut self, _patience: Duration) -> Result<Next<Letter>, BoxError> {
        let id = self.0.next();
        Ok(id.map_or(Next::End, |id| Next::Item(Letter { id, book: self.1.clone() })))
    }
}

/// When a call of `process` panics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Panic {
    Never,
    /// Before the item at this place in the batch is recorded.
    Before(usize),
    /// After it is recorded, so that a second delivery finds it there.
    After(usize),
}

impl Panic {
    /// The same, at a place that the batch has.
    fn within(self, batch: &[Letter]) -> Self {
        let last = batch.len() - 1;
        match self {
            Self::Never => Self::Never,
            Self::Before(place) => Self::Before(place.min(last)),
            Self::After(place) => Self::After(place.min(last)),
        }
    }
}

fn any_panic() -> impl Strategy<Value = Panic> {
    prop_oneof![
        4 => Just(Panic::Never),
        1 => (0..20_usize).prop_map(Panic::Before),
        1 => (0..20_usize).prop_map(Panic::After),
    ]
}

struct Record {
    book: Book,
    panics: Arc<[Panic]>,
}

impl Stage for Record {
    type In = Letter;
    type Out = Infallible;

    fn process(
        &mut self,
        batch: &mut [Letter],
        _: &mut Outlet<'_, Infallible>,
    ) -> Result<(), Halt> {
        let mut pages = self.book.open();
        let panic = self.panics[pages.calls % self.panics.len()].within(batch);
        pages.calls += 1;
        let several = u32::from(batch.len() > 1);
        for letter in &*batch {
            let fate = pages.fates.entry(letter.id).or_default();
            fate.delivered += 1;
            fate.crashed_with_others += several * u32::from(panic != Panic::Never);
        }
        for (place, letter) in batch.iter().enumerate() {
            assert_ne!(panic, Panic::Before(place), "nobody records item {}", letter.id);
            pages.fates.entry(letter.id).or_default().recorded += 1;
            assert_ne!(panic, Panic::After(place), "item {} is recorded", letter.id);
        }
        Ok(())
    }

    fn salvage(letter: Letter, _emitted: usize, _panic: &str) -> Vec<Infallible> {
        letter.book.open().fates.entry(letter.id).or_default().salvaged += 1;
        Vec::new()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn every_item_is_processed_or_salvaged(
        workers in 1..5_usize,
        max_items in 1..20_usize,
        age in 0..3_u64,
        panics in prop::collection::vec(any_panic(), 1..40),
    ) {
        let book = Book::default();
        let source = Letters(0..ITEMS, book.clone());
        let batching = Batching { max_items, max_age: Duration::from_millis(age) };
        let width = Width { workers, queue: room(1), batching };
        let (kept, panics) = (book.clone(), Arc::<[Panic]>::from(panics));
        let flow = Flow::from("letters", source, room(16)).stage("record", width, move || {
            Ok(Record { book: kept.clone(), panics: Arc::clone(&panics) })
        });
        let report = run(flow, Supervision { max_restarts: 1000, ..SUPERVISION });
        prop_assert!(matches!(report.ending, Ending::Drained), "{:?}", report);

        let pages = book.open();
        prop_assert!(pages.fates.keys().copied().eq(0..ITEMS), "not all were delivered");
        for (id, fate) in &pages.fates {
            let outcome = fate.recorded + fate.salvaged;
            prop_assert!(outcome >= 1, "item {id} is lost: {fate:?}");
            prop_assert_eq!(fate.delivered, 1 + fate.crashed_with_others, "item {}: {:?}", id, fate);
            prop_assert!(fate.crashed_with_others <= 1 && fate.salvaged <= 1, "{fate:?}");
            if fate.crashed_with_others == 0 && fate.salvaged == 0 {
                prop_assert_eq!(fate.recorded, 1, "item {}: exactly once without a panic", id);
            }
        }
        prop_assert_eq!(report.snapshot.stages[1].items_in, ITEMS);
    }
}
