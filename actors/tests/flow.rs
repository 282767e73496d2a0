//! What goes in comes out, and a flow ends in the way it says.

mod common;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use common::{
    From, Item, Numbers, SUPERVISION, batches, each, ids, room, run_to_end, sorted_ids, wide,
};
use starmill_actors::{Batching, BoxError, Ending, Fault, Flow, Halt, Next, Outlet, Stage};

#[test]
fn single_workers_keep_the_order_of_everything() {
    let flow = Flow::from("numbers", Numbers(0..1000), room(8))
        .stage("one", wide(1), || Ok(each(|_| Ok(()))))
        .stage("many", batches(7), || Ok(each(|_| Ok(()))));
    let (report, kept) = run_to_end(flow, SUPERVISION);
    assert!(matches!(report.ending, Ending::Drained), "{report:?}");
    assert_eq!(ids(&kept), (0..1000).collect::<Vec<_>>());
}

#[test]
fn many_workers_lose_nothing_and_double_nothing() {
    let flow = Flow::from("numbers", Numbers(0..5000), room(2))
        .stage("a", wide(4), || Ok(each(|_| Ok(()))))
        .stage("b", wide(3), || Ok(each(|_| Ok(()))));
    let (report, kept) = run_to_end(flow, SUPERVISION);
    assert_eq!(sorted_ids(&kept), (0..5000).collect::<Vec<_>>());
    for stage in &report.snapshot.stages[1..] {
        assert_eq!(stage.items_in, 5000, "{stage:?}");
    }
    for queue in &report.snapshot.queues {
        assert_eq!((queue.passed, queue.items, queue.bytes), (5000, 0, 0), "{queue:?}");
    }
}

#[test]
fn batches_are_full_until_the_last() {
    let sizes = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&sizes);
    let flow =
        Flow::from("numbers", Numbers(0..10), room(8)).stage("batch", batches(4), move || {
            let seen = Arc::clone(&seen);
            Ok(common::Batch(move |batch: &mut [Item], _: &mut Outlet<'_, Item>| {
                seen.lock().unwrap().push(batch.len());
                Ok(())
            }))
        });
    run_to_end(flow, SUPERVISION);
    assert_eq!(*sizes.lock().unwrap(), [4, 4, 2]);
}

#[test]
fn a_batch_waits_no_longer_than_its_age() {
    let ended = Arc::new(AtomicBool::new(false));
    let (ends, mut calls) = (Arc::clone(&ended), 0);
    let trickle = From(move |patience| {
        calls += 1;
        thread::sleep(patience);
        if calls <= 60 {
            return Ok(Next::Item(Item::new(calls)));
        }
        ends.store(true, Ordering::SeqCst);
        Ok(Next::End)
    });
    let mut width = batches(1000);
    width.batching.max_age = Duration::from_millis(20);
    let flow = Flow::from("trickle", trickle, room(8)).stage("batch", width, move || {
        let ended = Arc::clone(&ended);
        Ok(each(move |item| {
            if item.id == 1 && ended.load(Ordering::SeqCst) {
                return Err("the batch waited for the source to end".into());
            }
            Ok(())
        }))
    });
    let (report, kept) = run_to_end(flow, SUPERVISION);
    assert!(matches!(report.ending, Ending::Drained), "{report:?}");
    assert_eq!(kept.len(), 60);
}

#[test]
fn a_stop_drains_what_the_source_has_sent() {
    let mut next = 0;
    let endless = From(move |_| {
        next += 1;
        Ok(Next::Item(Item::new(next)))
    });
    let flow = Flow::from("endless", endless, room(8));
    let stopper = flow.stopper();
    let flow = flow.stage("stop at 500", wide(2), move || {
        let stopper = stopper.clone();
        Ok(each(move |item| {
            if item.id == 500 {
                stopper.stop();
            }
            Ok(())
        }))
    });
    let (report, kept) = run_to_end(flow, SUPERVISION);
    assert!(matches!(report.ending, Ending::Stopped), "{report:?}");
    assert!(kept.len() >= 500);
    assert_eq!(kept.len() as u64, report.snapshot.stages[0].items_out);
}

#[test]
fn a_stop_is_heard_while_nothing_comes() {
    let flow = Flow::from(
        "silence",
        From(|patience| {
            thread::sleep(patience);
            Ok(Next::NotYet)
        }),
        room(1),
    );
    let stopper = flow.stopper();
    thread::spawn(move || {
        thread::sleep(Duration::from_millis(30));
        stopper.stop();
        stopper.stop();
    });
    let (report, _) = run_to_end(flow, SUPERVISION);
    assert!(matches!(report.ending, Ending::Stopped), "{report:?}");
}

#[test]
fn a_failing_source_is_named_after_its_items_have_drained() {
    let mut left = 3;
    let failing = From(move |_| {
        left -= 1;
        if left == 0 {
            return Err("disk on fire".into());
        }
        Ok(Next::Item(Item::new(left)))
    });
    let (report, kept) = run_to_end(Flow::from("disk", failing, room(8)), SUPERVISION);
    let Ending::Failed { stage, error } = report.ending else { panic!("{report:?}") };
    assert_eq!((stage, error.to_string()), ("disk", "disk on fire".to_owned()));
    assert_eq!(ids(&kept), [2, 1]);
}

#[test]
fn a_panicking_source_is_a_failure() {
    let flow = Flow::from("disk", From(|_| panic!("no disk")), room(8));
    let (report, _) = run_to_end(flow, SUPERVISION);
    assert_fault(&report.ending, "disk", &Fault::SourcePanicked("no disk".to_owned()));
}

#[test]
fn a_fatal_error_ends_an_endless_flow_and_names_its_stage() {
    let flow = Flow::from("endless", Numbers(0..u64::MAX), room(8))
        .stage("before", wide(2), || Ok(each(|_| Ok(()))))
        .stage("breaks", wide(1), || {
            Ok(each(|item| match item.id {
                100 => Err("out of luck".into()),
                _ => Ok(()),
            }))
        });
    let (report, kept) = run_to_end(flow, SUPERVISION);
    let Ending::Failed { stage, error } = report.ending else { panic!("{report:?}") };
    assert_eq!((stage, error.to_string()), ("breaks", "out of luck".to_owned()));
    assert!(kept.len() >= 99, "what had passed was kept: {}", kept.len());
}

#[test]
fn a_factory_error_ends_the_flow() {
    let flow = Flow::from("endless", Numbers(0..u64::MAX), room(8)).stage(
        "model",
        wide(2),
        || -> Result<Finishing, BoxError> { Err("no such model".into()) },
    );
    let (report, _) = run_to_end(flow, SUPERVISION);
    let Ending::Failed { stage, error } = report.ending else { panic!("{report:?}") };
    assert_eq!((stage, error.to_string()), ("model", "no such model".to_owned()));
}

#[test]
fn a_failure_ends_a_flow_whose_source_is_silent() {
    let silence = From(|patience| {
        thread::sleep(patience);
        Ok(Next::NotYet)
    });
    let flow = Flow::from("silence", silence, room(1)).stage(
        "model",
        wide(1),
        || -> Result<Finishing, BoxError> { Err("no such model".into()) },
    );
    let (report, _) = run_to_end(flow, SUPERVISION);
    assert!(matches!(report.ending, Ending::Failed { .. }), "{report:?}");
}

#[test]
fn leaving_without_a_cause_is_a_failure() {
    let flow = Flow::from("numbers", Numbers(0..10), room(8)).stage("leaves", wide(1), || {
        Ok(common::Batch(|_: &mut [Item], _: &mut Outlet<'_, Item>| Err(Halt::DownstreamClosed)))
    });
    let (report, _) = run_to_end(flow, SUPERVISION);
    assert_fault(&report.ending, "leaves", &Fault::LeftEarly);
}

/// Counts its idle and finish calls, and sends one item from each finish.
#[derive(Clone, Default)]
struct Finishing {
    idle: Arc<AtomicUsize>,
    finished: Arc<AtomicUsize>,
}

impl Stage for Finishing {
    type In = Item;
    type Out = Item;
    fn process(&mut self, batch: &mut [Item], _: &mut Outlet<'_, Item>) -> Result<(), Halt> {
        assert_ne!(batch[0].id % 10, 3, "a poison item");
        Ok(())
    }
    fn idle(&mut self, _: &mut Outlet<'_, Item>) -> Result<(), Halt> {
        self.idle.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
    fn finish(&mut self, out: &mut Outlet<'_, Item>) -> Result<(), Halt> {
        let before = self.finished.fetch_add(1, Ordering::Relaxed);
        Ok(out.send(Item::new(before as u64))?)
    }
    fn salvage(_: Item, _: usize, _: &str) -> Vec<Item> {
        Vec::new()
    }
}

#[test]
fn every_worker_finishes_once_even_after_restarts() {
    let stage = Finishing::default();
    let build = stage.clone();
    let flow =
        Flow::from("numbers", Numbers(0..50), room(8))
            .stage("finishing", wide(3), move || Ok(build.clone()));
    let (report, kept) = run_to_end(flow, SUPERVISION);
    assert_eq!(report.snapshot.stages[1].restarts, 5, "{report:?}");
    assert_eq!(stage.finished.load(Ordering::Relaxed), 3);
    assert_eq!(sorted_ids(&kept), [0, 1, 2], "what finish sends arrives");
}

#[test]
fn a_worker_without_input_is_given_idle_calls() {
    let mut calls = 0;
    let silence = From(move |patience| {
        thread::sleep(patience);
        calls += 1;
        Ok(if calls < 20 { Next::NotYet } else { Next::End })
    });
    let stage = Finishing::default();
    let build = stage.clone();
    let flow =
        Flow::from("silence", silence, room(1)).stage("idle", wide(1), move || Ok(build.clone()));
    let begun = Instant::now();
    run_to_end(flow, SUPERVISION);
    let beats = begun.elapsed().div_duration_f64(SUPERVISION.beat);
    let idle = stage.idle.load(Ordering::Relaxed);
    assert!(idle >= 5, "{idle} idle calls in {beats} beats");
    assert!(idle as f64 <= beats, "{idle} idle calls in {beats} beats");
}

#[test]
fn zero_workers_room_and_batches_count_as_one() {
    let mut width = wide(0);
    width.queue = room(0);
    width.batching = Batching { max_items: 0, ..Batching::SINGLE };
    let flow = Flow::from("numbers", Numbers(0..100), room(0))
        .stage("narrow", width, || Ok(each(|_| Ok(()))));
    let (_, kept) = run_to_end(flow, SUPERVISION);
    assert_eq!(kept.len(), 100);
}

#[test]
fn a_stage_can_be_called_without_a_flow() {
    let mut out = Outlet::collecting();
    let mut batch = [Item::new(1), Item::new(2)];
    each(|_| Ok(())).process(&mut batch, &mut out).unwrap();
    assert_eq!(out.sent(), 2);
    assert_eq!(ids(&out.into_items()), [1, 2]);
}

fn assert_fault(ending: &Ending, name: &str, fault: &Fault) {
    match ending {
        Ending::Failed { stage, error } => {
            assert_eq!((*stage, error.downcast_ref()), (name, Some(fault)));
        }
        other => panic!("{other:?}"),
    }
}
