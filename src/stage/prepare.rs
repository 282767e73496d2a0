//! From a spectrum to the model's input.

use std::sync::Arc;

use starmill_actors::{Halt, Outlet, Stage};

use super::poisoned;
use crate::failpoint;
use crate::outcome::Item;
use crate::prep::{Prepared, Recipe, Workspace};
use crate::reject::{Code, Reject};
use crate::spectrum::Spectrum;

/// Runs the model's recipe.
pub struct Prepare {
    recipe: Arc<Recipe>,
    surveys: Arc<[String]>,
    workspace: Workspace,
}

impl Prepare {
    /// A worker for a recipe and the surveys that the model is for.
    pub fn new(recipe: Arc<Recipe>, surveys: Arc<[String]>) -> Self {
        Self { recipe, surveys, workspace: Workspace::default() }
    }

    fn prepare(&mut self, spectrum: &Spectrum) -> Result<Prepared, Reject> {
        check_survey(&self.surveys, spectrum)?;
        self.recipe.prepare_in(&mut self.workspace, spectrum)
    }
}

/// Refuses spectra of other surveys than a model is for.
///
/// # Errors
/// [`Code::WRONG_SURVEY`].
pub fn check_survey(surveys: &[String], spectrum: &Spectrum) -> Result<(), Reject> {
    let survey = spectrum.survey();
    if surveys.iter().any(|name| name == survey) {
        return Ok(());
    }
    let surveys = surveys.join(", ");
    Err(Code::WRONG_SURVEY.because(format!("it is {survey}, the model is for {surveys}")))
}

impl Stage for Prepare {
    type In = Item<Spectrum>;
    type Out = Item<Prepared>;

    fn process(
        &mut self,
        batch: &mut [Self::In],
        out: &mut Outlet<'_, Self::Out>,
    ) -> Result<(), Halt> {
        let _span = tracing::info_span!("prepare").entered();
        fail::fail_point!("prepare-slow");
        for item in batch {
            failpoint::panic_on("prepare-poison", &item.origin.file.path);
            out.send(item.and_then(|spectrum| self.prepare(spectrum)))?;
        }
        Ok(())
    }

    fn salvage(item: Self::In, _: usize, panic: &str) -> Vec<Self::Out> {
        vec![poisoned(&item, panic)]
    }
}
