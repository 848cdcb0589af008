//! Sorting: what is frozen in the state is written to a sorted segment, a slice at a time, so that nobody waits for
//! all of it. The segments of the write-ahead log that it came from go when the copy was read back and has its
//! name. Never changes a record.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use super::names::{segment_name, sorted_name};
use super::sorted::file::Sorted;
use super::sorted::format::{Header, Trailer};
use super::sorted::state_items::{put_commit, put_producer, put_register};
use super::sorted::writer::{Check, Closing, Writer, new_name};
use crate::Position;
use crate::files::{File, Files};
use crate::state::State;
use crate::state::chunk::Chunk;

/// What it costs to look at a log or at an item, in bytes of work, so that a slice of many small ones is as long as
/// one of few large ones.
const LOOK_BYTES: usize = 64;

/// Reading a byte back is so many times cheaper than writing it.
const CHEAPER: usize = 4;

/// What is being sorted.
#[derive(Debug)]
pub(crate) struct Sorting<T> {
    header: Header,
    closing: Closing,
    /// The first positions and the sizes of the segments that it will replace.
    segments: Vec<(Position, u64)>,
    step: Step,
    /// None before there was room for a file, and when it is whole.
    writer: Option<Writer<T>>,
    /// The chunks that are left of the log that is being written.
    chunks: VecDeque<Arc<Chunk>>,
    /// The whole file, while it is read back.
    check: Option<(Check<T>, Trailer)>,
}

/// What is done next, in this order.
#[derive(Clone, Debug)]
enum Step {
    /// The log in this slot is written.
    Logs(u32),
    /// What is behind this key is written, all if there is none.
    Commits(Option<Box<[u8]>>),
    Registers(Option<Box<str>>),
    Producers(Option<(u64, u64)>),
    /// All that is left is in the writer, but for this trailer.
    End(Trailer),
    Check,
    /// The file counts. The log in this slot lets go of what is in it.
    Release(u32),
    /// Nothing is frozen any more.
    Done,
}

/// What came of a slice.
#[derive(Debug)]
pub(crate) struct Slice {
    /// How much work it was, in bytes.
    pub(crate) worked_bytes: usize,
    /// The file that counts from now on.
    pub(crate) replaced: Option<Sorted>,
}

impl<T: File> Sorting<T> {
    /// Freezes what is in memory, all of which is in these segments, to be sorted from now on.
    #[expect(clippy::cast_possible_truncation, reason = "4 G slots do not fit into memory")]
    pub(crate) fn begin(
        state: &mut State,
        header: Header,
        segments: Vec<(Position, u64)>,
        end_position: Position,
    ) -> Self {
        state.freeze();
        let closing = Closing {
            end_position,
            newest_time_ms: state.time_ms,
            next_log_id: state.logs.next_id,
            last_version: state.last_version,
            slots: state.logs.slots() as u32,
        };
        let (step, chunks) = (Step::Logs(0), VecDeque::new());
        Self { header, closing, segments, step, writer: None, chunks, check: None }
    }

    pub(crate) fn is_done(&self) -> bool {
        matches!(self.step, Step::Done)
    }

    /// What the segments that it will replace take, in bytes.
    pub(crate) fn size_bytes(&self) -> u64 {
        self.segments.iter().map(|(_, size_bytes)| size_bytes).sum()
    }

    /// Does about so many bytes of work, and at least something.
    ///
    /// # Errors
    /// Those of the file system. If there is no room, the same slice can be tried again.
    pub(crate) fn slice(
        &mut self,
        files: &impl Files<File = T>,
        state: &mut State,
        slice_bytes: usize,
    ) -> io::Result<Slice> {
        let mut worked_bytes = 0;
        while worked_bytes < slice_bytes {
            match &mut self.step {
                Step::Check => {
                    worked_bytes += slice_bytes / CHEAPER + 1;
                    if let Some(replaced) = self.read_back(files, slice_bytes)? {
                        return Ok(Slice { worked_bytes, replaced: Some(replaced) });
                    }
                }
                Step::Release(slot) => {
                    worked_bytes += LOOK_BYTES;
                    self.step = release(state, *slot);
                }
                Step::Done => break,
                _ => worked_bytes += LOOK_BYTES + self.write(files, state, slice_bytes)?,
            }
        }
        Ok(Slice { worked_bytes, replaced: None })
    }

    /// Writes one log, chunk or item more, and says how many bytes it took.
    fn write(
        &mut self,
        files: &impl Files<File = T>,
        state: &State,
        slice_bytes: usize,
    ) -> io::Result<usize> {
        let mut writer = match self.writer.take() {
            Some(writer) => writer,
            None => Writer::begin(files, self.header, 0)?,
        };
        let before_bytes = writer.waiting_bytes();
        self.step = self.put_next(state, &mut writer);
        let written_bytes = writer.waiting_bytes() - before_bytes;
        let is_end = matches!(self.step, Step::End(_));
        if (writer.waiting_bytes() >= slice_bytes || is_end)
            && let Err(error) = writer.flush()
        {
            self.writer = Some(writer);
            return Err(error);
        }
        if let Step::End(trailer) = &self.step {
            self.check = Some((writer.check()?, *trailer));
            self.step = Step::Check;
        } else {
            self.writer = Some(writer);
        }
        Ok(written_bytes)
    }

    fn put_next(&mut self, state: &State, writer: &mut Writer<T>) -> Step {
        match &self.step {
            Step::Logs(slot) => self.put_log(*slot, state, writer),
            Step::Commits(after) => match state.commits.snapshot(after.as_ref()).next() {
                Some((key, commit)) => {
                    writer
                        .push_item(|base_time_ms, out| put_commit(key, commit, base_time_ms, out));
                    Step::Commits(Some(key.clone()))
                }
                None => Step::Registers(None),
            },
            Step::Registers(after) => match state.registers.snapshot(after.as_ref()).next() {
                Some((name, register)) => {
                    writer.push_item(|_, out| put_register(name, register, out));
                    Step::Registers(Some(name.clone()))
                }
                None => Step::Producers(None),
            },
            Step::Producers(after) => match state.producers.snapshot(after.as_ref()).next() {
                Some((key, producer)) => {
                    if !producer.is_expired(self.closing.newest_time_ms) {
                        writer.push_item(|base_time_ms, out| {
                            put_producer(*key, producer, base_time_ms, out);
                        });
                    }
                    Step::Producers(Some(*key))
                }
                None => Step::End(writer.finish(self.closing)),
            },
            other => other.clone(),
        }
    }

    fn put_log(&mut self, slot: u32, state: &State, writer: &mut Writer<T>) -> Step {
        if slot == self.closing.slots {
            writer.end_logs(slot);
            return Step::Commits(None);
        }
        if let Some(chunk) = self.chunks.pop_front() {
            writer.push_chunk(&chunk);
        } else if let Some((key, log)) = state.logs.at(slot)
            && log.id < self.closing.next_log_id
        {
            let epoch = state.logs.epoch();
            self.chunks = log.frozen(epoch).into();
            let summary = log.summary(epoch);
            let first = self.chunks.front().map(|chunk| chunk.first_offset());
            let offsets = summary.next_offset - first.unwrap_or(summary.next_offset);
            writer.begin_log(slot, key, summary, offsets);
            self.chunks.retain(|chunk| chunk.next_offset() > summary.start_offset);
        }
        if self.chunks.is_empty() {
            writer.end_log();
            return Step::Logs(slot + 1);
        }
        Step::Logs(slot)
    }

    /// Reads a slice more of the file. When all of it is right, it takes the place of the segments that it
    /// replaces.
    fn read_back(&mut self, files: &impl Files, slice_bytes: usize) -> io::Result<Option<Sorted>> {
        let Some((check, trailer)) = &mut self.check else { return Ok(None) };
        if !check.read_slice(slice_bytes)? {
            return Ok(None);
        }
        let sorted = Sorted { header: self.header, trailer: *trailer };
        put_in_place(files, &sorted)?;
        for (first_position, _) in std::mem::take(&mut self.segments) {
            files.remove(&segment_name(first_position))?;
        }
        files.sync_names()?;
        self.check = None;
        self.step = Step::Release(0);
        Ok(Some(sorted))
    }
}

/// A file that is whole, and was read back, gets its name.
pub(crate) fn put_in_place(files: &impl Files, sorted: &Sorted) -> io::Result<()> {
    let Sorted { header, trailer } = sorted;
    let name = sorted_name(header.first_position, trailer.generation);
    let renamed = files.rename(&new_name(header, trailer.generation), &name);
    // Whatever it is, it is no lack of room for records.
    renamed.and_then(|()| files.sync_names()).map_err(io::Error::other)
}

fn release(state: &mut State, slot: u32) -> Step {
    if slot as usize >= state.logs.slots() {
        return if state.release_snapshots(1) { Step::Done } else { Step::Release(slot) };
    }
    let epoch = state.logs.epoch();
    if let Some(log) = state.logs.at_mut(slot) {
        log.release_frozen(epoch);
    }
    Step::Release(slot + 1)
}
