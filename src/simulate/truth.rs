//! The truth table: a line of CSV for each file.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use super::SimulateError;
use super::file::Visit;
use super::target::Kind;
use crate::catalogue::beside;

/// Its name in the folder of the night.
pub const TRUTH: &str = "truth.csv";

/// The table under its temporary name.
pub(super) struct Truth {
    path: PathBuf,
    out: BufWriter<File>,
    /// All labels of all models.
    labels: Vec<String>,
}

impl Truth {
    pub(super) fn create(folder: &Path, labels: Vec<String>) -> Result<Self, SimulateError> {
        let path = folder.join(TRUTH);
        let temporary = beside(&path, ".tmp");
        let file = File::create(&temporary).map_err(SimulateError::io(&temporary))?;
        let mut out = BufWriter::new(file);
        let head = "file,spectrum_id,survey,obsid,class,group,visit,ra,dec,rv,z,snr,outcome";
        let columns = labels.iter().fold(head.to_owned(), |head, label| format!("{head},{label}"));
        writeln!(out, "{columns}").map_err(SimulateError::io(&temporary))?;
        Ok(Self { path, out, labels })
    }

    /// Adds a file; `names` are those of the target's labels.
    pub(super) fn add(&mut self, visit: &Visit, names: &[String]) -> Result<(), SimulateError> {
        let target = visit.target;
        let survey = target.survey.name();
        let outcome = visit.damage.map_or("row", |damage| damage.expected().entry().name);
        let (rv, z) = match target.kind {
            Kind::Star => (format!("{:.3}", target.velocity), String::new()),
            Kind::Galaxy(z) | Kind::Quasar(z) => (String::new(), format!("{z:.6}")),
        };
        let mut line = format!(
            "{},{},{survey},{},{},{survey}-{},{},{:.6},{:.6},{rv},{z},{:.2},{outcome}",
            visit.path().display(),
            visit.spectrum_id(),
            visit.obsid(),
            target.kind.name(),
            target.number + 1,
            visit.number,
            target.ra,
            target.dec,
            visit.snr,
        );
        for label in &self.labels {
            let value = names.iter().position(|name| name == label);
            line.push(',');
            if let (Some(at), Kind::Star) = (value, target.kind) {
                line.push_str(&format!("{:.4}", target.labels[at]));
            }
        }
        writeln!(self.out, "{line}").map_err(SimulateError::io(&self.path))
    }

    /// Gives it its name.
    pub(super) fn finish(mut self) -> Result<(), SimulateError> {
        self.out.flush().map_err(SimulateError::io(&self.path))?;
        Ok(crate::catalogue::publish_file(&beside(&self.path, ".tmp"), &self.path)?)
    }
}
