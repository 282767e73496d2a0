//! What can be wrong with a model folder.

use std::path::PathBuf;

use thiserror::Error;

use crate::folder::Kind;

/// A model folder that cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ModelError {
    /// A file or folder cannot be read.
    #[error("cannot read {path}: {source}; check that it exists and may be read")]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The manifest is not TOML of the expected shape.
    #[error("{path} is not a manifest: {reason}; correct the key or export the model again")]
    Parse {
        /// The manifest.
        path: PathBuf,
        /// Where and why.
        reason: String,
    },
    /// The manifest breaks a rule; the phrase ends with the remedy.
    #[error("{path}: {rule}")]
    Invalid {
        /// The manifest.
        path: PathBuf,
        /// The rule and the remedy.
        rule: String,
    },
    /// It is a model of another kind.
    #[error("{path} {}", of_kind(*found))]
    Kind {
        /// The manifest.
        path: PathBuf,
        /// Its kind.
        found: Kind,
    },
    /// A file with one number for each pixel does not fit the manifest.
    #[error("{path} does not fit its manifest: {reason}; export the model again")]
    Pixels {
        /// The file.
        path: PathBuf,
        /// The difference.
        reason: String,
    },
    /// A symbolic link leads out of the model folder.
    #[error("{path} leads out of its model folder; replace the link by the file")]
    Escape {
        /// The file as the manifest names it.
        path: PathBuf,
    },
    /// A file is not the one the manifest was written for.
    #[error(
        "{path} has sha256 {found}, the manifest says {expected}; copy the model folder again \
         from its source"
    )]
    Hash {
        /// The file.
        path: PathBuf,
        /// The hash in the manifest.
        expected: String,
        /// The hash of the content.
        found: String,
    },
    /// The golden cases do not fit the manifest.
    #[error("{path} holds no usable golden cases: {reason}; export the model again")]
    Golden {
        /// The golden file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

fn of_kind(found: Kind) -> &'static str {
    match found {
        Kind::Forward => {
            "is a forward model, which makes spectra from labels; name a model that estimates \
             labels: `starmill models list` shows the kind of each"
        }
        Kind::Regressor => {
            "is a model that estimates labels; name a forward model, which makes spectra from \
             labels: `starmill models list` shows the kind of each"
        }
    }
}
