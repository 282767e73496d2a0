use std::io;

use thiserror::Error;

use crate::reject::{Code, Reject};

/// Why a file was not read.
#[derive(Debug, Error)]
pub enum Unread {
    /// Because of the file: it becomes a reject.
    #[error("{0}")]
    Reject(Reject),
    /// Because of something that may pass; [`Reader::read`](super::Reader::read) tries again and
    /// then gives it as a [`Reject`](Self::Reject).
    #[error("{0}")]
    Again(Reject),
    /// Because this process may open no more files. The file is not guilty.
    #[error(
        "{0}; raise the limit of open files (`ulimit -n`, or LimitNOFILE of the service), or lower \
         read.workers, then run again"
    )]
    NoDescriptor(io::Error),
}

impl Unread {
    pub(super) fn may_pass(&self) -> bool {
        !matches!(self, Self::Reject(_))
    }

    /// What is left when no try is left.
    pub(super) fn given_up(self) -> Self {
        match self {
            Self::Again(reject) => Self::Reject(reject),
            other => other,
        }
    }
}

/// For a caller that reads one file and has nothing else to do.
impl From<Unread> for Reject {
    fn from(unread: Unread) -> Self {
        match unread {
            Unread::Reject(reject) | Unread::Again(reject) => reject,
            Unread::NoDescriptor(_) => Code::UNREADABLE.because(unread.to_string()),
        }
    }
}

impl From<Reject> for Unread {
    fn from(reject: Reject) -> Self {
        Self::Reject(reject)
    }
}
