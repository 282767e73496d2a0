use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use super::*;
use crate::config::Config;
use crate::input::Digest;
use crate::night::Night;
use crate::outcome::{Estimate, Identity, Origin, SourceFile};
use crate::quality::Quality;
use crate::reject::Code;
use crate::report::table::Row;
use crate::spectrum::Meta;

const LONGITUDE: f64 = 117.575;

fn about() -> About {
    let label = |name: &str, unit: &str| Label { name: name.into(), unit: unit.into() };
    About {
        version: "1.2.3".into(),
        model: "fcresnet 1.0.0".into(),
        provider: "CPU".into(),
        started: SystemTime::now(),
        longitude: LONGITUDE,
        match_arcsec: 1.0,
        folder: std::env::temp_dir(),
        labels: vec![label("teff", "K"), label("logg", "dex")],
        drift: Config::load(None).unwrap().report.drift_rule(),
    }
}

/// An outcome of a file of its own that arrived `latency` before `at`.
fn outcome(number: u64, at: SystemTime, latency: Duration) -> Outcome {
    let file = SourceFile {
        arrived: Some(at - latency),
        ..SourceFile::whole(
            number,
            format!("night/spec-{number:05}.fits").into(),
            Digest::of(&number.to_le_bytes()),
            1,
        )
    };
    let mut quality = Quality::NONE;
    quality.set_if(number.is_multiple_of(4), Quality::LOW_SNR);
    let meta = Meta {
        ra: Some(number as f64 * 0.01 % 360.0),
        dec: Some(30.0),
        snr: [None, Some(42.0), None, None, None],
        ..Meta::default()
    };
    let estimate = Estimate {
        values: vec![4800.0, f32::NAN],
        novelty: 0.1,
        quality,
        pixels: 100,
        ..Estimate::default()
    };
    Outcome {
        origin: Origin { file: Arc::new(file), index: 0 },
        identity: Arc::new(Identity { name: None, survey: None, meta }),
        content: if number % 10 == 9 {
            Err(Code::NOT_FITS.because("no header"))
        } else {
            Ok(estimate)
        },
    }
}

fn outcomes(numbers: std::ops::Range<u64>, at: SystemTime) -> Vec<Outcome> {
    numbers.map(|number| outcome(number, at, Duration::from_millis(500))).collect()
}

fn finish(board: &Board, outcomes: &[Outcome]) {
    for outcome in outcomes {
        board.finished(&outcome.origin.file);
    }
}

#[test]
fn what_was_committed_is_shown() {
    let board = Board::new(about());
    let now = SystemTime::now();
    let all = outcomes(0..100, now);
    board.committed(&all, now);
    assert_eq!(board.status_at(now).counts.files, 0, "nothing says that they are complete");
    finish(&board, &all);
    let status = board.status_at(now);
    let counts = Counts { files: 100, rows: 90, rejects: 10, bad_rows: 0 };
    assert_eq!((status.counts, status.tonight), (counts, counts));
    assert_eq!(status.rejects_by_code["not_fits"], 10);
    assert_eq!(status.flags["low_snr"], 25);
    assert!((status.latency.p50_s.unwrap() - 0.5).abs() < 0.01);
    assert_eq!(status.last_rejects.len(), 10);
    assert_eq!(status.last_rejects[0].file, "night/spec-00099.fits");
    assert!(status.last_rejects[0].remedy.contains("remove it"));
    let stars = board.stars(88, 10);
    assert_eq!(stars.len(), 2);
    assert_eq!(stars[1].values, [Some(4800.0), None]);
    assert_eq!(stars[1].snr_g, Some(42.0));
    assert_eq!(board.timeline(0.0, 10, 100)[0].rows, 90);
}

#[test]
fn a_new_night_begins_at_local_noon_and_a_catch_up_is_not_of_it() {
    let board = Board::new(about());
    // Noon at Xinglong is at 04:10 UTC.
    let time =
        |text: &str| SystemTime::from(text.parse::<chrono::DateTime<chrono::Utc>>().unwrap());
    let (before, after) = (time("2026-11-22T04:09:00Z"), time("2026-11-22T04:10:00Z"));
    board.committed(&outcomes(0..9, before), before);
    assert_eq!(board.status_at(before).night, "2026-11-21");
    let status = board.status_at(after);
    assert_eq!(
        (status.night.as_str(), status.tonight.rows, status.counts.rows),
        ("2026-11-22", 0, 9)
    );
    assert_eq!(status.night_begins.round(), seconds(time("2026-11-22T04:09:42Z")));
    let mut late = outcome(1, after, Duration::from_secs(1));
    let file = SourceFile {
        night: crate::night::Night::of_date("2026-11-21"),
        ..(*late.origin.file).clone()
    };
    late.origin.file = Arc::new(file);
    board.committed(&[late], after);
    let status = board.status_at(after);
    assert_eq!((status.tonight.rows, status.counts.rows), (0, 10));
    assert_eq!(board.stars(0, 100).last().unwrap().night, "2026-11-21");
}

fn seconds(time: SystemTime) -> f64 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs_f64()
}

#[test]
fn nights_are_newest_first_and_bounded() {
    let board = Board::new(about());
    let night = |name: String, phase| NightSummary {
        name,
        phase,
        files: 1,
        rows: 1,
        rejects: 0,
        folder: String::new(),
        report: None,
    };
    for day in 0..100 {
        board.night(night(
            format!("2026-{:02}-{:02}", 1 + day / 25, 1 + day % 25),
            NightPhase::Open,
        ));
    }
    board.night(night("2026-04-25+1".into(), NightPhase::Opened));
    board.night(night("2026-04-25".into(), NightPhase::Closed));
    let nights = board.status().nights;
    assert_eq!(nights.len(), NIGHTS);
    assert_eq!(nights[0].name, "2026-04-25+1");
    assert_eq!(nights[1].phase, NightPhase::Closed);
}

#[test]
fn another_model_makes_a_new_list_of_stars() {
    let board = Board::new(about());
    let now = SystemTime::now();
    board.committed(&outcomes(0..5, now), now);
    board.set_about(About { provider: "CUDA".into(), ..about() });
    assert_eq!(board.stars(0, 100).len(), 5);
    board.set_about(About { model: "other 1".into(), labels: Vec::new(), ..about() });
    assert_eq!(board.stars(0, 100).len(), 0);
    board.committed(&outcomes(5..6, now), now);
    assert_eq!(board.stars(5, 100)[0].number, 6);
    assert_eq!(board.status().drift.len(), 0);
}

/// A recollection of one star and one reject of this night, at places that are taken later too.
fn recollection(board: &Board, now: SystemTime) -> Recollection {
    let mut past = board.recollection(now);
    let night = past.night();
    let row = Row {
        id: "spec-7",
        ra: 0.07,
        dec: 30.0,
        date_obs: "",
        snr: 9.0,
        flags: 0,
        bad: false,
        values: &[4700.0, f32::NAN],
    };
    let place = |code, file| crate::report::table::RejectRow {
        code,
        reason: "",
        remedy: "",
        detail: "a%0Ab",
        file,
        index: 0,
        ra: f64::NAN,
        dec: f64::NAN,
    };
    let earlier = Night::of_system_time(now - Duration::from_hours(24), LONGITUDE);
    past.seen(earlier, &Row { values: &[4600.0, f32::NAN], ..row });
    let mut volume = past.volume(night, true);
    volume.files(2);
    let then = now - Duration::from_mins(5);
    volume.outcome(&row, &place(0, "old.fits"), then);
    volume.outcome(&row, &place(i32::from(Code::NOT_FITS.number()), "%E2%82%AC"), then);
    let counts = volume.end();
    assert_eq!(counts, Counts { files: 2, rows: 1, rejects: 1, bad_rows: 0 });
    past
}

#[test]
fn what_is_recalled_comes_before_what_was_noted_meanwhile() {
    let board = Board::new(about());
    let now = SystemTime::now();
    board.remember(now);
    let past = recollection(&board, now);
    board.committed(&outcomes(5..10, now), now);
    assert_eq!((board.newest(), board.stars(0, 9).len()), ((0, 0), 0));
    assert_eq!((board.status_at(now).recalled, board.status_at(now).tonight.rows), (false, 4));
    board.recalled(past, now);
    let status = board.status_at(now);
    assert!(status.recalled);
    let counts = Counts { files: 2, rows: 5, rejects: 2, bad_rows: 0 };
    assert_eq!((status.tonight, status.counts.rows), (counts, 4));
    assert_eq!(status.rejects_by_code["not_fits"], 2);
    let files: Vec<_> =
        board.stars(0, 9).into_iter().map(|star| (star.number, star.file)).collect();
    assert_eq!((files.len(), &files[0]), (5, &(1, "old.fits".to_owned())));
    let rejects = board.rejects(0, 9);
    assert_eq!((rejects[0].file.as_str(), rejects[0].detail.as_str()), ("\u{20ac}", "a\nb"));
    // The star of the earlier night, then the recalled one; the third, noted meanwhile, is its
    // second exposure of this night.
    assert_eq!((status.drift[0].repeats, status.drift[0].median), (1, 100.0));
}

#[test]
fn another_model_forgets_the_stars_that_are_recalled_and_keeps_the_counts() {
    let board = Board::new(about());
    let now = SystemTime::now();
    board.remember(now);
    let past = recollection(&board, now);
    board.committed(&outcomes(5..6, now), now);
    board.set_about(About { model: "other 1".into(), ..about() });
    board.recalled(past, now);
    let status = board.status_at(now);
    assert_eq!((status.tonight.rows, status.drift[0].repeats), (2, 0));
    assert_eq!((board.stars(0, 9).len(), board.rejects(0, 9).len()), (0, 1));
}

#[test]
fn a_label_drifts_by_the_rule_of_the_report() {
    // The default limit is 50 K; fewer than five stars never say anything.
    let cases = [(51.0, 40, true), (-51.0, 40, true), (49.0, 40, false), (51.0, 4, false)];
    for (kelvin, stars, drifts) in cases {
        let board = Board::new(about());
        let tonight = SystemTime::now();
        let before = tonight - Duration::from_hours(24);
        board.committed(&outcomes(0..stars, before), before);
        let mut moved = outcomes(0..stars, tonight);
        for estimate in moved.iter_mut().filter_map(|star| star.content.as_mut().ok()) {
            estimate.values[0] += kelvin;
        }
        board.committed(&moved, tonight);
        let status = board.status_at(tonight);
        assert_eq!(status.drift[0].median, f64::from(kelvin));
        let expected: &[&str] = if drifts { &["teff"] } else { &[] };
        assert_eq!(status.drifting, expected, "{kelvin} K of {stars} stars");
        assert_eq!(status.drift_limits["teff"], 50.0);
    }
}

/// The writer commits some thousand spectra a second and must not wait for the board.
#[test]
#[expect(clippy::print_stdout, reason = "the figure is the point")]
fn an_outcome_is_noted_in_microseconds_and_takes_no_more_room_for_ever() {
    let board = Board::new(about());
    let now = SystemTime::now();
    let groups: Vec<_> = (0..50).map(|i| outcomes(i * 1000..(i + 1) * 1000, now)).collect();
    let begin = Instant::now();
    for group in &groups {
        board.committed(group, now);
        finish(&board, group);
    }
    let each = begin.elapsed() / 50_000;
    let begin = Instant::now();
    let status = board.status_at(now);
    println!("{each:?} an outcome, {:?} a status", begin.elapsed());
    assert!(each < Duration::from_micros(100), "{each:?}");
    assert_eq!(status.counts.files, 50_000);
    assert_eq!(board.stars(0, usize::MAX).len(), STARS);
    assert_eq!(board.rejects(0, usize::MAX).len(), REJECTS);
}
