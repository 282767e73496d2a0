//! A full queue makes its senders wait, so memory is bounded however slow a stage is.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use common::{From, Item, Numbers, SUPERVISION, each, ids, room, run_to_end, wide};
use starmill_actors::{Ending, Flow, Next, Queue};

/// A stage that takes its time over each item.
macro_rules! slow {
    ($pause:expr) => {
        || {
            Ok(each(|_| {
                thread::sleep($pause);
                Ok(())
            }))
        }
    };
}

#[test]
fn items_in_flight_are_bounded() {
    let sent = Arc::new(AtomicU64::new(0));
    let (count, mut id) = (Arc::clone(&sent), 0);
    let source = From(move |_| {
        id += 1;
        count.store(id, Ordering::SeqCst);
        Ok(if id <= 200 { Next::Item(Item::new(id)) } else { Next::End })
    });
    let most = Arc::new(AtomicU64::new(0));
    let (seen, done) = (Arc::clone(&most), Arc::new(AtomicU64::new(0)));
    let flow = Flow::from("fast", source, room(3)).stage("slow", wide(2), move || {
        let (sent, seen, done) = (Arc::clone(&sent), Arc::clone(&seen), Arc::clone(&done));
        Ok(each(move |_| {
            thread::sleep(Duration::from_micros(200));
            // Read in this order, so that what others finish in between cannot add to the sum.
            let sent = sent.load(Ordering::SeqCst);
            let in_flight = sent.saturating_sub(done.fetch_add(1, Ordering::SeqCst));
            seen.fetch_max(in_flight, Ordering::SeqCst);
            Ok(())
        }))
    });
    let (report, kept) = run_to_end(flow, SUPERVISION);
    assert_eq!(kept.len(), 200);
    assert_eq!(report.snapshot.queues[0].high_items, 3);
    let most = most.load(Ordering::SeqCst);
    assert!(most <= 6, "3 queued, 2 in work and 1 waiting, not {most}");
}

#[test]
fn bytes_in_a_queue_are_bounded() {
    let mut id = 0;
    let source = From(move |_| {
        id += 1;
        let size = usize::try_from(id % 7)? * 10;
        Ok(match id {
            1..=300 => Next::Item(Item { id, size, salvaged: None }),
            _ => Next::End,
        })
    });
    let bound = Queue { items: 1000, bytes: 100 };
    let flow = Flow::from("sized", source, bound).stage(
        "slow",
        wide(1),
        slow!(Duration::from_micros(100)),
    );
    let (report, kept) = run_to_end(flow, SUPERVISION);
    let queue = &report.snapshot.queues[0];
    assert_eq!(ids(&kept), (1..=300).collect::<Vec<_>>());
    assert!(queue.high_bytes <= 100, "{queue:?}");
    assert!(queue.high_bytes >= 60, "the bound was reached: {queue:?}");
    assert_eq!(queue.bytes, 0);
}

#[test]
fn an_item_larger_than_the_whole_budget_passes_alone() {
    let mut id = 0;
    let source = From(move |_| {
        id += 1;
        let size = if id == 50 { 1000 } else { 1 };
        Ok(match id {
            1..=100 => Next::Item(Item { id, size, salvaged: None }),
            _ => Next::End,
        })
    });
    let bound = Queue { items: 10, bytes: 10 };
    let flow =
        Flow::from("sized", source, bound).stage("slow", wide(1), slow!(Duration::from_micros(50)));
    let (report, kept) = run_to_end(flow, SUPERVISION);
    assert_eq!(ids(&kept), (1..=100).collect::<Vec<_>>());
    assert_eq!(report.snapshot.queues[0].high_bytes, 1000);
}

#[test]
fn a_large_item_is_not_overtaken_for_ever() {
    let narrow = Queue { items: 8, bytes: 8 };
    let mut width = wide(4);
    width.queue = narrow;
    let flow = Flow::from("numbers", Numbers(0..2000), room(8))
        .stage("grow", width, || {
            Ok(common::Batch(|batch: &mut [Item], out: &mut starmill_actors::Outlet<'_, Item>| {
                let mut item = batch[0].clone();
                item.size = if item.id == 10 { 100 } else { 1 };
                Ok(out.send(item)?)
            }))
        })
        .stage("slow", wide(1), slow!(Duration::from_micros(50)));
    let (_, kept) = run_to_end(flow, SUPERVISION);
    let place = kept.iter().position(|item| item.id == 10).unwrap();
    assert!(place < 100, "item 10 came at place {place} of {}", kept.len());
}

#[test]
fn waiting_for_room_is_counted_while_it_lasts() {
    let flow = Flow::from("fast", Numbers(0..u64::MAX), room(2));
    let stopper = flow.stopper();
    let flow = flow.stage("slow", wide(1), slow!(Duration::from_millis(100)));
    let monitor = flow.monitor();
    let ended = thread::spawn(move || run_to_end(flow, SUPERVISION));

    while monitor.snapshot().queues[0].items < 2 {
        thread::yield_now();
    }
    let early = monitor.snapshot().queues[0].blocked_sending;
    thread::sleep(Duration::from_millis(20));
    let late = monitor.snapshot().queues[0].blocked_sending;
    assert!(late >= early + Duration::from_millis(15), "{early:?} then {late:?}");

    stopper.stop();
    let (report, _) = ended.join().unwrap();
    assert!(matches!(report.ending, Ending::Stopped), "{report:?}");
    let snapshot = report.snapshot;
    assert_eq!(snapshot.queues[0].high_items, 2);
    assert!(snapshot.stages[1].busy >= Duration::from_millis(100));
    assert!(snapshot.stages[0].busy < snapshot.queues[0].blocked_sending);
}

#[test]
fn waiting_for_input_is_counted() {
    let mut left = 10;
    let trickle = From(move |patience| {
        thread::sleep(patience);
        left -= 1;
        Ok(if left > 0 { Next::NotYet } else { Next::End })
    });
    let (report, _) = run_to_end(Flow::from("trickle", trickle, room(2)), SUPERVISION);
    let starved = report.snapshot.queues[0].starved_receiving;
    assert!(starved >= Duration::from_millis(20), "{starved:?}");
}

#[test]
fn a_sender_waiting_for_bytes_hears_that_nobody_is_left() {
    let bound = Queue { items: 1000, bytes: 1 };
    let flow = Flow::from("endless", Numbers(0..u64::MAX), bound).stage("breaks", wide(1), || {
        Ok(each(|_| {
            thread::sleep(Duration::from_millis(20));
            Err("enough".into())
        }))
    });
    let (report, _) = run_to_end(flow, SUPERVISION);
    assert!(matches!(report.ending, Ending::Failed { stage: "breaks", .. }), "{report:?}");
}
