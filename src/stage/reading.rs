//! What is read of a file, and what is added to it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::config::Config;
use crate::fits::Fits;
use crate::input::Reader;
use crate::reject::Reject;
use crate::rv::measure::{Measured, Measurer, Trust};
use crate::rv::{RvError, RvSettings, RvSource, Velocities};
use crate::spectrum::Spectrum;
use crate::survey::{self, LAMOST_MRS, Layout, Take};

/// How files become spectra, beyond what their layout says.
#[derive(Clone)]
pub struct Reading {
    /// Which spectra are taken where there are exposures and their sum.
    pub take: Take,
    /// Whether a file is inflated to its end if only its beginning is needed.
    pub whole_file: bool,
    /// Where velocities of the spectra whose files carry none come from; the first that has one counts.
    pub velocities: Vec<Source>,
}

/// A source of velocities, ready to be asked.
#[derive(Clone)]
pub enum Source {
    /// A list of files.
    List(Arc<Velocities>),
    /// A catalogue.
    Catalogue(Arc<Velocities>),
    /// The spectrum itself.
    Measured(Arc<Measurer>),
}

/// What a row says of the source of a velocity that was measured.
pub const MEASURED: &str = "measured";

impl Reading {
    /// What is configured, for a model of these surveys.
    ///
    /// # Errors
    /// [`RvError`] when the velocities that may be needed cannot be read.
    pub fn of(config: &Config, surveys: &[String]) -> Result<Self, RvError> {
        let is_medium = surveys.iter().any(|survey| survey == LAMOST_MRS);
        let velocities = if is_medium { Source::of(&config.rv)? } else { Vec::new() };
        Ok(Self {
            take: config.input.spectra,
            // The files of other surveys would be begun in vain.
            whole_file: config.input.whole_file || surveys != [LAMOST_MRS],
            velocities,
        })
    }

    /// What a catalogue is bound to beside its model.
    pub fn name(&self) -> String {
        let mut name = format!(", {:?}", self.take).to_lowercase();
        for source in &self.velocities {
            name += &match source {
                Source::List(list) => format!(", listed {:.16}", list.digest().to_string()),
                Source::Catalogue(rv) => format!(", rv {:.16}", rv.digest().to_string()),
                Source::Measured(_) => format!(", measured {:.16}", Measurer::digest().to_string()),
            };
        }
        name
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

    /// Adds what is known of a spectrum beside its file, which lies at `path`.
    pub fn complete(&self, path: &Path, spectrum: &mut Spectrum) {
        if spectrum.survey() != LAMOST_MRS {
            return;
        }
        for source in &self.velocities {
            source.fill(path, spectrum);
            if spectrum.meta.rv_kms.is_some() {
                return;
            }
        }
    }
}

impl Source {
    /// Those that are configured and there, in their order.
    fn of(settings: &RvSettings) -> Result<Vec<Self>, RvError> {
        let mut sources = Vec::new();
        for source in &settings.sources {
            let file = match source {
                RvSource::List => &settings.list,
                RvSource::Catalogue => &settings.catalogue,
                RvSource::Measured => {
                    sources.push(Self::Measured(Measurer::shared()));
                    continue;
                }
            };
            if !file.as_os_str().is_empty() {
                let velocities = Velocities::shared(file, settings)?;
                let is_list = *source == RvSource::List;
                let kind = if is_list { Self::List } else { Self::Catalogue };
                sources.push(kind(velocities));
            }
        }
        Ok(sources)
    }

    fn fill(&self, path: &Path, spectrum: &mut Spectrum) {
        match self {
            Self::List(velocities) | Self::Catalogue(velocities) => {
                velocities.fill(path, &mut spectrum.meta);
            }
            Self::Measured(measurer) => {
                if let Some(Measured { velocity, error, trust, .. }) = measurer.measure(spectrum)
                    && !matches!(trust, Trust::No(_))
                {
                    let meta = &mut spectrum.meta;
                    (meta.rv_kms, meta.rv_err_kms) = (Some(velocity), Some(error));
                    meta.rv_source = Some(MEASURED.to_owned());
                    meta.rv_is_doubtful = trust != Trust::Yes;
                }
            }
        }
    }
}
