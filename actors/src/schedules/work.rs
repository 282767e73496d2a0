//! The work loop: panics, restarts, failures and the drain, with other workers at the same queues.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use shuttle::thread::{self, JoinHandle};

use super::crew::{Count, Fate, endless, feed, quiet_panic, worker};
use super::{Item, any, any_bound, explore};
use crate::queue::queue;
use crate::sync::Mutex;
use crate::{Batching, Halt, Outlet, Queue, Source, Stage, Stopper};

/// What the last stage got, kept outside of it.
type Kept = Arc<Mutex<Vec<Item>>>;

/// What a stage does with an item of a number.
#[derive(Clone, Copy)]
enum Mishap {
    None,
    /// It is poison: whoever processes it panics.
    Poison(usize),
    /// The stage fails for good.
    Fatal(usize),
}

/// Passes items on and checks each batch against the budget of the queue that it came from.
struct Pass {
    input: Queue,
    mishap: Mishap,
}

impl Stage for Pass {
    type In = Item;
    type Out = Item;

    fn process(&mut self, batch: &mut [Item], out: &mut Outlet<'_, Item>) -> Result<(), Halt> {
        let bytes: usize = batch.iter().map(|item| item.bytes).sum();
        assert!(batch.len() == 1 || bytes <= self.input.bytes, "{bytes} of {:?}", self.input);
        for item in batch {
            match self.mishap {
                Mishap::Poison(id) if id == item.id => quiet_panic(),
                Mishap::Fatal(id) if id <= item.id => return Err(Halt::Fatal("fatal".into())),
                _ => out.send(item.clone())?,
            }
        }
        Ok(())
    }

    fn salvage(item: Item, emitted: usize, _panic: &str) -> Vec<Item> {
        assert_eq!(emitted, 0);
        vec![Item { salvaged: true, ..item }]
    }
}

/// The last stage.
struct Keep(Kept);

impl Stage for Keep {
    type In = Item;
    type Out = Infallible;

    fn process(&mut self, batch: &mut [Item], _: &mut Outlet<'_, Infallible>) -> Result<(), Halt> {
        self.0.lock().expect("no panic").extend_from_slice(batch);
        Ok(())
    }

    fn salvage(item: Item, _: usize, _: &str) -> Vec<Infallible> {
        unreachable!("{item:?} does not panic")
    }
}

/// A running flow: source, two workers that meet the mishap, and one that keeps.
struct Flow {
    source: JoinHandle<u64>,
    passing: Vec<JoinHandle<Fate>>,
    keeping: JoinHandle<Fate>,
    kept: Kept,
}

/// How a flow ended: items sent, fates of the passing workers, items kept.
struct Ended {
    sent: u64,
    passing: Vec<Fate>,
    ids: Vec<usize>,
    salvaged: Vec<usize>,
}

fn any_batching() -> Batching {
    Batching { max_items: 1 + any(4), max_age: Duration::from_millis(1) }
}

impl Flow {
    fn start<S: Source<Out = Item>>(source: S, mishap: Mishap, stopper: &Stopper) -> Self {
        let (bound, kept) = (any_bound(), Kept::default());
        let (from_source, to_pass) = queue(bound);
        let (from_pass, to_keep) = queue(any_bound());
        let (nowhere, _) = queue(Queue { items: 1, bytes: 0 });
        let mut feed = feed(source, from_source, stopper);
        let source = thread::spawn(move || {
            feed.run();
            feed.line.meter.items_out.load(Ordering::Relaxed)
        });
        let batching = any_batching();
        let pass = move || Ok(Pass { input: bound, mishap });
        let passing =
            (0..2).map(|_| worker(&to_pass, &from_pass, batching, stopper, pass)).collect();
        let keep = Arc::clone(&kept);
        let keep = move || Ok(Keep(Arc::clone(&keep)));
        let keeping = worker(&to_keep, &nowhere, any_batching(), stopper, keep);
        Self { source, passing, keeping, kept }
    }

    fn join(self) -> Ended {
        let sent = self.source.join().expect("no panic");
        let passing = self.passing.into_iter().map(|it| it.join().expect("no panic")).collect();
        assert_eq!(self.keeping.join().expect("no panic"), Fate::Drained { restarts: 0 });
        let kept = self.kept.lock().expect("no panic").clone();
        let mut ids: Vec<_> = kept.iter().map(|item| item.id).collect();
        ids.sort_unstable();
        let salvaged = kept.iter().filter(|item| item.salvaged).map(|item| item.id).collect();
        Ended { sent, passing, ids, salvaged }
    }
}

fn restarts(passing: &[Fate]) -> usize {
    let each = passing.iter().map(|fate| match fate {
        Fate::Drained { restarts } => *restarts,
        other => panic!("{other:?}"),
    });
    each.sum()
}

#[test]
fn a_panic_costs_its_item_while_other_workers_go_on() {
    explore(|| {
        let poison = any(6);
        let flow = Flow::start(Count(0..6), Mishap::Poison(poison), &Stopper::default());
        let ended = flow.join();
        assert!(ended.ids.iter().copied().eq(0..6), "{:?}", ended.ids);
        assert_eq!(ended.salvaged, [poison]);
        assert!((1..=2).contains(&restarts(&ended.passing)), "alone, or in a batch and alone");
    });
}

#[test]
fn what_was_sent_before_a_stop_drains() {
    explore(|| {
        let stopper = Stopper::default();
        let mishap = if any(2) == 0 { Mishap::None } else { Mishap::Poison(any(4)) };
        let flow = Flow::start(endless(), mishap, &stopper);
        let stop = thread::spawn(move || stopper.stop());
        let ended = flow.join();
        assert_eq!(ended.ids.len() as u64, ended.sent);
        assert!(ended.ids.iter().copied().eq(0..ended.ids.len()), "{:?}", ended.ids);
        stop.join().expect("no panic");
    });
}

#[test]
fn a_failure_ends_an_endless_flow_and_doubles_nothing() {
    explore(|| {
        let flow = Flow::start(endless(), Mishap::Fatal(any(6)), &Stopper::default());
        let ended = flow.join();
        assert!(ended.passing.contains(&Fate::Failed));
        let mut ids = ended.ids.clone();
        ids.dedup();
        assert_eq!(ids, ended.ids);
        assert!(ended.ids.len() as u64 <= ended.sent);
    });
}
