//! Names of files: each is only a name, and each comes back from the catalogue.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use proptest::prelude::*;
use starmill::catalogue::path_text;

use crate::support;
use crate::support::lrs::{Layout, Lrs};

/// Names that mean something to CFITSIO, a shell, a pattern, a list, a terminal or a database.
const NAMES: [&[u8]; 34] = [
    b"a.fits[1]",
    b"a.fits[1][col x=y]",
    b"a.fits[1:100,1:5]",
    b"a.fits+1",
    b"a.fits(copy.fits)",
    b"!b.fits",
    b"mem:x.fits",
    b"shmem:h7",
    b"stdin.fits",
    b"file:x.fits",
    b"root:x.fits",
    b"x.fits.gz",
    b"-",
    b"--",
    b"-x.fits",
    b"--help",
    b"--out=y.fits",
    b"@list.fits",
    b"~.fits",
    b"$HOME.fits",
    b"`id`.fits",
    b"e;rm -rf.fits",
    b"c\nd.fits",
    b"\t.fits",
    b" ",
    b".fits",
    b"'q\"uote'.fits",
    b"*.fits",
    b"?[a-z]{x,y}.fits",
    b"back\\slash.fits",
    b"%00%.fits",
    b"f\xff.fits",
    b"\xe2\x80\xae\xe2\x80\x8b.fits",
    b"\x1b[2J.fits",
];

/// The column `file` of a catalogue.
fn files(out: &Path) -> BTreeSet<String> {
    super::column(&out.join("catalogue.parquet"), "file").into_iter().collect()
}

/// The bytes of a name from its text in the catalogue: `%` and two digits stand for a byte.
fn name_of(text: &str) -> Option<Vec<u8>> {
    let mut parts = text.split('%');
    let mut name = parts.next()?.as_bytes().to_vec();
    for part in parts {
        name.push(u8::from_str_radix(part.get(..2)?, 16).ok()?);
        name.extend(&part.as_bytes()[2..]);
    }
    Some(name)
}

#[test]
fn each_name_is_one_row_under_its_own_name() {
    if !support::has_library("odd names") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("input");
    fs::create_dir_all(input.join("a.fits")).unwrap();
    let long = [&[b'n'; 250], b".fits".as_slice()].concat();
    let nested: [&[u8]; 2] = [b"a.fits/in[0].fits", b"a.fits/../up.fits"];
    let mut paths = Vec::new();
    for (seed, name) in (10..).zip(NAMES.into_iter().chain(nested).chain([&*long])) {
        let path = input.join(OsStr::from_bytes(name));
        fs::write(&path, Lrs::star(seed).to_fits(Layout::Table)).unwrap();
        paths.push(path);
    }
    let out = folder.path().join("out");
    let named: Vec<&Path> = paths.iter().map(PathBuf::as_path).collect();
    let output = support::run(&out, &named);
    let count = paths.len();
    support::assert_ended(&output, 0, &format!("rows={count} rejects=0 files={count}"));
    let printed = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!printed.contains('\u{1b}'), "a name reaches the terminal: {printed:?}");
    let expected: BTreeSet<_> =
        paths.iter().map(|path| path.as_os_str().as_bytes().to_vec()).collect();
    let found: BTreeSet<_> = files(&out).iter().filter_map(|text| name_of(text)).collect();
    assert_eq!(found, expected);
}

#[test]
fn names_that_look_like_options_are_names_behind_two_dashes_and_in_a_list() {
    if !support::has_library("names like options") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let names = ["-x.fits", "--help", "-", "[y].fits"];
    for (seed, name) in (60..).zip(names) {
        fs::write(folder.path().join(name), Lrs::star(seed).to_fits(Layout::Image)).unwrap();
    }
    // Relative names are the dangerous ones, so the program runs where the files are.
    let library = fs::canonicalize(starmill_onnx::find_library(None).unwrap()).unwrap();
    let config = folder.path().join("config.toml");
    let models = support::root().join("onnx/models");
    let text = format!("[models]\ndir = {models:?}\n[onnx]\nlibrary = {library:?}\n");
    fs::write(&config, text).unwrap();
    let run = |out: &str, more: &[&str]| {
        let mut command = support::starmill(&["--config", config.to_str().unwrap(), "run"]);
        command.args(["--model", "fcresnet", "--out", out]).args(more);
        command.current_dir(folder.path());
        command
    };
    let output = run("out1", &["--", "-x.fits", "--help", "./-", "[y].fits"]).output().unwrap();
    support::assert_ended(&output, 0, "rows=4 rejects=0 files=4");

    let mut child = run("out2", &["-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let list = b"-x.fits\r\n--help\n\n./-\n[y].fits";
    child.stdin.take().unwrap().write_all(list).unwrap();
    let output = child.wait_with_output().unwrap();
    support::assert_ended(&output, 0, "rows=4 rejects=0 files=4");
    let expected = ["-x.fits", "--help", "./-", "[y].fits"].map(String::from);
    assert_eq!(files(&folder.path().join("out2")), BTreeSet::from(expected));
}

proptest! {
    #[test]
    fn different_names_have_different_texts(name: Vec<u8>) {
        let text = path_text(Path::new(OsStr::from_bytes(&name)));
        prop_assert!(text.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
        prop_assert_eq!(name_of(&text), Some(name));
    }
}
