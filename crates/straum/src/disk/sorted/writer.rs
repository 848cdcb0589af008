//! Writing a sorted segment a slice at a time, and reading it back before it counts. Never decides what is in it.
//!
//! Logs come in the order of their slots, each with its chunks; then the items of the state section. What is
//! written goes to the disk when [`Writer::flush`] is called, so that nobody waits for all of it.

use std::io;

use super::format::{
    BLOCK_SLOTS, ChunkRow, Header, Row, TRAILER_BYTES, Trailer, block_crc, put_chunk,
    put_index_entry, put_row,
};
use crate::disk::names::{NEW_SUFFIX, sorted_name};
use crate::files::{File, Files};
use crate::state::chunk::Chunk;
use crate::state::log::LogSummary;

/// A state block is ended when it has so many bytes.
const STATE_BLOCK_BYTES: usize = 32 * 1024;

/// A sorted segment that is being written.
#[derive(Debug)]
pub(crate) struct Writer<T> {
    file: T,
    header: Header,
    generation: u32,
    /// What was written to the file, in bytes, and its checksum.
    written_bytes: u64,
    body_crc: crc32fast::Hasher,
    /// What goes behind it.
    buffer: Vec<u8>,
    log: Option<OpenLog>,
    block: Block,
    index: Vec<u8>,
    records_bytes: u64,
    state_at: Option<u64>,
    state_block: Vec<u8>,
}

/// The log whose chunks are being written.
#[derive(Debug)]
struct OpenLog {
    slot: u32,
    key: Box<str>,
    summary: LogSummary,
    offsets: u64,
    start_at: u64,
    chunks: u32,
    max_time_ms: u64,
    chunk_rows: Vec<u8>,
}

/// The rows of a block so far.
#[derive(Debug, Default)]
struct Block {
    number: u32,
    rows: Vec<u8>,
    /// The slot and the id of the last row.
    previous: Option<(u32, u64)>,
}

/// What a whole file says beside its logs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Closing {
    pub(crate) end_position: u64,
    pub(crate) newest_time_ms: u64,
    pub(crate) next_log_id: u64,
    pub(crate) last_version: u64,
    pub(crate) slots: u32,
}

impl<T: File> Writer<T> {
    /// Begins a file, under a name that says that it is not finished.
    ///
    /// # Errors
    /// Those of [`Files::create`].
    pub(crate) fn begin<F: Files<File = T>>(
        files: &F,
        header: Header,
        generation: u32,
    ) -> io::Result<Self> {
        let name = new_name(&header, generation);
        Ok(Self {
            file: files.create(&name, 0)?,
            header,
            generation,
            written_bytes: 0,
            body_crc: crc32fast::Hasher::new(),
            buffer: header.write().to_vec(),
            log: None,
            block: Block::default(),
            index: Vec::new(),
            records_bytes: 0,
            state_at: None,
            state_block: Vec::new(),
        })
    }

    /// How many bytes wait for [`flush`](Self::flush).
    pub(crate) fn waiting_bytes(&self) -> usize {
        self.buffer.len()
    }

    fn at(&self) -> u64 {
        self.written_bytes + self.buffer.len() as u64
    }

    /// The next log, of which so many offsets were appended by the entries of this file. Its chunks follow.
    pub(crate) fn begin_log(&mut self, slot: u32, key: &str, summary: LogSummary, offsets: u64) {
        self.end_blocks_before(slot / BLOCK_SLOTS);
        debug_assert!(self.block.previous.is_none_or(|(last, _)| last < slot));
        self.log = Some(OpenLog {
            slot,
            key: key.into(),
            summary,
            offsets,
            start_at: self.at(),
            chunks: 0,
            max_time_ms: 0,
            chunk_rows: Vec::new(),
        });
    }

    #[expect(clippy::cast_possible_truncation, reason = "a segment has at most 1 GiB of records")]
    pub(crate) fn push_chunk(&mut self, chunk: &Chunk) {
        let at = self.at();
        let Some(log) = &mut self.log else { return };
        log.max_time_ms = log.max_time_ms.max(chunk.max_time_ms());
        log.chunks += 1;
        ChunkRow {
            first_offset: chunk.first_offset(),
            at: (at - log.start_at) as u32,
            max_time_ms: log.max_time_ms,
        }
        .put(&self.header, log.summary.id, &mut log.chunk_rows);
        put_chunk(chunk, &self.header, log.summary.id, &mut self.buffer);
    }

    /// The log that was begun, if one was, has no more chunks.
    pub(crate) fn end_log(&mut self) {
        let Some(log) = self.log.take() else { return };
        if log.chunks > 1 {
            self.buffer.extend_from_slice(&log.chunk_rows);
        }
        let records_bytes = self.at() - log.start_at;
        self.records_bytes += records_bytes;
        let OpenLog { slot, key, summary, offsets, chunks, .. } = log;
        let row = Row { slot, key: &key, summary, offsets, records_bytes, chunks };
        let Block { rows, previous, .. } = &mut self.block;
        put_row(&row, *previous, self.header.base_time_ms, rows);
        *previous = Some((slot, summary.id));
    }

    fn end_blocks_before(&mut self, block: u32) {
        while self.block.number < block {
            self.end_block();
        }
    }

    fn end_block(&mut self) {
        let Block { number, rows, .. } = std::mem::take(&mut self.block);
        let at = self.at();
        let crc = block_crc(&self.header, number, &rows);
        self.buffer.extend_from_slice(&crc.to_le_bytes());
        self.buffer.extend_from_slice(&rows);
        #[expect(
            clippy::cast_possible_truncation,
            reason = "64 rows of at most 64 KiB and 100 bytes"
        )]
        put_index_entry(at, (self.at() - at) as u32, &mut self.index);
        self.block.number = number + 1;
    }

    /// No more logs follow: there were so many slots.
    pub(crate) fn end_logs(&mut self, slots: u32) {
        self.end_blocks_before(slots.div_ceil(BLOCK_SLOTS));
        self.state_at = Some(self.at());
    }

    /// Adds an item to the state section, which `put` writes.
    pub(crate) fn push_item(&mut self, put: impl FnOnce(u64, &mut Vec<u8>)) {
        put(self.header.base_time_ms, &mut self.state_block);
        if self.state_block.len() >= STATE_BLOCK_BYTES {
            self.end_state_block();
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "32 KiB and an item of at most 1 MiB")]
    fn end_state_block(&mut self) {
        let items = std::mem::take(&mut self.state_block);
        let crc = self.header.identity.checksum(&[self.header.first_position], &items);
        self.buffer.extend_from_slice(&(items.len() as u32).to_le_bytes());
        self.buffer.extend_from_slice(&crc.to_le_bytes());
        self.buffer.extend_from_slice(&items);
    }

    /// Nothing more follows.
    pub(crate) fn finish(&mut self, closing: Closing) -> Trailer {
        if !self.state_block.is_empty() {
            self.end_state_block();
        }
        let index_at = self.at();
        self.buffer.append(&mut self.index);
        let mut body_crc = self.body_crc.clone();
        body_crc.update(&self.buffer);
        let Closing { end_position, newest_time_ms, next_log_id, last_version, slots } = closing;
        let trailer = Trailer {
            end_position,
            size_bytes: self.at() + TRAILER_BYTES as u64,
            newest_time_ms,
            state_at: self.state_at.unwrap_or(index_at),
            index_at,
            next_log_id,
            last_version,
            records_bytes: self.records_bytes,
            slots,
            body_crc: body_crc.finalize(),
            generation: self.generation,
        };
        self.buffer.extend_from_slice(&trailer.write(&self.header));
        trailer
    }

    /// Writes and syncs what waits. If there is no room for it, nothing has happened.
    ///
    /// # Errors
    /// Those of the file system.
    pub(crate) fn flush(&mut self) -> io::Result<usize> {
        let size_bytes = self.buffer.len();
        self.file.extend(self.at())?;
        let written = self.file.write_at(self.written_bytes, &self.buffer);
        // Whatever it is, it is no lack of room: that was reserved.
        written.and_then(|()| self.file.sync()).map_err(io::Error::other)?;
        self.body_crc.update(&self.buffer);
        self.written_bytes = self.at();
        self.buffer.clear();
        Ok(size_bytes)
    }

    /// The file is whole: it is to be read back.
    ///
    /// # Errors
    /// Those of the file system.
    pub(crate) fn check(self) -> io::Result<Check<T>> {
        debug_assert!(self.buffer.is_empty());
        self.file.forget_cached()?;
        Ok(Check {
            file: self.file,
            size_bytes: self.written_bytes,
            expected: self.body_crc.finalize(),
            read_bytes: 0,
            crc: crc32fast::Hasher::new(),
        })
    }
}

/// The name of a file that is not finished.
pub(crate) fn new_name(header: &Header, generation: u32) -> String {
    format!("{}{NEW_SUFFIX}", sorted_name(header.first_position, generation))
}

/// A whole file that is being read back, to see whether the disk has what was written.
#[derive(Debug)]
pub(crate) struct Check<T> {
    file: T,
    size_bytes: u64,
    expected: u32,
    read_bytes: u64,
    crc: crc32fast::Hasher,
}

impl<T: File> Check<T> {
    /// Reads about so many bytes more. Whether all was read, and is right.
    ///
    /// # Errors
    /// Those of the file system, or that something else is there than was written.
    #[expect(clippy::cast_possible_truncation, reason = "at most `slice_bytes`")]
    pub(crate) fn read_slice(&mut self, slice_bytes: usize) -> io::Result<bool> {
        let left_bytes = self.size_bytes - self.read_bytes;
        let mut slice = vec![0; (slice_bytes as u64).min(left_bytes) as usize];
        self.file.read_at(self.read_bytes, &mut slice)?;
        self.crc.update(&slice);
        self.read_bytes += slice.len() as u64;
        if self.read_bytes < self.size_bytes {
            return Ok(false);
        }
        if self.crc.clone().finalize() != self.expected {
            let reason = "the disk does not hold what was written to it";
            return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
        }
        Ok(true)
    }
}
