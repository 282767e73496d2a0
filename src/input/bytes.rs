//! A file's bytes, hashed and inflated under limits.

use std::fs::{Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use backon::BackoffBuilder;
use rustix::fs::OFlags;
use rustix::io::Errno;

use super::inflate::{self, Inflater};
use super::large::{LargeFiles, Turn};
use super::{Digest, Unread};
use crate::backoff::{FIRST_DELAY, delays};
use crate::reject::{Code, Reject};

/// Upper limits on sizes, from config.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The largest file that is read, bytes.
    pub file_bytes: u64,
    /// The largest size that a compressed file may inflate to, bytes.
    pub inflated_bytes: u64,
}

/// A file up to this size is read without waiting for the [`LargeFiles`].
pub const SMALL_FILE: usize = 8 << 20;
/// A file that inflates to no more is inflated without waiting for the [`LargeFiles`].
pub const SMALL_INFLATED: usize = 24 << 20;

/// How long a reader waits before it asks again for its turn with a large file.
const TURN_DELAY: Duration = Duration::from_millis(10);

/// Reads and inflates one file after another in buffers that it keeps, for allocating them anew
/// for every file costs as much as hashing it.
pub struct Reader {
    limits: Limits,
    retries: usize,
    large: LargeFiles,
    turn: Option<Turn>,
    raw: Vec<u8>,
    inflater: Inflater,
    retried: u64,
}

impl Reader {
    /// A reader under limits, on its own and without second tries.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            retries: 0,
            large: LargeFiles::default(),
            turn: None,
            raw: Vec::new(),
            inflater: Inflater::new(),
            retried: 0,
        }
    }

    /// The reader, trying again so many times after a fault that may pass.
    #[must_use]
    pub fn retrying(self, retries: usize) -> Self {
        Self { retries, ..self }
    }

    /// The reader, taking its turn with others for files that are large.
    #[must_use]
    pub fn sharing(self, large: LargeFiles) -> Self {
        Self { large, ..self }
    }

    /// Reads a whole file and returns the digest of its bytes as they lie on disk. The name is
    /// opened as it is: nothing in it is an instruction. `rest` is how the caller waits, before
    /// another try or for its turn with a large file.
    ///
    /// # Errors
    /// [`Unread::Reject`] with [`Code::UNREADABLE`], [`Code::TOO_LARGE`], [`Code::EMPTY_FILE`] or
    /// [`Code::STILL_CHANGING`]; [`Unread::NoDescriptor`] when the process may open no more files,
    /// of which this file is not guilty.
    pub fn read(&mut self, path: &Path, rest: &mut dyn FnMut(Duration)) -> Result<Digest, Unread> {
        self.release();
        let mut delays = delays(FIRST_DELAY, self.retries).build();
        loop {
            let Err(error) = self.read_once(path, rest) else {
                return Ok(Digest::of(&self.raw));
            };
            let delay = if error.may_pass() { delays.next() } else { None };
            let Some(delay) = delay else {
                return Err(error.given_up());
            };
            self.retried += 1;
            tracing::debug!(file = %path.display(), %error, "reading is tried again");
            rest(delay);
        }
    }

    fn read_once(&mut self, path: &Path, rest: &mut dyn FnMut(Duration)) -> Result<(), Unread> {
        let limit = self.limits.file_bytes;
        // To open a FIFO would wait for its writer.
        let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed();
        let open = OpenOptions::new().read(true).custom_flags(flags).open(path);
        let mut file = open.map_err(Unread::from)?;
        let before = file.metadata().map_err(Unread::from)?;
        if !before.is_file() {
            // A FIFO or a device may never end.
            return Err(Code::UNREADABLE.because("it is not a regular file").into());
        }
        let too_large =
            |size: u64| Code::TOO_LARGE.because(format!("{size} bytes, the limit is {limit}"));
        let size = before.len();
        if size > limit {
            return Err(too_large(size).into());
        }
        let size = usize::try_from(size).map_err(|_| too_large(size))?;
        if size > SMALL_FILE {
            self.wait_for_turn(rest);
        }
        self.raw.clear();
        self.raw.reserve_exact(size + 1);
        // One byte more than was announced shows a file that grows, and no file can fill memory.
        (&mut file).take(size as u64 + 1).read_to_end(&mut self.raw).map_err(Unread::from)?;
        let after = file.metadata().map_err(Unread::from)?;
        if self.raw.len() != size || is_other(&before, &after) {
            let detail = format!("{size} bytes at first, {} when it was read", after.len());
            return Err(Unread::Again(Code::STILL_CHANGING.because(detail)));
        }
        if size == 0 {
            return Err(Code::EMPTY_FILE.because("0 bytes").into());
        }
        Ok(())
    }

    /// The bytes last read, as they lie on disk.
    pub fn raw(&self) -> &[u8] {
        &self.raw
    }

    /// The FITS bytes of the file last read, inflated if its first bytes are those of gzip or zstd.
    ///
    /// # Errors
    /// [`Code::CORRUPT_COMPRESSION`] or [`Code::TOO_LARGE`].
    pub fn inflate(&mut self, rest: &mut dyn FnMut(Duration)) -> Result<&[u8], Reject> {
        let limit = self.limits.inflated_bytes;
        if inflate::needs_turn(&self.raw) {
            self.wait_for_turn(rest);
        }
        loop {
            match self.inflater.inflate(&self.raw, limit, self.turn.is_some()) {
                Ok(inflate::Done::AsItIs) => return Ok(&self.raw),
                Ok(inflate::Done::Inflated) => return Ok(self.inflater.bytes()),
                Ok(inflate::Done::TooLargeWithoutTurn) => self.wait_for_turn(rest),
                Err(reject) => return Err(reject),
            }
        }
    }

    /// The same, but of a gzip file only the beginning that `need` asks for. Then the checksum at the
    /// end is not compared, and nothing is known of what lies behind.
    ///
    /// # Errors
    /// Those of [`Reader::inflate`].
    pub fn inflate_needed(
        &mut self,
        need: &dyn Fn(&[u8]) -> inflate::Need,
        rest: &mut dyn FnMut(Duration),
    ) -> Result<&[u8], Reject> {
        if inflate::needs_turn(&self.raw) {
            self.wait_for_turn(rest);
        }
        match self.inflater.inflate_needed(&self.raw, self.limits.inflated_bytes, need) {
            Some(length) => Ok(&self.inflater.bytes()[..length]),
            None => self.inflate(rest),
        }
    }

    /// Lets go of the memory and the turn of a large file; call it when the bytes are done with.
    pub fn release(&mut self) {
        if self.turn.take().is_some() {
            self.raw = Vec::new();
            self.inflater = Inflater::new();
        }
    }

    /// How many tries were needed beyond the first of each file since this was last asked.
    pub fn take_retried(&mut self) -> u64 {
        std::mem::take(&mut self.retried)
    }

    fn wait_for_turn(&mut self, rest: &mut dyn FnMut(Duration)) {
        while self.turn.is_none() {
            self.turn = self.large.try_take();
            if self.turn.is_none() {
                rest(TURN_DELAY);
            }
        }
    }
}

fn is_other(before: &Metadata, after: &Metadata) -> bool {
    let modified = |metadata: &Metadata| metadata.modified().ok();
    before.len() != after.len() || modified(before) != modified(after)
}

impl From<io::Error> for Unread {
    fn from(error: io::Error) -> Self {
        use io::ErrorKind::{
            Interrupted, OutOfMemory, ResourceBusy, StaleNetworkFileHandle, TimedOut, WouldBlock,
        };
        let reject = Code::UNREADABLE.because(error.to_string());
        match (Errno::from_io_error(&error), error.kind()) {
            (Some(Errno::MFILE | Errno::NFILE), _) => Self::NoDescriptor(error),
            (Some(Errno::IO), _)
            | (
                _,
                Interrupted
                | OutOfMemory
                | ResourceBusy
                | StaleNetworkFileHandle
                | TimedOut
                | WouldBlock,
            ) => Self::Again(reject),
            _ => Self::Reject(reject),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { file_bytes: 1 << 20, inflated_bytes: 100_000 };

    #[test]
    fn only_regular_files_of_a_sane_size_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.fits");
        let mut reader = Reader::new(LIMITS);
        let mut read = |path: &Path| {
            reader.read(path, &mut |_| ()).map_err(|error| match error {
                Unread::Reject(reject) => reject.code,
                other => panic!("{other}"),
            })
        };
        assert_eq!(read(&path).unwrap_err(), Code::UNREADABLE);
        std::fs::write(&path, b"").unwrap();
        assert_eq!(read(&path).unwrap_err(), Code::EMPTY_FILE);
        std::fs::write(&path, vec![1; (1 << 20) + 1]).unwrap();
        assert_eq!(read(&path).unwrap_err(), Code::TOO_LARGE);
        assert_eq!(read(folder.path()).unwrap_err(), Code::UNREADABLE);
        std::fs::write(&path, b"abc").unwrap();
        // b3sum of the three letters.
        let digest = "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85";
        assert_eq!(read(&path).unwrap().to_string(), digest);
    }
}
