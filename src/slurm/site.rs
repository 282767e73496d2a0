//! What a cluster is like: partition, account, limits, modules. `ops/slurm/site.toml` explains every
//! key and holds the defaults.

use std::path::Path;

use serde::Deserialize;

use super::SlurmError;

const DEFAULT: &str = include_str!("../../ops/slurm/site.toml");

/// What a job may use.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resources {
    pub partition: String,
    pub account: String,
    pub qos: String,
    pub constraint: String,
    pub time: String,
    pub memory: String,
    pub cpus: u32,
    pub gpus: u32,
    pub extra: Vec<String>,
}

/// What a cluster is like.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "ops/slurm/site.toml documents every key")]
pub struct Site {
    pub program: String,
    pub prologue: Vec<String>,
    pub modules: Vec<String>,
    pub scratch: String,
    pub device: String,
    pub grace: u32,
    pub at_once: u64,
    pub requeues: u32,
    pub rounds: u32,
    pub shard: Resources,
    pub merge: Resources,
}

/// Options that the program sets itself, or that would take the answer away from it.
const OWN: [&str; 19] = [
    "array",
    "bell",
    "chdir",
    "clusters",
    "comment",
    "dependency",
    "error",
    "input",
    "job-name",
    "no-requeue",
    "open-mode",
    "output",
    "parsable",
    "quiet",
    "requeue",
    "signal",
    "test-only",
    "wait",
    "wrap",
];

impl Site {
    /// The defaults, overlaid with the file at `path` if one is given, and checked.
    ///
    /// # Errors
    /// [`SlurmError::SiteFile`] or [`SlurmError::Site`] if it is wrong, [`SlurmError::Io`] if it cannot
    /// be read.
    pub fn load(path: Option<&Path>) -> Result<Self, SlurmError> {
        let Some(path) = path else { return Self::parse("", Path::new("built-in defaults")) };
        let text = std::fs::read_to_string(path).map_err(SlurmError::io(path))?;
        Self::parse(&text, path)
    }

    fn parse(text: &str, path: &Path) -> Result<Self, SlurmError> {
        let wrong = |error: toml::de::Error| SlurmError::SiteFile {
            path: path.to_owned(),
            problem: error.to_string().trim_end().to_owned(),
        };
        let mut table: toml::Table = DEFAULT.parse().map_err(wrong)?;
        let own: toml::Table = text.parse().map_err(wrong)?;
        crate::config::overlay(&mut table, own);
        let site: Self = table.try_into().map_err(wrong)?;
        site.validate()?;
        Ok(site)
    }

    fn validate(&self) -> Result<(), SlurmError> {
        one_line("program", &self.program)?;
        one_line("scratch", &self.scratch)?;
        one_line("device", &self.device)?;
        for line in &self.prologue {
            one_line("prologue", line)?;
        }
        for module in &self.modules {
            one_line("modules", module)?;
            check("modules", module, !module.is_empty(), "a module has a name")?;
        }
        let place = self.scratch.is_empty() || self.scratch.starts_with(['/', '$']);
        check(
            "scratch",
            &self.scratch,
            place,
            "a folder from / on, $NAME or $NAME/folder is needed",
        )?;
        variable(&self.scratch)?;
        let grace = self.grace.to_string();
        let minutes = "10 to 65535 seconds are needed";
        check("grace", &grace, (10..=65_535).contains(&self.grace), minutes)?;
        let rounds = self.rounds.to_string();
        check("rounds", &rounds, (1..=100).contains(&self.rounds), "1 to 100 are needed")?;
        let requeues = self.requeues.to_string();
        check("requeues", &requeues, self.requeues <= 1000, "0 to 1000 are needed")?;
        self.shard.validate()?;
        self.merge.validate()?;
        let Some(limit) = seconds_of(&self.shard.time) else { return Ok(()) };
        let later = "the time limit must be longer than grace";
        check("shard.time", &self.shard.time, limit > u64::from(self.grace), later)
    }

    /// Where the model runs, if the site says so.
    pub fn device(&self) -> Option<&str> {
        match self.device.as_str() {
            "" if self.shard.gpus > 0 => Some("cuda"),
            "" => None,
            device => Some(device),
        }
    }
}

impl Resources {
    fn validate(&self) -> Result<(), SlurmError> {
        let Self { partition, account, qos, constraint, time, memory, .. } = self;
        for (key, value) in [
            ("partition", partition),
            ("account", account),
            ("qos", qos),
            ("constraint", constraint),
            ("memory", memory),
        ] {
            one_line(key, value)?;
        }
        let form = "a time is minutes, H:MM:SS, D-HH or D-HH:MM:SS";
        check("time", time, time.is_empty() || seconds_of(time).is_some(), form)?;
        let amount = memory.trim_end_matches(['K', 'M', 'G', 'T']);
        let digits = amount.bytes().all(|byte| byte.is_ascii_digit());
        let fits =
            digits && memory.len() - amount.len() <= 1 && memory.is_empty() == amount.is_empty();
        check("memory", memory, fits, "a memory is a number with K, M, G or T, such as 4G")?;
        let cpus = self.cpus.to_string();
        check("cpus", &cpus, (1..=4096).contains(&self.cpus), "1 to 4096 are needed")?;
        let gpus = self.gpus.to_string();
        check("gpus", &gpus, self.gpus <= 64, "0 to 64 are needed")?;
        for option in &self.extra {
            one_line("extra", option)?;
            let name = option.strip_prefix("--").map(|it| it.split_once('=').map_or(it, |it| it.0));
            let form = "an option is written as --name or --name=value";
            let named =
                name.is_some_and(|name| !name.is_empty() && !name.contains(char::is_whitespace));
            check("extra", option, named, form)?;
            // sbatch takes any beginning of an option's name that is unique.
            let ours = name.is_some_and(|name| OWN.iter().any(|own| own.starts_with(name)));
            check("extra", option, !ours, "the program sets this option itself; leave it out")?;
        }
        Ok(())
    }

    /// The options of `sbatch` that ask for this.
    pub fn options(&self) -> Vec<String> {
        let mut options = vec!["--nodes=1".to_owned(), "--ntasks=1".to_owned()];
        options.push(format!("--cpus-per-task={}", self.cpus));
        for (name, value) in [
            ("partition", &self.partition),
            ("account", &self.account),
            ("qos", &self.qos),
            ("constraint", &self.constraint),
            ("time", &self.time),
            ("mem", &self.memory),
        ] {
            if !value.is_empty() {
                options.push(format!("--{name}={value}"));
            }
        }
        if self.gpus > 0 {
            options.push(format!("--gpus={}", self.gpus));
        }
        options.extend(self.extra.iter().cloned());
        options
    }
}

fn check(
    key: &'static str,
    value: &str,
    fits: bool,
    needs: &'static str,
) -> Result<(), SlurmError> {
    if fits { Ok(()) } else { Err(SlurmError::Site { key, value: value.to_owned(), needs }) }
}

/// No control characters, of which a newline would begin another line of a script.
fn one_line(key: &'static str, value: &str) -> Result<(), SlurmError> {
    let plain = value.chars().all(|it| !it.is_control() || it == '\t');
    check(key, value, plain, "one line without control characters is needed")
}

/// The environment's variable with which a value begins, and the rest.
///
/// # Errors
/// [`SlurmError::Site`] if what follows the `$` is no name.
pub(super) fn variable(value: &str) -> Result<Option<(&str, &str)>, SlurmError> {
    let Some(rest) = value.strip_prefix('$') else { return Ok(None) };
    let is_name = |it: char| it.is_ascii_alphanumeric() || it == '_';
    let (name, rest) = match rest.strip_prefix('{') {
        Some(braced) => braced.split_once('}').unwrap_or(("", rest)),
        None => rest.split_at(rest.find(|it| !is_name(it)).unwrap_or(rest.len())),
    };
    let named = name.starts_with(|it: char| it.is_ascii_alphabetic() || it == '_')
        && name.chars().all(is_name)
        && (rest.is_empty() || rest.starts_with('/'));
    check("scratch", value, named, "a folder from / on, $NAME or $NAME/folder is needed")?;
    Ok(Some((name, rest)))
}

/// The seconds of a time as Slurm writes it.
fn seconds_of(time: &str) -> Option<u64> {
    let number = |text: &str| text.parse::<u32>().ok().map(u64::from);
    let (days, rest) = match time.split_once('-') {
        Some((days, rest)) => (Some(number(days)?), rest),
        None => (None, time),
    };
    let fields = rest.split(':').map(number).collect::<Option<Vec<_>>>()?;
    let seconds = match (days, fields.as_slice()) {
        (None, [minutes]) => minutes * 60,
        (None, [minutes, seconds]) => minutes * 60 + seconds,
        (Some(_), [hours]) => hours * 3600,
        (Some(_), [hours, minutes]) => hours * 3600 + minutes * 60,
        (_, [hours, minutes, seconds]) => hours * 3600 + minutes * 60 + seconds,
        _ => return None,
    };
    Some(days.unwrap_or(0) * 86_400 + seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Site, String> {
        Site::parse(text, Path::new("site.toml")).map_err(|error| error.to_string())
    }

    #[test]
    fn a_file_overlays_the_defaults() {
        let site = parse("at_once = 7\n[shard]\npartition = \"long\"\nextra = [\"--nice=5\"]\n");
        let site = site.unwrap();
        assert_eq!((site.at_once, site.rounds), (7, parse("").unwrap().rounds));
        let options = site.shard.options().join(" ");
        assert!(options.contains("--partition=long") && options.ends_with("--nice=5"), "{options}");
        assert!(!options.contains("--account"), "{options}");
        assert!(!site.merge.options().join(" ").contains("long"));
    }

    #[test]
    fn a_graphics_card_is_asked_for_and_used() {
        let site = parse("shard.gpus = 1").unwrap();
        assert!(site.shard.options().contains(&"--gpus=1".to_owned()));
        assert_eq!(site.device(), Some("cuda"));
        assert_eq!(parse("").unwrap().device(), None);
        assert_eq!(parse("device = \"cpu\"\nshard.gpus = 1").unwrap().device(), Some("cpu"));
    }

    #[test]
    fn what_slurm_or_a_shell_would_misread_is_refused() {
        for (text, word) in [
            ("shard.partition = \"a\\nb\"", "one line"),
            ("shard.account = \"a\\u0000\"", "one line"),
            ("prologue = [\"true\\nrm -r x\"]", "one line"),
            ("modules = [\"\"]", "has a name"),
            ("shard.memory = \"4 G; reboot\"", "memory"),
            ("shard.memory = \"G\"", "memory"),
            ("shard.time = \"soon\"", "a time is"),
            ("shard.time = \"1:2:3:4\"", "a time is"),
            ("grace = 600\nshard.time = \"10\"", "longer than grace"),
            ("grace = 1", "10 to 65535"),
            ("rounds = 0", "1 to 100"),
            ("shard.cpus = 0", "1 to 4096"),
            ("merge.extra = [\"--array=0-9\"]", "sets this option itself"),
            ("merge.extra = [\"--wra=reboot\"]", "sets this option itself"),
            ("merge.extra = [\"-d after:1\"]", "written as --name"),
            ("merge.extra = [\"--nice --hold\"]", "written as --name"),
            ("scratch = \"here\"", "from / on"),
            ("scratch = \"$(reboot)\"", "$NAME"),
            ("scratch = \"${TMPDIR\"", "$NAME"),
            ("scratch = \"$TMPDIR;reboot\"", "$NAME"),
            ("partitoin = \"a\"", "unknown field"),
            ("shard = 3", "site.toml has every key"),
        ] {
            let said = parse(text).expect_err(text);
            assert!(said.contains(word), "{text}: {said}");
        }
    }

    #[test]
    fn a_folder_may_begin_with_a_variable() {
        assert_eq!(variable("$TMPDIR").unwrap(), Some(("TMPDIR", "")));
        assert_eq!(variable("${A_1}/it's").unwrap(), Some(("A_1", "/it's")));
        assert_eq!(variable("/scratch/$x").unwrap(), None);
    }

    #[test]
    fn times_are_those_of_slurm() {
        for (text, seconds) in [
            ("90", Some(5400)),
            ("1:30", Some(90)),
            ("04:00:00", Some(14_400)),
            ("2-3", Some(183_600)),
            ("1-0:30", Some(88_200)),
            ("1-00:00:01", Some(86_401)),
            ("", None),
            ("1-", None),
            ("-1", None),
        ] {
            assert_eq!(seconds_of(text), seconds, "{text}");
        }
    }
}
