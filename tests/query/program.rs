//! The command: what is printed, and over what.

use std::path::Path;
use std::process::Output;

use starmill::quality::Quality;
use starmill::reject::Code;

use crate::release;
use crate::support::sealed::{self, giants};
use crate::support::starmill;

pub fn query(place: &Path, more: &[&str]) -> Output {
    let mut command = starmill(&["catalogue", "query"]);
    command.arg(place).args(more).output().expect("the program starts")
}

#[track_caller]
pub fn printed(place: &Path, more: &[&str]) -> String {
    let output = query(place, more);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_sealed_catalogue_answers() {
    let folder = tempfile::tempdir().unwrap();
    let mut stars = giants("2026-11-21", 40);
    stars[3].quality = Quality::POOR_FIT | Quality::LOW_SNR;
    let rejects = [("a.fits", Code::UNREADABLE, "cut"), ("b.fits", Code::UNREADABLE, "cut")];
    sealed::seal(folder.path(), &stars, &rejects);
    let count = "SELECT count(*) AS stars, sum(teff > 4500) AS warm FROM catalogue";
    let warm = stars.iter().filter(|star| star.values[0] > 4500.0).count();
    assert_eq!(printed(folder.path(), &[count]), format!("stars  warm\n   40  {warm:>4}\n"));
    let reasons = "SELECT reason, count(*) FROM rejects GROUP BY reason";
    assert!(printed(folder.path(), &[reasons]).contains("unreadable"), "{reasons}");
    let flags =
        "SELECT flag_names(flags) AS names FROM catalogue WHERE has_flag(flags, 'poor_fit')";
    assert_eq!(printed(folder.path(), &[flags]), "           names\nlow_snr+poor_fit\n".to_owned());
    let star = &stars[7];
    let (ra, dec) = (star.ra, star.dec);
    let cone = format!("{ra} {dec} 0.001");
    let found = printed(folder.path(), &["SELECT spectrum_id FROM catalogue", "--cone", &cone]);
    assert_eq!(found.lines().last().unwrap().trim(), star.name);
    // All columns, and no more rows than asked for.
    let all = printed(folder.path(), &["--rows", "3"]);
    assert_eq!(all.lines().count(), 5, "{all}");
    assert!(all.ends_with("... 37 more rows\n"), "{all}");
    std::fs::remove_file(folder.path().join("run.json")).unwrap();
    let output = query(folder.path(), &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("not sealed"));
}

#[test]
fn csv_goes_to_the_next_program() {
    let folder = tempfile::tempdir().unwrap();
    let stars = release::write(folder.path(), &release::stars(300, 3), 100, 20);
    let sql = "SELECT obsid, teff, flag_bad, class, pair FROM catalogue";
    let text = printed(folder.path(), &[sql, "--csv"]);
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let names: Vec<String> = reader.headers().unwrap().iter().map(str::to_owned).collect();
    assert_eq!(names, ["obsid", "teff", "flag_bad", "class", "pair"]);
    let mut rows = 0;
    for (record, star) in reader.records().zip(&stars) {
        let record = record.unwrap();
        assert_eq!(record[0].parse::<i64>().unwrap(), star.obsid);
        // The digits of single precision, not those of the double that it became.
        let digits = if star.teff.is_nan() { String::new() } else { format!("{:?}", star.teff) };
        assert_eq!(record[1], digits);
        assert_eq!(record[2].parse::<bool>().unwrap(), star.flags & 1 == 1);
        assert_eq!(&record[3], star.class.unwrap_or_default());
        assert!(record[4].starts_with(&format!("[{}", star.pair[0])), "{}", &record[4]);
        rows += 1;
    }
    assert_eq!(rows, stars.len());
}

#[test]
fn a_map_restricts_as_a_cone_does() {
    let folder = tempfile::tempdir().unwrap();
    let stars = release::write(folder.path(), &release::stars(500, 5), 100, 20);
    let map = folder.path().join("map.txt");
    // The northern cap: the first four base cells, above 41.8 degrees at their corners.
    std::fs::write(&map, "0/0-3").unwrap();
    let sql = "SELECT count(*) FROM catalogue";
    let found = printed(folder.path(), &[sql, "--moc", map.to_str().unwrap(), "--csv"]);
    let expected = stars.iter().filter(|star| {
        star.place.is_some_and(|(ra, dec)| {
            cdshealpix::nested::hash(0, ra.to_radians(), dec.to_radians()) < 4
        })
    });
    assert_eq!(found, format!("count(*)\n{}\n", expected.count()));
}
