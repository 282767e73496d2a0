//! The list of columns, in the order in which they stand in both formats.

use std::sync::Arc;

use super::columns::{
    CODE, Cell, Column, DETAIL, FILE, FILE_BLAKE3, FILE_INDEX, FLAG_BAD, FLAGS, Kind, REASON,
    REDUCTION, REMEDY, SPECTRUM_ID, Value,
};
use super::printable::{note_text, path_text};
use crate::outcome::{Estimate, Outcome};
use crate::reject::Reject;

#[derive(Clone, Copy)]
pub(super) enum Table {
    Rows,
    Rejects,
    Both,
}

pub(super) fn column(
    table: Table,
    (name, kind): (&str, Kind),
    (unit, ucd): (&str, &str),
    description: &str,
    value: Value,
) -> Column {
    Column {
        name: name.into(),
        kind,
        unit: unit.into(),
        ucd: ucd.into(),
        description: description.into(),
        alias: String::new(),
        shape: Vec::new(),
        in_rows: matches!(table, Table::Rows | Table::Both),
        in_rejects: matches!(table, Table::Rejects | Table::Both),
        at_seal: name == REDUCTION,
        value,
    }
}

pub(super) fn get(value: impl Fn(&Outcome) -> Cell + Send + Sync + 'static) -> Value {
    Arc::new(value)
}

pub(super) fn estimate(value: impl Fn(&Estimate) -> Cell + Send + Sync + 'static) -> Value {
    Arc::new(move |outcome| match &outcome.content {
        Ok(estimate) => value(estimate),
        // Never seen: rejects are not written to the columns of the catalogue.
        Err(_) => value(&NO_ESTIMATE),
    })
}

const NO_ESTIMATE: Estimate = Estimate {
    values: Vec::new(),
    errors: Vec::new(),
    vectors: Vec::new(),
    novelty: f32::NAN,
    quality: crate::quality::Quality::NONE,
    pixels: 0,
    bad_pixels: 0,
    empty_bins: 0,
};

fn reject(value: impl Fn(&Reject) -> Cell + Send + Sync + 'static) -> Value {
    Arc::new(move |outcome| outcome.content.as_ref().err().map_or(Cell::Text(None), &value))
}

pub(super) fn text(value: Option<&str>) -> Cell {
    Cell::Text(value.map(str::to_owned))
}

pub(super) fn int(value: Option<impl Into<i64>>) -> Cell {
    Cell::Int(value.map(Into::into))
}

fn count(value: usize) -> Cell {
    Cell::Int(i64::try_from(value).ok())
}

pub(super) fn float(value: Option<impl Into<f64>>) -> Cell {
    Cell::Float(value.map(Into::into).filter(|value| !value.is_nan()))
}

pub(super) fn identity_columns() -> Vec<Column> {
    use Kind::{Float64, Int32, Int64, Text};
    use Table::Both;
    let mut columns = vec![
        column(
            Both,
            (SPECTRUM_ID, Text),
            ("", "meta.id;meta.main"),
            "Name of the observation, unique where reduction is 1",
            get(|o| Cell::Text(Some(o.spectrum_id()))),
        ),
        column(
            Both,
            ("obsid", Int64),
            ("", "meta.id"),
            "Survey identifier of the spectrum",
            get(|o| int(o.identity.meta.obsid)),
        ),
        column(
            Both,
            ("survey", Text),
            ("", "meta.id"),
            "Survey, as the reader recognised it",
            get(|o| text(o.identity.survey)),
        ),
        column(
            Both,
            ("release", Text),
            ("", "meta.version"),
            "Data release that the file names",
            get(|o| text(o.identity.meta.release.as_deref())),
        ),
        column(
            Both,
            ("lmjd", Int32),
            ("d", "time.epoch;obs"),
            "Local modified Julian day of the observation",
            get(|o| int(o.identity.meta.lmjd)),
        ),
        column(
            Both,
            ("planid", Text),
            ("", "meta.id;obs"),
            "Plan (plate) identifier",
            get(|o| text(o.identity.meta.planid.as_deref())),
        ),
        column(
            Both,
            ("spid", Int32),
            ("", "meta.id;instr"),
            "Spectrograph number",
            get(|o| int(o.identity.meta.spid)),
        ),
        column(
            Both,
            ("fiberid", Int32),
            ("", "meta.id;instr"),
            "Fibre number",
            get(|o| int(o.identity.meta.fiberid)),
        ),
        column(
            Both,
            ("ra", Float64),
            ("deg", "pos.eq.ra;meta.main"),
            "Right ascension, J2000",
            get(|o| float(o.identity.meta.ra)),
        ),
        column(
            Both,
            ("dec", Float64),
            ("deg", "pos.eq.dec;meta.main"),
            "Declination, J2000",
            get(|o| float(o.identity.meta.dec)),
        ),
        column(
            Both,
            ("date_obs", Text),
            ("", "time.epoch;obs"),
            "Median UTC of the observation, ISO 8601",
            get(|o| text(o.identity.meta.date_obs.as_deref())),
        ),
    ];
    columns.extend(survey_columns());
    columns
}

/// What the survey's own pipeline says of the object.
fn survey_columns() -> Vec<Column> {
    use Kind::{Float64, Int32, Text};
    use Table::{Both, Rows};
    let mut columns = Vec::new();
    for (index, band) in ["u", "g", "r", "i", "z"].into_iter().enumerate() {
        let ucd = format!("stat.snr;em.opt.{}", ["U", "B", "R", "I", "I"][index]);
        let description = format!("Signal-to-noise ratio a pixel in the {band} band");
        columns.push(column(
            Both,
            (&format!("snr_{band}"), Kind::Float32),
            ("", &ucd),
            &description,
            get(move |o| float(o.identity.meta.snr[index])),
        ));
    }
    columns.extend([
        column(
            Both,
            ("class", Text),
            ("", "src.class"),
            "Class that the survey's pipeline gave",
            get(|o| text(o.identity.meta.class.as_deref())),
        ),
        column(
            Both,
            ("subclass", Text),
            ("", "src.spType"),
            "Subclass that the survey's pipeline gave",
            get(|o| text(o.identity.meta.subclass.as_deref())),
        ),
        column(
            Rows,
            ("z", Float64),
            ("", "src.redshift"),
            "Redshift that the survey's pipeline gave",
            get(|o| float(o.identity.meta.z)),
        ),
        column(
            Rows,
            ("z_err", Float64),
            ("", "stat.error;src.redshift"),
            "Error of z",
            get(|o| float(o.identity.meta.z_err)),
        ),
        column(
            Both,
            ("fibermask", Int32),
            ("", "meta.code.qual"),
            "The survey's fibre mask; 0 means all is well",
            get(|o| int(o.identity.meta.fibermask)),
        ),
    ]);
    columns
}

pub(super) fn quality_columns() -> Vec<Column> {
    use Kind::Int32;
    use Table::Rows;
    vec![
        column(
            Rows,
            ("n_pixels", Int32),
            ("", "meta.number"),
            "Native pixels in the model's window",
            estimate(|e| count(e.pixels)),
        ),
        column(
            Rows,
            ("n_bad_pixels", Int32),
            ("", "meta.number"),
            "Native pixels in the window that are unusable",
            estimate(|e| count(e.bad_pixels)),
        ),
        column(
            Rows,
            ("n_empty_bins", Int32),
            ("", "meta.number"),
            "Input bins without a usable pixel, interpolated",
            estimate(|e| count(e.empty_bins)),
        ),
    ]
}

pub(super) fn verdict_columns() -> Vec<Column> {
    use Kind::{Float32, Int32, Logical, Text};
    use Table::{Rejects, Rows};
    vec![
        column(
            Rows,
            ("novelty", Float32),
            ("", "stat.likelihood"),
            "How unlike the training spectra it is; above 1 is outside",
            estimate(|e| float(Some(e.novelty))),
        ),
        column(
            Rows,
            (FLAGS, Int32),
            ("", "meta.code.qual"),
            "Quality bits, see the table of flags",
            estimate(|e| int(Some(e.quality.value()))),
        ),
        column(
            Rows,
            (FLAG_BAD, Logical),
            ("", "meta.code.qual"),
            "Whether a quality bit asks for a further look before use",
            estimate(|e| Cell::Logical(e.quality.is_bad())),
        ),
        column(
            Rows,
            (REDUCTION, Int32),
            ("", "meta.version"),
            "1 is the newest reduction of the observation, 2 the next",
            // What it is while no other reduction is known.
            get(|_| int(Some(1))),
        ),
        column(
            Rejects,
            (CODE, Int32),
            ("", "meta.code"),
            "Why there is no row, see the table of codes",
            get(|o| {
                Cell::Int(Some(o.content.as_ref().err().map_or(0, |r| i64::from(r.code.number()))))
            }),
        ),
        column(
            Rejects,
            (REASON, Text),
            ("", "meta.code"),
            "The code's name",
            reject(|r| text(Some(r.code.entry().name))),
        ),
        column(
            Rejects,
            (DETAIL, Text),
            ("", "meta.note"),
            "What was found, with the HDU where there is one",
            reject(|r| Cell::Text(Some(note_text(&r.detail)))),
        ),
        column(
            Rejects,
            (REMEDY, Text),
            ("", "meta.note"),
            "What to do about it",
            reject(|r| text(Some(r.code.entry().remedy))),
        ),
    ]
}

pub(super) fn provenance_columns(model_id: &str) -> Vec<Column> {
    use Kind::{Int32, Text};
    use Table::{Both, Rows};
    let model_id = model_id.to_owned();
    vec![
        column(
            Rows,
            ("model", Text),
            ("", "meta.id;meta.modelled"),
            "Model and version that gave the labels",
            get(move |_| text(Some(&model_id))),
        ),
        column(
            Both,
            (FILE, Text),
            ("", "meta.file"),
            "Input file as it was named; odd bytes are written %XX",
            get(|o| Cell::Text(Some(path_text(&o.origin.file.path)))),
        ),
        column(
            Both,
            (FILE_INDEX, Int32),
            ("", "meta.number"),
            "Which spectrum of the file, from 0",
            get(|o| count(o.origin.index)),
        ),
        column(
            Both,
            (FILE_BLAKE3, Text),
            ("", "meta.checksum"),
            "BLAKE3 of the input file; zeros if it could not be read",
            get(|o| Cell::Text(Some(o.origin.file.digest.to_string()))),
        ),
    ]
}
