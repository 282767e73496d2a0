//! Outcomes for the tests of this folder.

use std::sync::Arc;

use super::{LabelColumn, ModelColumns, Schema, VectorColumn};
use crate::input::Digest;
use crate::outcome::{Estimate, Identity, Origin, Outcome, SourceFile};
use crate::quality::Quality;

pub(super) fn schema() -> Schema {
    let label =
        |name: &str| LabelColumn { name: name.into(), unit: "K".into(), ..LabelColumn::default() };
    Schema::new("m 1", &[label("teff")])
}

/// A model with an error, four floats in a column of two rows and two whole numbers in another.
pub(super) fn wide_schema() -> Schema {
    let vector = |name: &str, shape: &[usize], integer| VectorColumn {
        name: name.into(),
        shape: shape.into(),
        integer,
        ..VectorColumn::default()
    };
    let label = LabelColumn { name: "teff".into(), alias: "Teff[K]".into(), ..Default::default() };
    let model = ModelColumns {
        labels: vec![label],
        errors: true,
        vectors: vec![vector("votes", &[2, 2], false), vector("winner", &[2], true)],
    };
    Schema::of_model("m 1", &model)
}

/// The outcomes of one part of a file: `spectra` rows from `first` of a file that gives `total`.
pub(super) fn outcomes(
    path: &str,
    content: &[u8],
    first: usize,
    spectra: usize,
    total: usize,
) -> Vec<Outcome> {
    let digest = Digest::of(content);
    let file =
        Arc::new(SourceFile { first, total, ..SourceFile::whole(0, path.into(), digest, spectra) });
    let outcome = |index: usize| Outcome {
        origin: Origin { file: Arc::clone(&file), index },
        identity: Arc::new(Identity::default()),
        content: Ok(Estimate {
            values: vec![5000.0 + index as f32],
            novelty: 0.5,
            quality: Quality::NONE,
            pixels: 10,
            ..Estimate::default()
        }),
    };
    (first..first + spectra).map(outcome).collect()
}
