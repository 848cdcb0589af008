//! Opening a journal that may have been left in the middle of anything. Never changes a file before
//! it has decided that the whole journal can be used.
//!
//! Exactly one row is true of each segment, in order. Only the last two rows change a file.
//!
//! | segment | what its bytes say | what is done |
//! |---|---|---|
//! | any | its name is not the one expected next | refuse: missing |
//! | any | its header or its first position is not what it must be | refuse: damage |
//! | any | its header is whole, and of another version | refuse: version |
//! | any | its size is not the one in its header | refuse: damage |
//! | any | a whole entry at the expected position holds what is no command | refuse: damage |
//! | any | entries, then zeros to its end | apply them |
//! | not the last | entries, then something else | refuse: damage |
//! | the last | entries, then something else, then a later entry | refuse: damage |
//! | the last | entries, then something else, and no later entry | apply them, cut off the rest |
//! | `*.new` | anything: its creation was interrupted | remove it |
//!
//! What can be read need not be on the disk: the process that wrote it may have died, or been told that
//! a sync had failed, while the pages stayed in memory. Only the last entry can be in that state, since
//! each is synced before the next is written; so it is written once more and synced before anybody
//! is told of it.

use std::fmt;
use std::io;
use std::ops::Range;

use crate::files::{File, Files};
use crate::journal::disk::Active;
use crate::journal::format::{
    Damage, ENTRY_HEADER_BYTES, SEGMENT_HEADER_BYTES, VERSION, read_any_entry, read_command,
    read_entry, read_segment_header,
};
use crate::{Command, Position};

/// What a segment's name ends in.
const SUFFIX: &str = ".segment";

/// What a segment's name ends in until all of its header is durable.
pub(super) const NEW_SUFFIX: &str = ".new";

/// How many bytes are written at once when an end is cut off.
static ZEROS: [u8; 4096] = [0; 4096];

/// The name of the segment whose first entry is at a position: in the order of the positions.
pub(super) fn segment_name(first_position: Position) -> String {
    format!("{first_position:020}{SUFFIX}")
}

/// Why a journal cannot be used. Nothing was changed, nor lost.
#[derive(Debug)]
pub enum OpenError {
    /// The file system failed; a later try may succeed. A torn end may have been cut off already.
    Io(io::Error),
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
            Self::Io(error) => write!(f, "the file system failed: {error}"),
            Self::Foreign { file } => write!(f, "{file} is no part of a journal"),
            Self::Version { file, version } => {
                write!(f, "{file} is of version {version}; this program reads version {VERSION}")
            }
            Self::Missing { file } => write!(f, "{file} is missing"),
            Self::Damaged { file, byte } => write!(
                f,
                "{file} is damaged at byte {byte}, before its end: what follows may have been \
                 acknowledged, so nothing was cut off"
            ),
        }
    }
}

impl std::error::Error for OpenError {}

impl From<io::Error> for OpenError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// A journal that can be used.
pub(super) struct Recovered<T> {
    pub(super) active: Option<Active<T>>,
    pub(super) next_position: Position,
    pub(super) cut: Option<(String, u64)>,
}

pub(super) fn recover<F: Files>(
    files: &F,
    mut apply: impl FnMut(Command<'_>),
) -> Result<Recovered<F::File>, OpenError> {
    let Names { segments, unfinished } = names(files)?;
    let (mut next_position, mut cut) = (0, None);
    let mut last_segment = None;
    for (index, name) in segments.iter().enumerate() {
        drop(last_segment.take()); // Only one is in memory at a time.
        let (file, bytes) = read_segment(files, name, next_position)?;
        let entries = apply_entries(&bytes, &mut next_position, &mut apply)
            .map_err(|byte| damaged(name, byte))?;
        let rest = &bytes[entries.end..];
        if rest.iter().any(|&byte| byte != 0) {
            if index + 1 < segments.len() || has_entry_beyond(rest, next_position) {
                return Err(damaged(name, entries.end));
            }
            cut = Some((name.clone(), entries.end as u64));
        }
        last_segment = Some((file, bytes, entries));
    }
    let active = match last_segment {
        Some((file, bytes, entries)) => Some(make_active(file, &bytes, &entries)?),
        None => None,
    };
    for name in &unfinished {
        files.remove(name)?;
    }
    files.sync_names()?;
    Ok(Recovered { active, next_position, cut })
}

/// A segment that has the name, the header and the size that it must have, and all its bytes.
fn read_segment<F: Files>(
    files: &F,
    name: &str,
    first_position: Position,
) -> Result<(F::File, Vec<u8>), OpenError> {
    let expected = segment_name(first_position);
    if name != expected {
        return Err(OpenError::Missing { file: expected });
    }
    let file = files.open(name)?;
    let file_bytes = file.size_bytes()?;
    let mut bytes = vec![0; SEGMENT_HEADER_BYTES];
    if file_bytes < bytes.len() as u64 {
        return Err(damaged(name, 0));
    }
    file.read_at(0, &mut bytes)?;
    let size_bytes = match read_segment_header(&bytes) {
        Ok(header) if header.first_position == first_position => header.size_bytes,
        Err(Damage::Version(version)) => {
            return Err(OpenError::Version { file: name.into(), version });
        }
        _ => return Err(damaged(name, 0)),
    };
    if file_bytes != size_bytes.into() {
        let byte = file_bytes.min(size_bytes.into());
        return Err(OpenError::Damaged { file: name.into(), byte });
    }
    bytes.resize(size_bytes as usize, 0);
    file.read_at(0, &mut bytes)?;
    Ok((file, bytes))
}

/// Makes the last segment one that can be appended to: its last entry durable, and nothing but zeros
/// behind it.
fn make_active<T: File>(mut file: T, bytes: &[u8], entries: &Entries) -> io::Result<Active<T>> {
    let &Entries { last, end } = entries;
    file.write_at(last as u64, &bytes[last..end])?;
    for chunk in torn_chunks(bytes, end) {
        file.write_at(chunk.start as u64, &ZEROS[..chunk.len()])?;
    }
    file.sync()?;
    Ok(Active { file, end: end as u64, size_bytes: bytes.len() as u64 })
}

fn damaged(name: &str, byte: usize) -> OpenError {
    OpenError::Damaged { file: name.into(), byte: byte as u64 }
}

struct Names {
    segments: Vec<String>,
    unfinished: Vec<String>,
}

fn names(files: &impl Files) -> Result<Names, OpenError> {
    let mut names = Names { segments: Vec::new(), unfinished: Vec::new() };
    for file in files.names()? {
        let (finished, list) = match file.strip_suffix(NEW_SUFFIX) {
            Some(finished) => (finished, &mut names.unfinished),
            None => (file.as_str(), &mut names.segments),
        };
        let digits = finished.strip_suffix(SUFFIX).and_then(|digits| digits.parse().ok());
        if digits.map(segment_name).as_deref() != Some(finished) {
            return Err(OpenError::Foreign { file });
        }
        list.push(file);
    }
    names.segments.sort_unstable();
    Ok(names)
}

/// Where the last entry of a segment begins, and where it ends.
struct Entries {
    last: usize,
    end: usize,
}

/// Applies the entries of a segment, and says where they end; or where a whole entry holds what is no
/// command.
fn apply_entries(
    bytes: &[u8],
    next_position: &mut Position,
    apply: &mut impl FnMut(Command<'_>),
) -> Result<Entries, usize> {
    let mut end = SEGMENT_HEADER_BYTES;
    let mut last = end;
    while let Ok(mut payload) = read_entry(&bytes[end..], *next_position) {
        let size_bytes = ENTRY_HEADER_BYTES + payload.len();
        while !payload.is_empty() {
            let (command, rest) = read_command(payload).map_err(|_| end)?;
            apply(command);
            payload = rest;
        }
        last = end;
        end += size_bytes;
        *next_position += 1;
    }
    Ok(Entries { last, end })
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
fn torn_chunks(bytes: &[u8], end: usize) -> Vec<Range<usize>> {
    let starts = (end..bytes.len()).step_by(ZEROS.len());
    let chunks = starts.map(|start| start..bytes.len().min(start + ZEROS.len()));
    chunks.filter(|chunk| bytes[chunk.clone()].iter().any(|&byte| byte != 0)).collect()
}
