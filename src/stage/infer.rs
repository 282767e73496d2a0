//! From inputs to labels, a padded batch at a time.

use std::sync::Arc;

use starmill_actors::{Halt, Outlet, Stage};
use starmill_onnx::EngineError;

use super::{Counters, poisoned};
use crate::estimate::LabelRule;
use crate::failpoint;
use crate::outcome::{Estimate, Identity, Item};
use crate::prep::Prepared;
use crate::reject::{Code, Reject};
use crate::setup::{Estimates, Estimator, Ready};

/// Owns one session of the model.
pub struct Infer {
    estimator: Estimator,
    labels: Arc<LabelRule>,
    pixels: usize,
    counters: Arc<Counters>,
}

/// The row of a spectrum in what a run of the model gave.
struct Row<'a> {
    estimates: &'a Estimates,
    row: usize,
}

impl Infer {
    /// A worker around what gives the model's labels.
    pub fn new(estimator: Estimator, model: &Ready, counters: Arc<Counters>) -> Self {
        let pixels = model.model.manifest.input.pixels;
        Self { estimator, labels: Arc::clone(&model.labels), pixels, counters }
    }

    /// Runs the model on the items that are no rejects.
    fn run(&mut self, items: &[&Item<Prepared>]) -> Result<Estimates, EngineError> {
        failpoint::infer(items.iter().map(|item| item.origin.file.path.as_path()))?;
        let spectra: Vec<(&Identity, &Prepared)> = items
            .iter()
            .filter_map(|item| Some((&*item.identity, item.content.as_ref().ok()?)))
            .collect();
        self.estimator.run(&spectra)
    }

    /// Runs a batch, and once more if the library fails on it.
    fn run_twice(&mut self, items: &[&Item<Prepared>]) -> Result<Estimates, EngineError> {
        self.run(items).or_else(|error| {
            Counters::count(&self.counters.faults.retries_infer);
            tracing::warn!(%error, spectra = items.len(), "inference failed and is tried again");
            self.run(items)
        })
    }

    /// Runs one spectrum of a batch that failed as a whole. What fails alone, while zeros do not,
    /// is a reject; where zeros fail as well, the engine is broken and the run must end.
    fn run_alone(
        &mut self,
        item: &Item<Prepared>,
    ) -> Result<Result<Estimates, Reject>, EngineError> {
        match self.run(&[item]) {
            Ok(estimates) => Ok(Ok(estimates)),
            Err(error) => {
                failpoint::infer(std::iter::empty())?;
                self.estimator.probe(self.pixels)?;
                Ok(Err(Code::INFERENCE_FAILED.because(error.to_string())))
            }
        }
    }

    fn conclude(&self, item: &Item<Prepared>, row: &Row<'_>) -> Item<Estimate> {
        item.and_then(|prepared| {
            let Row { estimates, row } = row;
            if failpoint::chooses("infer-nan", &item.origin.file.path) {
                let mut spoilt = (*estimates).clone();
                spoilt.outputs.labels.fill(f32::NAN);
                return spoilt.conclude(&self.labels, &item.identity, prepared, *row);
            }
            estimates.conclude(&self.labels, &item.identity, prepared, *row)
        })
    }
}

impl Stage for Infer {
    type In = Item<Prepared>;
    type Out = Item<Estimate>;

    fn process(
        &mut self,
        batch: &mut [Self::In],
        out: &mut Outlet<'_, Self::Out>,
    ) -> Result<(), Halt> {
        let _span = tracing::info_span!("infer").entered();
        fail::fail_point!("infer-slow");
        let live: Vec<&Item<Prepared>> = batch.iter().filter(|item| item.content.is_ok()).collect();
        let whole = if live.is_empty() { None } else { Some(self.run_twice(&live)) };
        let mut row = 0;
        for item in &*batch {
            let outcome = match (&item.content, &whole) {
                (Err(reject), _) => item.rejected(reject.clone()),
                (Ok(_), Some(Ok(estimates))) => {
                    row += 1;
                    self.conclude(item, &Row { estimates, row: row - 1 })
                }
                (Ok(_), _) => match self.run_alone(item)? {
                    Ok(estimates) => self.conclude(item, &Row { estimates: &estimates, row: 0 }),
                    Err(reject) => item.rejected(reject),
                },
            };
            out.send(outcome)?;
        }
        Ok(())
    }

    fn salvage(item: Self::In, _: usize, panic: &str) -> Vec<Self::Out> {
        vec![poisoned(&item, panic)]
    }
}
