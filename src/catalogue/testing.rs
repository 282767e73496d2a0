//! Outcomes for the tests of this folder.

use std::sync::Arc;

use super::{LabelColumn, Schema};
use crate::input::Digest;
use crate::outcome::{Estimate, Identity, Origin, Outcome, SourceFile};
use crate::quality::Quality;

pub(super) fn schema() -> Schema {
    let label = |name: &str| LabelColumn {
        name: name.into(),
        unit: "K".into(),
        ucd: String::new(),
        description: String::new(),
    };
    Schema::new("m 1", &[label("teff")])
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
            bad_pixels: 0,
            empty_bins: 0,
        }),
    };
    (first..first + spectra).map(outcome).collect()
}
