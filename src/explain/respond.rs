//! The sensitivity of a replayed spectrum, by the network of its model.

use super::replay::Replay;
use super::sensitivity::Sensitivity;
use crate::config::Config;
use crate::setup::{Ready, load_runtime};

/// Changes the flux of a replayed spectrum region by region; `Ok(Err)` says why nothing can be said.
///
/// At most some 300 spectra run through the network, a batch after the other.
///
/// # Errors
/// When the model cannot be run.
pub fn respond(
    config: &Config,
    ready: &Ready,
    replay: &Replay,
) -> anyhow::Result<Result<Sensitivity, &'static str>> {
    let (Some(spectrum), Ok(_)) = (&replay.spectrum, &replay.outcome.content) else {
        return Ok(Err("there is no row"));
    };
    if ready.fit.is_some() {
        return Ok(Err("the model is fitted; its Cramer-Rao bounds say what the spectrum holds"));
    }
    let mut engine = ready.engine(load_runtime(config)?, config)?;
    let labels = ready.model.manifest.labels.iter();
    let labels: Vec<(&str, &str)> =
        labels.map(|label| (label.name.as_str(), label.unit.as_str())).collect();
    let network = |inputs: ndarray::ArrayView2<'_, f32>| Ok(engine.run(inputs)?.labels);
    let batch = config.infer.batch;
    Sensitivity::of((&ready.recipe, spectrum), &labels, batch, network).map(Ok)
}
