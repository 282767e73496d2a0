//! Names that lead to something other than a regular file.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::support;
use crate::support::lrs::{Layout, Lrs};

/// A link, FIFO or device that was opened carelessly would hold up the run until it is ended.
const PATIENCE: Duration = Duration::from_mins(1);

#[test]
fn what_is_no_regular_file_is_one_reject_each_and_nothing_waits() {
    if !support::has_library("special files") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("locked.fits"), Lrs::star(1).to_fits(Layout::Image)).unwrap();
    fs::set_permissions(path("locked.fits"), fs::Permissions::from_mode(0o000)).unwrap();
    // Root may read anything, so that there the file is no defect.
    let root_reads = fs::read(path("locked.fits")).is_ok();
    fs::create_dir(path("empty.fits")).unwrap();
    symlink(path("nowhere"), path("dangling.fits")).unwrap();
    symlink(path("loop.fits"), path("loop.fits")).unwrap();
    symlink("/dev/zero", path("zero.fits")).unwrap();
    symlink("/dev/null", path("null.fits")).unwrap();
    let made = Command::new("mkfifo").arg(path("fifo.fits")).status().unwrap();
    assert!(made.success());
    let _listener = UnixListener::bind(path("socket.fits")).unwrap();
    let names = [
        "locked.fits",
        "empty.fits",
        "dangling.fits",
        "loop.fits",
        "zero.fits",
        "null.fits",
        "fifo.fits",
        "socket.fits",
        "absent.fits",
        "none*.fits",
    ];
    let paths: Vec<PathBuf> = names.iter().map(|name| path(name)).collect();
    let paths: Vec<&Path> = paths.iter().map(PathBuf::as_path).collect();
    let mut child = support::starmill(&["run", "--model", "fcresnet", "--out"])
        .arg(path("out"))
        .args(&paths)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let begin = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if begin.elapsed() > PATIENCE {
            child.kill().unwrap();
            panic!("the run waits for something that is no regular file");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let output = child.wait_with_output().unwrap();
    let (rows, files) = (usize::from(root_reads), names.len());
    support::assert_ended(
        &output,
        1,
        &format!("rows={rows} rejects={} files={files}", files - rows),
    );
}

#[test]
fn links_that_lead_in_circles_and_deep_folders_end() {
    if !support::has_library("links and deep folders") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("input");
    fs::create_dir_all(root.join("sub")).unwrap();
    fs::write(root.join("sub/good.fits"), Lrs::star(1).to_fits(Layout::Table)).unwrap();
    symlink(&root, root.join("sub/up")).unwrap();
    symlink(root.join("b"), root.join("a")).unwrap();
    symlink(root.join("a"), root.join("b")).unwrap();
    // Deeper than any name may be long: made step by step, as an archive's program would.
    let name = "d".repeat(200);
    let script = format!("for i in $(seq 25); do mkdir {name} && cd -P {name} || exit 1; done");
    let made = Command::new("bash").args(["-c", &script]).current_dir(&root).status().unwrap();
    assert!(made.success());
    let output = support::run(&folder.path().join("out"), &[&root]);
    // The two links that lead to each other, and the folder whose name is too long to be searched.
    support::assert_ended(&output, 1, "rows=1 rejects=3 files=4");
    let removed = Command::new("rm").arg("-rf").arg(&root).status().unwrap();
    assert!(removed.success());
}
