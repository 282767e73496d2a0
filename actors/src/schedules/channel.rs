//! The model of the channel against the channel.

use std::time::Duration;

use super::{SCHEDULES, any};
use crate::sync;

const CAPACITY: usize = 3;

/// Does the same to both until one side of both has left.
///
/// On one thread alone, so only what does not wait: no send into a full channel, no receive with a
/// limit unless it returns at once.
#[test]
fn the_model_answers_as_crossbeam_does() {
    let compare = || {
        let (modelled, real) = (sync::bounded(CAPACITY), crossbeam_channel::bounded(CAPACITY));
        let mut sending = vec![(modelled.0, real.0)];
        let mut receiving = vec![(modelled.1, real.1)];
        for number in 0..40 {
            match (any(8), sending.last(), receiving.last()) {
                (0..=2, Some((modelled, real)), _) if real.len() < CAPACITY => {
                    assert_eq!(modelled.send(number), real.send(number));
                }
                (3 | 4, _, Some((modelled, real))) => {
                    assert_eq!(modelled.try_recv(), real.try_recv());
                }
                (5, _, Some((modelled, real))) if !real.is_empty() || sending.is_empty() => {
                    let limit = Duration::from_millis(1);
                    assert_eq!(modelled.recv_timeout(limit), real.recv_timeout(limit));
                }
                (6, Some(ends), _) if any(2) == 0 => sending.push(ends.clone()),
                (6, _, Some(ends)) => receiving.push(ends.clone()),
                (7, ..) if any(3) > 0 => drop(sending.pop()),
                (7, ..) => drop(receiving.pop()),
                _ => {}
            }
        }
    };
    shuttle::check_random(compare, SCHEDULES);
}
