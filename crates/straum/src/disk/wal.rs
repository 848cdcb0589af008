//! The write-ahead log: the commands of all logs in order, batch by batch, each batch durable before anybody is told
//! of it. Never reads what it has written.
//!
//! The room of a segment is reserved when it is created, so that a full disk shows itself there and not in the
//! middle of a batch.

use std::io;

use super::names::{NEW_SUFFIX, segment_name};
use super::wal_format::{ENTRY_HEADER_BYTES, SEGMENT_HEADER_BYTES, SegmentHeader, finish_entry};
use crate::Position;
use crate::command::Command;
use crate::command_bytes::put_command;
use crate::files::{File, Files};
use crate::identity::Identity;

/// The segment that is appended to, and the open batch.
#[derive(Debug)]
pub(crate) struct Wal<T> {
    pub(crate) identity: Identity,
    active: Option<Active<T>>,
    next_position: Position,
    /// The open batch as an entry: room for its header, then its commands.
    batch: Vec<u8>,
    /// When the commands of the open batch were applied, in milliseconds since 1970.
    batch_time_ms: u64,
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
    pub(crate) fn is_empty(&self) -> bool {
        self.end == SEGMENT_HEADER_BYTES as u64
    }
}

impl<T: File> Wal<T> {
    pub(crate) fn new(
        identity: Identity,
        active: Option<Active<T>>,
        next_position: Position,
    ) -> Self {
        let batch = vec![0; ENTRY_HEADER_BYTES];
        Self { identity, active, next_position, batch, batch_time_ms: 0 }
    }

    pub(crate) fn active(&self) -> Option<&Active<T>> {
        self.active.as_ref()
    }

    pub(crate) fn next_position(&self) -> Position {
        self.next_position
    }

    pub(crate) fn has_open_batch(&self) -> bool {
        self.batch.len() > ENTRY_HEADER_BYTES
    }

    /// Whether so many bytes of commands fit into the open batch and its segment.
    pub(crate) fn has_room(&self, size_bytes: usize) -> bool {
        let wanted = (self.batch.len() + size_bytes) as u64;
        self.active.as_ref().is_some_and(|active| active.end + wanted <= active.size_bytes)
    }

    /// Adds a command for which there is room.
    pub(crate) fn push(&mut self, command: &Command<'_>, time_ms: u64) {
        debug_assert!(!self.has_open_batch() || self.batch_time_ms == time_ms);
        self.batch_time_ms = time_ms;
        put_command(command, &mut self.batch);
    }

    /// Appends the open batch to the active segment as an entry, and syncs it: how many bytes it took.
    ///
    /// # Errors
    /// Those of the file system: nothing more may be written.
    pub(crate) fn write_batch(&mut self) -> io::Result<usize> {
        if !self.has_open_batch() {
            return Ok(0);
        }
        let Some(active) = &mut self.active else {
            return Err(io::Error::other("a batch without a segment"));
        };
        let size_bytes = self.batch.len();
        assert!(
            active.end + size_bytes as u64 <= active.size_bytes,
            "a batch fits into its segment"
        );
        finish_entry(&mut self.batch, &self.identity, self.next_position, self.batch_time_ms);
        active.file.write_at(active.end, &self.batch)?;
        active.file.sync()?;
        active.end += size_bytes as u64;
        self.next_position += 1;
        self.batch.truncate(ENTRY_HEADER_BYTES);
        Ok(size_bytes)
    }

    /// Begins another segment, and gives back the one before. Nothing may be in the open batch.
    ///
    /// # Errors
    /// Those of the file system. If there is no room for it, nothing has happened.
    pub(crate) fn begin_segment(
        &mut self,
        files: &impl Files<File = T>,
        size_bytes: u32,
        begun_at_ms: u64,
    ) -> io::Result<Option<Active<T>>> {
        assert!(!self.has_open_batch(), "a segment is begun between batches");
        let (identity, first_position) = (self.identity, self.next_position);
        let header = SegmentHeader { identity, first_position, size_bytes, begun_at_ms };
        let name = segment_name(first_position);
        let new = format!("{name}{NEW_SUFFIX}");
        let mut file = files.create(&new, size_bytes.into())?;
        let mut named = || {
            file.write_at(0, &header.write())?;
            file.sync()?;
            files.rename(&new, &name)?;
            files.sync_names()
        };
        named().map_err(io::Error::other)?; // Whatever it is, it is no lack of room for the segment.
        let (end, size_bytes) = (SEGMENT_HEADER_BYTES as u64, size_bytes.into());
        let active = Active { file, first_position, end, size_bytes, begun_at_ms };
        Ok(self.active.replace(active))
    }
}
