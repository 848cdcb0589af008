//! The bytes of the shared journal: what is put into the store, and what members tell each other. Any
//! bytes can be read: what is not of this form is [`Garbage`], never a panic. Never touches a store.
//!
//! ```text
//! value     = version (1) kind (1) identity (16) crc (4) body
//! body      = time batch+                kind 1, an entry
//!           | entry+                     kind 2, a run; each entry, a value, behind its length
//!           | cut                        kind 3, a tombstone
//!           | position entry             kind 4, a tell; the entry, a value, to the end
//!           | batch                      kind 5, a forward
//!           |                            kind 6, alive
//! batch     = instance (8) number command*, behind their length
//! ```
//!
//! Numbers are varints but for the instance. The crc is of the identity, the kind, the place (the entry's position or
//! the run's number; 0 for what members tell each other) in 8 bytes each, and the body. `docs/format.md` draws it.

use std::fmt;

use crate::Position;
use crate::bytes::{Reader, put_bytes, put_varint};
use crate::command::Command;
use crate::command_bytes::take_command;
use crate::identity::{IDENTITY_BYTES, Identity};

/// The version that is written, and the only one that is read.
pub(crate) const VERSION: u8 = 2;

const ENTRY: u8 = 1;
const RUN: u8 = 2;
const TOMBSTONE: u8 = 3;
const TELL: u8 = 4;
const FORWARD: u8 = 5;
const ALIVE: u8 = 6;

/// Bytes that are not of this format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Garbage {
    /// They are of a version that this program does not know.
    Version(u8),
    /// They are of another journal.
    OtherJournal,
    /// They have no form of this version, or their checksum is wrong.
    Malformed,
}

impl fmt::Display for Garbage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version(version) => write!(f, "it is of version {version}, not {VERSION}"),
            Self::OtherJournal => f.write_str("it is of another journal"),
            Self::Malformed => f.write_str("it is malformed"),
        }
    }
}

impl std::error::Error for Garbage {}

/// Bytes whose form and checksum are right.
struct Value<'a> {
    kind: u8,
    identity: Identity,
    body: &'a [u8],
}

fn write_value(kind: u8, identity: &Identity, place: u64, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(2 + IDENTITY_BYTES + 4 + body.len());
    bytes.extend_from_slice(&[VERSION, kind]);
    bytes.extend_from_slice(identity.bytes());
    let crc = identity.checksum(&[kind.into(), place], body);
    bytes.extend_from_slice(&crc.to_le_bytes());
    bytes.extend_from_slice(body);
    bytes
}

fn read_value(bytes: &[u8], place: u64) -> Result<Value<'_>, Garbage> {
    let mut reader = Reader(bytes);
    match reader.byte() {
        Some(VERSION) => {}
        Some(version) => return Err(Garbage::Version(version)),
        None => return Err(Garbage::Malformed),
    }
    let mut value = || {
        let (kind, identity) = (reader.byte()?, Identity::new(reader.array()?));
        let crc = reader.u32()?;
        let body = reader.0;
        let is_whole = crc == identity.checksum(&[kind.into(), place], body);
        is_whole.then_some(Value { kind, identity, body })
    };
    value().ok_or(Garbage::Malformed)
}

/// Commands under an identity: it takes effect once, however often and wherever it is put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Batch<'a> {
    /// The life of the member that made it.
    pub(crate) instance: u64,
    /// Its number among the batches of that life, from 1.
    pub(crate) number: u64,
    /// Its commands, as they are written.
    pub(crate) payload: &'a [u8],
}

impl<'a> Batch<'a> {
    /// Its commands, in order.
    pub(crate) fn commands(&self) -> impl Iterator<Item = Command<'a>> + use<'a> {
        let mut reader = Reader(self.payload);
        std::iter::from_fn(move || take_command(&mut reader))
    }

    /// Its bytes.
    pub(crate) fn to_bytes(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(24 + self.payload.len());
        bytes.extend_from_slice(&self.instance.to_le_bytes());
        put_varint(self.number, &mut bytes);
        put_bytes(self.payload, &mut bytes);
        bytes
    }

    fn take(reader: &mut Reader<'a>) -> Option<Self> {
        let (instance, number) = (reader.u64()?, reader.varint()?);
        let payload = reader.bytes()?;
        let mut commands = Reader(payload);
        while !commands.is_empty() {
            take_command(&mut commands)?;
        }
        (!payload.is_empty() && number > 0).then_some(Self { instance, number, payload })
    }
}

/// What is at a position of the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AtPosition<'a> {
    /// Batches that take effect at a time, in milliseconds since 1970; at least one.
    Entry { time_ms: u64, batches: Vec<Batch<'a>> },
    /// The entry was removed, with all before this position.
    Tombstone { cut: Position },
}

/// The entry that holds these batches, given as bytes.
pub(crate) fn write_entry<'a>(
    identity: &Identity,
    position: Position,
    time_ms: u64,
    batches: impl IntoIterator<Item = &'a [u8]>,
) -> Vec<u8> {
    let mut body = Vec::new();
    put_varint(time_ms, &mut body);
    batches.into_iter().for_each(|batch| body.extend_from_slice(batch));
    write_value(ENTRY, identity, position, &body)
}

/// What stands in the place of an entry that was removed.
pub(crate) fn write_tombstone(identity: &Identity, position: Position, cut: Position) -> Vec<u8> {
    let mut body = Vec::new();
    put_varint(cut, &mut body);
    write_value(TOMBSTONE, identity, position, &body)
}

/// What is at a position, and the journal's identity.
///
/// # Errors
/// [`Garbage`].
pub(crate) fn read_position(
    bytes: &[u8],
    position: Position,
) -> Result<(Identity, AtPosition<'_>), Garbage> {
    let value = read_value(bytes, position)?;
    let mut reader = Reader(value.body);
    let mut read = || match value.kind {
        ENTRY => {
            let time_ms = reader.varint()?;
            let mut batches = vec![Batch::take(&mut reader)?];
            while !reader.is_empty() {
                batches.push(Batch::take(&mut reader)?);
            }
            Some(AtPosition::Entry { time_ms, batches })
        }
        TOMBSTONE => {
            let cut = reader.varint().filter(|cut| *cut > position)?;
            reader.is_empty().then_some(AtPosition::Tombstone { cut })
        }
        _ => None,
    };
    let read = read();
    Ok((value.identity, read.ok_or(Garbage::Malformed)?))
}

/// Entries end to end, given as bytes.
pub(crate) fn write_run<'a>(
    identity: &Identity,
    run: u64,
    entries: impl IntoIterator<Item = &'a [u8]>,
) -> Vec<u8> {
    let mut body = Vec::new();
    entries.into_iter().for_each(|entry| put_bytes(entry, &mut body));
    write_value(RUN, identity, run, &body)
}

/// The entries of a run, as bytes, in order. They are not looked into. None if the run was removed.
///
/// # Errors
/// [`Garbage`].
pub(crate) fn read_run(bytes: &[u8], run: u64) -> Result<Option<Vec<&[u8]>>, Garbage> {
    let value = read_value(bytes, run)?;
    let mut reader = Reader(value.body);
    match value.kind {
        TOMBSTONE => Ok(None),
        RUN => {
            let mut entries = Vec::new();
            while !reader.is_empty() {
                entries.push(reader.bytes().ok_or(Garbage::Malformed)?);
            }
            Ok(Some(entries))
        }
        _ => Err(Garbage::Malformed),
    }
}

/// What one member tells another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told<'a> {
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

impl<'a> Told<'a> {
    /// Its bytes.
    pub(crate) fn to_bytes(self, identity: &Identity) -> Vec<u8> {
        let mut body = Vec::new();
        let kind = match self {
            Self::Tell { position, entry } => {
                put_varint(position, &mut body);
                body.extend_from_slice(entry);
                TELL
            }
            Self::Forward(batch) => {
                body = batch.to_bytes();
                FORWARD
            }
            Self::Alive => ALIVE,
        };
        write_value(kind, identity, 0, &body)
    }

    /// What these bytes tell, and the journal's identity.
    ///
    /// # Errors
    /// [`Garbage`].
    pub(crate) fn read(bytes: &'a [u8]) -> Result<(Identity, Self), Garbage> {
        let value = read_value(bytes, 0)?;
        let mut reader = Reader(value.body);
        let mut read = || match value.kind {
            TELL => Some(Self::Tell { position: reader.varint()?, entry: reader.0 }),
            FORWARD => {
                let batch = Batch::take(&mut reader)?;
                reader.is_empty().then_some(Self::Forward(batch))
            }
            ALIVE => reader.is_empty().then_some(Self::Alive),
            _ => None,
        };
        let read = read();
        Ok((value.identity, read.ok_or(Garbage::Malformed)?))
    }
}

/// What a message between members is, in a word, for whoever looks at the network; none if it is none.
pub fn kind_of(bytes: &[u8]) -> Option<&'static str> {
    match bytes.get(..2)? {
        [VERSION, TELL] => Some("tell"),
        [VERSION, FORWARD] => Some("forward"),
        [VERSION, ALIVE] => Some("alive"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Append;
    use crate::command_bytes::put_command;

    const IDENTITY: [u8; 16] = *b"identity of test";

    fn payload() -> Vec<u8> {
        let mut payload = Vec::new();
        put_command(&Command::Append(Append::record("k", b"m")), &mut payload);
        payload
    }

    #[test]
    fn what_is_written_is_read() {
        let (identity, payload) = (Identity::new(IDENTITY), payload());
        let batch = Batch { instance: 7, number: 300, payload: &payload };
        let bytes = batch.to_bytes();
        let entry = write_entry(&identity, 5, 90, [&*bytes, &*bytes]);
        let at_5 = AtPosition::Entry { time_ms: 90, batches: vec![batch, batch] };
        assert_eq!(read_position(&entry, 5), Ok((identity, at_5)));
        let tombstone = write_tombstone(&identity, 5, 64);
        assert_eq!(read_position(&tombstone, 5), Ok((identity, AtPosition::Tombstone { cut: 64 })));
        let run = write_run(&identity, 3, [&*entry, b"second"]);
        assert_eq!(read_run(&run, 3), Ok(Some(vec![&*entry, b"second"])));
        for told in [Told::Tell { position: 5, entry: &entry }, Told::Forward(batch), Told::Alive] {
            assert_eq!(Told::read(&told.to_bytes(&identity)), Ok((identity, told)));
        }
    }

    #[test]
    fn every_flipped_bit_and_every_truncation_is_noticed() {
        let (identity, payload) = (Identity::new(IDENTITY), payload());
        let bytes = Batch { instance: 7, number: 3, payload: &payload }.to_bytes();
        let good = write_entry(&identity, 5, 90, [&*bytes]);
        for bit in 0..8 * good.len() {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(read_position(&bad, 5).is_err(), "bit {bit}");
        }
        assert!((0..good.len()).all(|length| read_position(&good[..length], 5).is_err()));
        assert_eq!(read_position(&good, 6), Err(Garbage::Malformed), "another position");
        assert_eq!(read_position(b"\x09", 5), Err(Garbage::Version(9)));
    }
}
