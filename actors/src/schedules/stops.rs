//! A stop against the source, its end, and those who rest.

use std::sync::atomic::Ordering;
use std::time::Duration;

use shuttle::thread;

use super::crew::{Count, endless, feed};
use super::{any, any_bound, explore};
use crate::Stopper;
use crate::feeder::FeedEnd;
use crate::queue::{Received, queue};

#[test]
fn a_stop_is_never_lost() {
    explore(|| {
        let (sender, receiver) = queue(any_bound());
        let stopper = Stopper::default();
        let mut feed = feed(endless(), sender, &stopper);
        let meter = feed.line.meter.clone();
        let source = thread::spawn(move || feed.run());
        let stops: Vec<_> = (0..2)
            .map(|_| stopper.clone())
            .map(|stopper| thread::spawn(move || stopper.stop()))
            .collect();
        let mut count = 0;
        loop {
            match receiver.receive(Duration::MAX) {
                Received::Parcel(parcel) => {
                    assert_eq!(parcel.item.id, count);
                    count += 1;
                }
                Received::TimedOut => unreachable!("it waits for ever"),
                Received::Drained => break,
            }
        }
        assert!(matches!(source.join(), Ok(FeedEnd::Stopped)));
        assert_eq!(
            meter.items_out.load(Ordering::Relaxed),
            count as u64,
            "what was sent has drained"
        );
        for stop in stops {
            stop.join().expect("no panic");
        }
    });
}

#[test]
fn a_stop_may_race_with_the_end_of_the_source() {
    explore(|| {
        let (sender, receiver) = queue(any_bound());
        let stopper = Stopper::default();
        let most = any(4);
        let mut feed = feed(Count(0..most), sender, &stopper);
        let early = any(4) == 0;
        if early {
            stopper.stop();
        }
        let source = thread::spawn(move || feed.run());
        let stop = thread::spawn(move || stopper.stop());
        let mut count = 0;
        while let Received::Parcel(_) = receiver.receive(Duration::MAX) {
            count += 1;
        }
        match source.join().expect("no panic") {
            FeedEnd::Exhausted => assert_eq!((count, early), (most, false)),
            FeedEnd::Stopped => assert!(count <= most && !(early && count > 0)),
            FeedEnd::DownstreamClosed | FeedEnd::Failed(_) => panic!("neither happened"),
        }
        stop.join().expect("no panic");
    });
}

#[test]
fn a_source_that_waits_for_room_hears_that_nobody_is_left() {
    explore(|| {
        let (sender, receiver) = queue(any_bound());
        let mut feed = feed(endless(), sender, &Stopper::default());
        let source = thread::spawn(move || feed.run());
        for _ in 0..any(4) {
            assert!(matches!(receiver.receive(Duration::MAX), Received::Parcel(_)));
        }
        drop(receiver);
        assert!(matches!(source.join(), Ok(FeedEnd::DownstreamClosed)));
    });
}

#[test]
fn a_stop_wakes_all_who_rest_and_stays() {
    explore(|| {
        let stopper = Stopper::default();
        let resting: Vec<_> = [Duration::MAX, Duration::MAX, Duration::from_millis(1)]
            .into_iter()
            .map(|length| (length, stopper.clone()))
            .map(|(length, stopper)| {
                thread::spawn(move || {
                    let heard = stopper.rest(length);
                    assert!(heard || length < Duration::MAX, "rested for ever and woke");
                    assert!(!heard || stopper.is_stopped(), "a stop is not taken back");
                })
            })
            .collect();
        stopper.stop();
        assert!(stopper.is_stopped() && stopper.rest(Duration::MAX));
        for rest in resting {
            rest.join().expect("no panic");
        }
    });
}
