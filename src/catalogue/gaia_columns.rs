//! What catalogues of Gaia XP spectra have beyond the other columns.

use super::column_list::{Table, column, float, get, int, text};
use super::columns::{Column, Kind};
use crate::survey::GAIA_XP;

pub(super) fn gaia_columns() -> Vec<Column> {
    use Kind::{Float32, Int64, Text};
    use Table::Both;
    let mut columns = vec![
        column(
            Both,
            ("gaia_source_id", Int64),
            ("", "meta.id"),
            "Source identifier of Gaia",
            get(|o| int(o.identity.meta.obsid.filter(|_| o.identity.survey == Some(GAIA_XP)))),
        ),
        column(
            Both,
            ("apogee_id", Text),
            ("", "meta.id"),
            "Name of the star in APOGEE",
            get(|o| text(o.identity.meta.designation.as_deref())),
        ),
    ];
    let bands = [("g", "em.opt"), ("bp", "em.opt.B"), ("rp", "em.opt.R")];
    for (index, (band, ucd)) in bands.into_iter().enumerate() {
        columns.push(column(
            Both,
            (&format!("phot_{band}_mean_mag"), Float32),
            ("mag", &format!("phot.mag;{ucd}")),
            &format!("Magnitude in Gaia's {} band", band.to_uppercase()),
            get(move |o| float(o.identity.meta.magnitudes[index])),
        ));
    }
    columns.push(column(
        Both,
        ("snr_xp", Float32),
        ("", "stat.snr;em.opt"),
        "Median over the pixels of flux by its error",
        get(|o| float(o.identity.meta.snr_median)),
    ));
    columns
}
