//! Writing a sealed segment, a slice at a time, so that nobody waits for all of it. Never changes what is
//! in a log, and never touches the journal's segments.

use std::io;
use std::ops::Range;

use crate::Position;
use crate::files::{File, Files};
use crate::journal::sealed::format::{
    CHUNK_ROW_BYTES, ChunkRow, HEADER_BYTES, Header, KEY_ROW_BYTES, KeyRow, chunk_bytes,
    write_chunk,
};
use crate::journal::sealed::sealed_name;
use crate::journal::{NEW_SUFFIX, segment_name};
use crate::log::Log;
use crate::logs::Logs;

/// A sealed segment that is being written: everything that is frozen in the logs.
#[derive(Debug)]
pub(crate) struct Sealing<T> {
    header: Header,
    /// The first positions and the sizes of the segments that it will replace.
    segments: Vec<(Position, u64)>,
    /// None until there was room for it.
    file: Option<T>,
    /// What is to be written next: at first, all that stands before the chunks.
    slice: Vec<u8>,
    /// Where it goes.
    at: u64,
    /// The chunk after it: the number of its log, and which of the log's frozen chunks.
    next: (usize, usize),
}

impl<T: File> Sealing<T> {
    /// Freezes what is in memory, all of which is in these segments, and begins to seal it.
    pub(crate) fn begin(
        logs: &mut Logs,
        segments: Vec<(Position, u64)>,
        end_position: Position,
        now_ms: u64,
    ) -> Self {
        logs.freeze();
        let first_position = segments.first().map_or(end_position, |(first, _)| *first);
        let (header, slice) = head(logs, first_position..end_position, now_ms);
        Self { header, segments, file: None, slice, at: 0, next: (0, 0) }
    }

    /// Creates the file, if that has not been done.
    ///
    /// # Errors
    /// Those of [`Files::create`]; nothing has happened if there is no room.
    pub(crate) fn reserve<F: Files<File = T>>(&mut self, files: &F) -> io::Result<()> {
        if self.file.is_none() {
            self.file = Some(files.create(&self.new_name(), self.header.size_bytes)?);
        }
        Ok(())
    }

    /// Writes and syncs about so many bytes more, and says how many.
    ///
    /// # Errors
    /// Those of the file system.
    pub(crate) fn write_slice(&mut self, logs: &Logs, slice_bytes: usize) -> io::Result<usize> {
        self.fill_slice(logs, slice_bytes);
        let file = self.file.as_mut().ok_or(io::ErrorKind::NotFound)?;
        debug_assert!(!self.slice.is_empty(), "the chunks are not what they were when it began");
        file.write_at(self.at, &self.slice)?;
        file.sync()?;
        let written_bytes = self.slice.len();
        self.at += written_bytes as u64;
        self.slice.clear();
        Ok(written_bytes)
    }

    /// Whether nothing is left to write.
    pub(crate) fn is_written(&self) -> bool {
        self.at == self.header.size_bytes
    }

    /// The file takes the place of the segments that it replaces.
    ///
    /// # Errors
    /// Those of the file system.
    pub(crate) fn replace_segments(self, files: &impl Files) -> io::Result<Header> {
        files.rename(&self.new_name(), &sealed_name(self.header.first_position))?;
        files.sync_names()?;
        for (first_position, _) in self.segments {
            files.remove(&segment_name(first_position))?;
        }
        files.sync_names()?;
        Ok(self.header)
    }

    fn fill_slice(&mut self, logs: &Logs, slice_bytes: usize) {
        while self.slice.len() < slice_bytes
            && let Some(log) = logs.numbered(self.next.0)
        {
            match log.frozen().get(self.next.1) {
                Some(chunk) => {
                    write_chunk(chunk, &mut self.slice);
                    self.next.1 += 1;
                }
                None => self.next = (self.next.0 + 1, 0),
            }
        }
    }

    /// What it and the segments that it replaces take, in bytes.
    pub(crate) fn size_bytes(&self) -> u64 {
        let file_bytes = if self.file.is_some() { self.header.size_bytes } else { 0 };
        file_bytes + self.segments.iter().map(|(_, size_bytes)| size_bytes).sum::<u64>()
    }

    fn new_name(&self) -> String {
        format!("{}{NEW_SUFFIX}", sealed_name(self.header.first_position))
    }
}

/// What all rows of keys and their names take, in bytes.
pub(crate) fn rows_bytes(logs: &Logs) -> usize {
    logs.iter().map(|(key, _)| KEY_ROW_BYTES + key.len()).sum()
}

/// Everything that stands before the chunks.
#[expect(clippy::cast_possible_truncation, reason = "a log takes more than a byte of memory")]
fn head(logs: &Logs, entries: Range<Position>, now_ms: u64) -> (Header, Vec<u8>) {
    let names: Vec<u8> = logs.iter().flat_map(|(key, _)| key.as_bytes()).copied().collect();
    let chunk_count: usize = logs.iter().map(|(_, log)| log.frozen().len()).sum();
    let chunk_rows_at = HEADER_BYTES + rows_bytes(logs);
    let (mut key_rows, mut chunk_rows) =
        (Vec::new(), Vec::with_capacity(chunk_count * CHUNK_ROW_BYTES));
    let mut chunk_at = (chunk_rows_at + chunk_count * CHUNK_ROW_BYTES) as u64;
    for (number, (key, log)) in logs.iter().enumerate() {
        let row = KeyRow {
            offsets: (log.first_in_memory(), log.next_offset()),
            bytes: (log.bytes_before_memory(), log.size_bytes()),
            committed: log.committed(),
            chunk_rows_at: (chunk_rows_at + chunk_rows.len()) as u64,
            chunk_rows: log.frozen().len() as u32,
            name_bytes: key.len() as u32,
        };
        key_rows.extend_from_slice(&row.write(entries.start, number));
        push_chunk_rows(log, &mut chunk_at, &mut chunk_rows);
    }
    let header = Header {
        keys: logs.iter().len() as u32,
        first_position: entries.start,
        end_position: entries.end,
        size_bytes: chunk_at,
        sealed_at_ms: now_ms,
        names_bytes: names.len() as u64,
        names_crc: crc32fast::hash(&names),
    };
    (header, [&header.write()[..], &key_rows, &names, &chunk_rows].concat())
}

fn push_chunk_rows(log: &Log, chunk_at: &mut u64, rows: &mut Vec<u8>) {
    for chunk in log.frozen() {
        rows.extend_from_slice(&ChunkRow::of(chunk, *chunk_at).write());
        *chunk_at += chunk_bytes(chunk);
    }
}
