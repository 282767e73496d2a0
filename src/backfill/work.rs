//! One shard, from its list to its file.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::{Attempt, BEAT, BackfillError, Campaign, State, checkpoint};
use crate::catalogue::ShardNote;
use crate::config::Config;
use crate::input::{Found, RowRange};
use crate::interrupt::Interrupt;
use crate::pipeline::{self, Closing, Job, Shard, Sources};
use crate::setup::Ready;
use crate::stage::Counters;
use crate::telemetry::Progress;

/// How shards are worked on.
pub struct Worker<'a> {
    /// The backfill.
    pub campaign: &'a Campaign,
    /// The configuration.
    pub config: &'a Config,
    /// The model.
    pub model: &'a Ready,
    /// A folder on a disk of this machine.
    pub scratch: &'a Path,
    /// How often the segments of the shard are copied to the shared disk.
    pub keep_every: Duration,
    /// The name of this try.
    pub attempt: &'a str,
    /// Stop requests.
    pub interrupt: &'a Interrupt,
    /// What a person sees.
    pub progress: &'a Progress,
}

/// How a shard ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// It is done, by this try or by another one before.
    Done(Box<ShardNote>),
    /// It was done by another try while this one worked on it.
    Late,
    /// A stop was asked for; what there is was kept.
    Stopped,
}

impl Worker<'_> {
    /// Does a shard that is not done.
    ///
    /// # Errors
    /// Whatever stopped it; what there is was kept, and the next try goes on from there.
    pub fn work(&self, number: u64) -> anyhow::Result<Ended> {
        let list = self.campaign.plan().list(number)?;
        list.verify()?;
        let mut attempt = Attempt::begin(number, self.attempt);
        self.campaign.say(&attempt)?;
        let counters = Arc::new(Mutex::new(None));
        let worked = self.beating(&attempt, &counters, || self.process(number, &counters));
        if let Some(counters) = &*counters.lock().unwrap_or_else(PoisonError::into_inner) {
            let counters: &Arc<Counters> = counters;
            attempt.count(&counters.tally());
        }
        attempt.state = match &worked {
            Ok(Ended::Done(_)) => State::Done,
            Ok(Ended::Late) => State::Late,
            Ok(Ended::Stopped) => State::Stopped,
            Err(_) => State::Failed,
        };
        attempt.error = worked.as_ref().err().map(|error| format!("{error:#}"));
        self.campaign.say(&attempt)?;
        worked
    }

    fn process(
        &self,
        number: u64,
        counters: &Mutex<Option<Arc<Counters>>>,
    ) -> anyhow::Result<Ended> {
        let (folder, kept) = (self.folder(number), self.campaign.checkpoint(number));
        let brought = checkpoint::bring(&kept, &folder, self.attempt)?;
        if brought > 0 {
            tracing::info!(shard = number, segments = brought, "went on from a checkpoint");
        }
        let list = self.campaign.plan().list(number)?;
        let entries = self.campaign.plan().shards.get(usize::try_from(number)?);
        let total = entries.map(|shard| shard.entries);
        let given = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&given);
        let job = Job {
            model: self.model.clone(),
            sources: Sources::Found(Box::new(move |emit| {
                let found = list.each(&mut |entry| {
                    let found = entry.found();
                    count.fetch_add(1, Relaxed);
                    if emit(found) { Ok(()) } else { Err(BackfillError::Stopped) }
                });
                match found {
                    Ok(()) | Err(BackfillError::Stopped) => Ok(()),
                    Err(error) => Err(error.to_string()),
                }
            })),
            out: folder.clone(),
            closing: Closing::Shard(Shard {
                plan: self.campaign.plan().blake3.clone(),
                shards: self.campaign.plan().shards.len() as u64,
                number,
                entries: given,
                attempt: self.attempt.to_owned(),
                path: self.campaign.temporary(number, self.attempt),
                claim: {
                    let (campaign, attempt) = (self.campaign.clone(), self.attempt.to_owned());
                    Box::new(move |origin| Ok(campaign.claim(origin, &attempt)?))
                },
            }),
        };
        let run = pipeline::run(self.config, job, self.interrupt, |_, shared| {
            *counters.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&shared));
            self.progress.start(shared, total);
        });
        self.progress.finish();
        let report = match run {
            Ok(report) => report,
            Err(_) if self.campaign.is_done(number)? => {
                remove(&folder)?;
                return Ok(Ended::Late);
            }
            Err(error) => {
                // The error says what is wrong; that nothing could be kept would hide it.
                let _ = checkpoint::keep(&folder, &kept, self.attempt);
                return Err(error);
            }
        };
        let Some(note) = report.shard else {
            let segments = checkpoint::keep(&folder, &kept, self.attempt)?;
            tracing::info!(shard = number, segments, "stopped, what there is was kept");
            return Ok(Ended::Stopped);
        };
        let first = self.campaign.commit(number, self.attempt)?;
        checkpoint::drop_all(&kept)?;
        remove(&folder)?;
        Ok(if first { Ended::Done(Box::new(note)) } else { Ended::Late })
    }

    fn folder(&self, number: u64) -> PathBuf {
        self.scratch.join(format!("shard-{number:05}"))
    }

    /// Does the work while a thread says that it goes on and keeps what there is.
    fn beating<T>(
        &self,
        attempt: &Attempt,
        counters: &Mutex<Option<Arc<Counters>>>,
        work: impl FnOnce() -> T,
    ) -> T {
        let (ended, bell) = (AtomicBool::new(false), (Mutex::new(()), Condvar::new()));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut kept = Instant::now();
                while !ended.load(Relaxed) {
                    let guard = bell.0.lock().unwrap_or_else(PoisonError::into_inner);
                    let _ = bell.1.wait_timeout_while(guard, BEAT, |()| !ended.load(Relaxed));
                    if ended.load(Relaxed) {
                        break;
                    }
                    let mut now = attempt.clone();
                    if let Some(counters) =
                        &*counters.lock().unwrap_or_else(PoisonError::into_inner)
                    {
                        now.count(&counters.tally());
                    }
                    // What cannot be said or kept now may be later; the work does not depend on it.
                    if let Err(error) = self.campaign.say(&now) {
                        tracing::warn!(%error, "nobody can be told how far the shard is");
                    }
                    if kept.elapsed() >= self.keep_every {
                        kept = Instant::now();
                        let (folder, place) =
                            (self.folder(attempt.shard), self.campaign.checkpoint(attempt.shard));
                        if let Err(error) = checkpoint::keep(&folder, &place, self.attempt) {
                            tracing::warn!(%error, "no checkpoint could be written");
                        }
                    }
                }
            });
            // Also when the work panics: the scope waits for the thread in any case.
            let _end = Ending(|| {
                ended.store(true, Relaxed);
                bell.1.notify_all();
            });
            work()
        })
    }
}

/// Calls a function when it goes.
struct Ending<F: Fn()>(F);

impl<F: Fn()> Drop for Ending<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

fn remove(folder: &Path) -> Result<(), BackfillError> {
    std::fs::remove_dir_all(folder).map_err(BackfillError::io(folder))
}

impl super::Entry {
    /// As a listing names it.
    fn found(self) -> Found {
        match self.rows {
            None => Found::File(self.path),
            Some(rows) => {
                let place = |row: u64| usize::try_from(row).unwrap_or(usize::MAX);
                let (first, end) = (place(self.first), place(self.first.saturating_add(rows)));
                Found::Rows(self.path, vec![RowRange { first, end }])
            }
        }
    }
}
