//! The bytes of the shared journal: what is put into the store, and what nodes tell each other. Any
//! bytes can be read: what is not of this form is [`Garbage`], never a panic. Never touches a store.
//!
//! `docs/shared-format.md` draws the bytes. Commands are those of a disk journal: see
//! [`journal::format`](crate::journal::format).

use std::fmt;

use crate::journal::format::read_command;
use crate::{Command, Position};

/// The version that is written, and the only one that is read.
pub const VERSION: u8 = 1;

const TELL: u8 = 1;
const FORWARD: u8 = 2;
const ALIVE: u8 = 3;

/// Bytes that are not of this format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Garbage {
    /// They are of a version that this program does not know.
    Version(u8),
    /// They have no form of this version.
    Malformed,
}

impl fmt::Display for Garbage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version(version) => write!(f, "it is of version {version}, not {VERSION}"),
            Self::Malformed => f.write_str("it is malformed"),
        }
    }
}

impl std::error::Error for Garbage {}

/// Commands under an identity: it takes effect once, however often and wherever it is put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch<'a> {
    /// The life of the node that made it.
    pub instance: u64,
    /// Its number among the batches of that life, from 1.
    pub seq: u64,
    /// Its commands, as they are written.
    pub payload: &'a [u8],
}

impl<'a> Batch<'a> {
    /// Its commands, in order.
    pub fn commands(&self) -> impl Iterator<Item = Command<'a>> + use<'a> {
        let mut rest = self.payload;
        std::iter::from_fn(move || {
            let (command, after) = read_command(rest).ok()?;
            rest = after;
            Some(command)
        })
    }

    /// Its bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(20 + self.payload.len());
        bytes.extend_from_slice(&self.instance.to_le_bytes());
        bytes.extend_from_slice(&self.seq.to_le_bytes());
        write_with_length(self.payload, &mut bytes);
        bytes
    }

    /// The batch that these bytes begin with, and what follows it.
    fn split(bytes: &'a [u8]) -> Result<(Self, &'a [u8]), Garbage> {
        let (instance, bytes) = split_u64(bytes)?;
        let (seq, bytes) = split_u64(bytes)?;
        let (payload, rest) = split_with_length(bytes)?;
        let mut commands = payload;
        while !commands.is_empty() {
            (_, commands) = read_command(commands).map_err(|_| Garbage::Malformed)?;
        }
        if payload.is_empty() || seq == 0 {
            return Err(Garbage::Malformed);
        }
        Ok((Self { instance, seq, payload }, rest))
    }
}

/// The entry that holds these batches, given as bytes.
pub fn write_entry<'a>(batches: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut bytes = vec![VERSION];
    batches.into_iter().for_each(|batch| bytes.extend_from_slice(batch));
    bytes
}

/// The batches of an entry, in order; at least one.
///
/// # Errors
/// [`Garbage`].
pub fn read_entry(bytes: &[u8]) -> Result<Vec<Batch<'_>>, Garbage> {
    let mut rest = of_our_version(bytes)?;
    let mut batches = Vec::new();
    loop {
        let (batch, after) = Batch::split(rest)?;
        batches.push(batch);
        if after.is_empty() {
            return Ok(batches);
        }
        rest = after;
    }
}

/// Entries end to end, given as bytes.
pub fn write_run<'a>(entries: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut bytes = vec![VERSION];
    entries.into_iter().for_each(|entry| write_with_length(entry, &mut bytes));
    bytes
}

/// The entries of a run, as bytes, in order. They are not looked into.
///
/// # Errors
/// [`Garbage`].
pub fn read_run(bytes: &[u8]) -> Result<Vec<&[u8]>, Garbage> {
    let mut rest = of_our_version(bytes)?;
    let mut entries = Vec::new();
    while !rest.is_empty() {
        let (entry, after) = split_with_length(rest)?;
        entries.push(entry);
        rest = after;
    }
    Ok(entries)
}

/// What one node tells another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// The sender has created this entry.
    Tell {
        /// Where.
        position: Position,
        /// Its bytes, which are not looked into here.
        entry: &'a [u8],
    },
    /// The receiver shall put this batch into its next entry.
    Forward(Batch<'a>),
    /// The sender is there, and has nothing to say.
    Alive,
}

impl<'a> Message<'a> {
    /// Its bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        match self {
            Self::Tell { position, entry } => {
                bytes.push(TELL);
                bytes.extend_from_slice(&position.to_le_bytes());
                bytes.extend_from_slice(entry);
            }
            Self::Forward(batch) => {
                bytes.push(FORWARD);
                bytes.extend_from_slice(&batch.to_bytes());
            }
            Self::Alive => bytes.push(ALIVE),
        }
        bytes
    }

    /// The message that these bytes are.
    ///
    /// # Errors
    /// [`Garbage`].
    pub fn read(bytes: &'a [u8]) -> Result<Self, Garbage> {
        let (kind, rest) = of_our_version(bytes)?.split_first().ok_or(Garbage::Malformed)?;
        match (*kind, rest) {
            (TELL, rest) => {
                let (position, entry) = split_u64(rest)?;
                Ok(Self::Tell { position, entry })
            }
            (FORWARD, rest) => match Batch::split(rest)? {
                (batch, []) => Ok(Self::Forward(batch)),
                _ => Err(Garbage::Malformed),
            },
            (ALIVE, []) => Ok(Self::Alive),
            _ => Err(Garbage::Malformed),
        }
    }
}

fn of_our_version(bytes: &[u8]) -> Result<&[u8], Garbage> {
    match bytes.split_first() {
        Some((&VERSION, rest)) => Ok(rest),
        Some((&version, _)) => Err(Garbage::Version(version)),
        None => Err(Garbage::Malformed),
    }
}

fn split_u64(bytes: &[u8]) -> Result<(u64, &[u8]), Garbage> {
    let (number, rest) = bytes.split_first_chunk().ok_or(Garbage::Malformed)?;
    Ok((u64::from_le_bytes(*number), rest))
}

fn split_with_length(bytes: &[u8]) -> Result<(&[u8], &[u8]), Garbage> {
    let (length, rest) = bytes.split_first_chunk().ok_or(Garbage::Malformed)?;
    let length = usize::try_from(u32::from_le_bytes(*length)).map_err(|_| Garbage::Malformed)?;
    rest.split_at_checked(length).ok_or(Garbage::Malformed)
}

#[expect(clippy::cast_possible_truncation, reason = "requests are limited to far less than 4 GiB")]
fn write_with_length(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    out.extend_from_slice(bytes);
}
