//! How long queries take, and what memory: printed, not judged.

#![expect(clippy::print_stdout, reason = "the table is what it is for")]

use std::process::Command;
use std::time::Instant;

use crate::release;
use crate::support::root;

const STARS: usize = 1_000_000;

const QUERIES: [(&str, &str, &str); 7] = [
    ("count of all rows", "SELECT count(*) FROM catalogue", ""),
    ("one column of all rows", "SELECT avg(teff) FROM catalogue", ""),
    (
        "three columns, grouped",
        "SELECT round(logg), count(*), median(teff) FROM catalogue WHERE snr_g > 20 GROUP BY 1",
        "",
    ),
    ("one star by its name", "SELECT * FROM catalogue WHERE obsid = 101500000", ""),
    ("sorted, the first 20", "SELECT * FROM catalogue ORDER BY snr_g DESC LIMIT 20", ""),
    ("a cone of 0.3 degrees", "SELECT * FROM catalogue", "150.5 20.5 0.3"),
    (
        "the same cone by hand, of all rows",
        "SELECT count(*) FROM catalogue WHERE separation(ra, dec, 150.5, 20.5) < 0.3",
        "",
    ),
];

/// A table of Markdown, for the docs.
#[test]
#[ignore = "a minute in a release build"]
fn a_million_rows() {
    let folder = tempfile::tempdir().unwrap();
    release::write(folder.path(), &release::stars(STARS, 1), 200_000, 65_536);
    println!("| query | seconds | peak memory, MiB | row groups read | skipped |");
    println!("|---|---|---|---|---|");
    for (what, sql, cone) in QUERIES {
        let mut command = Command::new("/usr/bin/time");
        command.args(["-f", "%M"]).arg(env!("CARGO_BIN_EXE_starmill")).current_dir(root());
        command.args(["catalogue", "query"]).arg(folder.path()).arg(sql);
        if !cone.is_empty() {
            command.args(["--cone", cone]);
        }
        let begun = Instant::now();
        let output = command.env("STARMILL_LOG", "starmill=debug").output().expect("GNU time");
        let seconds = begun.elapsed().as_secs_f64();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}");
        let kilobytes = said.lines().last().unwrap_or_default();
        let memory = kilobytes.trim().parse::<f64>().unwrap_or(f64::NAN) / 1024.0;
        let count = |key: &str| {
            let rest = said.split(&format!("{key}=")).nth(1).unwrap_or_default();
            rest.chars().take_while(char::is_ascii_digit).collect::<String>()
        };
        let (read, skipped) = (count("groups_read"), count("groups_skipped"));
        println!("| {what} | {seconds:.2} | {memory:.0} | {read} | {skipped} |");
    }
}
