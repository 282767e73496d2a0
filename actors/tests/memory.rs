//! What a stage holds is bounded by its configuration, to the byte.

mod common;

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use common::{SUPERVISION, run};
use proptest::prelude::*;
use starmill_actors::{
    Batching, BoxError, Ending, Flow, Halt, Next, Outlet, Payload, Queue, Source, Stage, Width,
};

/// The bytes of all items that are alive, and the most there were.
#[derive(Clone, Default)]
struct Scales(Arc<(AtomicUsize, AtomicUsize)>);

impl Scales {
    fn load(&self, bytes: usize) -> Load {
        let (alive, most) = &*self.0;
        let now = alive.fetch_add(bytes, Ordering::SeqCst) + bytes;
        most.fetch_max(now, Ordering::SeqCst);
        Load { bytes, scales: self.clone() }
    }

    fn most(&self) -> usize {
        self.0.1.load(Ordering::SeqCst)
    }
}

/// An item that is weighed from its making to its drop.
struct Load {
    bytes: usize,
    scales: Scales,
}

impl Payload for Load {
    fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.scales.0.0.fetch_sub(self.bytes, Ordering::SeqCst);
    }
}

struct Loads {
    sizes: std::vec::IntoIter<usize>,
    scales: Scales,
}

impl Source for Loads {
    type Out = Load;
    fn next(&mut self, _patience: Duration) -> Result<Next<Load>, BoxError> {
        Ok(self.sizes.next().map_or(Next::End, |bytes| Next::Item(self.scales.load(bytes))))
    }
}

/// The last stage: takes its time, and checks each batch against the queue that it came from.
struct Weigh {
    input: Queue,
    most_in_batch: Arc<AtomicUsize>,
}

impl Stage for Weigh {
    type In = Load;
    type Out = Infallible;
    fn process(&mut self, loads: &mut [Load], _: &mut Outlet<'_, Infallible>) -> Result<(), Halt> {
        let bytes: usize = loads.iter().map(|load| load.bytes).sum();
        if loads.len() > 1 && bytes > self.input.bytes {
            return Err(Halt::Fatal(format!("{bytes} bytes in {} items", loads.len()).into()));
        }
        self.most_in_batch.fetch_max(loads.len(), Ordering::SeqCst);
        thread::sleep(Duration::from_micros(100));
        Ok(())
    }
    fn salvage(_: Load, _: usize, _: &str) -> Vec<Infallible> {
        Vec::new()
    }
}

/// Runs loads of these sizes through one stage; gives the most bytes alive and the largest batch.
fn weigh(sizes: Vec<usize>, input: Queue, width: Width) -> (usize, usize) {
    let scales = Scales::default();
    let count = sizes.len() as u64;
    let loads = Loads { sizes: sizes.into_iter(), scales: scales.clone() };
    let most_in_batch = Arc::new(AtomicUsize::new(0));
    let most = Arc::clone(&most_in_batch);
    let flow = Flow::from("loads", loads, input)
        .stage("weigh", width, move || Ok(Weigh { input, most_in_batch: Arc::clone(&most) }));
    let report = run(flow, SUPERVISION);
    assert!(matches!(report.ending, Ending::Drained), "{report:?}");
    assert_eq!(report.snapshot.stages[1].items_in, count);
    (scales.most(), most_in_batch.load(Ordering::SeqCst))
}

/// The last stage of this test fills no queue, so that all of its bound is in its hands.
fn last(workers: usize, max_items: usize) -> Width {
    let batching = Batching { max_items, max_age: Duration::from_millis(2) };
    Width { workers, queue: Queue { items: 1, bytes: 0 }, batching }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn items_alive_stay_within_the_bound(
        sizes in prop::collection::vec(0..120_usize, 1..150),
        items in 1..40_usize,
        bytes in 0..300_usize,
        workers in 1..4_usize,
        max_items in 1..30_usize,
    ) {
        let largest = sizes.iter().copied().max().unwrap_or_default();
        let (input, width) = (Queue { items, bytes }, last(workers, max_items));
        let (most, _) = weigh(sizes, input, width);
        // The last stage's own queue is never used, so its share of the bound is the source's,
        // whose queue is the input and who holds one more item while it waits for room.
        let stage = width.most_bytes(input, largest) - largest;
        let source = bytes.max(largest) + largest;
        prop_assert!(most <= stage + source, "{most} bytes, bound {stage} + {source}");
    }
}

#[test]
fn a_batch_is_cut_by_bytes_before_items() {
    let input = Queue { items: 1000, bytes: 100 };
    let (most, batch) = weigh(vec![30; 200], input, last(1, 64));
    assert_eq!(batch, 3, "3 of 30 bytes fit into 100");
    // 90 queued, 90 in the batch, one carried, one in the hands of the source.
    assert!((180..=240).contains(&most), "{most}");
}

#[test]
fn an_item_larger_than_the_queue_is_a_batch_of_its_own() {
    let mut sizes = vec![10; 30];
    sizes[11] = 500;
    let (most, batch) = weigh(sizes, Queue { items: 8, bytes: 50 }, last(2, 16));
    assert!(batch > 1, "smaller ones still come together");
    assert!(most >= 500);
}

#[test]
fn the_bound_is_what_it_says() {
    let input = Queue { items: 9, bytes: 1000 };
    let mut width = last(3, 4);
    width.queue.bytes = 70;
    // 4 items of 50 are fewer bytes than the queue may hold; one more each is carried.
    assert_eq!(width.most_bytes(input, 50), 70 + 3 * (4 * 50 + 50));
    // The queue's budget cuts the batch.
    assert_eq!(width.most_bytes(input, 400), 400 + 3 * (1000 + 400));
    // An item larger than both queues passes each alone.
    assert_eq!(width.most_bytes(input, 2000), 2000 + 3 * (2000 + 2000));
    width.batching = Batching::SINGLE;
    assert_eq!(width.most_bytes(input, 50), 70 + 3 * 50);
    assert_eq!(width.most_bytes(Queue { items: 1, bytes: usize::MAX }, usize::MAX), usize::MAX);
}
