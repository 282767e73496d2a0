//! How well the labels of a row fit, as a catalogue has it.

use crate::catalogue::VectorColumn;
use crate::fit::{Checker, Consistency, Fitted};
use crate::quality::Quality;

/// What is said of a row.
#[derive(Debug, Clone, PartialEq)]
pub struct Goodness {
    /// How well its labels fit, or why that is not known.
    pub verdict: Result<Consistency, Missing>,
    /// Whether the velocity is one that was looked for.
    pub fitted_rv: bool,
    /// Whether the fit is worse than those of good rows.
    pub poor: bool,
    /// Wavelengths, then flux; empty if nobody asked.
    pub spectrum: Vec<f32>,
    /// The continuum by which both are divided, at the same wavelengths.
    pub continuum: Vec<f32>,
}

/// Why a row has no chi-square.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// Labels lie where the forward model was not trained.
    Labels,
    /// Too little of the spectrum lies where the forward model has pixels.
    Pixels,
}

impl Goodness {
    pub(super) fn none() -> Self {
        Self {
            verdict: Err(Missing::Labels),
            fitted_rv: false,
            poor: false,
            spectrum: Vec::new(),
            continuum: Vec::new(),
        }
    }

    /// What a fit says of itself.
    pub(super) fn of_fit(fit: &Fitted) -> Self {
        let verdict = Ok(Consistency {
            chi2: fit.chi2,
            freedom: fit.freedom,
            rv_kms: fit.rv_kms,
            worst: fit.worst,
            poor: fit.poor,
        });
        Self { verdict, fitted_rv: true, poor: fit.poor, ..Self::none() }
    }

    /// Takes a comparison.
    pub(super) fn judge(&mut self, verdict: Option<Consistency>) {
        self.poor = verdict.as_ref().is_some_and(|found| found.poor);
        self.verdict = verdict.ok_or(Missing::Pixels);
    }

    /// Takes a comparison of this flux with the spectrum that belongs to it.
    pub(super) fn hold(
        &mut self,
        verdict: Option<Consistency>,
        (checker, flux): (&Checker, &[f32]),
    ) {
        self.judge(verdict);
        if let Ok(found) = &self.verdict {
            let pixels = checker.spectrum(flux, found.rv_kms);
            let column = |at: usize| pixels.iter().map(move |pixel| pixel[at]);
            self.spectrum = column(0).chain(column(1)).collect();
            self.continuum = column(2).collect();
        }
    }

    /// The quality bits that it sets.
    pub fn quality(&self) -> Quality {
        if self.poor { Quality::POOR_FIT } else { Quality::NONE }
    }

    /// Values of the columns, in the order of [`columns`].
    #[expect(clippy::cast_possible_truncation, reason = "catalogues hold single precision")]
    pub(super) fn values(&self, pixels: Option<usize>) -> Vec<f32> {
        let Self { verdict, fitted_rv, .. } = self;
        let mut values = match verdict {
            Ok(found) => {
                let [wave, worst] = found.worst.map_or([f64::NAN; 2], |worst| {
                    [0.5 * (worst.wave[0] + worst.wave[1]), worst.reduced_chi2]
                });
                [found.chi2, found.freedom, found.reduced_chi2(), wave, worst].map(|x| x as f32)
            }
            Err(_) => [f32::NAN; 5],
        }
        .to_vec();
        values.push(match verdict {
            Ok(_) if *fitted_rv => 1.0,
            Ok(_) => 0.0,
            Err(Missing::Labels) => 2.0,
            Err(Missing::Pixels) => 3.0,
        });
        values.extend(pixels.map_or(Vec::new(), |pixels| self.spectrum_values(pixels)));
        values
    }

    /// Those of the spectrum alone, of so many pixels.
    fn spectrum_values(&self, pixels: usize) -> Vec<f32> {
        let missing = std::iter::repeat(f32::NAN);
        self.spectrum.iter().copied().chain(missing).take(2 * pixels).collect()
    }
}

/// The columns; with those of the spectra of so many pixels, if they are asked for.
pub(super) fn columns(pixels: Option<usize>) -> Vec<VectorColumn> {
    let column = |name: &str, unit: &str, ucd: &str, description: &str| VectorColumn {
        name: name.into(),
        unit: unit.into(),
        ucd: ucd.into(),
        description: description.into(),
        ..VectorColumn::default()
    };
    let state = column(
        "chi2_state",
        "",
        "meta.code",
        "0, 1: chi2 at the known, a fitted rv; 2, 3: none, see docs",
    );
    let mut columns = vec![
        column("chi2", "", "stat.fit.chi2", "Chi-square of the forward model at these labels"),
        column("dof", "", "stat.fit.dof", "Degrees of freedom, less the continuum's"),
        column("chi2_red", "", "stat.fit.chi2", "Chi-square by degrees of freedom"),
        column(
            "worst_wave",
            "Angstrom",
            "em.wl",
            "Middle of the 100 A that fit worst, as observed",
        ),
        column("worst_chi2", "", "stat.fit.chi2", "Chi-square by degrees of freedom in them"),
        VectorColumn { integer: true, ..state },
    ];
    columns.extend(pixels.into_iter().flat_map(spectra));
    columns
}

/// The columns of model spectra of so many pixels.
fn spectra(pixels: usize) -> [VectorColumn; 2] {
    let column = |name: &str, unit: &str, ucd: &str, description: &str| VectorColumn {
        name: name.into(),
        unit: unit.into(),
        ucd: ucd.into(),
        description: description.into(),
        shape: vec![pixels],
        integer: false,
    };
    let flux = "Model spectrum at these labels, in the file's unit";
    [
        column("model_wave", "Angstrom", "em.wl", "Wavelength of model_flux: vacuum, as observed"),
        column("model_flux", "", "phot.flux", flux),
    ]
}
