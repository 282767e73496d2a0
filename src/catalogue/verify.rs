//! Whether a catalogue is what its manifest, its ledger and its segments say. Nothing is written
//! but the files of a rebuild, in a folder of their own.

use std::collections::HashSet;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::columns::Schema;
use super::identifiers::identifiers;
use super::manifest::sha256_of_file;
use super::seal::{Made, Provenance, Sealing, seal};
use super::{
    CATALOGUE, CatalogueError, INPUTS, LEDGER, LOCK, MANIFEST, Manifest, NAMES, REJECTS, SEGMENTS,
    StoreError, inputs_list, path_of_text,
};
use crate::input::Digest;
use crate::ledger::{Ledger, LedgerError};

/// What is verified beyond the catalogue's own files.
#[derive(Default)]
pub struct Request<'a> {
    /// Whether the inputs are hashed again.
    pub inputs: bool,
    /// What a rebuild needs, if there shall be one.
    pub rebuild: Option<Rebuild<'a>>,
}

/// What sealing again needs beside the catalogue.
pub struct Rebuild<'a> {
    /// The columns of the catalogue's model.
    pub schema: &'a Schema,
    /// What goes into the headers.
    pub provenance: &'a Provenance,
}

/// One thing that was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What was looked at.
    pub name: &'static str,
    /// What was found; if it is wrong, with the remedy.
    pub result: Result<String, String>,
}

impl std::fmt::Display for Check {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (word, text) = match &self.result {
            Ok(text) => ("ok", text),
            Err(text) => ("FAILED", text),
        };
        write!(f, "{word:<6} {}: {text}", self.name)
    }
}

/// Why a check did not end well.
enum Problem {
    /// The catalogue is to blame.
    Differs(String),
    /// It could not be told.
    Unknown(StoreError),
}

type Found = Result<String, Problem>;

fn differs<T>(what: impl Into<String>) -> Result<T, Problem> {
    Err(Problem::Differs(what.into()))
}

impl From<CatalogueError> for Problem {
    fn from(error: CatalogueError) -> Self {
        use std::io::ErrorKind::{InvalidData, NotFound, UnexpectedEof};
        match error {
            CatalogueError::Io { ref source, .. }
                if !matches!(source.kind(), InvalidData | NotFound | UnexpectedEof) =>
            {
                Self::Unknown(error.into())
            }
            CatalogueError::Ledger(error) => error.into(),
            error => Self::Differs(error.to_string()),
        }
    }
}

impl From<LedgerError> for Problem {
    fn from(error: LedgerError) -> Self {
        if error.is_damage() {
            Self::Differs(error.to_string())
        } else {
            Self::Unknown(error.into())
        }
    }
}

/// Verifies the catalogue in `folder` and hands each check to `report`; returns whether all is well.
///
/// # Errors
/// [`StoreError`] when a run is writing, or when something cannot be read, so that nothing can be
/// said.
pub fn verify(
    folder: &Path,
    request: &Request<'_>,
    report: &mut dyn FnMut(&Check),
) -> Result<bool, StoreError> {
    let _lock = share(folder)?;
    let mut well = true;
    let mut check = |name, found: Found| {
        let result = match found {
            Ok(text) => Ok(text),
            Err(Problem::Differs(text)) => Err(text),
            Err(Problem::Unknown(error)) => return Err(error),
        };
        well &= result.is_ok();
        report(&Check { name, result });
        Ok(())
    };
    let manifest = Manifest::read(folder).map_err(Problem::from).and_then(|manifest| {
        manifest.map_or_else(
            || {
                differs(format!(
                    "there is no {MANIFEST}: sealing was interrupted or never ended; run again \
                     with the same --out"
                ))
            },
            Ok,
        )
    });
    let manifest = match manifest {
        Ok(manifest) => {
            check("manifest", Ok(format!("{MANIFEST} vouches for {} files", NAMES.len())))?;
            check("outputs", outputs(folder, &manifest))?;
            Some(manifest)
        }
        Err(problem) => {
            check("manifest", Err(problem))?;
            None
        }
    };
    let ledger = match sound_ledger(folder) {
        Ok((ledger, said)) => {
            check("ledger", Ok(said))?;
            check("segments", segments(folder, &ledger))?;
            Some(ledger)
        }
        Err(problem) => {
            check("ledger", Err(problem))?;
            None
        }
    };
    if let (Some(manifest), Some(ledger)) = (&manifest, &ledger) {
        check("conservation", conservation(folder, manifest, ledger))?;
        let found = identifiers(folder).map_err(Problem::from);
        check("identifiers", found.and_then(|found| found.map_err(Problem::Differs)))?;
        if let Some(rebuild) = &request.rebuild {
            check("rebuild", rebuilt(folder, manifest, ledger, rebuild))?;
        }
    }
    if request.inputs && manifest.is_some() {
        check("inputs", inputs(folder))?;
    }
    Ok(well)
}

/// Holds writers off; a copy of a catalogue may lack the file of the lock.
fn share(folder: &Path) -> Result<Option<File>, StoreError> {
    let path = folder.join(LOCK);
    let lock = match File::open(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && folder.is_dir() => {
            return Ok(None);
        }
        other => other.map_err(CatalogueError::io(&path))?,
    };
    match lock.try_lock_shared() {
        Ok(()) => Ok(Some(lock)),
        Err(std::fs::TryLockError::WouldBlock) => Err(StoreError::Locked(folder.to_owned())),
        Err(std::fs::TryLockError::Error(error)) => Err(CatalogueError::io(&path)(error).into()),
    }
}

fn sound_ledger(folder: &Path) -> Result<(Ledger, String), Problem> {
    let path = folder.join(LEDGER);
    if !path.exists() {
        return differs(format!(
            "there is no {LEDGER}; run again with the same --out: it is rebuilt from segments"
        ));
    }
    let ledger = Ledger::open_at_rest(&path)?;
    ledger.check()?;
    let (inputs, spectra) = ledger.totals()?;
    let said = format!("pages, notes and digests are right; {inputs} inputs, {spectra} spectra");
    Ok((ledger, said))
}

fn outputs(folder: &Path, manifest: &Manifest) -> Found {
    for name in NAMES {
        let found = sha256_of_file(&folder.join(name))?;
        if manifest.sha256.get(name) != Some(&found) {
            return differs(format!(
                "{name} has the SHA-256 {found}, not the one in {MANIFEST}; run again with the \
                 same --out to seal anew"
            ));
        }
    }
    Ok("every published file has its SHA-256".into())
}

fn segments(folder: &Path, ledger: &Ledger) -> Found {
    let folder = folder.join(SEGMENTS);
    let segments = ledger.segments()?;
    for segment in &segments {
        let path = folder.join(&segment.name);
        if Digest::of_file(&path).map_err(CatalogueError::io(&path))? != segment.digest {
            return differs(format!(
                "{} does not have the BLAKE3 in its name; run again with the same --out: its \
                 inputs are done anew",
                segment.name
            ));
        }
    }
    let known: HashSet<&str> = segments.iter().map(|segment| segment.name.as_str()).collect();
    for entry in std::fs::read_dir(&folder).map_err(CatalogueError::io(&folder))? {
        let name = entry.map_err(CatalogueError::io(&folder))?.file_name();
        if !known.contains(name.to_string_lossy().as_ref()) {
            return differs(format!(
                "no commit names {}; run again with the same --out, which removes it",
                name.display()
            ));
        }
    }
    Ok(format!("{} have the BLAKE3 that ledger and name say", segments.len()))
}

fn conservation(folder: &Path, manifest: &Manifest, ledger: &Ledger) -> Found {
    for (stem, expected) in [(CATALOGUE, manifest.rows), (REJECTS, manifest.rejects)] {
        let parquet = parquet_rows(&folder.join(format!("{stem}.parquet")))?;
        let fits = fits_rows(&folder.join(format!("{stem}.fits")))?;
        if [parquet, fits] != [expected; 2] {
            return differs(format!(
                "{stem} has {parquet} rows in Parquet, {fits} in FITS and {expected} in \
                 {MANIFEST}; run again with the same --out to seal anew"
            ));
        }
    }
    let (files, spectra) = ledger.totals()?;
    let Manifest { rows, rejects, inputs, .. } = manifest;
    if rows + rejects != spectra + manifest.replaced || *inputs != files {
        return differs(format!(
            "{rows} rows and {rejects} rejects of {inputs} inputs are published, the ledger \
             counts {spectra} spectra of {files}; run again with the same --out to seal anew"
        ));
    }
    let replaced = match manifest.replaced {
        0 => String::new(),
        replaced => format!(" + {replaced} of contents that were replaced"),
    };
    Ok(format!("{rows} rows + {rejects} rejects = {spectra} spectra{replaced}"))
}

/// Opens a published table.
pub(super) fn open_parquet(
    path: &Path,
) -> Result<ParquetRecordBatchReaderBuilder<File>, CatalogueError> {
    let file = File::open(path).map_err(CatalogueError::io(path))?;
    ParquetRecordBatchReaderBuilder::try_new(file).map_err(CatalogueError::parquet(path))
}

fn parquet_rows(path: &Path) -> Result<u64, Problem> {
    let rows = open_parquet(path)?.metadata().file_metadata().num_rows();
    Ok(u64::try_from(rows).unwrap_or(0))
}

/// NAXIS2 of the first extension; the primary HDU of a catalogue has no axes.
fn fits_rows(path: &Path) -> Result<u64, Problem> {
    const CARD: usize = 80;
    /// More than the headers of a catalogue take.
    const HEADERS: u64 = 1 << 20;
    let mut headers = Vec::new();
    File::open(path)
        .and_then(|file| file.take(HEADERS).read_to_end(&mut headers))
        .map_err(CatalogueError::io(path))?;
    let card = headers.chunks_exact(CARD).find_map(|card| card.strip_prefix(b"NAXIS2  ="));
    let rows = card
        .and_then(|value| std::str::from_utf8(value).ok())
        .and_then(|value| value.split('/').next())
        .and_then(|value| value.trim().parse().ok());
    rows.map_or_else(
        || {
            differs(format!(
                "{} has no table; run again with the same --out to seal anew",
                path.display()
            ))
        },
        Ok,
    )
}

fn inputs(folder: &Path) -> Found {
    let (mut count, mut bad) = (0_u64, 0_u64);
    let mut first_bad = String::new();
    inputs_list::for_each(folder, |line| {
        count += 1;
        let same = line.is_some_and(|(name, digest)| {
            let path = path_of_text(name);
            path.and_then(|path| Digest::of_file(&path).ok()) == Some(digest)
        });
        if !same {
            bad += 1;
            if bad == 1 {
                line.map_or("a line that is none", |(name, _)| name).clone_into(&mut first_bad);
            }
        }
    })?;
    if bad > 0 {
        return differs(format!(
            "{bad} of the {count} files in {INPUTS} are gone or have other bytes, first {first_bad}; \
             names are looked up from the current folder, so verify where the run was started, \
             and restore the files or run again"
        ));
    }
    Ok(format!("{count} files have their BLAKE3"))
}

fn rebuilt(folder: &Path, manifest: &Manifest, ledger: &Ledger, rebuild: &Rebuild<'_>) -> Found {
    let scratch = Scratch::create()?;
    let made = Made {
        provenance: rebuild.provenance.clone(),
        model_files: manifest.model_sha256.clone(),
        settings: manifest.settings.clone(),
    };
    let volumes = volumes_beside(folder, &manifest.supplements)?;
    seal(&Sealing {
        folder: &scratch.0,
        segments: &folder.join(SEGMENTS),
        schema: rebuild.schema,
        model_id: &manifest.model,
        made: &made,
        ledger,
        earlier: &volumes,
        give_up: &|| false,
    })?;
    for name in NAMES.into_iter().chain([MANIFEST]) {
        if sha256_of_file(&scratch.0.join(name))? != sha256_of_file(&folder.join(name))? {
            return differs(format!(
                "sealing again gives another {name}; if this version and model are those in \
                 {MANIFEST}, run again with the same --out to seal anew"
            ));
        }
    }
    Ok("sealing again gives the same bytes".into())
}

/// The volumes of the night that a supplement was sealed after.
fn volumes_beside(folder: &Path, names: &[String]) -> Result<Vec<PathBuf>, Problem> {
    let folder = folder.canonicalize().map_err(CatalogueError::io(folder))?;
    let volumes: Vec<PathBuf> = names.iter().map(|name| folder.with_file_name(name)).collect();
    match volumes.iter().find(|volume| !volume.join(LEDGER).is_file()) {
        None => Ok(volumes),
        Some(volume) => differs(format!(
            "it supplements {}, which is not there; put the volumes of the night beside each other",
            volume.display()
        )),
    }
}

/// A folder that goes when it is not needed any more.
struct Scratch(PathBuf);

impl Scratch {
    fn create() -> Result<Self, CatalogueError> {
        let name = format!("starmill-verify-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).map_err(CatalogueError::io(&path))?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
