//! What is refused, and what is said of it.

use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::program::{printed, query};
use crate::release;
use crate::support::starmill;

#[track_caller]
fn refused(place: &Path, more: &[&str]) -> String {
    let output = query(place, more);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    said
}

#[test]
fn a_query_that_cannot_be_answered_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    release::write(folder.path(), &release::stars(60, 1), 100, 20);
    let cases = [
        ("SELECT tef FROM catalogue", "did you mean teff?"),
        ("SELECT c.snrg FROM catalogue AS c", "did you mean snr_g,"),
        ("SELECT qqq FROM catalogue", "pragma_table_info('catalogue')"),
        ("SELECT obsid FROM catalogue WHERE class = \"STAR\"", "single-quotes"),
        ("SELECT * FROM stars", "ask catalogue or rejects"),
        ("SELECT kpc(ra) FROM catalogue", "docs/querying.md"),
        ("SELEC obsid", "docs/querying.md"),
        ("SELECT 1; SELECT 2", "one after the other"),
        ("", "begin it with SELECT"),
        ("DELETE FROM catalogue", ""),
        ("CREATE TABLE a (b)", "begin it with SELECT"),
        ("CREATE TEMP TABLE a AS SELECT 1", "begin it with SELECT"),
        ("ATTACH '/etc/passwd' AS a", "begin it with SELECT"),
        ("PRAGMA query_only = 0", "begin it with SELECT"),
        ("PRAGMA hard_heap_limit = 0", "begin it with SELECT"),
        ("SELECT load_extension('a')", ""),
        ("VACUUM INTO '/tmp/never'", "begin it with SELECT"),
        ("SELECT has_flag(flags, 'poor') FROM catalogue", "poor_fit"),
        ("SELECT x'00'", "hex()"),
        ("SELECT zeroblob(1000000000)", ""),
    ];
    for (sql, says) in cases {
        let said = refused(folder.path(), &[sql]);
        assert!(said.contains(says), "{sql}: {said}");
    }
    let columns = "SELECT name FROM pragma_table_info('catalogue') WHERE cid = 1";
    assert_eq!(printed(folder.path(), &[columns, "--csv"]), "name\nspectrum_id\n");
    let out = folder.path().join("rows.txt");
    let said = refused(folder.path(), &["--out", out.to_str().unwrap()]);
    assert!(said.contains(".parquet"), "{said}");
}

#[test]
fn what_takes_too_long_or_too_much_ends() {
    let folder = tempfile::tempdir().unwrap();
    release::write(folder.path(), &release::stars(60, 1), 100, 20);
    let begun = Instant::now();
    let endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n)
                   SELECT max(x) FROM n";
    let said = refused(folder.path(), &[endless, "--timeout", "1"]);
    assert!(said.contains("not answered within 1 s"), "{said}");
    assert!(begun.elapsed() < Duration::from_mins(1));
    let mut asked = starmill(&["catalogue", "query"]);
    asked.arg(folder.path()).arg(endless).stderr(Stdio::piped());
    let mut child = asked.spawn().expect("the program starts");
    // It says nothing before it answers; in this time it begins to.
    std::thread::sleep(Duration::from_millis(500));
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(2), "{said}");
    assert!(said.contains("stopped when asked to"), "{said}");
    let huge = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 100)
                SELECT group_concat(hex(zeroblob(1000000))) FROM n";
    let said = refused(folder.path(), &[huge]);
    assert!(said.contains("too big") || said.contains("MiB"), "{said}");
}

#[test]
fn a_damaged_or_missing_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    release::write(folder.path(), &release::stars(400, 1), 100, 20);
    let is_partition = |path: &Path| path.to_string_lossy().contains("Npix=");
    let paths = walkdir::WalkDir::new(folder.path().join("dataset")).sort_by_file_name();
    let mut paths = paths.into_iter().map(|entry| entry.unwrap().into_path());
    let (first, second) = (
        paths.find(|path| is_partition(path) && path.is_file()).unwrap(),
        paths.find(|path| is_partition(path) && path.is_file()).unwrap(),
    );
    let mut file = std::fs::OpenOptions::new().read(true).write(true).open(&second).unwrap();
    // The middle of the file is pages, not the end that tells where they are.
    let place = file.metadata().unwrap().len() / 4;
    file.seek(SeekFrom::Start(place)).unwrap();
    let mut bytes = vec![0; 2000];
    file.read_exact(&mut bytes).unwrap();
    file.seek(SeekFrom::Start(place)).unwrap();
    file.write_all(&bytes.iter().map(|byte| !byte).collect::<Vec<u8>>()).unwrap();
    let name = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
    let said = refused(folder.path(), &["--csv"]);
    assert!(said.contains(&name(&second)) && said.contains("damaged"), "{said}");
    let cut = std::fs::read(&first).unwrap();
    std::fs::write(&first, &cut[..cut.len() - 100]).unwrap();
    let said = refused(folder.path(), &[]);
    assert!(said.contains(&name(&first)) && said.contains("damaged"), "{said}");
    std::fs::remove_file(&first).unwrap();
    let said = refused(folder.path(), &[]);
    assert!(said.contains(&name(&first)) && said.contains("No such file"), "{said}");
}
