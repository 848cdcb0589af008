//! Opening a journal on disk: what is wanted, and what was found. Never opens one by itself.

use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::Position;
use crate::disk::open_error::OpenError;
use crate::disk::retention::Retention;
use crate::disk::{DiskStorage, MOST_SEGMENT_BYTES, Settings};
use crate::engine::Engine;
use crate::files::Files;
use crate::files::real::RealFiles;
use crate::identity::Identity;
use crate::{Now, system};

/// The smallest segment, in bytes: with room for its header, an entry's header, and some commands.
const LEAST_SEGMENT_BYTES: u32 = 256;

/// How a journal on disk is opened and kept.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct Options {
    create: bool,
    segment_bytes: u32,
    retention: Retention,
}

/// What was found when a journal was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Found {
    /// Whether the journal was begun now.
    pub created: bool,
    /// The position that the next entry will have.
    pub next_position: Position,
    /// The file and the byte from which on a torn end was cut off, if a crash has left one. As far as can be
    /// told, nothing in it was acknowledged.
    pub cut: Option<(String, u64)>,
}

impl Default for Options {
    /// An existing journal, segments of 64 MiB, and nothing is ever removed.
    fn default() -> Self {
        Self { create: false, segment_bytes: 64 * 1024 * 1024, retention: Retention::default() }
    }
}

impl Options {
    /// Whether an empty folder, or one that does not exist, becomes a journal. Not by default, so that the folder
    /// of a disk that is not mounted is not taken for a new journal.
    pub fn create(self, create: bool) -> Self {
        Self { create, ..self }
    }

    /// How large a segment is, in bytes, 256 to 1 GiB: 64 MiB by default. Nothing larger can be appended at once.
    /// The records of up to two segments are in memory. Segments get larger where there is so much to be said of
    /// all logs that it would outweigh the records.
    pub fn segment_bytes(self, segment_bytes: u32) -> Self {
        Self { segment_bytes, ..self }
    }

    /// What is removed: nothing by default.
    pub fn retention(self, retention: Retention) -> Self {
        Self { retention, ..self }
    }

    /// Opens the journal in a folder, which no other process can then open. What was acknowledged is all there.
    ///
    /// # Errors
    /// [`OpenError`]; nothing was lost.
    pub fn open(&self, folder: impl AsRef<Path>) -> Result<(Engine, Found), OpenError> {
        self.check()?;
        let folder = folder.as_ref();
        let at_folder = |error: io::Error| {
            let file = folder.display().to_string();
            match error.kind() {
                io::ErrorKind::NotFound if !self.create => OpenError::NoJournal,
                _ => OpenError::Io { file, error },
            }
        };
        if !self.create {
            std::fs::metadata(folder).map_err(at_folder)?;
        }
        let files = RealFiles::open(folder).map_err(at_folder)?;
        let identity = system::random_identity().map_err(at_folder)?;
        self.open_files(files, identity, system::now())
    }

    /// The same in any files, with the identity that a new journal gets, and the time.
    ///
    /// # Errors
    /// [`OpenError`]; nothing was lost.
    #[doc(hidden)]
    pub fn open_files<F: Files>(
        &self,
        files: F,
        identity: Identity,
        now: Now,
    ) -> Result<(Engine<F>, Found), OpenError> {
        self.check()?;
        let settings = Settings {
            segment_bytes: self.segment_bytes,
            retention: self.retention,
            create: self.create.then_some(identity),
        };
        let opened = DiskStorage::open(Arc::new(files), settings)?;
        let found = Found {
            created: opened.created,
            next_position: opened.storage.next_position(),
            cut: opened.cut,
        };
        let mut engine = Engine::on_disk(opened.state, opened.storage);
        engine.set_time(now);
        Ok((engine, found))
    }

    fn check(&self) -> Result<(), OpenError> {
        if !(LEAST_SEGMENT_BYTES..=MOST_SEGMENT_BYTES).contains(&self.segment_bytes) {
            return Err(OpenError::Options(format!(
                "a segment has {LEAST_SEGMENT_BYTES} to {MOST_SEGMENT_BYTES} bytes, not {}",
                self.segment_bytes
            )));
        }
        Ok(())
    }
}
