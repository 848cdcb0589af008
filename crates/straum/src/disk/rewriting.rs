//! Upkeep: sorted segments of which half or more is dead are rewritten without it, and small neighbours become one
//! file. What is dead was cut off, or was of a log that was dropped. The newest sorted segment stays as it is.
//!
//! First all segments are looked through, to see how much of each is left; then one run of neighbours after the
//! other is rewritten, read back, and put in the place of the old files. All of it is done in slices. Never changes
//! the state, but for where logs begin when the oldest segment goes.

use std::collections::VecDeque;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use super::sorted::file::{Located, OpenSorted, Sorted};
use super::sorted::format::{Header, Trailer};
use super::sorted::writer::{Check, Closing, Writer, new_name};
use super::sorting::put_in_place;
use crate::command::Command;
use crate::files::{File, Files};
use crate::read::ReadError;
use crate::state::State;

/// What it costs to look at a block of rows, in bytes of work.
const LOOK_BYTES: usize = 4096;

/// What is known of dead records, and what is being done about them.
#[derive(Debug)]
pub(crate) struct Upkeep<T> {
    /// About how many bytes were cut off or dropped since all segments were looked through.
    cut_bytes: u64,
    pass: Pass<T>,
    /// A file that was begun and will not be finished.
    abandoned: Option<String>,
    remark: Option<String>,
}

#[derive(Debug)]
enum Pass<T> {
    None,
    /// This block of this segment is looked at next.
    Look {
        index: usize,
        block: u32,
        left_bytes: u64,
        left: Vec<u64>,
    },
    /// Runs from this segment on are rewritten; so much is left of each.
    Choose {
        index: usize,
        left: Vec<u64>,
    },
    Rewrite {
        rewriting: Box<Rewriting<T>>,
        left: Vec<u64>,
    },
}

impl<T> Default for Upkeep<T> {
    /// What was cut off in an earlier life is not known.
    fn default() -> Self {
        Self { cut_bytes: u64::MAX, pass: Pass::None, abandoned: None, remark: None }
    }
}

/// How large segments and slices are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    pub(crate) segment_bytes: u32,
    pub(crate) slice_bytes: usize,
    /// Whether neighbours become one file. A file is as old as the newest record in it: where records go by age,
    /// merging again and again would keep the old ones for ever.
    pub(crate) merges: bool,
}

/// Segments that one takes the place of.
type Replaced = (Range<usize>, Option<Sorted>);

impl<T: File> Upkeep<T> {
    /// A command is about to be applied.
    pub(crate) fn note(&mut self, command: &Command<'_>, state: &State) {
        let (key, before) = match *command {
            Command::Cut { log, before } => (log, before),
            Command::Drop { log } => (log, u64::MAX),
            _ => return,
        };
        let Some(log) = state.logs.get(key) else { return };
        let (start, next) = (log.start_offset(), log.next_offset());
        let cut = u128::from(before.clamp(start, next) - start) * u128::from(log.size_bytes());
        let cut_bytes = cut / u128::from((next - start).max(1));
        self.cut_bytes =
            self.cut_bytes.saturating_add(u64::try_from(cut_bytes).unwrap_or(u64::MAX));
    }

    /// The segments are others than they were.
    pub(crate) fn restart(&mut self) {
        if let Pass::Rewrite { rewriting, .. } = std::mem::replace(&mut self.pass, Pass::None) {
            self.abandoned = Some(rewriting.new_name());
            self.cut_bytes = u64::MAX;
        }
    }

    /// What the operator should know.
    pub(crate) fn remark(&mut self) -> Option<String> {
        self.remark.take()
    }

    /// Does about so many bytes of work, if there is any.
    ///
    /// # Errors
    /// Those of the file system where something is to be removed or renamed: nothing may go on then.
    pub(crate) fn slice<F: Files<File = T>>(
        &mut self,
        files: &Arc<F>,
        all: &[Arc<Sorted>],
        state: &State,
        sizes: Sizes,
    ) -> io::Result<Option<Replaced>> {
        let Sizes { segment_bytes, slice_bytes, .. } = sizes;
        if let Some(name) = self.abandoned.take() {
            match files.remove(&name) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        let mut worked_bytes = 0;
        while worked_bytes < slice_bytes {
            worked_bytes += LOOK_BYTES;
            self.pass = match std::mem::replace(&mut self.pass, Pass::None) {
                Pass::None if all.len() > 1 && self.is_worth_it(segment_bytes) => {
                    self.cut_bytes = 0;
                    Pass::Look { index: 0, block: 0, left_bytes: 0, left: Vec::new() }
                }
                Pass::None => return Ok(None),
                Pass::Look { index, left, .. } if index + 1 >= all.len() => {
                    Pass::Choose { index: 0, left }
                }
                Pass::Look { index, block, left_bytes, left } => {
                    self.look(&**files, all, state, (index, block), left_bytes, left)
                }
                Pass::Choose { index, left } => match choose(index, &left, all, sizes) {
                    None => Pass::None,
                    Some(run) => self.begin(&**files, run, all, left),
                },
                Pass::Rewrite { mut rewriting, left } => {
                    match rewriting.slice(&**files, state, slice_bytes) {
                        Ok(None) => {
                            self.pass = Pass::Rewrite { rewriting, left };
                            return Ok(None);
                        }
                        Ok(Some(sorted)) => {
                            put_in_place(&**files, &sorted)?;
                            let run = rewriting.run;
                            let index = run.start + 1;
                            let mut left = left;
                            let sum = left[run.clone()].iter().sum();
                            left.splice(run.clone(), [sum]);
                            self.pass = Pass::Choose { index, left };
                            return Ok(Some((run, Some(sorted))));
                        }
                        Err(error) => {
                            self.give_up(&error);
                            self.abandoned = Some(rewriting.new_name());
                            Pass::None
                        }
                    }
                }
            };
        }
        Ok(None)
    }

    fn is_worth_it(&self, segment_bytes: u32) -> bool {
        self.cut_bytes >= u64::from(segment_bytes) / 2
    }

    fn give_up(&mut self, error: &dyn std::fmt::Display) {
        self.remark = Some(format!("dead records take up room that could not be freed: {error}"));
    }

    fn look(
        &mut self,
        files: &impl Files<File = T>,
        all: &[Arc<Sorted>],
        state: &State,
        (index, block): (usize, u32),
        left_bytes: u64,
        mut left: Vec<u64>,
    ) -> Pass<T> {
        match left_in_block(files, &all[index], block, state) {
            Ok(Some(more_bytes)) => {
                let left_bytes = left_bytes + more_bytes;
                Pass::Look { index, block: block + 1, left_bytes, left }
            }
            Ok(None) => {
                left.push(left_bytes);
                Pass::Look { index: index + 1, block: 0, left_bytes: 0, left }
            }
            Err(error) => {
                self.give_up(&error);
                Pass::None
            }
        }
    }

    fn begin(
        &mut self,
        files: &impl Files<File = T>,
        run: Range<usize>,
        all: &[Arc<Sorted>],
        left: Vec<u64>,
    ) -> Pass<T> {
        match Rewriting::begin(files, run.clone(), &all[run]) {
            Ok(rewriting) => Pass::Rewrite { rewriting: Box::new(rewriting), left },
            Err(error) => {
                self.give_up(&error);
                Pass::None
            }
        }
    }
}

/// The next run of neighbours to be rewritten, from a segment on: one of which half or more is dead, or several
/// that together fill no more than half a segment. Each begins as far to the left, and is as long, as may be.
fn choose(from: usize, left: &[u64], all: &[Arc<Sorted>], sizes: Sizes) -> Option<Range<usize>> {
    let half = if sizes.merges { u64::from(sizes.segment_bytes) / 2 } else { 0 };
    (from..left.len()).find_map(|start| {
        let mut sum = left[start];
        let mut end = start + 1;
        while end < left.len() && sum + left[end] <= half {
            sum += left[end];
            end += 1;
        }
        let is_dead = left[start] <= all.get(start)?.trailer.records_bytes / 2;
        let has_records = all.get(start)?.trailer.records_bytes > 0;
        (end > start + 1 || (is_dead && has_records)).then_some(start..end)
    })
}

/// How many bytes of records are left of the logs of a block; none if there is no such block.
fn left_in_block(
    files: &impl Files,
    sorted: &Sorted,
    number: u32,
    state: &State,
) -> Result<Option<u64>, ReadError> {
    let open = sorted.open(files)?;
    let Some(block) = open.block(number)? else { return Ok(None) };
    let left = |(_, slot, located): &(String, u32, Located)| {
        let start = start_of(state, *slot, located)?;
        let all_bytes = located.records.end - located.records.start;
        Some(all_bytes - located.bytes_before(start).min(all_bytes))
    };
    Ok(Some(open.rows(&block)?.iter().filter_map(left).sum()))
}

/// Where a log begins now, if there still is this log.
fn start_of(state: &State, slot: u32, located: &Located) -> Option<u64> {
    let (_, log) = state.logs.at(slot).filter(|(_, log)| log.id == located.summary.id)?;
    Some(log.start_offset())
}

/// All logs begin at this segment, or later.
pub(crate) fn begin_logs_at(
    files: &impl Files,
    sorted: &Sorted,
    state: &mut State,
) -> Result<(), ReadError> {
    let (open, written) = (sorted.open(files)?, state.written_epoch());
    for number in 0..sorted.trailer.blocks() {
        let Some(block) = open.block(number)? else { break };
        for (_, slot, located) in open.rows(&block)? {
            if let Some(log) = state.logs.at_mut(slot).filter(|log| log.id == located.summary.id) {
                log.cut(located.first_offset, written);
            }
        }
    }
    Ok(())
}

/// A run of sorted segments that is being rewritten as one.
#[derive(Debug)]
struct Rewriting<T> {
    run: Range<usize>,
    sources: Vec<OpenSorted<T>>,
    header: Header,
    generation: u32,
    writer: Option<Writer<T>>,
    /// The next block of rows.
    block: u32,
    /// The logs of the block before that are still to be written.
    logs: VecDeque<Merged>,
    check: Option<(Check<T>, Trailer)>,
}

/// A log, and where its records are in the sources.
#[derive(Debug)]
struct Merged {
    slot: u32,
    key: String,
    parts: VecDeque<(usize, Located)>,
    is_begun: bool,
    /// The first offset that is wanted.
    from: u64,
}

impl<T: File> Rewriting<T> {
    fn begin(
        files: &impl Files<File = T>,
        run: Range<usize>,
        segments: &[Arc<Sorted>],
    ) -> Result<Self, ReadError> {
        let sources: Vec<_> =
            segments.iter().map(|sorted| sorted.open(files)).collect::<Result<_, _>>()?;
        let header = segments.first().map(|sorted| sorted.header);
        let generations = segments.iter().map(|sorted| sorted.trailer.generation);
        let generation = generations.max().unwrap_or(0) + 1;
        let Some(header) = header else {
            let error = io::Error::other("a run without segments");
            return Err(ReadError::Io { file: String::new(), error });
        };
        let (writer, logs) = (None, VecDeque::new());
        Ok(Self { run, sources, header, generation, writer, block: 0, logs, check: None })
    }

    fn new_name(&self) -> String {
        new_name(&self.header, self.generation)
    }

    /// Does about so many bytes of work. The new segment, when it is whole.
    fn slice(
        &mut self,
        files: &impl Files<File = T>,
        state: &State,
        slice_bytes: usize,
    ) -> Result<Option<Sorted>, ReadError> {
        let name = self.new_name();
        let at_new = |error| ReadError::Io { file: name.clone(), error };
        if let Some((check, trailer)) = &mut self.check {
            let is_whole = check.read_slice(slice_bytes).map_err(at_new)?;
            return Ok(is_whole.then_some(Sorted { header: self.header, trailer: *trailer }));
        }
        let mut writer = match self.writer.take() {
            Some(writer) => writer,
            None => Writer::begin(files, self.header, self.generation).map_err(at_new)?,
        };
        let before_bytes = writer.waiting_bytes();
        let mut looked_bytes = 0;
        while writer.waiting_bytes() - before_bytes + looked_bytes < slice_bytes {
            looked_bytes += LOOK_BYTES;
            if self.write_log(state, &mut writer)? || self.next_block(state)? {
                continue;
            }
            let trailer = self.finish(&mut writer);
            writer.flush().map_err(&at_new)?;
            self.check = Some((writer.check().map_err(&at_new)?, trailer));
            return Ok(None);
        }
        writer.flush().map_err(at_new)?;
        self.writer = Some(writer);
        Ok(None)
    }

    /// Writes some more of the log at hand; false if there is none.
    fn write_log(&mut self, state: &State, writer: &mut Writer<T>) -> Result<bool, ReadError> {
        let Some(log) = self.logs.front_mut() else { return Ok(false) };
        if !log.is_begun {
            log.is_begun = true;
            log.begin(state, writer);
        }
        if let Some((source, located)) = log.parts.front() {
            let source = &self.sources[*source];
            let places = source.chunk_places(located, log.from, 1)?;
            let chunks = source.chunks(located, &places)?;
            let wanted = chunks.iter().filter(|chunk| chunk.next_offset() > log.from);
            wanted.for_each(|chunk| writer.push_chunk(chunk));
            match chunks.last().map(super::super::state::chunk::Chunk::next_offset) {
                Some(next) if log.from < next && next < located.summary.next_offset => {
                    log.from = next;
                }
                next => {
                    log.from = log.from.max(next.unwrap_or(0));
                    log.parts.pop_front();
                }
            }
        }
        if log.parts.is_empty() {
            writer.end_log();
            self.logs.pop_front();
        }
        Ok(true)
    }

    /// Finds the logs of the next block; false if there is none.
    fn next_block(&mut self, state: &State) -> Result<bool, ReadError> {
        let Some(last) = self.sources.len().checked_sub(1) else { return Ok(false) };
        let mut logs: VecDeque<Merged> = VecDeque::new();
        let Some(block) = self.sources[last].block(self.block)? else { return Ok(false) };
        for (key, slot, located) in self.sources[last].rows(&block)? {
            let Some(from) = start_of(state, slot, &located) else { continue };
            let parts = VecDeque::from([(last, located)]);
            logs.push_back(Merged { slot, key, parts, is_begun: false, from });
        }
        for source in (0..last).rev() {
            let Some(block) = self.sources[source].block(self.block)? else { continue };
            let rows = self.sources[source].rows(&block)?;
            for (_, slot, located) in rows {
                let same = |log: &&mut Merged| log.slot == slot && log.id() == located.summary.id;
                if let Some(log) = logs.iter_mut().find(same) {
                    log.parts.push_front((source, located));
                }
            }
        }
        self.block += 1;
        self.logs = logs;
        Ok(true)
    }

    fn finish(&mut self, writer: &mut Writer<T>) -> Trailer {
        let trailers = self.sources.iter().map(|source| source.sorted.trailer);
        let newest_time_ms = trailers.clone().map(|trailer| trailer.newest_time_ms).max();
        let last = trailers.last();
        let slots = last.map_or(0, |last| last.slots);
        writer.end_logs(slots);
        writer.finish(Closing {
            end_position: last.map_or(0, |last| last.end_position),
            newest_time_ms: newest_time_ms.unwrap_or(0),
            next_log_id: last.map_or(0, |last| last.next_log_id),
            last_version: last.map_or(0, |last| last.last_version),
            slots,
        })
    }
}

impl Merged {
    fn id(&self) -> u64 {
        self.parts.back().map_or(0, |(_, located)| located.summary.id)
    }

    fn begin<T: File>(&mut self, state: &State, writer: &mut Writer<T>) {
        let (Some((_, first)), Some((_, last))) = (self.parts.front(), self.parts.back()) else {
            return;
        };
        let mut summary = last.summary;
        let now = state.logs.at(self.slot).map(|(_, log)| log);
        if let Some(now) = now.filter(|now| now.id == summary.id) {
            summary.start_offset = now.start_offset().min(summary.next_offset);
            summary.start_bytes = now.start_bytes().min(summary.end_bytes);
        }
        let offsets = summary.next_offset - first.first_offset;
        writer.begin_log(self.slot, &self.key, summary, offsets);
        self.parts.retain(|(_, located)| located.chunks > 0);
    }
}
