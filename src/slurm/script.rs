//! The two scripts of a backfill: that of a task, and that of the last job. They are the same in every
//! round; which shards and which round it is are their arguments.

use std::path::{Path, PathBuf};

use super::site::variable;
use super::{Site, SlurmError};

/// What is to be done, with absolute paths.
#[derive(Debug, Clone)]
pub struct Work {
    /// The program on the nodes.
    pub program: PathBuf,
    /// Where it runs: models and libraries may be looked for there.
    pub home: PathBuf,
    /// The configuration file.
    pub config: Option<PathBuf>,
    /// The plan's folder.
    pub plan: PathBuf,
    /// How many shards the plan has.
    pub shards: u64,
    /// The model.
    pub model: String,
    /// The folder that all shards share.
    pub out: PathBuf,
    /// The folder of the release.
    pub release: PathBuf,
    /// The folder for what is worked on, if the configuration names one.
    pub scratch: Option<PathBuf>,
    /// Further arguments of `backfill merge`.
    pub merge: Vec<String>,
}

/// The two scripts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scripts {
    /// Of a task: `shard.sh FIRST` does the shard FIRST + the index of the task.
    pub shard: String,
    /// Of the last job: `finish.sh ROUND`.
    pub finish: String,
}

impl Scripts {
    /// The scripts of a submission whose folder and name are these.
    ///
    /// # Errors
    /// [`SlurmError::Name`] if a path cannot be written into a script.
    pub fn write(site: &Site, work: &Work, folder: &Path, run: &str) -> Result<Self, SlurmError> {
        Ok(Self { shard: shard(site, work)?, finish: finish(site, work, folder, run)? })
    }
}

fn shard(site: &Site, work: &Work) -> Result<String, SlurmError> {
    let Work { model, shards, .. } = work;
    let (plan, out) = (quoted(&work.plan)?, quoted(&work.out)?);
    let model = quote(model)?;
    let device = site.device().map(quote).transpose()?;
    let device = device.map(|device| format!(" --device {device}")).unwrap_or_default();
    let (before, scratch) = (before(site)?, scratch(site, work)?);
    let (starmill, requeues) = (starmill(work)?, site.requeues);
    Ok(format!(
        r#"#!/bin/bash
# One task: the shard FIRST + its index. Written by `starmill backfill submit`, begun by sbatch as
# shard.sh FIRST. Exit codes are those of `starmill backfill run`.
shard=$(($1 + SLURM_ARRAY_TASK_ID)) try=${{SLURM_RESTART_COUNT:-0}} program=''
printf 'shard %s, try %s, node %s\n' "$shard" "$try" "$SLURMD_NODENAME"

# USR1 comes before the time is up, to this shell alone. TERM comes when the job is cancelled, requeued
# or preempted, and to the program as well, which would take a second one for a wish to leave at once.
heard='' ended=''
trap 'heard=yes; [ -z "$program" ] || kill -TERM "$program"' USR1
trap 'heard=yes ended=yes' TERM
{before}
# The ledger of a shard is a database, for which a network's disk is no place.
scratch={scratch}/starmill-$SLURM_JOB_ID-$try
mkdir -p "$scratch" || exit 75
trap 'rm -rf -- "$scratch"' EXIT
[ -z "$heard" ] || exit 75

{starmill} backfill run {plan} --shard "$shard/{shards}" \
  --model {model} --out {out} --scratch "$scratch"{device} &
program=$!
# A signal ends the wait, not the program.
while wait "$program"; code=$?; [ "$code" -gt 128 ] && [ -n "$heard" ]; do heard=''; done

# 75: what there is was kept, and another try goes on from it. Whoever ended the job has plans of their
# own for it. The number of the job would mean the whole array where it is that of the first task.
if [ "$code" -eq 75 ] && [ -z "$ended" ] && [ "$try" -lt {requeues} ]; then
  for pause in 1 2 4 8 16; do
    scontrol requeue "${{SLURM_ARRAY_JOB_ID}}_$SLURM_ARRAY_TASK_ID" && break
    sleep "$pause"
  done
fi
exit "$code"
"#
    ))
}

fn finish(site: &Site, work: &Work, folder: &Path, run: &str) -> Result<String, SlurmError> {
    let (plan, out, release) = (quoted(&work.plan)?, quoted(&work.out)?, quoted(&work.release)?);
    let (model, before, starmill) = (quote(&work.model)?, before(site)?, starmill(work)?);
    let site = quoted(&folder.join("site.toml"))?;
    let mut merge = String::new();
    for word in &work.merge {
        merge.push(' ');
        merge.push_str(&quote(word)?);
    }
    let again = if merge.is_empty() { String::new() } else { format!(" --{merge}") };
    Ok(format!(
        r"#!/bin/bash
# The last job: when all tasks of a round have ended, however they did, it merges the shards or submits
# those that are missing once more. Written by `starmill backfill submit`, begun by sbatch as
# finish.sh ROUND.
round=$1
{before}
{starmill} backfill status {plan} --out {out}
case $? in
  0) exec {starmill} backfill merge {plan} --shards {out} --out {release}{merge} ;;
  1) exec {starmill} backfill submit {plan} --model {model} --out {out} \
    --release {release} --site {site} --run {run} --round $((round + 1)){again} ;;
  *) exit 2 ;;
esac
"
    ))
}

/// The site's own lines.
fn before(site: &Site) -> Result<String, SlurmError> {
    let mut lines = String::new();
    for line in &site.prologue {
        lines.push_str(line);
        lines.push('\n');
    }
    for module in &site.modules {
        lines.push_str(&format!("module load {} || exit 1\n", quote(module)?));
    }
    Ok(if lines.is_empty() { lines } else { format!("\n{lines}") })
}

/// The folder of the node as a word of the shell.
fn scratch(site: &Site, work: &Work) -> Result<String, SlurmError> {
    if let Some((name, rest)) = variable(&site.scratch)? {
        let rest = if rest.is_empty() { String::new() } else { quote(rest)? };
        return Ok(format!(
            "${{{name}:?is not set on this node, see scratch in the site file}}{rest}"
        ));
    }
    match &work.scratch {
        _ if !site.scratch.is_empty() => quote(&site.scratch),
        Some(scratch) => quoted(scratch),
        None => Ok("${TMPDIR:-/tmp}".to_owned()),
    }
}

fn starmill(work: &Work) -> Result<String, SlurmError> {
    let mut words = quoted(&work.program)?;
    if let Some(config) = &work.config {
        words.push_str(" --config ");
        words.push_str(&quoted(config)?);
    }
    Ok(words)
}

fn quoted(path: &Path) -> Result<String, SlurmError> {
    let none = || name_error(path, "it is no text");
    quote(path.to_str().ok_or_else(none)?)
}

/// A text as one word of the shell, as it stands where no shell would see more in it.
pub(super) fn quote(text: &str) -> Result<String, SlurmError> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./=,:%@+".contains(&byte);
    if !text.is_empty() && text.bytes().all(is_plain) {
        return Ok(text.to_owned());
    }
    let quoted = shlex::try_quote(text);
    let quoted = quoted.map_err(|_| name_error(Path::new(text), "it has a byte of value 0"))?;
    Ok(quoted.into_owned())
}

pub(super) fn name_error(path: &Path, problem: &'static str) -> SlurmError {
    SlurmError::Name { path: path.to_owned(), problem }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::process::Command;

    use super::*;

    const HOSTILE: &str = "a b'c\"d$(touch x)`touch y`;*\\\n#";

    fn work(folder: &Path) -> Work {
        Work {
            program: folder.join("program").join(HOSTILE),
            home: folder.to_owned(),
            config: Some(folder.join(HOSTILE)),
            plan: folder.join("plan").join(HOSTILE),
            shards: 12,
            model: HOSTILE.to_owned(),
            out: folder.join("out").join(HOSTILE),
            release: folder.join("release"),
            scratch: Some(folder.join("scratch").join(HOSTILE)),
            merge: vec!["--name".to_owned(), HOSTILE.to_owned()],
        }
    }

    /// Puts a program there that notes its arguments, and ends with this code.
    fn put(path: &Path, lines: &str) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, format!("#!/bin/bash\n{lines}\n")).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn begin(folder: &Path, script: &str, argument: &str) -> Command {
        let place = folder.join("script.sh");
        std::fs::write(&place, script).unwrap();
        let mut command = Command::new("bash");
        let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
        command.arg(place).arg(argument).current_dir(folder).env("PATH", path);
        for (name, value) in [
            ("SLURM_JOB_ID", "9"),
            ("SLURM_ARRAY_JOB_ID", "7"),
            ("SLURM_ARRAY_TASK_ID", "4"),
            ("SLURMD_NODENAME", "n1"),
        ] {
            command.env(name, value);
        }
        command.env_remove("SLURM_RESTART_COUNT").env("NOTES", folder.join("notes"));
        command
    }

    const NOTE: &str = "printf '<%s>' \"$@\" >>\"$NOTES\"";

    #[test]
    fn hostile_names_are_words() {
        let folder = tempfile::tempdir().unwrap();
        let work = work(folder.path());
        put(&work.program, NOTE);
        let site = Site::load(None).unwrap();
        let scripts = Scripts::write(&site, &work, folder.path(), "run").unwrap();
        let ended = begin(folder.path(), &scripts.shard, "1000").status().unwrap();
        assert!(ended.success());
        let notes = std::fs::read_to_string(folder.path().join("notes")).unwrap();
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        let scratch = format!("{}/starmill-9-0", text(work.scratch.as_deref().unwrap()));
        let expected = [
            "--config",
            &text(work.config.as_deref().unwrap()),
            "backfill",
            "run",
            &text(&work.plan),
            "--shard",
            "1004/12",
            "--model",
            HOSTILE,
            "--out",
            &text(&work.out),
            "--scratch",
            &scratch,
        ];
        assert_eq!(notes, expected.map(|word| format!("<{word}>")).concat());
        assert!(!Path::new(&scratch).exists(), "the scratch of a try stays");
        assert!(!folder.path().join("x").exists() && !folder.path().join("y").exists());
        std::fs::remove_file(folder.path().join("notes")).unwrap();
        put(&work.program, &format!("{NOTE}; [ \"$4\" != status ] || exit 1"));
        assert!(begin(folder.path(), &scripts.finish, "2").status().unwrap().success());
        let notes = std::fs::read_to_string(folder.path().join("notes")).unwrap();
        assert!(notes.contains("<--run><run><--round><3><--><--name>"), "{notes}");
        assert!(notes.ends_with(&format!("<{HOSTILE}>")), "{notes}");
    }

    #[test]
    fn a_task_begins_itself_again_after_75_alone_and_not_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let work = work(folder.path());
        put(&folder.path().join("scontrol"), NOTE);
        let site = Site::load(None).unwrap();
        let scripts = Scripts::write(&site, &work, folder.path(), "run").unwrap();
        let tried = |code: u8, restarts: &str| {
            put(&work.program, &format!("exit {code}"));
            let mut command = begin(folder.path(), &scripts.shard, "0");
            let ended = command.env("SLURM_RESTART_COUNT", restarts).status().unwrap();
            assert_eq!(ended.code(), Some(i32::from(code)));
            let notes = folder.path().join("notes");
            let said = std::fs::read_to_string(&notes).unwrap_or_default();
            let _ = std::fs::remove_file(notes);
            said
        };
        assert_eq!(tried(75, "0"), "<requeue><7_4>");
        assert_eq!(tried(75, "20"), "");
        assert_eq!(tried(0, "0"), "");
        assert_eq!(tried(2, "0"), "");
        assert_eq!(tried(137, "0"), "");
    }

    #[test]
    fn a_warning_reaches_the_program_once_and_an_end_is_not_undone() {
        let folder = tempfile::tempdir().unwrap();
        let work = work(folder.path());
        put(&folder.path().join("scontrol"), NOTE);
        let program = "trap 'printf TERM >>\"$NOTES\"; kept=yes' TERM\ntouch ready\n\
            until [ \"$kept\" ]; do sleep 0.05; done\nsleep 0.3; exit 75";
        put(&work.program, program);
        let site = Site::load(None).unwrap();
        let scripts = Scripts::write(&site, &work, folder.path(), "run").unwrap();
        for (signal, group, expected) in [("USR1", "", "TERM<requeue><7_4>"), ("TERM", "-", "TERM")]
        {
            let mut command = begin(folder.path(), &scripts.shard, "0");
            std::os::unix::process::CommandExt::process_group(&mut command, 0);
            let mut child = command.spawn().unwrap();
            let ready = folder.path().join("ready");
            while !ready.exists() {
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
            std::fs::remove_file(ready).unwrap();
            let target = format!("{group}{}", child.id());
            let kill = Command::new("kill").args(["-s", signal, "--", &target]).status().unwrap();
            assert!(kill.success());
            assert_eq!(child.wait().unwrap().code(), Some(75), "{signal}");
            let notes = folder.path().join("notes");
            assert_eq!(std::fs::read_to_string(&notes).unwrap(), expected, "{signal}");
            std::fs::remove_file(notes).unwrap();
        }
    }

    #[test]
    fn lines_of_the_site_come_first() {
        let folder = tempfile::tempdir().unwrap();
        let mut site = Site::load(None).unwrap();
        site.prologue = vec!["module() { printf '<%s>' \"$@\" >>\"$NOTES\"; }".to_owned()];
        site.modules = vec!["cuda/12".to_owned(), "a b".to_owned()];
        site.scratch = "$SPACE/b'c".to_owned();
        let work = work(folder.path());
        put(&work.program, NOTE);
        let scripts = Scripts::write(&site, &work, folder.path(), "run").unwrap();
        let mut command = begin(folder.path(), &scripts.shard, "0");
        assert!(!command.env_remove("SPACE").status().unwrap().success());
        std::fs::remove_file(folder.path().join("notes")).unwrap();
        let space = folder.path().join("sp ace");
        let mut command = begin(folder.path(), &scripts.shard, "0");
        assert!(command.env("SPACE", &space).status().unwrap().success());
        let notes = std::fs::read_to_string(folder.path().join("notes")).unwrap();
        assert!(notes.starts_with("<load><cuda/12><load><a b><--config>"), "{notes}");
        let scratch = format!("<{}/b'c/starmill-9-0>", space.display());
        assert!(notes.ends_with(&scratch), "{notes}");
    }
}
