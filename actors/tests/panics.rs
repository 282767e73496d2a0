//! A panic costs the item that caused it and nothing else, until the restarts are spent.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use common::{Batch, Item, Numbers, SUPERVISION, batches, each, ids, room, run_to_end, wide};
use starmill_actors::{BoxError, Ending, Fault, Flow, Halt, Outlet, Stage, Supervision};

/// A stage whose items of the given numbers are poison.
macro_rules! poisoned {
    ($($id:literal),+) => {
        || Ok(each(|item| {
            assert!(![$($id),+].contains(&item.id), "poison {}", item.id);
            Ok(())
        }))
    };
}

#[test]
fn a_poison_item_is_salvaged_and_the_rest_passes_in_order() {
    let flow = Flow::from("numbers", Numbers(0..100), room(8)).stage(
        "poisoned",
        wide(1),
        poisoned![7, 8, 99],
    );
    let (report, kept) = run_to_end(flow, SUPERVISION);
    assert!(matches!(report.ending, Ending::Drained), "{report:?}");
    assert_eq!(ids(&kept), (0..100).collect::<Vec<_>>());
    let salvaged: Vec<_> = kept.iter().filter(|item| item.salvaged.is_some()).collect();
    assert_eq!(salvaged.len(), 3);
    assert_eq!(salvaged[0].salvaged.as_ref().unwrap().panic, "poison 7");
    let stage = &report.snapshot.stages[1];
    assert_eq!((stage.panics, stage.restarts), (3, 3));
    assert_eq!((stage.items_in, stage.items_out), (100, 100));
}

#[test]
fn a_poison_item_in_a_batch_costs_only_itself() {
    let flow = Flow::from("numbers", Numbers(0..100), room(8)).stage(
        "poisoned",
        batches(32),
        poisoned![5, 6, 70],
    );
    let (report, kept) = run_to_end(flow, SUPERVISION);
    assert_eq!(ids(&kept), (0..100).collect::<Vec<_>>());
    let salvaged = kept.iter().filter(|item| item.salvaged.is_some());
    assert_eq!(salvaged.map(|item| item.id).collect::<Vec<_>>(), [5, 6, 70]);
    let stage = &report.snapshot.stages[1];
    assert_eq!(stage.panics, 5, "two batches and three items alone");
    assert_eq!(stage.items_in, 100, "a retry does not count again");
}

#[test]
fn salvage_is_told_what_was_already_sent() {
    let flow = Flow::from("numbers", Numbers(0..3), room(8)).stage("twice", wide(1), || {
        Ok(Batch(|batch: &mut [Item], out: &mut Outlet<'_, Item>| {
            out.send(batch[0].clone())?;
            out.send(batch[0].clone())?;
            assert_ne!(batch[0].id, 1, "after two");
            Ok(())
        }))
    });
    let (_, kept) = run_to_end(flow, SUPERVISION);
    assert_eq!(ids(&kept), [0, 0, 1, 1, 1, 2, 2]);
    assert_eq!(kept[4].salvaged.as_ref().unwrap().emitted, 2);
}

#[test]
fn a_stage_is_built_anew_after_a_panic() {
    let built = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&built);
    let flow =
        Flow::from("numbers", Numbers(0..10), room(8)).stage("stateful", wide(1), move || {
            let generation = count.fetch_add(1, Ordering::Relaxed);
            let mut seen = 0;
            Ok(Batch(move |batch: &mut [Item], out: &mut Outlet<'_, Item>| {
                seen += 1;
                assert!(seen <= 4, "worn out");
                let size = usize::try_from(generation)?;
                Ok(out.send(Item { size, ..batch[0].clone() })?)
            }))
        });
    let (_, kept) = run_to_end(flow, SUPERVISION);
    assert_eq!(built.load(Ordering::Relaxed), 3);
    assert_eq!(kept[5].size, 1, "the second stage followed the first at once");
}

#[test]
fn the_flow_gives_up_when_the_restarts_are_spent() {
    let flow =
        Flow::from("endless", Numbers(0..u64::MAX), room(8))
            .stage("hopeless", wide(1), || Ok(each(|item| panic!("bad {}", item.id))));
    let supervision = Supervision { max_restarts: 3, ..SUPERVISION };
    let (report, kept) = run_to_end(flow, supervision);
    let Ending::GaveUp { stage, restarts, panic } = report.ending else { panic!("{report:?}") };
    assert_eq!((stage, restarts, panic.as_str()), ("hopeless", 3, "bad 3"));
    assert_eq!(ids(&kept), [0, 1, 2, 3], "each was salvaged, the last one too");
    assert!(kept.iter().all(|item| item.salvaged.is_some()));
}

#[test]
fn restarts_are_forgotten_after_their_window() {
    let flow = Flow::from("numbers", Numbers(0..6), room(8)).stage("seldom", wide(1), || {
        Ok(each(|_| {
            thread::sleep(Duration::from_millis(20));
            panic!("again")
        }))
    });
    let supervision =
        Supervision { max_restarts: 2, restart_window: Duration::from_millis(15), ..SUPERVISION };
    let (report, kept) = run_to_end(flow, supervision);
    assert!(matches!(report.ending, Ending::Drained), "{report:?}");
    assert_eq!(kept.len(), 6);
}

#[test]
fn each_stage_has_a_budget_of_its_own() {
    let flow = Flow::from("numbers", Numbers(0..50), room(8))
        .stage("first", wide(1), poisoned![1, 2])
        .stage("second", wide(1), poisoned![3, 4]);
    let supervision = Supervision { max_restarts: 2, ..SUPERVISION };
    let (report, kept) = run_to_end(flow, supervision);
    assert!(matches!(report.ending, Ending::Drained), "{report:?}");
    assert_eq!(kept.len(), 50);
}

/// What panics in a stage outside of processing.
#[derive(Clone, Copy, PartialEq)]
enum Fragile {
    Idle,
    Finish,
    Salvage,
}

impl Stage for Fragile {
    type In = Item;
    type Out = Item;
    fn process(&mut self, batch: &mut [Item], out: &mut Outlet<'_, Item>) -> Result<(), Halt> {
        assert!(*self != Self::Salvage, "first");
        Ok(out.send(batch[0].clone())?)
    }
    fn idle(&mut self, _: &mut Outlet<'_, Item>) -> Result<(), Halt> {
        assert!(*self != Self::Idle, "bored");
        Ok(())
    }
    fn finish(&mut self, _: &mut Outlet<'_, Item>) -> Result<(), Halt> {
        assert!(*self != Self::Finish, "not now");
        Ok(())
    }
    fn salvage(_: Item, _: usize, _: &str) -> Vec<Item> {
        panic!("second")
    }
}

#[test]
fn a_panic_outside_of_processing_is_a_failure_with_its_message() {
    let faults = [
        (Fragile::Finish, Fault::FinishPanicked("not now".to_owned())),
        (Fragile::Salvage, Fault::SalvagePanicked("second".to_owned())),
    ];
    for (fragile, fault) in faults {
        let flow =
            Flow::from("numbers", Numbers(0..5), room(8))
                .stage("fragile", wide(1), move || Ok(fragile));
        assert_fault(&run_to_end(flow, SUPERVISION).0.ending, &fault);
    }
    let flow = Flow::from("numbers", Numbers(0..5), room(8)).stage(
        "fragile",
        wide(2),
        || -> Result<Fragile, BoxError> { panic!("no model") },
    );
    let fault = Fault::FactoryPanicked("no model".to_owned());
    assert_fault(&run_to_end(flow, SUPERVISION).0.ending, &fault);
}

#[test]
fn a_panic_in_an_idle_call_restarts_the_stage() {
    let mut calls = 0;
    let late = common::From(move |_| {
        calls += 1;
        thread::sleep(Duration::from_millis(40));
        Ok(match calls {
            1 => starmill_actors::Next::NotYet,
            2 => starmill_actors::Next::Item(Item::new(1)),
            _ => starmill_actors::Next::End,
        })
    });
    let flow = Flow::from("late", late, room(8)).stage("fragile", wide(1), || Ok(Fragile::Idle));
    let supervision = Supervision { max_restarts: 1000, ..SUPERVISION };
    let (report, kept) = run_to_end(flow, supervision);
    assert!(matches!(report.ending, Ending::Drained), "{report:?}");
    assert_eq!(ids(&kept), [1]);
    assert!(report.snapshot.stages[1].restarts > 0);
}

fn assert_fault(ending: &Ending, fault: &Fault) {
    match ending {
        Ending::Failed { stage: "fragile", error } => {
            assert_eq!(error.downcast_ref(), Some(fault));
        }
        other => panic!("{other:?}"),
    }
}
