//! What is read of a file, and what is added to it.

use std::sync::Arc;
use std::time::Duration;

use crate::config::Config;
use crate::fits::Fits;
use crate::input::Reader;
use crate::reject::Reject;
use crate::rv::{RvError, Velocities};
use crate::spectrum::Spectrum;
use crate::survey::{self, LAMOST_MRS, Layout, Take};

/// How files become spectra, beyond what their layout says.
#[derive(Debug, Clone)]
pub struct Reading {
    /// Which spectra are taken where there are exposures and their sum.
    pub take: Take,
    /// Whether a file is inflated to its end if only its beginning is needed.
    pub whole_file: bool,
    /// Velocities of the spectra whose files carry none.
    pub velocities: Option<Arc<Velocities>>,
}

impl Reading {
    /// What is configured, for a model of these surveys.
    ///
    /// # Errors
    /// [`RvError`] when the velocities that may be needed cannot be read.
    pub fn of(config: &Config, surveys: &[String]) -> Result<Self, RvError> {
        let is_medium = surveys.iter().any(|survey| survey == LAMOST_MRS);
        let has_velocities = is_medium && !config.rv.catalogue.as_os_str().is_empty();
        Ok(Self {
            take: config.input.spectra,
            // The files of other surveys would be begun in vain.
            whole_file: config.input.whole_file || surveys != [LAMOST_MRS],
            velocities: has_velocities.then(|| Velocities::shared(&config.rv)).transpose()?,
        })
    }

    /// What a catalogue is bound to beside its model.
    pub fn name(&self) -> String {
        let taken = format!("{:?}", self.take).to_lowercase();
        match &self.velocities {
            Some(velocities) => format!(", {taken}, rv {:.16}", velocities.digest().to_string()),
            None => format!(", {taken}"),
        }
    }

    /// Inflates what is needed of the file last read, and finds who reads it.
    ///
    /// # Errors
    /// A coded reject of the whole file.
    pub fn open<'a>(
        &self,
        reader: &'a mut Reader,
        rest: &mut dyn FnMut(Duration),
    ) -> Result<(&'static dyn Layout, Fits<'a>), Reject> {
        let bytes = if self.whole_file || self.take.exposures() {
            reader.inflate(rest)?
        } else {
            reader.inflate_needed(&survey::need_of_coadd, rest)?
        };
        let fits = Fits::parse(bytes)?;
        Ok((survey::detect_taking(&fits, self.take)?, fits))
    }

    /// Adds what is known of a spectrum beside its file.
    pub fn complete(&self, spectrum: &mut Spectrum) {
        if let Some(velocities) = self.velocities.as_deref()
            && spectrum.survey() == LAMOST_MRS
        {
            velocities.fill(&mut spectrum.meta);
        }
    }
}
