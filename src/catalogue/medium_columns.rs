//! What catalogues of medium-resolution surveys have beyond the other columns.

use super::column_list::{Table, column, float, get, int, text};
use super::columns::{Cell, Column, Kind};

pub(super) fn medium_columns() -> Vec<Column> {
    use Kind::{Float32, Float64, Int64, Logical, Text};
    use Table::{Both, Rows};
    vec![
        column(
            Both,
            ("coadd", Logical),
            ("", "meta.code"),
            "Whether it is a sum of exposures, not a single one",
            get(|o| Cell::Logical(o.identity.survey.is_some() && !o.identity.meta.is_exposure)),
        ),
        column(
            Both,
            ("lmjm", Int64),
            ("min", "time.start;obs.exposure"),
            "Local modified Julian minute of the (first) exposure",
            get(|o| int(o.identity.meta.lmjm)),
        ),
        column(
            Both,
            ("extname_blue", Text),
            ("", "meta.id;meta.file"),
            "Extension of the file with the blue arm",
            get(|o| text(o.identity.meta.extname_blue.as_deref())),
        ),
        column(
            Both,
            ("extname_red", Text),
            ("", "meta.id;meta.file"),
            "Extension of the file with the red arm",
            get(|o| text(o.identity.meta.extname_red.as_deref())),
        ),
        column(
            Both,
            ("snr_blue", Float32),
            ("", "stat.snr;em.opt.B"),
            "Signal-to-noise ratio a pixel in the blue arm",
            get(|o| float(o.identity.meta.snr_b)),
        ),
        column(
            Both,
            ("snr_red", Float32),
            ("", "stat.snr;em.opt.R"),
            "Signal-to-noise ratio a pixel in the red arm",
            get(|o| float(o.identity.meta.snr_r)),
        ),
        column(
            Rows,
            ("rv", Float64),
            ("km/s", "spect.dopplerVeloc;pos.heliocentric"),
            "Heliocentric radial velocity, from rv_source",
            get(|o| float(o.identity.meta.rv_kms)),
        ),
        column(
            Rows,
            ("rv_err", Float64),
            ("km/s", "stat.error;spect.dopplerVeloc"),
            "Error of rv",
            get(|o| float(o.identity.meta.rv_err_kms)),
        ),
        column(
            Both,
            ("rv_source", Text),
            ("", "meta.ref"),
            "Catalogue and column of rv, or measured; empty if unknown",
            get(|o| text(o.identity.meta.rv_source.as_deref())),
        ),
    ]
}
