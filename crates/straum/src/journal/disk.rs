//! The journal on disk: what was synced survives `kill -9` and power loss. Never goes on after a
//! write or a sync has failed.
//!
//! A segment holds the commands of all keys, in order. Its room is reserved when it is created, so that a
//! full disk shows itself there and not in the middle of a batch. A full one is **sealed** while the next
//! one fills: its messages are written to a file of their own, sorted by key, and it is removed. So there
//! are never more than two segments, and the messages in memory are never more than theirs.

use std::io;

use crate::chunk::{Budget, Chunk};
use crate::files::{File, Files};
use crate::journal::format::{
    ENTRY_HEADER_BYTES, SEGMENT_HEADER_BYTES, SegmentHeader, command_bytes, finish_entry,
    segment_header, write_command,
};
use crate::journal::recovery::{Recovered, recover};
use crate::journal::sealed::SealedSegments;
use crate::journal::sealed::sealing::{Sealing, rows_bytes};
use crate::journal::{Journal, NEW_SUFFIX, ReadError, Refused, Retention, segment_name};
use crate::logs::Logs;
use crate::{Command, Offset, Position};

pub use crate::journal::recovery::OpenError;

/// How large a segment is, in bytes, unless said otherwise.
pub const SEGMENT_BYTES: u32 = 64 * 1024 * 1024;

/// How large a segment is at most, in bytes (1 GiB).
const MOST_SEGMENT_BYTES: u32 = 1 << 30;

/// How a journal on disk is kept.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// How large new segments are, in bytes; nothing larger can be in one entry.
    pub segment_bytes: u32,
    /// What is removed.
    pub retention: Retention,
    /// The time, in milliseconds since 1970.
    pub now_ms: fn() -> u64,
}

/// A journal in a folder of segment files.
#[derive(Debug)]
pub struct DiskJournal<F: Files> {
    files: F,
    settings: Settings,
    sealed: SealedSegments,
    /// What is frozen in the logs, and in the segments before the active one.
    sealing: Option<Sealing<F::File>>,
    /// How many bytes of it are to be written before others may be appended.
    owed_bytes: usize,
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
    pub(crate) first_position: Position,
    /// Where the next entry goes: the bytes from here on are zero.
    pub(crate) end: u64,
    /// Invariant: at least `end`.
    pub(crate) size_bytes: u64,
    /// When it was begun, in milliseconds since 1970.
    pub(crate) begun_at_ms: u64,
}

impl<T> Active<T> {
    fn is_empty(&self) -> bool {
        self.end == SEGMENT_HEADER_BYTES as u64
    }
}

impl<F: Files> DiskJournal<F> {
    /// Opens the journal in `files`, or begins one if there is none.
    ///
    /// An end that a crash has torn is cut off; [`Opened::cut`] says so. Files that are left of something that
    /// was interrupted are removed.
    ///
    /// # Errors
    /// [`OpenError`]; nothing was lost.
    pub(crate) fn open(files: F, settings: Settings) -> Result<Opened<F>, OpenError> {
        let Recovered { logs, sealed, sealing, active, next_position, cut } = recover(&files)?;
        let journal = Self {
            files,
            settings,
            sealed,
            sealing,
            owed_bytes: 0,
            active,
            next_position,
            batch: vec![0; ENTRY_HEADER_BYTES],
            full: None,
            failure: None,
        };
        Ok(Opened { journal, logs, cut })
    }

    /// Appends the open batch to the active segment as an entry, and syncs it.
    fn write_batch(&mut self) -> io::Result<()> {
        if self.batch.len() == ENTRY_HEADER_BYTES {
            return Ok(());
        }
        let Some(active) = &mut self.active else {
            return Err(io::Error::other("a batch without a segment"));
        };
        if active.end + self.batch.len() as u64 > active.size_bytes {
            return Err(io::Error::other("a batch larger than its segment"));
        }
        finish_entry(&mut self.batch, self.next_position);
        active.file.write_at(active.end, &self.batch)?;
        active.file.sync()?;
        active.end += self.batch.len() as u64;
        debug_assert!(active.end <= active.size_bytes);
        self.next_position += 1;
        self.owed_bytes += 2 * self.batch.len(); // It is sealed before the next segment is half full.
        self.batch.truncate(ENTRY_HEADER_BYTES);
        Ok(())
    }

    fn has_room(&self, size_bytes: usize) -> bool {
        let wanted = (self.batch.len() + size_bytes) as u64;
        self.active.as_ref().is_some_and(|active| active.end + wanted <= active.size_bytes)
    }

    /// The largest commands that can be in one entry of a new segment, in bytes.
    fn limit_bytes(&self) -> usize {
        let headers_bytes = SEGMENT_HEADER_BYTES + ENTRY_HEADER_BYTES;
        (self.settings.segment_bytes as usize).saturating_sub(headers_bytes)
    }

    /// Ends the active segment and begins another, or begins it anew if it is empty. Only while nothing but
    /// the reservation of its room has been tried can the disk be full and the journal go on.
    fn begin_segment(&mut self, logs: &mut Logs) -> Result<(), Refused> {
        self.seal_all(logs)?;
        let now_ms = (self.settings.now_ms)();
        let header = SegmentHeader {
            first_position: self.next_position,
            size_bytes: self.next_segment_bytes(logs),
            begun_at_s: u32::try_from(now_ms / 1_000).unwrap_or(u32::MAX),
        };
        let name = segment_name(header.first_position);
        let new = format!("{name}{NEW_SUFFIX}");
        let file = self
            .create(&new, header.size_bytes.into())?
            .and_then(|file| self.name_segment(file, header, &new, &name))
            .map_err(|error| self.fail("cannot begin a segment", &error))?;
        let ended = self.active.replace(Active {
            file,
            first_position: header.first_position,
            end: SEGMENT_HEADER_BYTES as u64,
            size_bytes: header.size_bytes.into(),
            begun_at_ms: now_ms,
        });
        self.sealing = ended.filter(|ended| !ended.is_empty()).map(|ended| {
            let segments = vec![(ended.first_position, ended.size_bytes)];
            Sealing::begin(logs, segments, self.next_position, now_ms)
        });
        self.owed_bytes = 0;
        Ok(())
    }

    /// Larger than it is set to be if there are so many keys that their rows in a sealed segment would
    /// outweigh its messages.
    fn next_segment_bytes(&self, logs: &Logs) -> u32 {
        let rows_bytes = u32::try_from(rows_bytes(logs)).unwrap_or(u32::MAX);
        self.settings.segment_bytes.max(rows_bytes.saturating_mul(2).min(MOST_SEGMENT_BYTES))
    }

    /// A new file, or an error that is no lack of room.
    fn create(&self, new: &str, size_bytes: u64) -> Result<io::Result<F::File>, Refused> {
        match self.files.create(new, size_bytes) {
            Err(error) if is_full(&error) => Err(Refused::Full(error.to_string())),
            created => Ok(created),
        }
    }

    /// Makes the header of a new segment durable, and then its name.
    fn name_segment(
        &self,
        mut file: F::File,
        header: SegmentHeader,
        new: &str,
        name: &str,
    ) -> io::Result<F::File> {
        file.write_at(0, &segment_header(header))?;
        file.sync()?;
        self.files.rename(new, name)?;
        self.files.sync_names()?;
        Ok(file)
    }

    /// Seals as much as is owed for what was written, if there is room for it.
    fn seal_what_is_owed(&mut self, logs: &mut Logs) -> Result<(), Refused> {
        while self.sealing.is_some() && self.owed_bytes >= self.slice_bytes() {
            match self.seal_slice(logs) {
                Err(Refused::Full(_)) => return Ok(()),
                sealed => sealed?,
            }
        }
        Ok(())
    }

    fn seal_all(&mut self, logs: &mut Logs) -> Result<(), Refused> {
        while self.sealing.is_some() {
            self.seal_slice(logs)?;
        }
        Ok(())
    }

    /// About how many bytes are sealed at once: a write that takes little longer than a sync.
    fn slice_bytes(&self) -> usize {
        (self.settings.segment_bytes as usize / 64).max(1)
    }

    /// Seals a slice more of what is frozen. If there is no room for it, nothing has happened.
    fn seal_slice(&mut self, logs: &mut Logs) -> Result<(), Refused> {
        let slice_bytes = self.slice_bytes();
        let Some(sealing) = &mut self.sealing else { return Ok(()) };
        let written = match sealing.reserve(&self.files) {
            Err(error) if is_full(&error) => return Err(Refused::Full(error.to_string())),
            reserved => reserved.and_then(|()| sealing.write_slice(logs, slice_bytes)),
        };
        let written_bytes = written.map_err(|error| self.fail("cannot seal a segment", &error))?;
        self.owed_bytes = self.owed_bytes.saturating_sub(written_bytes);
        if let Some(sealing) = self.sealing.take_if(|sealing| sealing.is_written()) {
            let header = sealing
                .replace_segments(&self.files)
                .map_err(|error| self.fail("cannot replace a segment", &error))?;
            self.sealed.push(header);
            logs.drop_frozen();
        }
        Ok(())
    }

    /// Removes what is not to be kept any longer, if something can be.
    fn retain(&mut self, logs: &mut Logs) -> Result<(), Refused> {
        let retention = self.settings.retention;
        if retention == Retention::default() {
            return Ok(());
        }
        let now_ms = (self.settings.now_ms)();
        if retention.max_age_ms.is_some() {
            self.seal_what_is_old(logs, now_ms)?;
        }
        while let Some(oldest) = self.sealed.oldest_but_newest()
            && retention.removes(self.size_bytes(), oldest.sealed_at_ms, now_ms)
        {
            self.sealed
                .remove_oldest(&self.files)
                .map_err(|error| self.fail("cannot remove a segment", &error))?;
        }
        Ok(())
    }

    /// Ends the active segment if its first entry is too old, and sees to it that sealing goes on even if
    /// little is written.
    fn seal_what_is_old(&mut self, logs: &mut Logs, now_ms: u64) -> Result<(), Refused> {
        let retention = self.settings.retention;
        let is_over = |active: &Active<F::File>| {
            !active.is_empty() && retention.is_over(active.begun_at_ms, now_ms)
        };
        let done = if self.sealing.is_some() {
            self.seal_slice(logs)
        } else if self.active.as_ref().is_some_and(is_over) {
            self.begin_segment(logs).and_then(|()| self.seal_slice(logs))
        } else {
            Ok(())
        };
        match done {
            Err(Refused::Full(_)) => Ok(()),
            done => done,
        }
    }

    /// The size of all files, in bytes.
    fn size_bytes(&self) -> u64 {
        let active_bytes = self.active.as_ref().map_or(0, |active| active.size_bytes);
        let sealing_bytes = self.sealing.as_ref().map_or(0, Sealing::size_bytes);
        self.sealed.size_bytes() + active_bytes + sealing_bytes
    }

    fn fail(&mut self, doing: &str, error: &io::Error) -> Refused {
        let failure = format!("{doing}: {error}");
        self.failure = Some(failure.clone());
        Refused::Failed(failure)
    }

    fn healthy(&self) -> Result<(), Refused> {
        self.failure.clone().map_or(Ok(()), |failure| Err(Refused::Failed(failure)))
    }

    fn write_open_batch(&mut self) -> Result<(), Refused> {
        self.write_batch().map_err(|error| self.fail("cannot write the journal", &error))
    }
}

impl<F: Files> Journal for DiskJournal<F> {
    fn append(&mut self, logs: &mut Logs, commands: &[Command<'_>]) -> Result<(), Refused> {
        self.healthy()?;
        let size_bytes = commands.iter().map(|command| command_bytes(*command)).sum();
        if !self.has_room(size_bytes) {
            let limit_bytes = self.limit_bytes();
            if size_bytes > limit_bytes {
                return Err(Refused::TooLarge { what: "request", size_bytes, limit_bytes });
            }
            self.write_open_batch()?;
            if let Some(reason) = &self.full {
                return Err(Refused::Full(reason.clone()));
            }
            self.begin_segment(logs).inspect_err(|refused| {
                if let Refused::Full(reason) = refused {
                    self.full = Some(reason.clone());
                }
            })?;
        }
        for command in commands {
            write_command(*command, &mut self.batch);
        }
        Ok(())
    }

    fn sync(&mut self, logs: &mut Logs) -> Result<(), String> {
        self.full = None;
        self.healthy()
            .and_then(|()| self.write_open_batch())
            .and_then(|()| self.seal_what_is_owed(logs))
            .and_then(|()| self.retain(logs))
            .map_err(|refused| refused.to_string())
    }

    fn read(&self, log: usize, from: Offset, budget: Budget) -> Result<Vec<Chunk>, ReadError> {
        self.sealed.chunks(&self.files, log, from, budget)
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// A journal that was opened.
#[derive(Debug)]
pub(crate) struct Opened<F: Files> {
    /// It holds everything that was acknowledged.
    pub(crate) journal: DiskJournal<F>,
    /// What comes out of it.
    pub(crate) logs: Logs,
    /// The file and the byte from which on a torn end was cut off, if there was one.
    pub(crate) cut: Option<(String, u64)>,
}
