//! A stop is heard at once, waits for whoever must finish, and does not wait for ever.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use common::{Batch, From, Item, Numbers, SUPERVISION, batches, each, ids, room, run_to_end, wide};
use starmill_actors::{Ending, Flow, Next, Outlet, Stage, Supervision};

const LIMIT: Duration = Duration::from_millis(150);
const LONG: Duration = Duration::from_secs(5);

/// A source that brings numbers until it is stopped.
fn endless() -> Numbers {
    Numbers(0..u64::MAX)
}

#[test]
fn a_stopper_tells_whether_it_was_used() {
    let flow = Flow::from("endless", endless(), room(1));
    let (stopper, other) = (flow.stopper(), flow.stopper());
    assert!(!stopper.is_stopped());
    assert!(!stopper.rest(Duration::from_millis(1)), "nobody asked for a stop");
    other.stop();
    assert!(stopper.is_stopped());
    assert!(stopper.rest(LONG));
}

#[test]
fn a_stop_wakes_who_rests_on_the_stopper() {
    let stopper = Flow::from("endless", endless(), room(1)).stopper();
    let resting = stopper.clone();
    let begun = Instant::now();
    let rests = thread::spawn(move || resting.rest(LONG));
    thread::sleep(Duration::from_millis(20));
    stopper.stop();
    assert!(rests.join().unwrap());
    assert!(begun.elapsed() < LONG / 2, "{:?}", begun.elapsed());
}

#[test]
fn a_failure_is_heard_as_a_stop() {
    let flow = Flow::from("endless", endless(), room(8));
    let stopper = flow.stopper();
    let flow = flow.stage("breaks", wide(1), || Ok(each(|_| Err("enough".into()))));
    let (report, _) = run_to_end(flow, SUPERVISION);
    assert!(matches!(report.ending, Ending::Failed { stage: "breaks", .. }), "{report:?}");
    assert!(stopper.is_stopped());
}

/// Rests three times as long as a worker may work, in a batch of its own or in one with others.
fn resting() -> impl Stage<In = Item, Out = Item> {
    Batch(|batch: &mut [Item], out: &mut Outlet<'_, Item>| {
        for item in batch {
            if item.id == 5 {
                for _ in 0..6 {
                    out.rest(LIMIT / 2);
                }
                out.rest(LIMIT * 2);
            }
            out.send(item.clone())?;
        }
        Ok(())
    })
}

#[test]
fn a_stage_that_rests_is_not_stuck() {
    for width in [wide(1), batches(8)] {
        let flow =
            Flow::from("numbers", Numbers(0..20), room(8)).stage("rests", width, || Ok(resting()));
        let monitor = flow.monitor();
        let watched = monitor.clone();
        let watch = thread::spawn(move || {
            let begun = Instant::now();
            while watched.snapshot().stages[1].resting < LIMIT {
                assert!(begun.elapsed() < LONG, "the rest is not seen while it lasts");
                thread::sleep(Duration::from_millis(5));
            }
        });
        let (report, kept) = run_to_end(flow, Supervision { stall_limit: LIMIT, ..SUPERVISION });
        assert!(matches!(report.ending, Ending::Drained), "{report:?}");
        assert_eq!(ids(&kept), (0..20).collect::<Vec<_>>());
        watch.join().unwrap();
        let stage = &report.snapshot.stages[1];
        assert!(stage.resting >= 5 * LIMIT, "{stage:?}");
        assert!(stage.busy < LIMIT, "a rest is no work: {stage:?}");
        assert_eq!(monitor.snapshot().stages[1].resting, stage.resting, "it grows no more");
    }
}

#[test]
fn a_stage_that_rests_and_then_hangs_is_stuck() {
    let flow = Flow::from("numbers", Numbers(0..20), room(8)).stage("hangs", wide(1), || {
        Ok(Batch(|_: &mut [Item], out: &mut Outlet<'_, Item>| {
            out.rest(Duration::from_millis(1));
            thread::sleep(LONG);
            Ok(())
        }))
    });
    let (report, _) = run_to_end(flow, Supervision { stall_limit: LIMIT, ..SUPERVISION });
    assert!(matches!(report.ending, Ending::Stalled { stage: "hangs", .. }), "{report:?}");
}

#[test]
fn outside_of_a_flow_a_rest_is_a_sleep() {
    let mut out = Outlet::collecting();
    let begun = Instant::now();
    resting().process(&mut [Item::new(4), Item::new(5)], &mut out).unwrap();
    assert!(begun.elapsed() >= 5 * LIMIT);
    assert_eq!(ids(&out.into_items()), [4, 5]);
}

/// Runs a flow whose second of two last workers rests or works for `LONG` once it was stopped.
fn abandoned(rests: bool) -> (Ending, Duration) {
    let flow = Flow::from("endless", endless(), room(8));
    let stopper = flow.stopper();
    let taken = Arc::new(AtomicBool::new(false));
    let flow =
        flow.stage("passes", wide(2), || Ok(each(|_| Ok(())))).stage("disk", wide(1), move || {
            let (stopper, taken) = (stopper.clone(), Arc::clone(&taken));
            Ok(Batch(move |batch: &mut [Item], out: &mut Outlet<'_, Item>| {
                if batch[0].id >= 10 && !taken.swap(true, Ordering::SeqCst) {
                    stopper.stop();
                    if rests { out.rest(LONG) } else { thread::sleep(LONG) }
                }
                Ok(out.send(batch[0].clone())?)
            }))
        });
    let begun = Instant::now();
    let (report, _) = run_to_end(flow, Supervision { drain_limit: LIMIT, ..SUPERVISION });
    (report.ending, begun.elapsed())
}

#[test]
fn a_drain_that_takes_too_long_is_abandoned_and_says_for_whom() {
    for rests in [true, false] {
        let (ending, took) = abandoned(rests);
        let Ending::Abandoned { busy } = ending else { panic!("{ending:?}") };
        assert_eq!(busy, [("disk", 0)], "those who wait for it are not named");
        assert!((LIMIT..LONG / 2).contains(&took), "{took:?}");
    }
}

#[test]
fn a_flow_may_take_its_time_until_it_is_stopped() {
    let mut calls = 0;
    let slow = From(move |_| {
        calls += 1;
        thread::sleep(LIMIT / 2);
        Ok(if calls <= 5 { Next::Item(Item::new(calls)) } else { Next::End })
    });
    let flow = Flow::from("slow", slow, room(8));
    let (report, kept) = run_to_end(flow, Supervision { drain_limit: LIMIT, ..SUPERVISION });
    assert!(matches!(report.ending, Ending::Drained), "{report:?}");
    assert_eq!(kept.len(), 5);
}

#[test]
fn a_failure_before_a_late_drain_stays_the_cause() {
    let flow = Flow::from("endless", endless(), room(8)).stage("mixed", wide(2), || {
        Ok(each(|item| match item.id {
            0 => {
                thread::sleep(LONG);
                Ok(())
            }
            1 => Err("first".into()),
            _ => Ok(()),
        }))
    });
    let begun = Instant::now();
    let (report, _) = run_to_end(flow, Supervision { drain_limit: LIMIT, ..SUPERVISION });
    assert!(matches!(report.ending, Ending::Failed { stage: "mixed", .. }), "{report:?}");
    assert!(begun.elapsed() < LONG / 2, "{:?}", begun.elapsed());
}
