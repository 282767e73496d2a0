//! The rows of a catalogue, from FITS or CSV, plain or gzipped, in bounded memory.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

use super::builder::{FIBERID, KEYS, LMJM, OBSID, PATH};
use super::key::name_number;
use super::{Fault, RvKeys, RvSettings};
use crate::fits::{ScanError, scan_table};
use crate::input::Digest;
use crate::records::{MOST_RECORD, RecordError, Records};

/// What takes a row: the values of the wanted columns, and which of those there are.
pub(super) type Visit<'a> = dyn FnMut(&[Option<f64>], &[bool]) -> Result<(), Fault> + 'a;

impl From<RecordError> for Fault {
    fn from(error: RecordError) -> Self {
        match error {
            RecordError::Io(error) => Self::Io(error),
            RecordError::Long => Self::Malformed(error.to_string()),
        }
    }
}

/// Columns that an error lists.
const LISTED: usize = 60;

/// Reads the whole file and gives the digest of its bytes as they lie on disk.
pub(super) fn read(path: &Path, settings: &RvSettings, visit: &mut Visit) -> Result<Digest, Fault> {
    let mut file =
        BufReader::with_capacity(1 << 16, Hashed::new(File::open(path).map_err(Fault::Io)?));
    let is_gzip = file.fill_buf().map_err(Fault::Io)?.starts_with(&[0x1f, 0x8b]);
    if is_gzip {
        let inflated = BufReader::with_capacity(1 << 16, MultiGzDecoder::new(&mut file));
        read_table(inflated, settings, visit)?;
    } else {
        read_table(&mut file, settings, visit)?;
    }
    // The digest is that of the whole file, also of what lies behind the table.
    io::copy(&mut file, &mut io::sink()).map_err(Fault::Io)?;
    Ok(file.into_inner().digest())
}

/// A file whose bytes are hashed as they pass.
struct Hashed {
    file: File,
    hasher: blake3::Hasher,
}

impl Hashed {
    fn new(file: File) -> Self {
        Self { file, hasher: blake3::Hasher::new() }
    }

    fn digest(&self) -> Digest {
        Digest(*self.hasher.finalize().as_bytes())
    }
}

impl Read for Hashed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.file.read(buffer)?;
        self.hasher.update(&buffer[..length]);
        Ok(length)
    }
}

fn read_table(
    mut source: impl BufRead,
    settings: &RvSettings,
    visit: &mut Visit,
) -> Result<(), Fault> {
    if source.fill_buf().map_err(Fault::Io)?.starts_with(b"SIMPLE  =") {
        return read_fits(&mut source, settings, visit);
    }
    read_csv(&mut source, settings, visit)
}

/// Names of the wanted columns in the order of what [`Visit`] gets.
fn wanted(settings: &RvSettings) -> Vec<String> {
    let RvKeys { obsid, lmjm, spid, fiberid, lmjd, coadd, path } = &settings.keys;
    let keys = [obsid, lmjm, spid, fiberid, lmjd, coadd, path].map(Clone::clone);
    let velocities = settings.columns.iter().flat_map(|column| {
        // rv_br0 has its error in rv_br0_err, and its flag, which is that of rv_br1 too, in rv_br_flag.
        let stem = column.trim_end_matches(|c: char| c.is_ascii_digit());
        [column.clone(), format!("{column}_err"), format!("{stem}_flag")]
    });
    keys.into_iter().chain(velocities).map(|name| name.to_lowercase()).collect()
}

/// Where the wanted columns are among those of the catalogue.
fn positions(columns: &[String], settings: &RvSettings) -> Result<Vec<Option<usize>>, Fault> {
    // Exports of several tables put the table's name before a column's.
    let plain = |name: &str| name.trim().trim_start_matches("combined_").to_lowercase();
    let columns: Vec<String> = columns.iter().map(|name| plain(name)).collect();
    let wanted = wanted(settings);
    let positions: Vec<Option<usize>> =
        wanted.iter().map(|name| columns.iter().position(|column| column == name)).collect();
    let listed = || columns.iter().take(LISTED).cloned().collect::<Vec<_>>().join(", ");
    let by_minute = positions[LMJM..=FIBERID].iter().all(Option::is_some);
    if !by_minute && positions[OBSID].is_none() && positions[PATH].is_none() {
        let minute = wanted[LMJM..=FIBERID].join(", ");
        let missing = format!("{}, nor {minute}, nor {}", wanted[OBSID], wanted[PATH]);
        return Err(Fault::NoColumn { missing, columns: listed(), key: "rv.keys" });
    }
    if positions[KEYS..].iter().step_by(3).all(Option::is_none) {
        let missing = settings.columns.join(", nor ");
        return Err(Fault::NoColumn { missing, columns: listed(), key: "rv.columns" });
    }
    Ok(positions)
}

fn read_fits(
    source: &mut impl Read,
    settings: &RvSettings,
    visit: &mut Visit,
) -> Result<(), Fault> {
    let mut found: Option<Vec<Option<usize>>> = None;
    let mut has = Vec::new();
    let mut row = Vec::new();
    scan_table(source, &mut |table| {
        let columns = table.columns();
        if found.is_none() {
            let names: Vec<String> = columns.iter().map(|column| column.name.clone()).collect();
            let positions = positions(&names, settings)?;
            has = positions.iter().map(Option::is_some).collect();
            found = Some(positions);
        }
        let positions = found.as_deref().unwrap_or_default();
        let numbers = |position: &Option<usize>| -> Result<_, ScanError> {
            Ok(position.map(|at| table.numbers(&columns[at])).transpose()?)
        };
        let cells = positions.iter().map(numbers).collect::<Result<Vec<_>, _>>()?;
        for number in 0..table.rows {
            row.clear();
            row.extend(cells.iter().map(|column| column.as_ref()?.at(number)));
            visit(&row, &has)?;
        }
        Ok(())
    })
}

fn read_csv(
    source: &mut impl BufRead,
    settings: &RvSettings,
    visit: &mut Visit,
) -> Result<(), Fault> {
    let mut first = Vec::new();
    source.by_ref().take(MOST_RECORD as u64).read_until(b'\n', &mut first).map_err(Fault::Io)?;
    if !first.ends_with(b"\n") {
        let what = format!(
            "it is neither FITS nor a table with a first line of names: {} bytes without a line's end",
            first.len()
        );
        return Err(Fault::Malformed(what));
    }
    // LAMOST's early releases separate by bars, and bars stand in no name.
    let separator = if first.contains(&b'|') { b'|' } else { b',' };
    let mut records = Records::new(separator);
    let mut names = Vec::new();
    records.read(&mut &first[..], &mut |fields| -> Result<(), Fault> {
        names.extend(fields.iter().map(|field| String::from_utf8_lossy(field).into_owned()));
        Ok(())
    })?;
    let positions = positions(&names, settings)?;
    let has: Vec<bool> = positions.iter().map(Option::is_some).collect();
    let mut row = Vec::new();
    let mut line = 1_u64;
    Records::new(separator).read(source, &mut |fields| {
        line += 1;
        if fields.len() != names.len() {
            let (found, wanted) = (fields.len(), names.len());
            let what = format!("record {line} has {found} fields, the first line has {wanted}");
            return Err(Fault::Malformed(what));
        }
        row.clear();
        row.extend(positions.iter().enumerate().map(|(wanted, position)| {
            let field = fields[(*position)?];
            if wanted == PATH { Some(name_number(field) as f64) } else { number(field) }
        }));
        visit(&row, &has)
    })
}

fn number(field: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(field).ok()?.trim();
    text.parse().ok().filter(|number: &f64| number.is_finite())
}
