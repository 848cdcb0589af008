//! What changes anything, and what comes of it. Never carries anything that two nodes could read
//! differently.

use crate::Offset;

/// The largest key, group or name, in bytes.
pub const MAX_NAME_BYTES: usize = u16::MAX as usize;

/// The largest record, in bytes (1 GiB).
pub const MAX_RECORD_BYTES: usize = 1 << 30;

/// The largest metadata of a committed offset, and the largest value of a register, in bytes (1 MiB).
pub const MAX_VALUE_BYTES: usize = 1 << 20;

/// One change, as a journal orders it and the state applies it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Command<'a> {
    /// Append a record to a log, which begins to exist with its first record.
    Append(Append<'a>),
    /// Record how far a group has got with a log.
    Commit {
        /// The group's name. A program with one consumer can use the empty name.
        group: &'a str,
        /// The log's key.
        log: &'a str,
        /// What this means is agreed on by those who commit and those who ask: Kafka commits the next
        /// offset to read, Maelstrom the last one that was processed.
        offset: Offset,
        /// Bytes to be kept with the offset, at most [`MAX_VALUE_BYTES`].
        metadata: &'a [u8],
        /// Whether the committed offset may go back.
        how: How,
    },
    /// Forget what a group has committed for a log.
    Uncommit {
        /// The group's name.
        group: &'a str,
        /// The log's key.
        log: &'a str,
    },
    /// Give a register a value, or remove it.
    Set {
        /// The register's name.
        name: &'a str,
        /// At most [`MAX_VALUE_BYTES`]; none to remove it.
        value: Option<&'a [u8]>,
        /// Only if the register has this version: 0 if there is none of this name.
        if_version: Option<Version>,
    },
    /// Remove a log, with all that was committed for it. A log of the same key begins anew at offset 0.
    Drop {
        /// The log's key.
        log: &'a str,
    },
    /// Remove the records of a log before an offset; at most all there are.
    Cut {
        /// The log's key.
        log: &'a str,
        /// The log's new start offset, unless that is higher already.
        before: Offset,
    },
}

/// A record to be appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Append<'a> {
    /// The log's key, at most [`MAX_NAME_BYTES`].
    pub log: &'a str,
    /// Bytes that the engine stores as they came and never looks into, at most [`MAX_RECORD_BYTES`].
    pub record: &'a [u8],
    /// How many offsets the record takes, at least 1: a Kafka record batch takes one for each of its
    /// records.
    pub count: u32,
    /// The record's time, in milliseconds since 1970; none for the time at which it is appended.
    pub time_ms: Option<u64>,
    /// Who appends it, if a retry is to be recognised.
    pub producer: Option<Producer>,
}

impl<'a> Append<'a> {
    /// A record that takes one offset, of no producer, appended now.
    pub fn record(log: &'a str, record: &'a [u8]) -> Self {
        Self { log, record, count: 1, time_ms: None, producer: None }
    }
}

/// Who appends a record, and which of its records it is.
///
/// The rules are those of Kafka's idempotent producer (KIP-98): a producer numbers all that it appends to
/// a log, one number an offset, from 0 to 2³¹ − 1 and then from 0 again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Producer {
    /// Tells it from other producers.
    pub id: u64,
    /// Tells its lives from each other: a later one fences the earlier ones off.
    pub epoch: u16,
    /// The number of the record's first offset, below 2³¹.
    pub first_sequence: u32,
}

/// Whether a committed offset may go back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// It only rises, and never beyond the last offset of the log. A log that does not exist has none.
    Raise,
    /// It becomes what is given, whatever it was, and whether the log exists or not.
    Set,
}

/// Tells the values of a register from each other: a number that only rises and that no other value of any
/// register has.
pub type Version = u64;

/// What came of a command. It is decided when the command is applied, and may be shown when that is as
/// durable as the journal promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// The record was appended, and this is its first offset.
    Appended(Offset),
    /// The producer has appended this record before, and this is its first offset.
    Duplicate(Offset),
    /// The producer's sequence has a gap before this record, or it is an old one: nothing was appended.
    OutOfOrder,
    /// The producer has a later life: nothing was appended.
    Fenced,
    /// The command was carried out, and there is nothing more to say.
    Done,
    /// The register has the value, under this version.
    Set(Version),
    /// The register has another version, this one (0 if there is no such register): nothing was changed.
    Conflict(Version),
    /// The log's start offset.
    Cut(Offset),
    /// There is no such log, or nothing committed for it: nothing was changed.
    Absent,
    /// The log has no more offsets: nothing was appended.
    Full,
}

impl Outcome {
    /// The offset at which the record is, if it is in its log.
    pub fn offset(self) -> Option<Offset> {
        match self {
            Self::Appended(offset) | Self::Duplicate(offset) => Some(offset),
            _ => None,
        }
    }
}
