//! One spectrum on the way of a run: the same reader, recipe, network and rules, one after the other.

use std::path::Path;
use std::sync::Arc;
use std::thread;

use anyhow::Context;
use starmill_actors::{Halt, Outlet, Stage};

use super::model::ModelFit;
use super::record::{Record, Step};
use crate::config::Config;
use crate::fits::Fits;
use crate::input::{Digest, Reader, Unread};
use crate::outcome::{Estimate, Identity, Item, Origin, Outcome, SourceFile};
use crate::prep::{Pixels, Prepared, Workspace};
use crate::reject::Reject;
use crate::setup::{Ready, load_runtime};
use crate::spectrum::Spectrum;
use crate::stage::{Counters, Infer, check_survey};
use crate::survey::Layout;

/// Which spectrum of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// By its place among those that are taken of the file, from 0: `file_index` of the catalogue.
    Index(usize),
    /// A single exposure by its local modified Julian minute.
    Exposure(i64),
}

/// A spectrum, and what became of it.
pub struct Replay {
    /// The reader that took the file.
    pub layout: Option<&'static str>,
    /// The spectrum, if it could be read.
    pub spectrum: Option<Spectrum>,
    /// The steps of the recipe that were run.
    pub steps: Vec<Step>,
    /// The row or the reject.
    pub outcome: Outcome,
    /// The stage that refused the spectrum.
    pub refused_by: Option<&'static str>,
    /// The spectrum beside the model spectrum at its labels, or why there is none.
    pub model_fit: Result<ModelFit, &'static str>,
}

/// Runs the model over one spectrum of a file.
///
/// # Errors
/// When there is no such spectrum, or the model cannot be run. What is wrong with the file or the
/// spectrum is a reject, as in a run.
pub fn replay(config: &Config, ready: &Ready, path: &Path, which: Which) -> anyhow::Result<Replay> {
    let read = read(config, ready, path, which)?;
    let (layout, item) = (read.layout, read.item);
    let mut refused_by = item.content.is_err().then_some("read");
    let mut record = Record::new(ready.recipe.grid());
    let prepared: Item<Prepared> = item.and_then(|spectrum| {
        check_survey(&ready.model.manifest.surveys, spectrum)?;
        let mut workspace = Workspace::default();
        ready.recipe.prepare_observed(&mut workspace, spectrum, &mut record)
    });
    if prepared.content.is_err() {
        refused_by = refused_by.or(Some("prepare"));
    }
    let steps = record.into_steps(prepared.content.is_err());
    let mut model_fit = Err("there is no row");
    let outcome = match &prepared.content {
        Err(reject) => prepared.rejected(reject.clone()),
        Ok(pixels) => {
            let outcome = infer(config, ready, prepared.clone())?;
            if let Ok(row) = &outcome.content {
                model_fit = beside_model(config, ready, (&outcome.identity, pixels), row)?;
            }
            outcome
        }
    };
    if outcome.content.is_err() {
        refused_by = refused_by.or(Some("infer"));
    }
    Ok(Replay { layout, spectrum: item.content.ok(), steps, outcome, refused_by, model_fit })
}

/// Runs the network on a batch of this one, padded as every batch of a run.
fn infer(config: &Config, ready: &Ready, prepared: Item<Prepared>) -> anyhow::Result<Outcome> {
    let engine = ready.proven_estimator(load_runtime(config)?, config)?;
    let mut out = Outlet::collecting();
    let mut stage = Infer::new(engine, ready, Arc::new(Counters::default()));
    match stage.process(&mut [prepared], &mut out) {
        // Nobody else holds the outlet, so that it is never closed.
        Ok(()) | Err(Halt::DownstreamClosed) => {}
        Err(Halt::Fatal(error)) => anyhow::bail!("{error}"),
    }
    out.into_items().pop().context("the network gave no outcome; report the file")
}

/// Holds the spectrum of a row against the model spectrum at its labels.
fn beside_model(
    config: &Config,
    ready: &Ready,
    (identity, prepared): (&Identity, &Prepared),
    row: &Estimate,
) -> anyhow::Result<Result<ModelFit, &'static str>> {
    let mut estimator = ready.estimator(load_runtime(config)?, config)?;
    let Some(goodness) = estimator.expected(identity, prepared, &row.values)? else {
        return Ok(Err(
            "the model's manifest names no forward model, or models.consistency is off",
        ));
    };
    let pixels = match &ready.fit {
        Some(_) => Pixels::of(&prepared.input),
        None => Pixels::of(&prepared.native),
    };
    Ok(ModelFit::of(ready.forward_id(), pixels, &goodness))
}

/// A file with the spectrum that was asked for.
struct Read {
    layout: Option<&'static str>,
    item: Item<Spectrum>,
}

fn read(config: &Config, ready: &Ready, path: &Path, which: Which) -> anyhow::Result<Read> {
    let mut reader = Reader::new(config.limits());
    let failure = |digest: Digest, reject: Reject| Read {
        layout: None,
        item: Item {
            origin: origin(path, digest, 1, 0),
            identity: Arc::default(),
            content: Err(reject),
        },
    };
    let digest = match reader.read(path, &mut thread::sleep) {
        Ok(digest) => digest,
        Err(error @ Unread::NoDescriptor(_)) => return Err(error.into()),
        Err(unread) => return Ok(failure(Digest::default(), unread.into())),
    };
    let (layout, fits) = match ready.reading.open(&mut reader, &mut thread::sleep) {
        Ok(opened) => opened,
        Err(reject) => return Ok(failure(digest, reject)),
    };
    let total = layout.count(&fits);
    let index = place(layout, &fits, which)?;
    let content = layout.read(&fits, index).map(|mut spectrum| {
        ready.reading.complete(path, &mut spectrum);
        spectrum
    });
    let identity = match &content {
        Ok(spectrum) => Identity::of(spectrum),
        Err(_) => Identity { survey: Some(layout.survey()), ..Identity::default() },
    };
    let origin = origin(path, digest, total, index);
    let item = Item { origin, identity: Arc::new(identity), content };
    Ok(Read { layout: Some(layout.name()), item })
}

fn origin(path: &Path, digest: Digest, total: usize, index: usize) -> Origin {
    Origin { file: Arc::new(SourceFile::whole(0, path.to_owned(), digest, total)), index }
}

/// Where the spectrum stands in its file.
fn place(layout: &dyn Layout, fits: &Fits, which: Which) -> anyhow::Result<usize> {
    let total = layout.count(fits);
    match which {
        Which::Index(index) if index < total => Ok(index),
        Which::Index(index) => anyhow::bail!(
            "--index {index} is beyond the {total} spectra that are taken of the file; they count \
             from 0, and input.spectra says which are taken"
        ),
        Which::Exposure(lmjm) => {
            let metas = || {
                (0..total).filter_map(|index| Some((index, layout.read(fits, index).ok()?.meta)))
            };
            let is_it = |(_, meta): &(usize, crate::spectrum::Meta)| {
                meta.is_exposure && meta.lmjm == Some(lmjm)
            };
            if let Some((index, _)) = metas().find(is_it) {
                return Ok(index);
            }
            let there =
                metas().filter(|(_, meta)| meta.is_exposure).filter_map(|(_, meta)| meta.lmjm);
            let there: Vec<String> = there.map(|lmjm| lmjm.to_string()).collect();
            anyhow::bail!(
                "the file has no exposure of minute {lmjm}; choose one of: {}",
                if there.is_empty() { "none".to_owned() } else { there.join(", ") }
            )
        }
    }
}
