//! Several senders and receivers at one queue.

use std::sync::Arc;
use std::time::Duration;

use shuttle::thread::{self, JoinHandle, yield_now};

use super::{Item, any, any_bound, explore};
use crate::Queue;
use crate::gate::Gate;
use crate::outlet::Closed;
use crate::queue::{QueueReceiver, QueueSender, Received, queue};
use crate::sync::Mutex;

const SENDERS: usize = 3;
const EACH: usize = 3;
const TICK: Duration = Duration::from_millis(1);

/// The largest is more than any queue's whole budget.
const SIZES: [usize; 4] = [0, 1, 5, 30];

/// A sender of items that no other sends. It gives back how many were taken.
fn sends(sender: QueueSender<Item>, number: usize, gate: Arc<Gate>) -> JoinHandle<usize> {
    thread::spawn(move || {
        for sent in 0..EACH {
            let item = Item::new(number * EACH + sent, SIZES[any(SIZES.len())]);
            if sender.send(item) == Err(Closed) {
                return sent;
            }
            assert_within_budget(&gate);
        }
        EACH
    })
}

/// Receives until the queue has drained, or so many.
fn receives(receiver: QueueReceiver<Item>, most: usize) -> JoinHandle<Vec<Item>> {
    thread::spawn(move || {
        let mut items = Vec::new();
        while items.len() < most {
            match receiver.receive(TICK) {
                Received::Parcel(parcel) => items.push(parcel.item),
                Received::TimedOut => {}
                Received::Drained => break,
            }
            assert_within_budget(&receiver.gate());
        }
        items
    })
}

fn assert_within_budget(gate: &Gate) {
    let (held, limits) = (gate.gauge(), gate.limits);
    assert!(held.items <= limits.items, "{held:?} in {limits:?}");
    assert!(held.bytes <= limits.bytes || held.items == 1, "{held:?} in {limits:?}");
}

fn join<T>(threads: Vec<JoinHandle<T>>) -> Vec<T> {
    threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
}

#[test]
fn no_item_is_lost_or_doubled_and_the_budget_holds() {
    explore(|| {
        let (sender, receiver) = queue(any_bound());
        let gate = receiver.gate();
        let senders: Vec<_> =
            (0..SENDERS).map(|n| sends(sender.clone(), n, Arc::clone(&gate))).collect();
        drop(sender);
        let receivers =
            vec![receives(receiver.clone(), usize::MAX), receives(receiver, usize::MAX)];

        assert_eq!(join(senders), [EACH; SENDERS]);
        let taken = join(receivers);
        for items in &taken {
            for sender in 0..SENDERS {
                let own = items.iter().map(|item| item.id).filter(|id| id / EACH == sender);
                assert!(own.is_sorted(), "each sender's items keep their order: {items:?}");
            }
        }
        let mut ids: Vec<_> = taken.concat().iter().map(|item| item.id).collect();
        ids.sort_unstable();
        assert!(ids.iter().copied().eq(0..SENDERS * EACH), "{ids:?}");
        let gauge = gate.gauge();
        assert_eq!((gauge.items, gauge.bytes, gauge.passed), (0, 0, ids.len() as u64));
    });
}

#[test]
fn receivers_that_leave_wake_the_senders() {
    explore(|| {
        let (sender, receiver) = queue(any_bound());
        let gate = receiver.gate();
        let senders: Vec<_> =
            (0..SENDERS).map(|n| sends(sender.clone(), n, Arc::clone(&gate))).collect();
        drop(sender);
        let receivers = vec![receives(receiver.clone(), any(3)), receives(receiver, any(3))];

        let taken = join(receivers).concat().len();
        let sent: usize = join(senders).into_iter().sum();
        assert!(taken <= sent, "{taken} of {sent}");
    });
}

#[test]
fn who_came_first_is_admitted_first() {
    explore(|| {
        let gate = Arc::new(Gate::new(Queue { items: 3, bytes: 10 }));
        gate.join();
        gate.admit(6).expect("a receiver");
        let admitted = Arc::new(Mutex::new(Vec::new()));
        // The first does not fit and the others would: they must not go before it.
        let waiting: Vec<_> = [10, 1, 2]
            .into_iter()
            .map(|bytes| {
                let before = gate.queueing();
                let (gate, admitted) = (Arc::clone(&gate), Arc::clone(&admitted));
                let entering = Arc::clone(&gate);
                let thread = thread::spawn(move || {
                    entering.admit(bytes).expect("a receiver");
                    admitted.lock().expect("no panic").push(bytes);
                });
                while gate.queueing() == before {
                    yield_now();
                }
                thread
            })
            .collect();
        let names = || admitted.lock().expect("no panic").clone();
        for _ in 0..any(4) {
            yield_now();
        }
        assert_eq!(names(), []);
        gate.release(6);
        while names().is_empty() {
            yield_now();
        }
        assert_eq!(names(), [10]);
        gate.release(10);
        join(waiting);
        assert_eq!(gate.gauge().bytes, 3);
    });
}
