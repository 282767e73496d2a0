//! Toys that the promises are tested with: a counting source, a stage made of a closure and a
//! last stage that keeps what it gets.

#![allow(dead_code, reason = "every test file uses some of the toys")]

use std::convert::Infallible;
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crossbeam_channel::bounded;
use starmill_actors::{
    Batching, BoxError, Flow, Halt, Next, Outlet, Payload, Queue, Report, Source, Stage,
    Supervision, Width,
};

/// Longer than any toy flow takes, shorter than a patient reader of a hanging test. Miri needs some
/// thousand times as long.
const DEADLINE: Duration = Duration::from_secs(if cfg!(miri) { 1000 } else { 30 });

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Item {
    pub id: u64,
    pub size: usize,
    pub salvaged: Option<Salvaged>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Salvaged {
    pub emitted: usize,
    pub panic: String,
}

impl Item {
    pub fn new(id: u64) -> Self {
        Self { id, size: 1, salvaged: None }
    }
}

impl Payload for Item {
    fn bytes(&self) -> usize {
        self.size
    }
}

/// Counts through a range, then ends.
pub struct Numbers(pub Range<u64>);

impl Source for Numbers {
    type Out = Item;
    fn next(&mut self, _patience: Duration) -> Result<Next<Item>, BoxError> {
        Ok(self.0.next().map_or(Next::End, |id| Next::Item(Item::new(id))))
    }
}

/// A source made of a closure.
pub struct From<F>(pub F);

impl<F> Source for From<F>
where
    F: FnMut(Duration) -> Result<Next<Item>, BoxError> + Send + 'static,
{
    type Out = Item;
    fn next(&mut self, patience: Duration) -> Result<Next<Item>, BoxError> {
        (self.0)(patience)
    }
}

/// A stage made of a closure over batches. It salvages an item as itself, marked.
pub struct Batch<F>(pub F);

impl<F> Stage for Batch<F>
where
    F: FnMut(&mut [Item], &mut Outlet<'_, Item>) -> Result<(), Halt> + 'static,
{
    type In = Item;
    type Out = Item;
    fn process(&mut self, batch: &mut [Item], out: &mut Outlet<'_, Item>) -> Result<(), Halt> {
        (self.0)(batch, out)
    }
    fn salvage(mut item: Item, emitted: usize, panic: &str) -> Vec<Item> {
        item.salvaged = Some(Salvaged { emitted, panic: panic.to_owned() });
        vec![item]
    }
}

/// A stage that calls `look` on each item and sends it on.
pub fn each<L>(mut look: L) -> impl Stage<In = Item, Out = Item>
where
    L: FnMut(&Item) -> Result<(), BoxError> + 'static,
{
    Batch(move |batch: &mut [Item], out: &mut Outlet<'_, Item>| {
        for item in batch {
            look(item).map_err(Halt::Fatal)?;
            out.send(item.clone())?;
        }
        Ok(())
    })
}

/// The last stage: keeps what it gets where the test can see it.
pub struct Keep(pub Kept);

/// What reached the end of a flow.
pub type Kept = Arc<Mutex<Vec<Item>>>;

impl Stage for Keep {
    type In = Item;
    type Out = Infallible;
    fn process(
        &mut self,
        batch: &mut [Item],
        _out: &mut Outlet<'_, Infallible>,
    ) -> Result<(), Halt> {
        self.0.lock().unwrap().extend_from_slice(batch);
        Ok(())
    }
    fn salvage(_item: Item, _emitted: usize, _panic: &str) -> Vec<Infallible> {
        Vec::new()
    }
}

/// A queue of so many items, unlimited in bytes.
pub fn room(items: usize) -> Queue {
    Queue { items, bytes: usize::MAX }
}

/// So many workers, each taking one item at a time.
pub fn wide(workers: usize) -> Width {
    Width { workers, queue: room(4), batching: Batching::SINGLE }
}

/// One worker that waits until its batch is full or its input ends.
pub fn batches(max_items: usize) -> Width {
    Width { batching: Batching { max_items, max_age: DEADLINE }, ..wide(1) }
}

pub const SUPERVISION: Supervision = Supervision {
    max_restarts: 10,
    restart_window: DEADLINE,
    stall_limit: DEADLINE,
    beat: Duration::from_millis(5),
    drain_limit: DEADLINE,
};

/// Runs the flow, and fails the test if it does not end.
pub fn run(flow: Flow<Infallible>, supervision: Supervision) -> Report {
    let (report, ended) = bounded(1);
    thread::spawn(move || report.send(flow.run(supervision)));
    ended.recv_timeout(DEADLINE).expect("the flow ends in time")
}

/// Adds the last stage to a flow and runs it; what was kept comes back with the report.
pub fn run_to_end(flow: Flow<Item>, supervision: Supervision) -> (Report, Vec<Item>) {
    let kept = Kept::default();
    let keep = Arc::clone(&kept);
    let flow = flow.stage("keep", wide(1), move || Ok(Keep(Arc::clone(&keep))));
    let report = run(flow, supervision);
    let items = kept.lock().unwrap().clone();
    (report, items)
}

pub fn ids(items: &[Item]) -> Vec<u64> {
    items.iter().map(|item| item.id).collect()
}

pub fn sorted_ids(items: &[Item]) -> Vec<u64> {
    let mut ids = ids(items);
    ids.sort_unstable();
    ids
}
