//! The journal on disk: what was synced survives `kill -9` and power loss. Never goes on after a
//! write or a sync has failed.
//!
//! One file of segments after another holds the commands of all keys. A segment's room is reserved
//! when it is created, so that a full disk shows itself there and not in the middle of a batch.

use std::io;

use crate::files::{File, Files};
use crate::journal::format::{
    ENTRY_HEADER_BYTES, SEGMENT_HEADER_BYTES, command_bytes, seal_entry, segment_header,
    write_command,
};
use crate::journal::recovery::{NEW_SUFFIX, Recovered, recover, segment_name};
use crate::journal::{Journal, Refused};
use crate::{Command, Position};

pub use crate::journal::recovery::OpenError;

/// How large a segment is, in bytes, unless said otherwise.
pub const SEGMENT_BYTES: u32 = 64 * 1024 * 1024;

/// A journal in a folder of segment files.
#[derive(Debug)]
pub struct DiskJournal<F: Files> {
    files: F,
    segment_bytes: u32,
    active: Option<Active<F::File>>,
    next_position: Position,
    /// The open batch as an entry: room for its header, then its commands.
    batch: Vec<u8>,
    /// Why there was no room for another segment; it is not looked for again before the next sync.
    full: Option<String>,
    /// Why nothing may be appended or synced any more.
    failure: Option<String>,
}

/// The segment that entries are appended to.
#[derive(Debug)]
pub(crate) struct Active<T> {
    pub(crate) file: T,
    /// Where the next entry goes: the bytes from here on are zero.
    pub(crate) end: u64,
    /// Invariant: at least `end`.
    pub(crate) size_bytes: u64,
}

impl<F: Files> DiskJournal<F> {
    /// Opens the journal in `files`, or begins one if there is none, and hands every command that it
    /// holds to `apply`, in order. New segments have `segment_bytes`.
    ///
    /// An end that a crash has torn is cut off; [`Opened::cut`] says so. Nothing else is changed.
    ///
    /// # Errors
    /// [`OpenError`]; nothing was lost.
    pub fn open(
        files: F,
        segment_bytes: u32,
        apply: impl FnMut(Command<'_>),
    ) -> Result<Opened<F>, OpenError> {
        let Recovered { active, next_position, cut } = recover(&files, apply)?;
        let batch = vec![0; ENTRY_HEADER_BYTES];
        let journal =
            Self { files, segment_bytes, active, next_position, batch, full: None, failure: None };
        Ok(Opened { journal, cut })
    }

    /// Appends the open batch to the active segment as an entry, and syncs it.
    fn write_batch(&mut self) -> io::Result<()> {
        if self.batch.len() == ENTRY_HEADER_BYTES {
            return Ok(());
        }
        let Some(active) = &mut self.active else {
            return Err(io::Error::other("a batch without a segment"));
        };
        seal_entry(&mut self.batch, self.next_position);
        active.file.write_at(active.end, &self.batch)?;
        active.file.sync()?;
        active.end += self.batch.len() as u64;
        self.next_position += 1;
        self.batch.truncate(ENTRY_HEADER_BYTES);
        Ok(())
    }

    fn has_room(&self, size_bytes: usize) -> bool {
        let wanted = (self.batch.len() + size_bytes) as u64;
        self.active.as_ref().is_some_and(|active| active.end + wanted <= active.size_bytes)
    }

    /// Ends the active segment and begins another. Only while nothing but the reservation of its room has
    /// been tried can the disk be full and the journal go on.
    fn begin_segment(&mut self) -> Result<(), Refused> {
        let name = segment_name(self.next_position);
        let new = format!("{name}{NEW_SUFFIX}");
        let created = self.files.create(&new, self.segment_bytes.into());
        let file = match created {
            Err(error) if is_full(&error) => {
                self.full = Some(error.to_string());
                return Err(Refused::Full(error.to_string()));
            }
            created => created.and_then(|file| self.name_segment(file, &new, &name)),
        };
        let file = file.map_err(|error| self.fail("cannot begin a segment", &error))?;
        let (end, size_bytes) = (SEGMENT_HEADER_BYTES as u64, self.segment_bytes.into());
        self.active = Some(Active { file, end, size_bytes });
        Ok(())
    }

    /// Makes the header of a new segment durable, and then its name.
    fn name_segment(&self, mut file: F::File, new: &str, name: &str) -> io::Result<F::File> {
        file.write_at(0, &segment_header(self.next_position, self.segment_bytes))?;
        file.sync()?;
        self.files.rename(new, name)?;
        self.files.sync_names()?;
        Ok(file)
    }

    fn fail(&mut self, doing: &str, error: &io::Error) -> Refused {
        let failure = format!("{doing}: {error}");
        self.failure = Some(failure.clone());
        Refused::Failed(failure)
    }

    fn healthy(&self) -> Result<(), Refused> {
        self.failure.clone().map_or(Ok(()), |failure| Err(Refused::Failed(failure)))
    }
}

impl<F: Files> Journal for DiskJournal<F> {
    fn append(&mut self, commands: &[Command<'_>]) -> Result<(), Refused> {
        self.healthy()?;
        let size_bytes = commands.iter().map(|command| command_bytes(*command)).sum();
        let headers_bytes = SEGMENT_HEADER_BYTES + ENTRY_HEADER_BYTES;
        let limit_bytes = (self.segment_bytes as usize).saturating_sub(headers_bytes);
        if size_bytes > limit_bytes {
            return Err(Refused::TooLarge { what: "request", size_bytes, limit_bytes });
        }
        if !self.has_room(size_bytes) {
            self.write_batch().map_err(|error| self.fail("cannot write the journal", &error))?;
            if let Some(reason) = &self.full {
                return Err(Refused::Full(reason.clone()));
            }
            self.begin_segment()?;
        }
        for command in commands {
            write_command(*command, &mut self.batch);
        }
        Ok(())
    }

    fn sync(&mut self) -> Result<(), String> {
        self.full = None;
        self.healthy()
            .and_then(|()| {
                self.write_batch().map_err(|error| self.fail("cannot write the journal", &error))
            })
            .map_err(|refused| refused.to_string())
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// A journal that was opened.
#[derive(Debug)]
pub struct Opened<F: Files> {
    /// It holds everything that was acknowledged.
    pub journal: DiskJournal<F>,
    /// The file and the byte from which on a torn end was cut off, if there was one.
    pub cut: Option<(String, u64)>,
}
