//! A worker that hangs is reported in time; one that merely waits is not.

mod common;

use std::thread;
use std::time::{Duration, Instant};

use common::{From, Item, Numbers, SUPERVISION, batches, each, room, run_to_end, wide};
use starmill_actors::{BoxError, Ending, Flow, Next, Outlet, Report, Supervision};

const LIMIT: Duration = Duration::from_millis(150);
const HANG: Duration = Duration::from_secs(5);

const WATCHFUL: Supervision = Supervision { stall_limit: LIMIT, ..SUPERVISION };

/// Demands that the report came within the limit, give or take a busy machine.
fn assert_stalled(report: &Report, begun: Instant, name: &str) {
    match report.ending {
        Ending::Stalled { stage, since, .. } => {
            assert_eq!(stage, name);
            assert!(since > LIMIT);
            assert!(begun.elapsed() < HANG / 2, "{:?}", begun.elapsed());
        }
        ref other => panic!("{other:?}"),
    }
}

#[test]
fn a_hanging_stage_is_reported_within_the_limit() {
    let begun = Instant::now();
    let flow = Flow::from("endless", Numbers(0..u64::MAX), room(8)).stage("hangs", wide(2), || {
        Ok(each(|item| {
            if item.id == 10 {
                thread::sleep(HANG);
            }
            Ok(())
        }))
    });
    let monitor = flow.monitor();
    let (report, _) = run_to_end(flow, WATCHFUL);
    assert_stalled(&report, begun, "hangs");
    assert!(monitor.snapshot().stages[1].oldest_work > LIMIT);
}

#[test]
fn a_stage_that_hangs_after_sending_is_reported() {
    let begun = Instant::now();
    let flow = Flow::from("numbers", Numbers(0..9), room(8)).stage("hangs", wide(1), || {
        Ok(common::Batch(|batch: &mut [Item], out: &mut Outlet<'_, Item>| {
            out.send(batch[0].clone())?;
            thread::sleep(HANG);
            Ok(())
        }))
    });
    let (report, _) = run_to_end(flow, WATCHFUL);
    assert_stalled(&report, begun, "hangs");
}

#[test]
fn a_hanging_source_or_factory_is_reported_too() {
    let begun = Instant::now();
    let source = From(|_| {
        thread::sleep(HANG);
        Ok(Next::End)
    });
    let (report, _) = run_to_end(Flow::from("hangs", source, room(8)), WATCHFUL);
    assert_stalled(&report, begun, "hangs");

    let begun = Instant::now();
    let flow = Flow::from("numbers", Numbers(0..9), room(8)).stage("opens", wide(1), || {
        thread::sleep(HANG);
        Ok(each(|_| Ok(())))
    });
    let (report, _) = run_to_end(flow, WATCHFUL);
    assert_stalled(&report, begun, "opens");
}

#[test]
fn a_failure_before_a_stall_stays_the_cause() {
    let flow = Flow::from("endless", Numbers(0..u64::MAX), room(8)).stage("mixed", wide(2), || {
        Ok(each(|item| {
            match item.id {
                0 => thread::sleep(HANG),
                1 => return Err(BoxError::from("first")),
                _ => {}
            }
            Ok(())
        }))
    });
    let (report, _) = run_to_end(flow, WATCHFUL);
    assert!(matches!(report.ending, Ending::Failed { .. }), "{report:?}");
}

#[test]
fn waiting_for_room_or_input_is_no_stall() {
    let mut calls = 0;
    let source = From(move |patience: Duration| {
        calls += 1;
        Ok(match calls {
            1..=4 => Next::Item(Item::new(calls)),
            // The next stage waits for its batch longer than the limit.
            5..=60 => {
                thread::sleep(patience);
                Next::NotYet
            }
            _ => Next::End,
        })
    });
    let mut width = batches(1000);
    width.queue = room(1);
    let flow = Flow::from("early", source, room(1))
        .stage("waits", width, || Ok(each(|_| Ok(()))))
        .stage("steady", wide(1), || {
            Ok(common::Batch(|batch: &mut [Item], out: &mut Outlet<'_, Item>| {
                // One call outlasts the limit, but every item it sends is progress.
                for _ in 0..6 {
                    thread::sleep(LIMIT / 2);
                    out.send(batch[0].clone())?;
                }
                Ok(())
            }))
        });
    let (report, kept) = run_to_end(flow, WATCHFUL);
    assert!(matches!(report.ending, Ending::Drained), "{report:?}");
    assert_eq!(kept.len(), 24);
    let waited = report.snapshot.queues[1].blocked_sending;
    assert!(waited > LIMIT, "waited for room {waited:?} only");
}
