//! Observing nights: from local noon to local noon, named by the date of their evening.

use std::fmt;
use std::time::{Duration, SystemTime};

use chrono::{DateTime, NaiveDate, NaiveDateTime, TimeDelta, Utc};

/// A night at one observatory. Ordered by date.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Night(NaiveDate);

/// Hours of local mean solar time that lie between UTC and a longitude.
fn offset(longitude: f64) -> TimeDelta {
    #[expect(clippy::cast_possible_truncation, reason = "at most half a day of milliseconds")]
    let milliseconds = (longitude.clamp(-180.0, 180.0) / 360.0 * 86_400_000.0) as i64;
    TimeDelta::milliseconds(milliseconds)
}

const HALF_A_DAY: TimeDelta = TimeDelta::hours(12);

impl Night {
    /// The night of a moment, at a longitude in degrees east.
    pub fn of(moment: DateTime<Utc>, longitude: f64) -> Self {
        Self((moment + offset(longitude) - HALF_A_DAY).date_naive())
    }

    /// The night of a moment of the system's clock.
    pub fn of_system_time(moment: SystemTime, longitude: f64) -> Self {
        Self::of(moment.into(), longitude)
    }

    /// The night whose evening has this date, as in `2026-11-21`.
    pub fn of_date(text: &str) -> Option<Self> {
        text.parse().ok().map(Self)
    }

    /// The night of an observation that began or was half done at this UTC, as FITS headers write
    /// it: `2017-11-11T21:23:44.48`.
    pub fn of_date_obs(text: &str, longitude: f64) -> Option<Self> {
        let moment = text.trim().trim_end_matches('Z').parse::<NaiveDateTime>().ok()?;
        Some(Self::of(moment.and_utc(), longitude))
    }

    /// The night that ends in the morning of a local modified Julian day, as LAMOST counts them:
    /// 55859 is that of 2011-10-24.
    pub fn of_lmjd(lmjd: i32) -> Option<Self> {
        let epoch = NaiveDate::from_ymd_opt(1858, 11, 17)?;
        epoch.checked_add_signed(TimeDelta::days(i64::from(lmjd) - 1)).map(Self)
    }

    /// The local noon at which it begins.
    pub fn begins(self, longitude: f64) -> DateTime<Utc> {
        self.0.and_time(chrono::NaiveTime::MIN).and_utc() + HALF_A_DAY - offset(longitude)
    }

    /// The local noon at which it ends.
    pub fn ends(self, longitude: f64) -> DateTime<Utc> {
        self.begins(longitude) + HALF_A_DAY * 2
    }

    /// How long ago it ended, at this moment; `None` while it lasts.
    pub fn ended_for(self, moment: DateTime<Utc>, longitude: f64) -> Option<Duration> {
        (moment - self.ends(longitude)).to_std().ok()
    }
}

impl fmt::Display for Night {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn night(moment: &str, longitude: f64) -> String {
        Night::of(moment.parse().unwrap(), longitude).to_string()
    }

    #[test]
    fn a_night_has_the_date_of_its_evening() {
        // Xinglong is 7.84 h ahead of UTC: its noon is at 04:10 UTC.
        let xinglong = 117.575;
        assert_eq!(night("2017-11-11T12:00:00Z", xinglong), "2017-11-11");
        assert_eq!(night("2017-11-11T21:23:44Z", xinglong), "2017-11-11");
        assert_eq!(night("2017-11-12T04:09:00Z", xinglong), "2017-11-11");
        assert_eq!(night("2017-11-12T04:10:00Z", xinglong), "2017-11-12");
        // La Palma is 1.19 h behind, Mauna Kea 10.36 h.
        assert_eq!(night("2026-01-01T02:00:00Z", -17.88), "2025-12-31");
        assert_eq!(night("2026-01-01T08:00:00Z", -155.47), "2025-12-31");
    }

    #[test]
    fn headers_name_it_in_two_ways() {
        let evening = Night::of_date("2017-11-11");
        assert_eq!(Night::of_date_obs("2017-11-11T21:23:44.48", 117.575), evening);
        assert_eq!(Night::of_date_obs(" 2017-11-11T21:23:44Z ", 117.575), evening);
        assert_eq!(Night::of_date_obs("last night", 117.575), None);
        assert_eq!(Night::of_lmjd(58069), evening);
        assert_eq!(Night::of_lmjd(i32::MAX), None);
    }

    #[test]
    fn it_lasts_from_noon_to_noon() {
        let night = Night::of_date("2026-11-21").unwrap();
        for longitude in [-180.0, -155.47, 0.0, 117.575, 180.0] {
            let (begins, ends) = (night.begins(longitude), night.ends(longitude));
            assert_eq!(ends - begins, TimeDelta::hours(24));
            assert_eq!(Night::of(begins, longitude), night);
            assert_eq!(Night::of(ends - TimeDelta::milliseconds(1), longitude), night);
            assert!(Night::of(ends, longitude) > night);
            assert_eq!(night.ended_for(ends, longitude), Some(Duration::ZERO));
            assert_eq!(night.ended_for(begins, longitude), None);
        }
        assert_eq!(Night::of_date("21/11/2026"), None);
    }
}
