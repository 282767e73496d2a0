//! From inputs to labels, a padded batch at a time.

use std::sync::Arc;

use ndarray::Array2;
use starmill_actors::{Halt, Outlet, Stage};
use starmill_onnx::Engine;

use super::poisoned;
use crate::estimate::PointLabels;
use crate::outcome::{Estimate, Item};
use crate::prep::Prepared;

/// Owns one session of the model.
pub struct Infer {
    engine: Engine,
    labels: Arc<PointLabels>,
    pixels: usize,
}

impl Infer {
    /// A worker around an engine that takes `pixels` values a spectrum.
    pub fn new(engine: Engine, labels: Arc<PointLabels>, pixels: usize) -> Self {
        Self { engine, labels, pixels }
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
        let live: Vec<&Prepared> =
            batch.iter().filter_map(|item| item.content.as_ref().ok()).collect();
        let mut inputs = Array2::zeros((live.len(), self.pixels));
        for (mut row, prepared) in inputs.rows_mut().into_iter().zip(live) {
            row.iter_mut().zip(&prepared.input).for_each(|(to, from)| *to = *from);
        }
        let outputs = (inputs.nrows() > 0).then(|| self.engine.run(inputs.view())).transpose()?;
        let mut row = 0;
        for item in batch {
            let outcome = item.and_then(|prepared| {
                // Rejects have no row in the outputs, so a row exists for each of these.
                let outputs = outputs.as_ref().expect("a batch with a live item was run");
                let labels: Vec<f32> = outputs.labels.row(row).to_vec();
                let novelty = outputs.novelty.as_ref().map(|novelty| novelty[row]);
                row += 1;
                self.labels.conclude(&item.identity, prepared, &labels, novelty)
            });
            out.send(outcome)?;
        }
        Ok(())
    }

    fn salvage(item: Self::In, _: usize, panic: &str) -> Vec<Self::Out> {
        vec![poisoned(&item, panic)]
    }
}
