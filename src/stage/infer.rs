//! From inputs to labels, a padded batch at a time.

use std::sync::Arc;

use ndarray::Array2;
use starmill_actors::{Halt, Outlet, Stage};
use starmill_onnx::{Engine, EngineError, Outputs};

use super::{Counters, poisoned};
use crate::estimate::LabelRule;
use crate::failpoint;
use crate::outcome::{Estimate, Item};
use crate::prep::Prepared;
use crate::reject::{Code, Reject};
use crate::setup::Ready;

/// Owns one session of the model.
pub struct Infer {
    engine: Engine,
    labels: Arc<LabelRule>,
    pixels: usize,
    counters: Arc<Counters>,
}

/// The row of a spectrum in what a run of the network gave.
struct Row<'a> {
    outputs: &'a Outputs,
    row: usize,
}

impl Infer {
    /// A worker around an engine of the model.
    pub fn new(engine: Engine, model: &Ready, counters: Arc<Counters>) -> Self {
        let pixels = model.model.manifest.input.pixels;
        Self { engine, labels: Arc::clone(&model.labels), pixels, counters }
    }

    /// Runs the network on the items that are no rejects.
    fn run(&mut self, items: &[&Item<Prepared>]) -> Result<Outputs, EngineError> {
        failpoint::infer(items.iter().map(|item| item.origin.file.path.as_path()))?;
        let mut inputs = Array2::zeros((items.len(), self.pixels));
        for (mut row, item) in inputs.rows_mut().into_iter().zip(items) {
            let prepared = item.content.iter().flat_map(|prepared| &prepared.input);
            row.iter_mut().zip(prepared).for_each(|(to, from)| *to = *from);
        }
        self.engine.run(inputs.view())
    }

    /// Runs a batch, and once more if the library fails on it.
    fn run_twice(&mut self, items: &[&Item<Prepared>]) -> Result<Outputs, EngineError> {
        self.run(items).or_else(|error| {
            Counters::count(&self.counters.faults.retries_infer);
            tracing::warn!(%error, spectra = items.len(), "inference failed and is tried again");
            self.run(items)
        })
    }

    /// Runs one spectrum of a batch that failed as a whole. What fails alone, while zeros do not,
    /// is a reject; where zeros fail as well, the engine is broken and the run must end.
    fn run_alone(&mut self, item: &Item<Prepared>) -> Result<Result<Outputs, Reject>, EngineError> {
        match self.run(&[item]) {
            Ok(outputs) => Ok(Ok(outputs)),
            Err(error) => {
                failpoint::infer(std::iter::empty())?;
                self.engine.run(Array2::zeros((1, self.pixels)).view())?;
                Ok(Err(Code::INFERENCE_FAILED.because(error.to_string())))
            }
        }
    }

    fn conclude(&self, item: &Item<Prepared>, row: &Row<'_>) -> Item<Estimate> {
        item.and_then(|prepared| {
            let Row { outputs, row } = row;
            if failpoint::chooses("infer-nan", &item.origin.file.path) {
                let mut spoilt = (*outputs).clone();
                spoilt.labels.fill(f32::NAN);
                return self.labels.conclude(&item.identity, prepared, &spoilt, *row);
            }
            self.labels.conclude(&item.identity, prepared, outputs, *row)
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
                (Ok(_), Some(Ok(outputs))) => {
                    row += 1;
                    self.conclude(item, &Row { outputs, row: row - 1 })
                }
                (Ok(_), _) => match self.run_alone(item)? {
                    Ok(outputs) => self.conclude(item, &Row { outputs: &outputs, row: 0 }),
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
