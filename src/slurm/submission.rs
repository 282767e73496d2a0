//! One backfill in the queue: its folder, its rounds, and what is submitted in each.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::script::{name_error, quote};
use super::{Job, Part, Queue, Scripts, Site, SlurmError, Work, cut, ranges};
use crate::backfill::{Campaign, seconds_now};
use crate::catalogue::{create_folders, replace};

/// The folder of submissions within that of the backfill.
const FOLDER: &str = "slurm";
/// What the jobs print, within that of a submission.
const LOGS: &str = "logs";

/// With which the names of all jobs begin.
const PREFIX: &str = "starmill-";

/// What is submitted: an array for each part, and the last job behind them.
#[derive(Debug, Clone)]
pub struct Submission {
    site: Site,
    work: Work,
    folder: PathBuf,
    run: String,
    scripts: Scripts,
}

/// What was submitted in a round, as its note keeps it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Round {
    /// Its number, from 0.
    pub round: u32,
    /// The shards that were missing.
    pub missing: Vec<u64>,
    /// Rounds before it, in a row, in which no shard was done.
    pub idle: u32,
    /// Jobs, the last one behind the others. None while they are being submitted.
    pub jobs: Vec<u64>,
}

/// What a round is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// All shards are done and the release is there.
    Nothing,
    /// The jobs of this round.
    Jobs(Round),
}

impl Submission {
    /// A new submission of this backfill, or with `run` the one of that name.
    ///
    /// # Errors
    /// [`SlurmError::Name`] if a path cannot be given to Slurm.
    pub fn new(
        site: Site,
        work: Work,
        campaign: &Campaign,
        run: Option<String>,
    ) -> Result<Self, SlurmError> {
        let run =
            run.unwrap_or_else(|| format!("{}-{}", identity(campaign, &work.out), seconds_now()));
        let folder = work.out.join(FOLDER).join(&run);
        let scripts = Scripts::write(&site, &work, &folder, &run)?;
        Ok(Self { site, work, folder, run, scripts })
    }

    /// What a first round has to do, after a look at what an earlier submission left in the queue.
    ///
    /// # Errors
    /// [`SlurmError::Busy`] if there are jobs of this backfill.
    pub fn first(
        &self,
        campaign: &Campaign,
        queue: Option<&Queue<'_>>,
    ) -> Result<Next, SlurmError> {
        if let Some(queue) = queue {
            let identity = identity(campaign, &self.work.out);
            let jobs = queue.waiting(&format!("{PREFIX}{identity}-"))?;
            if !jobs.is_empty() {
                let jobs: Vec<String> = jobs.iter().map(u64::to_string).collect();
                return Err(SlurmError::Busy(jobs.join(" ")));
            }
        }
        let missing = campaign.missing()?;
        if missing.is_empty() && self.work.release.exists() {
            return Ok(Next::Nothing);
        }
        Ok(Next::Jobs(Round { missing, ..Round::default() }))
    }

    /// What the round after one that ended has to do. Asked again, it gives the same answer.
    ///
    /// # Errors
    /// [`SlurmError::NoProgress`] if no shard was done for too long.
    pub fn next(&self, campaign: &Campaign, round: u32) -> Result<Next, SlurmError> {
        let path = self.note(round);
        if path.try_exists().map_err(SlurmError::io(&path))? {
            return Ok(Next::Jobs(self.read(round)?));
        }
        let before = self.read(round.saturating_sub(1))?;
        let missing = campaign.missing()?;
        let progress = missing.len() < before.missing.len();
        let idle = if progress { 0 } else { before.idle + 1 };
        if idle >= self.site.rounds {
            let missing = ranges(&missing);
            return Err(SlurmError::NoProgress { missing, rounds: idle });
        }
        Ok(Next::Jobs(Round { round, missing, idle, jobs: Vec::new() }))
    }

    /// Submits the jobs of a round, each once however often this is tried.
    ///
    /// # Errors
    /// Those of writing and of Slurm. What is in the queue by then stays there, unless a later job was
    /// refused.
    pub fn submit(
        &self,
        mut round: Round,
        site: &str,
        queue: &Queue<'_>,
    ) -> Result<Round, SlurmError> {
        if !round.jobs.is_empty() {
            return Ok(round);
        }
        create_folders(&self.folder.join(LOGS))?;
        for (name, text) in [
            ("shard.sh", self.scripts.shard.as_str()),
            ("finish.sh", &self.scripts.finish),
            ("site.toml", site),
        ] {
            replace(&self.folder.join(name), text.as_bytes())?;
        }
        // From now on who tries this round again has the same list.
        self.keep(&round)?;
        let mut jobs = Vec::new();
        if let Err(error) = self.submit_all(&round, queue, &mut jobs) {
            // Arrays without their last job would end in nothing.
            if matches!(error, SlurmError::Refused { .. }) && !jobs.is_empty() {
                queue.cancel(&jobs)?;
            }
            return Err(error);
        }
        round.jobs = jobs;
        self.keep(&round)?;
        Ok(round)
    }

    fn submit_all(
        &self,
        round: &Round,
        queue: &Queue<'_>,
        jobs: &mut Vec<u64>,
    ) -> Result<(), SlurmError> {
        if !round.missing.is_empty() {
            for job in self.arrays(round, queue.max_array_size()?)? {
                jobs.push(queue.submit(&job)?);
            }
        }
        jobs.push(queue.submit(&self.last(round, jobs.clone())?)?);
        Ok(())
    }

    /// What would be submitted, as text: the scripts and the commands.
    ///
    /// # Errors
    /// [`SlurmError`] if a value cannot be used.
    pub fn describe(&self, round: &Round, max_array_size: u64) -> Result<String, SlurmError> {
        let mut text = String::new();
        for (name, script) in
            [("shard.sh", &self.scripts.shard), ("finish.sh", &self.scripts.finish)]
        {
            text.push_str(&format!("### {}\n{script}\n", self.folder.join(name).display()));
        }
        text.push_str("### the commands\n");
        let mut names = Vec::new();
        for (number, job) in self.arrays(round, max_array_size)?.iter().enumerate() {
            names.push(format!("$job{number}"));
            text.push_str(&format!("job{number}=$({})\n", command(job)?));
        }
        let mut last = command(&self.last(round, Vec::new())?)?;
        if !names.is_empty() {
            let after = format!("sbatch --dependency=afterany:{}", names.join(":"));
            last = last.replacen("sbatch", &after, 1);
        }
        text.push_str(&last);
        text.push('\n');
        Ok(text)
    }

    fn arrays(&self, round: &Round, max_array_size: u64) -> Result<Vec<Job>, SlurmError> {
        if max_array_size == 0 {
            return Err(SlurmError::NoArrays);
        }
        let parts = cut(&round.missing, max_array_size);
        // Each array knows of its own tasks alone.
        let at_once = match self.site.at_once {
            0 => 0,
            all => (all / parts.len().max(1) as u64).max(1),
        };
        let array = |(number, part): (usize, &Part)| {
            let name = format!("r{}-p{number}", round.round);
            let mut options = self.site.shard.options();
            options.push(format!("--array={}", part.indexes(at_once)));
            options.push("--requeue".to_owned());
            options.push(format!("--signal=B:USR1@{}", self.site.grace));
            Ok(Job {
                output: self.log(&name, "-%a.log")?,
                name: self.job_name(&name),
                options,
                after: Vec::new(),
                home: self.work.home.clone(),
                script: self.folder.join("shard.sh"),
                argument: part.first,
            })
        };
        parts.iter().enumerate().map(array).collect()
    }

    fn last(&self, round: &Round, after: Vec<u64>) -> Result<Job, SlurmError> {
        let name = format!("r{}-finish", round.round);
        let mut options = self.site.merge.options();
        options.push("--requeue".to_owned());
        Ok(Job {
            output: self.log(&name, ".log")?,
            name: self.job_name(&name),
            options,
            after,
            home: self.work.home.clone(),
            script: self.folder.join("finish.sh"),
            argument: u64::from(round.round),
        })
    }

    fn job_name(&self, part: &str) -> String {
        format!("{PREFIX}{}-{part}", self.run)
    }

    /// The file of a job's output, as Slurm takes it.
    fn log(&self, name: &str, ending: &str) -> Result<String, SlurmError> {
        let path = self.folder.join(LOGS).join(name);
        let text = path.to_str().ok_or_else(|| name_error(&path, "it is no text"))?;
        if text.contains(['\\', '\n']) {
            return Err(name_error(&path, "a backslash or a newline means something else there"));
        }
        Ok(text.replace('%', "%%") + ending)
    }

    fn note(&self, round: u32) -> PathBuf {
        self.folder.join(format!("round-{round}.json"))
    }

    fn keep(&self, round: &Round) -> Result<(), SlurmError> {
        let path = self.note(round.round);
        let json =
            serde_json::to_string(round).map_err(|error| SlurmError::io(&path)(error.into()))?;
        Ok(replace(&path, (json + "\n").as_bytes())?)
    }

    fn read(&self, round: u32) -> Result<Round, SlurmError> {
        let path = self.note(round);
        let wrong = |problem: String| SlurmError::Note { path: path.clone(), problem };
        let bytes = std::fs::read(&path).map_err(|error| wrong(error.to_string()))?;
        serde_json::from_slice(&bytes).map_err(|error| wrong(error.to_string()))
    }

    /// The folder with its scripts, notes and logs.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

/// What tells this backfill from others: what is done and where.
fn identity(campaign: &Campaign, out: &Path) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(campaign.plan().blake3.as_bytes()).update(out.as_os_str().as_encoded_bytes());
    hasher.finalize().to_hex().chars().take(12).collect()
}

fn command(job: &Job) -> Result<String, SlurmError> {
    let mut words = "sbatch".to_owned();
    for word in job.arguments() {
        let text = word.to_str().ok_or_else(|| name_error(Path::new(&word), "it is no text"))?;
        words.push(' ');
        words.push_str(&quote(text)?);
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backfill::{Collected, Cut, Entry, Plan, Roll, plan_of};

    /// A backfill of as many shards, of which none is done.
    fn campaign(folder: &Path, shards: u64) -> Campaign {
        let mut roll = Roll::open(&folder.join("roll.sqlite"), "request").unwrap();
        let entry = |number: u64| Entry {
            path: format!("{number:05}").into(),
            bytes: 9,
            first: 0,
            rows: None,
        };
        roll.add(&(0..shards).map(entry).collect::<Vec<_>>()).unwrap();
        let cut = Cut::Shards(shards);
        plan_of(roll, folder, "request", Collected::default(), cut).unwrap();
        Campaign::open(&folder.join("out"), Plan::read(folder).unwrap()).unwrap()
    }

    fn submission(folder: &Path, campaign: &Campaign, site: Site) -> Submission {
        let work = Work {
            program: "/bin/starmill".into(),
            home: "/".into(),
            config: None,
            plan: folder.to_owned(),
            shards: campaign.plan().shards.len() as u64,
            model: "fcresnet".to_owned(),
            out: folder.join("out"),
            release: folder.join("release"),
            scratch: None,
            merge: Vec::new(),
        };
        Submission::new(site, work, campaign, Some("run".to_owned())).unwrap()
    }

    fn round(next: Result<Next, SlurmError>) -> (u32, Vec<u64>, u32) {
        match next.unwrap() {
            Next::Jobs(round) => (round.round, round.missing, round.idle),
            Next::Nothing => panic!("there is something to do"),
        }
    }

    #[test]
    fn a_round_does_what_is_missing_and_gives_up_where_nothing_helps() {
        let folder = tempfile::tempdir().unwrap();
        let campaign = campaign(folder.path(), 3);
        let submission = submission(folder.path(), &campaign, Site::load(None).unwrap());
        create_folders(submission.folder()).unwrap();
        let done = |shard| std::fs::write(campaign.shard_file(shard), b"").unwrap();
        assert_eq!(round(submission.first(&campaign, None)), (0, vec![0, 1, 2], 0));
        submission.keep(&Round { missing: vec![0, 1, 2], ..Round::default() }).unwrap();
        done(1);
        let Next::Jobs(second) = submission.next(&campaign, 1).unwrap() else { panic!("none") };
        assert_eq!((second.missing.as_slice(), second.idle), (&[0, 2][..], 0));
        submission.keep(&second).unwrap();
        // The last job may be begun again while those of its round are at work.
        done(2);
        assert_eq!(round(submission.next(&campaign, 1)), (1, vec![0, 2], 0));
        for (number, idle) in [(2, 0), (3, 1), (4, 2)] {
            let Next::Jobs(next) = submission.next(&campaign, number).unwrap() else {
                panic!("none")
            };
            assert_eq!((next.missing.as_slice(), next.idle), (&[0][..], idle));
            submission.keep(&next).unwrap();
        }
        let ended = submission.next(&campaign, 5).unwrap_err().to_string();
        assert!(ended.starts_with("shards 0 are still not done after 3 rounds"), "{ended}");
        assert!(matches!(submission.next(&campaign, 9), Err(SlurmError::Note { .. })));
        done(0);
        assert_eq!(round(submission.first(&campaign, None)), (0, vec![], 0));
        create_folders(&folder.path().join("release")).unwrap();
        assert_eq!(submission.first(&campaign, None).unwrap(), Next::Nothing);
    }

    #[test]
    fn arrays_share_what_may_run_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let campaign = campaign(folder.path(), 7);
        let site = Site { at_once: 5, ..Site::load(None).unwrap() };
        let submission = submission(&folder.path().join("100%"), &campaign, site);
        let round = Round { missing: (0..7).collect(), ..Round::default() };
        let jobs = submission.arrays(&round, 5).unwrap();
        let told = |job: &Job, option: &str| job.options.iter().any(|it| it == option);
        assert_eq!((jobs.len(), jobs[1].argument), (2, 4));
        assert!(told(&jobs[0], "--array=0-3%2") && told(&jobs[1], "--array=0-2%2"));
        assert!(jobs[1].output.ends_with("100%%/out/slurm/run/logs/r0-p1-%a.log"));
        assert!(matches!(submission.arrays(&round, 0), Err(SlurmError::NoArrays)));
        let text = submission.describe(&round, 5).unwrap();
        assert!(text.ends_with("finish.sh 0\n"), "{text}");
        assert!(text.contains("sbatch --dependency=afterany:$job0:$job1 --parsable"), "{text}");
        let bent =
            self::submission(&folder.path().join("a\\b"), &campaign, Site::load(None).unwrap());
        assert!(matches!(bent.arrays(&round, 5), Err(SlurmError::Name { .. })));
    }
}
