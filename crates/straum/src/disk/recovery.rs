//! Opening a journal that may have been left in the middle of anything. Never changes a file before
//! it has decided that the whole journal can be used.
//!
//! What is done about which file is the table of `docs/format.md`, "Recovery". Its rows that remove or
//! overwrite take effect only when no row has refused.
//!
//! What can be read need not be on the disk: the process that wrote it may have died, or been told that
//! a sync had failed, while the pages stayed in memory. Only the last entry can be in that state, since
//! each is synced before the next is written; so it is written once more and synced before anybody
//! is told of it.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use super::names::{Name, segment_name, sorted_name};
use super::open_error::OpenError;
use super::rewriting::begin_logs_at;
use super::sorted::SortedSegments;
use super::sorted::file::Sorted;
use super::sorted::format::Header;
use super::sorting::Sorting;
use super::wal::Active;
use super::wal_format::{
    ENTRY_HEADER_BYTES, Entry, HeaderError, SEGMENT_HEADER_BYTES, SegmentHeader, read_entry,
};
use crate::Position;
use crate::bytes::Reader;
use crate::command_bytes::take_command;
use crate::files::{File, Files};
use crate::identity::Identity;
use crate::state::State;

/// How many bytes are written at once when an end is cut off.
static ZEROS: [u8; 4096] = [0; 4096];

/// A journal that can be used.
#[derive(Debug)]
pub(crate) struct Recovered<F: Files> {
    pub(crate) state: State,
    pub(crate) identity: Identity,
    pub(crate) sorted: SortedSegments<F>,
    pub(crate) sorting: Option<Sorting<F::File>>,
    pub(crate) active: Option<Active<F::File>>,
    pub(crate) next_position: Position,
    /// The file and the byte from which on a torn end was cut off, if there was one.
    pub(crate) cut: Option<(String, u64)>,
    pub(crate) remarks: Vec<String>,
}

/// Recovers the journal in a folder; an empty one becomes a journal if it is given an identity.
pub(crate) fn recover<F: Files>(
    files: &Arc<F>,
    create: Option<Identity>,
) -> Result<Recovered<F>, OpenError> {
    let names = Names::read(&**files)?;
    let mut plan = Plan::of(files, &names)?;
    let Some(identity) = plan.identity.or(create) else { return Err(OpenError::NoJournal) };
    let mut replay = Replay::begin(&**files, &plan, identity)?;
    let last = match plan.segments.split_last() {
        Some((last, full)) => {
            full.iter().try_for_each(|name| replay.full_segment(&**files, name))?;
            Some(replay.last_segment(&**files, last)?)
        }
        None => None,
    };
    let cut = last.as_ref().and_then(Segment::cut);
    let active = match last {
        Some(last) => {
            let name = segment_name(last.header.first_position);
            Some(make_active(last).map_err(OpenError::at(&name))?)
        }
        None => None,
    };
    // What was renamed stays so, before what it replaces goes.
    files.sync_names().map_err(OpenError::at_folder)?;
    for name in plan.useless.iter().chain(&names.unfinished) {
        files.remove(name).map_err(OpenError::at(name))?;
    }
    files.sync_names().map_err(OpenError::at_folder)?;
    let Replay { mut state, next_position, sorting, .. } = replay;
    state.logs.make_stable();
    state.logs.make_stable(); // Nothing has grown since the start.
    let sorted = std::mem::replace(&mut plan.sorted, SortedSegments::new(Arc::clone(files)));
    let remarks = plan.remarks;
    Ok(Recovered { state, identity, sorted, sorting, active, next_position, cut, remarks })
}

/// The names in the folder, those of each kind in order.
#[derive(Debug, Default)]
struct Names {
    segments: Vec<Position>,
    sorted: Vec<(Position, u32)>,
    unfinished: Vec<String>,
}

impl Names {
    fn read(files: &impl Files) -> Result<Self, OpenError> {
        let mut names = Self::default();
        for file in files.names().map_err(OpenError::at_folder)? {
            match Name::of(&file) {
                Name::Segment(position) => names.segments.push(position),
                Name::Sorted(position, generation) => names.sorted.push((position, generation)),
                Name::Unfinished => names.unfinished.push(file),
                Name::Old => return Err(OpenError::Version { file, version: 1 }),
                Name::Foreign => return Err(OpenError::Foreign { file }),
            }
        }
        names.segments.sort_unstable();
        names.sorted.sort_unstable();
        Ok(names)
    }
}

/// Which files count.
#[derive(Debug)]
struct Plan<F: Files> {
    identity: Option<Identity>,
    sorted: SortedSegments<F>,
    segments: Vec<String>,
    /// The files that others have replaced.
    useless: Vec<String>,
    remarks: Vec<String>,
}

impl<F: Files> Plan<F> {
    fn of(files: &Arc<F>, names: &Names) -> Result<Self, OpenError> {
        let sorted = SortedSegments::new(Arc::clone(files));
        let (segments, useless) = (Vec::new(), Vec::new());
        let mut plan = Self { identity: None, sorted, segments, useless, remarks: Vec::new() };
        plan.choose_sorted(&**files, &names.sorted)?;
        plan.choose_segments(&**files, &names.segments)?;
        Ok(plan)
    }

    /// Sorted segments follow each other. Of those that stand for the same entries the newest generation counts,
    /// if it is whole.
    fn choose_sorted(
        &mut self,
        files: &impl Files,
        names: &[(Position, u32)],
    ) -> Result<(), OpenError> {
        let mut left = names;
        while let Some((first_position, _)) = left.first() {
            let here = left.partition_point(|(position, _)| position == first_position);
            let (candidates, after) = left.split_at(here);
            if let Some(expected) = self.sorted.end_position()
                && expected != *first_position
            {
                return Err(missing(expected));
            }
            let chosen = self.choose_generation(files, candidates, after)?;
            let end = chosen.trailer.end_position;
            let covered = after.partition_point(|(position, _)| *position < end);
            let (covered, after) = after.split_at(covered);
            let replaced = candidates.iter().chain(covered);
            let names = replaced.map(|(position, generation)| sorted_name(*position, *generation));
            self.useless.extend(names.filter(|name| *name != chosen.name()));
            self.sorted.push(chosen);
            left = after;
        }
        Ok(())
    }

    /// One of the files that begin at the same position.
    fn choose_generation(
        &mut self,
        files: &impl Files,
        candidates: &[(Position, u32)],
        after: &[(Position, u32)],
    ) -> Result<Sorted, OpenError> {
        let mut first_error = None;
        for (position, generation) in candidates.iter().rev() {
            let name = sorted_name(*position, *generation);
            let read = self.read_sorted(files, &name).and_then(|sorted| {
                let end = sorted.trailer.end_position;
                let replaces = candidates.len() > 1 || after.iter().any(|(other, _)| *other < end);
                if replaces && !sorted.open(files)?.is_whole()? {
                    return Err(OpenError::damaged(&name, 0));
                }
                Ok(sorted)
            });
            match read {
                Ok(sorted) => return Ok(sorted),
                Err(error @ OpenError::Damaged { .. }) if candidates.len() > 1 => {
                    self.remarks.push(format!("{error}; what it was made of is still there"));
                    first_error.get_or_insert(error);
                }
                Err(error) => return Err(first_error.unwrap_or(error)),
            }
        }
        Err(first_error.unwrap_or(OpenError::NoJournal))
    }

    fn read_sorted(&mut self, files: &impl Files, name: &str) -> Result<Sorted, OpenError> {
        let sorted = Sorted::read(files, name)?;
        self.belongs(name, sorted.header.identity)?;
        Ok(sorted)
    }

    fn belongs(&mut self, name: &str, identity: Identity) -> Result<(), OpenError> {
        if *self.identity.get_or_insert(identity) != identity {
            return Err(OpenError::OtherJournal { file: name.into() });
        }
        Ok(())
    }

    /// Segments follow the sorted ones. Those that were not removed when the newest sorted one replaced them go, if
    /// that is whole; else it goes, if they are all there.
    fn choose_segments(
        &mut self,
        files: &impl Files,
        positions: &[Position],
    ) -> Result<(), OpenError> {
        let mut end = self.sorted.end_position().unwrap_or(0);
        if positions.first().is_some_and(|first| *first < end)
            && let Some(newest) = self.sorted.all().last().cloned()
            && !newest.open(files)?.is_whole()?
        {
            let error = OpenError::damaged(&newest.name(), 0);
            if positions.first() != Some(&newest.header.first_position) {
                return Err(error);
            }
            self.remarks.push(format!("{error}; what it was made of is still there"));
            let newest_index = self.sorted.all().len() - 1;
            self.sorted.replace(newest_index..newest_index + 1, None);
            self.useless.push(newest.name());
            end = newest.header.first_position;
        }
        let replaced = positions.partition_point(|position| *position < end);
        let (replaced, segments) = positions.split_at(replaced);
        self.useless.extend(replaced.iter().map(|position| segment_name(*position)));
        self.segments = segments.iter().map(|position| segment_name(*position)).collect();
        if self.segments.is_empty() && end > 0 {
            return Err(OpenError::Missing { file: segment_name(end) });
        }
        if let Some(name) = self.segments.first().cloned() {
            let (header, _) = read_header(files, &name)?;
            self.belongs(&name, header.identity)?;
        }
        Ok(())
    }
}

fn missing(position: Position) -> OpenError {
    OpenError::Missing { file: format!("the sorted segment that begins with {position:020}") }
}

/// The state as the files make it, one after the other.
struct Replay<T> {
    state: State,
    identity: Identity,
    next_position: Position,
    /// The headers of the segments so far.
    segments: Vec<SegmentHeader>,
    sorting: Option<Sorting<T>>,
}

impl<T: File> Replay<T> {
    /// What the newest sorted segment says.
    fn begin<F: Files<File = T>>(
        files: &F,
        plan: &Plan<F>,
        identity: Identity,
    ) -> Result<Self, OpenError> {
        let mut state = State::default();
        if let Some(newest) = plan.sorted.all().last() {
            newest.open(files)?.restore(&mut state)?;
        }
        if let Some(oldest) = plan.sorted.all().first()
            && oldest.header.first_position > 0
        {
            // What was removed before it is gone. Where this is damaged, who reads there is told.
            begin_logs_at(files, oldest, &mut state).ok();
        }
        let next_position = plan.sorted.end_position().unwrap_or(0);
        Ok(Self { state, identity, next_position, segments: Vec::new(), sorting: None })
    }

    /// A segment that another one follows.
    fn full_segment<F: Files<File = T>>(&mut self, files: &F, name: &str) -> Result<(), OpenError> {
        let segment = self.read(files, name)?;
        let segment = self.apply(segment, name)?;
        if segment.has_rest() {
            return Err(OpenError::damaged(name, segment.end));
        }
        Ok(())
    }

    /// The segment to which more will be appended. What was in those before it is sorted from now on, as it would
    /// have been since this one was begun.
    fn last_segment<F: Files<File = T>>(
        &mut self,
        files: &F,
        name: &str,
    ) -> Result<Segment<T>, OpenError> {
        let segment = self.read(files, name)?;
        let full = std::mem::take(&mut self.segments);
        if let Some(first) = full.first() {
            let header = Header {
                identity: self.identity,
                first_position: first.first_position,
                base_time_ms: first.begun_at_ms,
            };
            let segments =
                full.iter().map(|one| (one.first_position, u64::from(one.size_bytes))).collect();
            self.sorting =
                Some(Sorting::begin(&mut self.state, header, segments, self.next_position));
        }
        let segment = self.apply(segment, name)?;
        if segment.has_rest()
            && has_entry_beyond(&segment.bytes[segment.end..], &self.identity, self.next_position)
        {
            return Err(OpenError::damaged(name, segment.end));
        }
        Ok(segment)
    }

    /// A segment that has the name, the header and the size that it must have, and all its bytes.
    fn read<F: Files<File = T>>(&self, files: &F, name: &str) -> Result<Segment<T>, OpenError> {
        let expected = segment_name(self.next_position);
        if name != expected {
            return Err(OpenError::Missing { file: expected });
        }
        let (header, file) = read_header(files, name)?;
        if header.identity != self.identity {
            return Err(OpenError::OtherJournal { file: name.into() });
        }
        if header.first_position != self.next_position {
            return Err(OpenError::damaged(name, 0));
        }
        let file_bytes = file.size_bytes().map_err(OpenError::at(name))?;
        let size_bytes = u64::from(header.size_bytes);
        if file_bytes != size_bytes {
            let byte = file_bytes.min(size_bytes);
            return Err(OpenError::Damaged { file: name.into(), byte });
        }
        let mut bytes = vec![0; header.size_bytes as usize];
        file.read_at(0, &mut bytes).map_err(OpenError::at(name))?;
        let (last, end) = (SEGMENT_HEADER_BYTES, SEGMENT_HEADER_BYTES);
        Ok(Segment { file, header, bytes, last, end })
    }

    /// Applies the entries of a segment.
    fn apply(&mut self, mut segment: Segment<T>, name: &str) -> Result<Segment<T>, OpenError> {
        while let Some(entry) = read_entry(&segment.bytes[segment.end..], &self.identity)
            && entry.position == self.next_position
        {
            apply_entry(&entry, &mut self.state)
                .ok_or_else(|| OpenError::damaged(name, segment.end))?;
            segment.last = segment.end;
            segment.end += ENTRY_HEADER_BYTES + entry.payload.len();
            self.next_position += 1;
        }
        self.segments.push(segment.header);
        Ok(segment)
    }
}

/// None if the entry holds what is no command.
fn apply_entry(entry: &Entry<'_>, state: &mut State) -> Option<()> {
    state.set_time(entry.time_ms);
    let mut reader = Reader(entry.payload);
    while !reader.is_empty() {
        state.apply(&take_command(&mut reader)?);
    }
    Some(())
}

/// The header of a segment, and the file.
fn read_header<F: Files>(files: &F, name: &str) -> Result<(SegmentHeader, F::File), OpenError> {
    let file = files.open(name).map_err(OpenError::at(name))?;
    let file_bytes = file.size_bytes().map_err(OpenError::at(name))?;
    if file_bytes < SEGMENT_HEADER_BYTES as u64 {
        return Err(OpenError::damaged(name, 0));
    }
    let mut bytes = [0; SEGMENT_HEADER_BYTES];
    file.read_at(0, &mut bytes).map_err(OpenError::at(name))?;
    match SegmentHeader::read(&bytes) {
        Ok(header) => Ok((header, file)),
        Err(HeaderError::Version(version)) => {
            Err(OpenError::Version { file: name.into(), version })
        }
        Err(HeaderError::Damaged) => Err(OpenError::damaged(name, 0)),
    }
}

/// A segment, with everything in it.
struct Segment<T> {
    file: T,
    header: SegmentHeader,
    bytes: Vec<u8>,
    /// Where its last entry begins, as far as they have been applied.
    last: usize,
    /// Where its last entry ends.
    end: usize,
}

impl<T> Segment<T> {
    /// Whether there is anything but zeros behind the last entry.
    fn has_rest(&self) -> bool {
        self.bytes[self.end..].iter().any(|&byte| byte != 0)
    }

    /// Where its torn end is to be cut off, if it has one.
    fn cut(&self) -> Option<(String, u64)> {
        self.has_rest().then(|| (segment_name(self.header.first_position), self.end as u64))
    }
}

/// Makes the last segment one that can be appended to: its last entry durable, and nothing but zeros
/// behind it.
fn make_active<T: File>(segment: Segment<T>) -> io::Result<Active<T>> {
    let Segment { mut file, header, bytes, last, end } = segment;
    file.write_at(last as u64, &bytes[last..end])?;
    for range in torn_ranges(&bytes, end) {
        file.write_at(range.start as u64, &ZEROS[..range.len()])?;
    }
    file.sync()?;
    let SegmentHeader { first_position, begun_at_ms, .. } = header;
    let (end, size_bytes) = (end as u64, bytes.len() as u64);
    Ok(Active { file, first_position, end, size_bytes, begun_at_ms })
}

/// Whether there may be a whole entry of a later position somewhere from a broken one on. A crash cannot
/// have left that: an entry is written only after the one before it has been synced.
///
/// What looks like entries again and again would take forever to tell from them; after some times its
/// size it is taken for one.
fn has_entry_beyond(bytes: &[u8], identity: &Identity, broken: Position) -> bool {
    let mut left_bytes = 16 * bytes.len();
    for at in 0..bytes.len() {
        let Some(size_bytes) = plausible_entry(&bytes[at..], broken) else { continue };
        if size_bytes > left_bytes || read_entry(&bytes[at..], identity).is_some() {
            return true;
        }
        left_bytes -= size_bytes;
    }
    false
}

/// The size of what looks like a later entry at first sight, before a checksum is taken of it.
fn plausible_entry(bytes: &[u8], broken: Position) -> Option<usize> {
    let mut reader = Reader(bytes);
    let size_bytes = reader.u32()? as usize;
    reader.u32()?;
    let position = reader.u64()?;
    reader.u64()?;
    // No segment has room for so many entries as this.
    let plausible = position > broken && position - broken < 1 << 32;
    let fits = size_bytes <= reader.0.len();
    (plausible && fits && take_command(&mut reader).is_some()).then_some(size_bytes)
}

/// Where there is something to overwrite behind the last entry: what is zero already stays untouched, so
/// that this never asks for room on the disk.
fn torn_ranges(bytes: &[u8], end: usize) -> Vec<Range<usize>> {
    let starts = (end..bytes.len()).step_by(ZEROS.len());
    let ranges = starts.map(|start| start..bytes.len().min(start + ZEROS.len()));
    ranges.filter(|range| bytes[range.clone()].iter().any(|&byte| byte != 0)).collect()
}
