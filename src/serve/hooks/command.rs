//! A command with an end: it gets its input at once, its output is kept as far as it is useful, and
//! when its time is over it is killed with all that it has started.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

/// Output that is kept for the log; the rest is read and forgotten.
const MOST_OUTPUT: usize = 4096;
/// How often the command is looked at.
const BEAT: Duration = Duration::from_millis(20);

/// How a command ended.
#[derive(Debug)]
pub(super) struct Ran {
    /// `None`: its time was over.
    pub(super) status: Option<ExitStatus>,
    /// The beginning of what it wrote to both of its outputs.
    pub(super) output: String,
}

/// Runs a command with this text on its standard input.
///
/// # Errors
/// Those of starting it.
pub(super) fn run(argv: &[String], input: &str, limit: Duration) -> std::io::Result<Ran> {
    let deadline = Instant::now() + limit;
    let (mut output, writer) = std::io::pipe()?;
    // Whatever holds the other end open, a read returns.
    rustix::io::ioctl_fionbio(&output, true)?;
    let mut child = Command::new(&argv[0])
        .args(&argv[1..])
        .stdin(Stdio::piped())
        .stdout(writer.try_clone()?)
        .stderr(writer)
        .process_group(0)
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // A pipe holds 64 KiB, more than any event; a command that does not read is not at fault.
        rustix::io::ioctl_fionbio(&stdin, true)?;
        let _ = stdin.write_all(input.as_bytes()).and_then(|()| stdin.write_all(b"\n"));
    }
    let mut kept = Vec::new();
    let in_time = loop {
        drain(&mut output, &mut kept);
        if has_exited(&child)? {
            break true;
        }
        if Instant::now() >= deadline {
            break false;
        }
        std::thread::sleep(BEAT);
    };
    // The child is not reaped yet, so that its number is still its group's.
    kill_group(&child);
    let status = child.wait()?;
    drain(&mut output, &mut kept);
    let output = String::from_utf8_lossy(&kept).trim_end().to_owned();
    Ok(Ran { status: in_time.then_some(status), output })
}

fn pid(child: &Child) -> Option<Pid> {
    i32::try_from(child.id()).ok().and_then(Pid::from_raw)
}

fn has_exited(child: &Child) -> std::io::Result<bool> {
    let Some(pid) = pid(child) else { return Ok(true) };
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
    Ok(waitid(WaitId::Pid(pid), options)?.is_some())
}

fn kill_group(child: &Child) {
    if let Some(pid) = pid(child) {
        // It is well if nobody is left.
        let _ = kill_process_group(pid, Signal::KILL);
    }
}

/// Reads what is there, at most so much at once that a chatty command cannot hold the loop.
fn drain(output: &mut impl Read, kept: &mut Vec<u8>) {
    let mut buffer = [0; 4096];
    for _ in 0..64 {
        match output.read(&mut buffer) {
            Ok(0) => return,
            Ok(length) => {
                let room = MOST_OUTPUT - kept.len();
                kept.extend_from_slice(&buffer[..length.min(room)]);
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}
