//! `starmill backfill status`.

use std::collections::BTreeMap;

use serde::Serialize;

use super::super::Exit;
use crate::backfill::{Attempt, Campaign, Plan, State, seconds_now};
use crate::cli::StatusArgs;
use crate::slurm::ranges;

/// Shards that are listed by number.
const LISTED: usize = 40;

/// How a backfill stands.
#[derive(Debug, Serialize)]
struct Status {
    shards: u64,
    done: u64,
    /// Shards of which a try says that it works.
    running: Vec<Attempt>,
    /// Shards whose last try said so, but not any more.
    silent: Vec<Attempt>,
    /// Shards whose last try failed.
    failed: Vec<Attempt>,
    /// Shards whose last try was stopped.
    stopped: Vec<u64>,
    /// Shards that nobody began.
    waiting: Vec<u64>,
    /// Bytes of the plan, and of the shards that are done.
    bytes: u64,
    bytes_done: u64,
    /// Files a second of the tries that work.
    files_per_s: f64,
}

pub(super) fn status(args: &StatusArgs) -> anyhow::Result<Exit> {
    let campaign = Campaign::look(&args.out, Plan::read(&args.plan)?);
    let status = Status::of(&campaign)?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&status)?);
    } else {
        status.print();
    }
    Ok(if status.done == status.shards { Exit::Success } else { Exit::Rejects })
}

impl Status {
    fn of(campaign: &Campaign) -> anyhow::Result<Self> {
        let now = seconds_now();
        // Of several tries the one that spoke last tells how the shard stands.
        let mut last: BTreeMap<u64, Attempt> = BTreeMap::new();
        for attempt in campaign.attempts()? {
            let before = last.get(&attempt.shard);
            if before.is_none_or(|before| before.seen <= attempt.seen) {
                last.insert(attempt.shard, attempt);
            }
        }
        let shards = &campaign.plan().shards;
        let mut status = Self {
            shards: shards.len() as u64,
            done: 0,
            running: Vec::new(),
            silent: Vec::new(),
            failed: Vec::new(),
            stopped: Vec::new(),
            waiting: Vec::new(),
            bytes: campaign.plan().bytes,
            bytes_done: 0,
            files_per_s: 0.0,
        };
        for (number, shard) in (0_u64..).zip(shards) {
            if campaign.is_done(number)? {
                status.done += 1;
                status.bytes_done += shard.bytes;
                continue;
            }
            match last.remove(&number) {
                None => status.waiting.push(number),
                Some(attempt) if attempt.is_silent(now) => status.silent.push(attempt),
                Some(attempt) => match attempt.state {
                    State::Running => {
                        let worked = attempt.seen.saturating_sub(attempt.began).max(1);
                        status.files_per_s += attempt.files as f64 / worked as f64;
                        status.running.push(attempt);
                    }
                    State::Stopped => status.stopped.push(number),
                    // Its file was there and is not any more.
                    State::Done | State::Late => status.waiting.push(number),
                    State::Failed => status.failed.push(attempt),
                },
            }
        }
        Ok(status)
    }

    fn print(&self) {
        let Self { shards, done, bytes, bytes_done, files_per_s, .. } = self;
        let percent = 100.0 * *bytes_done as f64 / (*bytes).max(1) as f64;
        println!("{done} of {shards} shards done, {percent:.1} % of the bytes");
        if !self.running.is_empty() {
            println!("running {}, {files_per_s:.0} files/s:", self.running.len());
        }
        for it in self.running.iter().take(LISTED) {
            let rejects: u64 = it.rejects.values().sum();
            println!(
                "  shard {:05} on {}: {} files, {} rows, {rejects} rejects",
                it.shard, it.host, it.files, it.rows
            );
        }
        for (name, attempts) in [("silent", &self.silent), ("failed", &self.failed)] {
            if !attempts.is_empty() {
                println!("{name} {}:", attempts.len());
            }
            for it in attempts.iter().take(LISTED) {
                let why = it.error.as_deref().unwrap_or("it said nothing for two minutes");
                println!("  shard {:05} on {}: {why}", it.shard, it.host);
            }
        }
        for (name, numbers) in [("stopped", &self.stopped), ("not begun", &self.waiting)] {
            if !numbers.is_empty() {
                println!("{name} {}: {}", numbers.len(), ranges(numbers));
            }
        }
    }
}
