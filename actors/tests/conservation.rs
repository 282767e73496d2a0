//! Whatever the widths and wherever the poison: every item arrives exactly once.

mod common;

use std::collections::BTreeSet;
use std::time::Duration;

use common::{Numbers, SUPERVISION, each, run_to_end, sorted_ids};
use proptest::prelude::*;
use starmill_actors::{Batching, Ending, Flow, Queue, Supervision, Width};

const ITEMS: u64 = 120;

fn any_queue() -> impl Strategy<Value = Queue> {
    (0..20_usize, 0..20_usize).prop_map(|(items, bytes)| Queue { items, bytes })
}

fn any_width() -> impl Strategy<Value = Width> {
    (1..4_usize, any_queue(), 1..20_usize, 0..3_u64).prop_map(|(workers, queue, items, age)| {
        Width {
            workers,
            queue,
            batching: Batching { max_items: items, max_age: Duration::from_millis(age) },
        }
    })
}

fn any_poison() -> impl Strategy<Value = BTreeSet<u64>> {
    prop::collection::btree_set(0..ITEMS, 0..6)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn every_item_arrives_exactly_once(
        bound in any_queue(),
        widths in [any_width(), any_width()],
        poisons in [any_poison(), any_poison()],
    ) {
        let mut flow = Flow::from("numbers", Numbers(0..ITEMS), bound);
        for (width, poison) in widths.into_iter().zip(poisons.clone()) {
            flow = flow.stage("poisoned", width, move || {
                let poison = poison.clone();
                Ok(each(move |item| {
                    let alive = item.salvaged.is_none();
                    assert!(!(alive && poison.contains(&item.id)), "poison");
                    Ok(())
                }))
            });
        }
        let supervision = Supervision { max_restarts: 1000, ..SUPERVISION };
        let (report, kept) = run_to_end(flow, supervision);
        prop_assert!(matches!(report.ending, Ending::Drained), "{:?}", report);
        prop_assert_eq!(sorted_ids(&kept), (0..ITEMS).collect::<Vec<_>>());
        let salvaged: BTreeSet<u64> = kept
            .iter()
            .filter(|item| item.salvaged.is_some())
            .map(|item| item.id)
            .collect();
        let poison = &poisons[0] | &poisons[1];
        prop_assert_eq!(salvaged, poison);
        for queue in &report.snapshot.queues {
            prop_assert!(queue.high_items <= queue.capacity_items);
            prop_assert!(queue.high_bytes <= queue.capacity_bytes.max(1));
            prop_assert_eq!((queue.items, queue.bytes), (0, 0));
        }
    }

    #[test]
    fn a_failing_flow_ends_and_doubles_nothing(
        bound in any_queue(),
        widths in [any_width(), any_width(), any_width()],
        broken in 0..3_usize,
        fatal in 0..ITEMS,
    ) {
        let mut flow = Flow::from("endless", Numbers(0..u64::MAX), bound);
        for (stage, width) in widths.into_iter().enumerate() {
            flow = flow.stage("stage", width, move || {
                Ok(each(move |item| {
                    if stage == broken && item.id >= fatal {
                        return Err("broken".into());
                    }
                    Ok(())
                }))
            });
        }
        let (report, kept) = run_to_end(flow, SUPERVISION);
        prop_assert!(matches!(report.ending, Ending::Failed { .. }), "{:?}", report);
        let mut ids = sorted_ids(&kept);
        let before = ids.len();
        ids.dedup();
        prop_assert_eq!(before, ids.len());
    }
}
