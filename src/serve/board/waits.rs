//! Who waits for whom, from two looks at the counters of a flow.

use std::time::{Duration, SystemTime};

use starmill_actors::{QueueSnapshot, Snapshot, StageSnapshot};

use super::status::{Queue, Stage};

/// A queue whose senders wait for so much of their time holds them up.
const HELD_UP: f64 = 0.2;
/// A stage that rests for so much of its time waits for something outside.
const RESTS: f64 = 0.5;
/// A worker at one thing for so long is worth a word.
const LONG: Duration = Duration::from_secs(10);

/// A look at the counters.
pub(super) struct Look {
    pub(super) time: SystemTime,
    pub(super) snapshot: Snapshot,
}

/// What the flow does, over the time between two looks.
#[derive(Default)]
pub(super) struct Activity {
    pub(super) stages: Vec<Stage>,
    pub(super) queues: Vec<Queue>,
    pub(super) waits: String,
    pub(super) bottleneck: Option<String>,
}

impl Activity {
    /// Between two looks at one flow; without an earlier one, since the flow began.
    pub(super) fn between(earlier: Option<&Look>, later: &Look, fallback: Duration) -> Self {
        let elapsed = earlier.and_then(|earlier| later.time.duration_since(earlier.time).ok());
        let elapsed = elapsed.unwrap_or(fallback).max(Duration::from_millis(1));
        let before = earlier.map(|look| &look.snapshot);
        let now = &later.snapshot;
        let stages: Vec<Stage> = now
            .stages
            .iter()
            .enumerate()
            .map(|(i, stage)| stage_of(stage, before.and_then(|b| b.stages.get(i)), elapsed))
            .collect();
        let workers =
            |name: &str| now.stages.iter().find(|s| s.name == name).map_or(1, |s| s.workers);
        let queues: Vec<Queue> = now
            .queues
            .iter()
            .enumerate()
            .map(|(i, queue)| {
                let before = before.and_then(|b| b.queues.get(i));
                queue_of(queue, before, elapsed, workers(queue.from), workers(queue.to))
            })
            .collect();
        let moved = now.queues.iter().enumerate().any(|(i, queue)| {
            queue.passed > before.and_then(|b| b.queues.get(i)).map_or(0, |before| before.passed)
        });
        let bottleneck = bottleneck(&queues);
        let waits = sentence(&stages, &queues, bottleneck.as_deref(), moved, now);
        Self { stages, queues, waits, bottleneck }
    }
}

fn share(later: Duration, earlier: Option<Duration>, elapsed: Duration, workers: usize) -> f64 {
    let spent = later.saturating_sub(earlier.unwrap_or_default()).as_secs_f64();
    (spent / (elapsed.as_secs_f64() * workers.max(1) as f64)).clamp(0.0, 1.0)
}

fn stage_of(now: &StageSnapshot, before: Option<&StageSnapshot>, elapsed: Duration) -> Stage {
    Stage {
        name: now.name.to_owned(),
        workers: now.workers,
        busy: share(now.busy, before.map(|b| b.busy), elapsed, now.workers),
        resting: share(now.resting, before.map(|b| b.resting), elapsed, now.workers),
        items_in: now.items_in,
        items_out: now.items_out,
        busy_s: now.busy.as_secs_f64(),
        oldest_work_s: now.oldest_work.as_secs_f64(),
        panics: now.panics,
        restarts: now.restarts,
    }
}

fn queue_of(
    now: &QueueSnapshot,
    before: Option<&QueueSnapshot>,
    elapsed: Duration,
    senders: usize,
    receivers: usize,
) -> Queue {
    let (blocked, starved) =
        (before.map(|b| b.blocked_sending), before.map(|b| b.starved_receiving));
    Queue {
        from: now.from.to_owned(),
        to: now.to.to_owned(),
        items: now.items,
        capacity_items: now.capacity_items,
        bytes: now.bytes,
        capacity_bytes: now.capacity_bytes,
        blocked: share(now.blocked_sending, blocked, elapsed, senders),
        starved: share(now.starved_receiving, starved, elapsed, receivers),
        passed: now.passed,
    }
}

/// The stage behind the last queue whose senders are held up: what it does not take, nobody before
/// it can send.
fn bottleneck(queues: &[Queue]) -> Option<String> {
    queues.iter().rfind(|queue| queue.blocked >= HELD_UP).map(|queue| queue.to.clone())
}

fn sentence(
    stages: &[Stage],
    queues: &[Queue],
    bottleneck: Option<&str>,
    moved: bool,
    now: &Snapshot,
) -> String {
    if stages.is_empty() {
        return "No flow runs yet.".to_owned();
    }
    // The source's work is to wait for files, so it is no sign of trouble.
    let stages = &stages[1..];
    if let Some(stage) = stages.iter().find(|stage| stage.resting >= RESTS) {
        return format!("{} rests until something outside is mended: see the log.", stage.name);
    }
    let stuck = now.stages.iter().skip(1).max_by_key(|stage| stage.oldest_work);
    if let Some(stage) = stuck.filter(|stage| stage.oldest_work >= LONG) {
        let seconds = stage.oldest_work.as_secs();
        return format!("{} has been at one piece of work for {seconds} s.", stage.name);
    }
    if let Some(slow) = bottleneck {
        let held: Vec<&str> = queues
            .iter()
            .filter(|queue| queue.blocked >= HELD_UP)
            .map(|queue| queue.from.as_str())
            .collect();
        let verb = if held.len() == 1 { "waits" } else { "wait" };
        return format!("{} {verb} for {slow}.", list(&held));
    }
    match stages.iter().filter(|_| moved).max_by(|a, b| a.busy.total_cmp(&b.busy)) {
        Some(busiest) if busiest.busy >= 0.5 => {
            format!("{} is busiest and holds nobody up.", busiest.name)
        }
        Some(_) => "Nobody is held up; the flow waits for files.".to_owned(),
        None => "Nothing to do: the flow waits for files.".to_owned(),
    }
}

fn list(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [many @ .., last] => format!("{} and {last}", many.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stage(name: &'static str, busy: u64, resting: u64, oldest_work: u64) -> StageSnapshot {
        StageSnapshot {
            name,
            workers: 1,
            items_in: 0,
            items_out: 0,
            busy: Duration::from_secs(busy),
            resting: Duration::from_secs(resting),
            oldest_work: Duration::from_secs(oldest_work),
            restarts: 0,
            panics: 0,
        }
    }

    fn queue(from: &'static str, to: &'static str, blocked: u64, passed: u64) -> QueueSnapshot {
        QueueSnapshot {
            from,
            to,
            items: 0,
            bytes: 0,
            capacity_items: 1,
            capacity_bytes: 1,
            high_items: 0,
            high_bytes: 0,
            passed,
            blocked_sending: Duration::from_secs(blocked),
            starved_receiving: Duration::ZERO,
        }
    }

    fn said(stages: Vec<StageSnapshot>, queues: Vec<QueueSnapshot>) -> String {
        let look = Look { time: SystemTime::UNIX_EPOCH, snapshot: Snapshot { stages, queues } };
        Activity::between(None, &look, Duration::from_secs(10)).waits
    }

    #[test]
    fn it_says_who_waits_for_whom() {
        let flow = |infer, resting, oldest| {
            vec![
                stage("list", 10, 0, 90),
                stage("read", 1, 0, 0),
                stage("infer", infer, 0, oldest),
                stage("write", 1, resting, 0),
            ]
        };
        let queues = |first, second, passed| {
            vec![
                queue("list", "read", first, passed),
                queue("read", "infer", second, passed),
                queue("infer", "write", 0, passed),
            ]
        };
        let check = |stages, queues, says: &str| assert_eq!(said(stages, queues), says);
        check(vec![], vec![], "No flow runs yet.");
        check(flow(0, 0, 0), queues(0, 0, 0), "Nothing to do: the flow waits for files.");
        check(flow(2, 0, 0), queues(0, 0, 9), "Nobody is held up; the flow waits for files.");
        check(flow(9, 0, 0), queues(0, 0, 9), "infer is busiest and holds nobody up.");
        check(flow(10, 0, 0), queues(9, 8, 9), "list and read wait for infer.");
        check(flow(0, 0, 0), queues(9, 0, 9), "list waits for read.");
        check(flow(0, 0, 33), queues(9, 9, 0), "infer has been at one piece of work for 33 s.");
        let rests = "write rests until something outside is mended: see the log.";
        check(flow(0, 9, 0), queues(9, 9, 0), rests);
    }
}
