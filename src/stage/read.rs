//! From a file's name to its spectra.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use starmill_actors::{BoxError, Halt, Outlet, Stage};

use super::{Counters, FileTask};
use crate::catalogue::path_text;
use crate::fits::Fits;
use crate::input::{Digest, Limits, Reader};
use crate::ledger::Ledger;
use crate::outcome::{Identity, Item, Origin, SourceFile};
use crate::reject::{Code, Reject};
use crate::spectrum::Spectrum;
use crate::survey;

/// Reads, inflates and parses files; skips those that the ledger knows.
pub struct Read {
    reader: Reader,
    /// `None` while the ledger is empty: a first run need not ask it for every file.
    done: Option<Ledger>,
    counters: Arc<Counters>,
}

impl Read {
    /// A reader that asks the ledger at this path, if there is one to ask.
    ///
    /// # Errors
    /// When the ledger cannot be opened.
    pub fn new(
        limits: Limits,
        ledger: Option<&PathBuf>,
        counters: Arc<Counters>,
    ) -> Result<Self, BoxError> {
        let done = ledger.map(|path| Ledger::open_reader(path)).transpose()?;
        Ok(Self { reader: Reader::new(limits), done, counters })
    }

    fn read(
        &mut self,
        task: &mut FileTask,
        out: &mut Outlet<'_, Item<Spectrum>>,
    ) -> Result<(), Halt> {
        let failed = |digest: Digest| SourceFile {
            sequence: task.sequence,
            path: task.path.clone(),
            digest,
            first: 0,
            spectra: 1,
            total: 1,
        };
        if let Some(reject) = task.missing.clone() {
            return fail(failed(Digest::default()), reject, out);
        }
        let digest = match self.reader.read(&task.path) {
            Ok(digest) => digest,
            Err(reject) => return fail(failed(Digest::default()), reject, out),
        };
        self.counters.bytes_read.fetch_add(self.reader.raw().len() as u64, Relaxed);
        if self.is_done(digest, task)? {
            return Ok(());
        }
        let bytes = match self.reader.inflate() {
            Ok(bytes) => bytes,
            Err(reject) => return fail(failed(digest), reject, out),
        };
        let fits = match Fits::parse(bytes) {
            Ok(fits) => fits,
            Err(error) => return fail(failed(digest), error.into(), out),
        };
        let layout = match survey::detect(&fits) {
            Ok(layout) => layout,
            Err(reject) => return fail(failed(digest), reject, out),
        };
        let spectra = layout.count(&fits);
        let file = Arc::new(SourceFile { spectra, total: spectra, ..failed(digest) });
        task.opened = Some(Arc::clone(&file));
        for index in 0..spectra {
            let content = layout.read(&fits, index);
            let identity = match &content {
                Ok(spectrum) => Identity::of(spectrum),
                Err(_) => Identity { survey: Some(layout.survey()), ..Identity::default() },
            };
            let origin = Origin { file: Arc::clone(&file), index };
            out.send(Item { origin, identity: Arc::new(identity), content })?;
        }
        Ok(())
    }

    fn is_done(&self, digest: Digest, task: &FileTask) -> Result<bool, Halt> {
        let Some(ledger) = &self.done else {
            return Ok(false);
        };
        let done = ledger.is_done(digest, &path_text(&task.path), 0)?;
        if done {
            Counters::count(&self.counters.files_skipped);
            tracing::debug!(file = %task.path.display(), "skipped, done before");
        }
        Ok(done)
    }
}

/// A file in which no spectrum was found is one reject. If it was one before, the writer skips it
/// like any other input that is done.
fn fail(
    file: SourceFile,
    reject: Reject,
    out: &mut Outlet<'_, Item<Spectrum>>,
) -> Result<(), Halt> {
    out.send(failure(file, reject))?;
    Ok(())
}

fn failure(file: SourceFile, reject: Reject) -> Item<Spectrum> {
    Item {
        origin: Origin { file: Arc::new(file), index: 0 },
        identity: Arc::default(),
        content: Err(reject),
    }
}

impl Stage for Read {
    type In = FileTask;
    type Out = Item<Spectrum>;

    fn process(
        &mut self,
        batch: &mut [FileTask],
        out: &mut Outlet<'_, Self::Out>,
    ) -> Result<(), Halt> {
        let _span = tracing::info_span!("read").entered();
        batch.iter_mut().try_for_each(|task| self.read(task, out))
    }

    fn salvage(task: FileTask, emitted: usize, panic: &str) -> Vec<Self::Out> {
        let reject = Code::POISON.because(format!("reading it made a worker panic: {panic}"));
        let Some(file) = task.opened else {
            let file = SourceFile {
                sequence: task.sequence,
                path: task.path,
                digest: Digest::default(),
                first: 0,
                spectra: 1,
                total: 1,
            };
            return vec![failure(file, reject)];
        };
        (emitted..file.spectra)
            .map(|index| Item {
                origin: Origin { file: Arc::clone(&file), index },
                identity: Arc::default(),
                content: Err(reject.clone()),
            })
            .collect()
    }
}
