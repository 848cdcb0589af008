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

use std::fmt;
use std::io;
use std::ops::Range;

use crate::Position;
use crate::files::{File, Files};
use crate::journal::disk::Active;
use crate::journal::format::{
    Damage, ENTRY_HEADER_BYTES, SEGMENT_HEADER_BYTES, VERSION, read_any_entry, read_command,
    read_entry, read_segment_header,
};
use crate::journal::sealed::sealing::Sealing;
use crate::journal::sealed::{SealedSegments, read_header, sealed_name};
use crate::journal::{NEW_SUFFIX, ReadError, segment_name};
use crate::logs::Logs;

/// How many bytes are written at once when an end is cut off.
static ZEROS: [u8; 4096] = [0; 4096];

/// Why a journal cannot be used. Nothing was lost, and nothing changed unless it says so.
#[derive(Debug)]
pub enum OpenError {
    /// The file system failed; a later try may succeed. A torn end may have been cut off already.
    Io {
        /// The file's name; or that it was the folder.
        file: String,
        /// What it said.
        error: io::Error,
    },
    /// A file is there that is no part of a journal.
    Foreign {
        /// Its name.
        file: String,
    },
    /// A segment is of a version that this program does not know: a newer program wrote it.
    Version {
        /// Its name.
        file: String,
        /// The version.
        version: u32,
    },
    /// A segment is not there, though one before or after it is.
    Missing {
        /// Its name.
        file: String,
    },
    /// Something is broken that no crash breaks. What comes after it may have been acknowledged.
    Damaged {
        /// The segment.
        file: String,
        /// Where the first broken thing begins, in bytes from the beginning of the file.
        byte: u64,
    },
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { file, error } => write!(f, "cannot read or write {file}: {error}"),
            Self::Foreign { file } => {
                write!(f, "{file} does not belong to a journal: move it out of the folder")
            }
            Self::Version { file, version } => {
                write!(f, "{file} is of version {version}; this program reads version {VERSION}")
            }
            Self::Missing { file } => write!(
                f,
                "{file} is missing, though files before or after it are there: put it back from a copy"
            ),
            Self::Damaged { file, byte } => write!(
                f,
                "{file} is damaged at byte {byte}, as no crash leaves it; nothing was changed. Work on a \
                 copy of the folder: docs/format.md, \"Recovery\""
            ),
        }
    }
}

impl std::error::Error for OpenError {}

impl From<ReadError> for OpenError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Io { file, error } => Self::Io { file, error },
            ReadError::Damaged { file, byte } => Self::Damaged { file, byte },
        }
    }
}

impl OpenError {
    /// What becomes of an error at a file.
    pub(super) fn at(file: &str) -> impl Fn(io::Error) -> Self {
        move |error| Self::Io { file: file.into(), error }
    }

    /// What becomes of an error at the folder itself.
    fn at_folder(error: io::Error) -> Self {
        Self::Io { file: "the folder".into(), error }
    }
}

/// A journal that can be used.
pub(super) struct Recovered<T> {
    pub(super) logs: Logs,
    pub(super) sealed: SealedSegments,
    pub(super) sealing: Option<Sealing<T>>,
    pub(super) active: Option<Active<T>>,
    pub(super) next_position: Position,
    pub(super) cut: Cut,
}

/// The file and the byte from which on a torn end is cut off, if there is one.
type Cut = Option<(String, u64)>;

pub(super) fn recover<F: Files>(files: &F) -> Result<Recovered<F::File>, OpenError> {
    let names = names(files)?;
    let sealed = read_sealed(files, &names.sealed)?;
    let first_position = sealed.end_position().unwrap_or(0);
    let mut replay = Replay {
        logs: sealed.restore(files)?,
        next_position: first_position,
        segments: Vec::new(),
        sealing: None,
    };
    let (replaced, segments): (Vec<_>, Vec<_>) =
        names.segments.iter().partition(|name| **name < segment_name(first_position));
    if segments.is_empty() && first_position > 0 {
        return Err(OpenError::Missing { file: segment_name(first_position) });
    }
    let last = match segments.split_last() {
        Some((last, others)) => {
            others.iter().try_for_each(|name| replay.full_segment(files, name))?;
            Some(replay.last_segment(files, last)?)
        }
        None => None,
    };
    let (active, cut) = match last {
        Some((last, cut)) => {
            let name = segment_name(last.first_position);
            (Some(make_active(last).map_err(OpenError::at(&name))?), cut)
        }
        None => (None, None),
    };
    // What was renamed stays so, before what it replaces goes.
    files.sync_names().map_err(OpenError::at_folder)?;
    for name in names.unfinished.iter().chain(replaced) {
        files.remove(name).map_err(OpenError::at(name))?;
    }
    files.sync_names().map_err(OpenError::at_folder)?;
    let Replay { logs, next_position, sealing, .. } = replay;
    Ok(Recovered { logs, sealed, sealing, active, next_position, cut })
}

/// All sealed segments, of which each must begin where the one before ends.
fn read_sealed(files: &impl Files, names: &[String]) -> Result<SealedSegments, OpenError> {
    let mut sealed = SealedSegments::default();
    for name in names {
        if let Some(expected) = sealed.end_position().map(sealed_name)
            && *name != expected
        {
            return Err(OpenError::Missing { file: expected });
        }
        sealed.push(read_header(files, name)?);
    }
    Ok(sealed)
}

/// The logs as the segments make them, one after the other.
struct Replay<T> {
    logs: Logs,
    next_position: Position,
    /// The first positions and sizes of the segments so far.
    segments: Vec<(Position, u64)>,
    sealing: Option<Sealing<T>>,
}

impl<T: File> Replay<T> {
    /// A segment that another one follows.
    fn full_segment<F: Files<File = T>>(&mut self, files: &F, name: &str) -> Result<(), OpenError> {
        let mut segment = read_segment(files, name, self.next_position)?;
        self.apply(&mut segment, name)?;
        if segment.has_rest() {
            return Err(damaged(name, segment.end));
        }
        Ok(())
    }

    /// The segment to which more will be appended, and where its end is to be cut off. What was in those
    /// before it is sealed from now on, as it would have been since this one was begun.
    fn last_segment<F: Files<File = T>>(
        &mut self,
        files: &F,
        name: &str,
    ) -> Result<(Segment<T>, Cut), OpenError> {
        let mut segment = read_segment(files, name, self.next_position)?;
        let full = std::mem::take(&mut self.segments);
        if !full.is_empty() {
            let sealing =
                Sealing::begin(&mut self.logs, full, self.next_position, segment.begun_at_ms);
            self.sealing = Some(sealing);
        }
        self.apply(&mut segment, name)?;
        if !segment.has_rest() {
            return Ok((segment, None));
        }
        if has_entry_beyond(&segment.bytes[segment.end..], self.next_position) {
            return Err(damaged(name, segment.end));
        }
        let cut = Some((name.to_owned(), segment.end as u64));
        Ok((segment, cut))
    }

    fn apply(&mut self, segment: &mut Segment<T>, name: &str) -> Result<(), OpenError> {
        (segment.last, segment.end) =
            apply_entries(&segment.bytes, &mut self.next_position, &mut self.logs)
                .map_err(|byte| damaged(name, byte))?;
        self.segments.push((segment.first_position, segment.bytes.len() as u64));
        Ok(())
    }
}

/// A segment, with everything in it.
struct Segment<T> {
    file: T,
    first_position: Position,
    begun_at_ms: u64,
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
}

/// A segment that has the name, the header and the size that it must have, and all its bytes.
fn read_segment<F: Files>(
    files: &F,
    name: &str,
    first_position: Position,
) -> Result<Segment<F::File>, OpenError> {
    let expected = segment_name(first_position);
    if name != expected {
        return Err(OpenError::Missing { file: expected });
    }
    let file = files.open(name).map_err(OpenError::at(name))?;
    let file_bytes = file.size_bytes().map_err(OpenError::at(name))?;
    let mut bytes = vec![0; SEGMENT_HEADER_BYTES];
    if file_bytes < bytes.len() as u64 {
        return Err(damaged(name, 0));
    }
    file.read_at(0, &mut bytes).map_err(OpenError::at(name))?;
    let header = match read_segment_header(&bytes) {
        Ok(header) if header.first_position == first_position => header,
        Err(Damage::Version(version)) => {
            return Err(OpenError::Version { file: name.into(), version });
        }
        _ => return Err(damaged(name, 0)),
    };
    let size_bytes = u64::from(header.size_bytes);
    if file_bytes != size_bytes {
        let byte = file_bytes.min(size_bytes);
        return Err(OpenError::Damaged { file: name.into(), byte });
    }
    bytes.resize(header.size_bytes as usize, 0);
    file.read_at(0, &mut bytes).map_err(OpenError::at(name))?;
    let begun_at_ms = u64::from(header.begun_at_s) * 1_000;
    let (last, end) = (SEGMENT_HEADER_BYTES, SEGMENT_HEADER_BYTES);
    Ok(Segment { file, first_position, begun_at_ms, bytes, last, end })
}

/// Makes the last segment one that can be appended to: its last entry durable, and nothing but zeros
/// behind it.
fn make_active<T: File>(segment: Segment<T>) -> io::Result<Active<T>> {
    let Segment { mut file, first_position, begun_at_ms, bytes, last, end } = segment;
    file.write_at(last as u64, &bytes[last..end])?;
    for range in torn_ranges(&bytes, end) {
        file.write_at(range.start as u64, &ZEROS[..range.len()])?;
    }
    file.sync()?;
    let (end, size_bytes) = (end as u64, bytes.len() as u64);
    Ok(Active { file, first_position, end, size_bytes, begun_at_ms })
}

fn damaged(name: &str, byte: usize) -> OpenError {
    OpenError::Damaged { file: name.into(), byte: byte as u64 }
}

/// The names in the folder: those of each kind in order.
#[derive(Default)]
struct Names {
    sealed: Vec<String>,
    segments: Vec<String>,
    unfinished: Vec<String>,
}

fn names(files: &impl Files) -> Result<Names, OpenError> {
    let mut names = Names::default();
    for file in files.names().map_err(OpenError::at_folder)? {
        let finished = file.strip_suffix(NEW_SUFFIX);
        let Some(name) = Name::of(finished.unwrap_or(&file)) else {
            return Err(OpenError::Foreign { file });
        };
        match (finished, name) {
            (Some(_), _) => names.unfinished.push(file),
            (None, Name::Sealed) => names.sealed.push(file),
            (None, Name::Segment) => names.segments.push(file),
        }
    }
    names.sealed.sort_unstable();
    names.segments.sort_unstable();
    Ok(names)
}

/// What a name says that a file is.
enum Name {
    Sealed,
    Segment,
}

impl Name {
    fn of(file: &str) -> Option<Self> {
        let (position, _) = file.split_once('.')?;
        let position = position.parse().ok()?;
        match file {
            _ if file == sealed_name(position) => Some(Self::Sealed),
            _ if file == segment_name(position) => Some(Self::Segment),
            _ => None,
        }
    }
}

/// Applies the entries of a segment, and says where the last one begins and ends; or where a whole entry
/// holds what is no command.
fn apply_entries(
    bytes: &[u8],
    next_position: &mut Position,
    logs: &mut Logs,
) -> Result<(usize, usize), usize> {
    let mut end = SEGMENT_HEADER_BYTES;
    let mut last = end;
    while let Ok(mut payload) = read_entry(&bytes[end..], *next_position) {
        let size_bytes = ENTRY_HEADER_BYTES + payload.len();
        while !payload.is_empty() {
            let (command, rest) = read_command(payload).map_err(|_| end)?;
            logs.apply(command);
            payload = rest;
        }
        last = end;
        end += size_bytes;
        *next_position += 1;
    }
    Ok((last, end))
}

/// Whether there may be a whole entry of a later position somewhere from a broken one on. A crash cannot
/// have left that: an entry is written only after the one before it has been synced.
///
/// What looks like entries again and again would take forever to tell from them; after some times its
/// size it is taken for one.
fn has_entry_beyond(bytes: &[u8], broken: Position) -> bool {
    let mut left_bytes = 16 * bytes.len();
    for at in 0..bytes.len() {
        let Some(size_bytes) = plausible_entry(&bytes[at..], broken) else { continue };
        if size_bytes > left_bytes || read_any_entry(&bytes[at..]).is_some() {
            return true;
        }
        left_bytes -= size_bytes;
    }
    false
}

/// The size of what looks like a later entry at first sight, before a checksum is taken of it.
fn plausible_entry(bytes: &[u8], broken: Position) -> Option<usize> {
    let (header, payload) = bytes.split_at_checked(ENTRY_HEADER_BYTES)?;
    let position = Position::from_le_bytes(*header.last_chunk()?);
    let size_bytes = u32::from_le_bytes(*header.first_chunk()?) as usize;
    // No segment has room for so many entries as this.
    let plausible = position > broken && position - broken < 1 << 32;
    let fits = size_bytes <= payload.len();
    (plausible && fits && read_command(payload).is_ok()).then_some(size_bytes)
}

/// Where there is something to overwrite behind the last entry: what is zero already stays untouched, so
/// that this never asks for room on the disk.
fn torn_ranges(bytes: &[u8], end: usize) -> Vec<Range<usize>> {
    let starts = (end..bytes.len()).step_by(ZEROS.len());
    let ranges = starts.map(|start| start..bytes.len().min(start + ZEROS.len()));
    ranges.filter(|range| bytes[range.clone()].iter().any(|&byte| byte != 0)).collect()
}
