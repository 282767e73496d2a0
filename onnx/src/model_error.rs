//! What can be wrong with a model folder.

use std::path::PathBuf;

use thiserror::Error;

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
