//! The bytes of a disk journal, as `docs/format.md` draws them. Never reads or writes a file.
//!
//! All numbers are little-endian.
//!
//! ```text
//! segment   = header entry* zero*
//! header    = magic (8) version (4) segment size (4) first position (8) begun at (4) crc (4)
//! entry     = payload length (4) crc (4) position (8) payload
//! payload   = command+
//! command   = 1 key length (2) message count (4) message length (4) key message
//!           | 2 key length (2) offset (8) key
//! ```

use crate::{Command, MAX_MESSAGE_BYTES, Position};

/// What every segment begins with.
const MAGIC: [u8; 8] = *b"STRAUMJ\n";

/// The version that is written, and the only one that is read.
pub const VERSION: u32 = 1;

/// The size of a segment's header, in bytes.
pub const SEGMENT_HEADER_BYTES: usize = 32;

/// The size of an entry's header, in bytes.
pub const ENTRY_HEADER_BYTES: usize = 16;

/// The longest key, in bytes. Its length takes 16 bits.
pub const MAX_KEY_BYTES: usize = u16::MAX as usize;

const SEND: u8 = 1;
const COMMIT: u8 = 2;

/// What is wrong with bytes that should be part of a journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// They do not begin as a segment does, or its header's checksum does not match.
    Header,
    /// The header is whole, and of a version that this program does not know.
    Version(u32),
    /// They are no entry at the expected position: too short, of another position, or the checksum
    /// does not match.
    Entry,
    /// The entry's checksum matches, but it holds something that is no command of this version.
    Command,
}

/// The header of a segment.
pub fn segment_header(header: SegmentHeader) -> [u8; SEGMENT_HEADER_BYTES] {
    let mut bytes = [0; SEGMENT_HEADER_BYTES];
    bytes[..8].copy_from_slice(&MAGIC);
    bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
    bytes[12..16].copy_from_slice(&header.size_bytes.to_le_bytes());
    bytes[16..24].copy_from_slice(&header.first_position.to_le_bytes());
    bytes[24..28].copy_from_slice(&header.begun_at_s.to_le_bytes());
    let crc = crc32fast::hash(&bytes[..28]);
    bytes[28..].copy_from_slice(&crc.to_le_bytes());
    bytes
}

/// What a segment's header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentHeader {
    /// The position of its first entry.
    pub first_position: Position,
    /// Its size, in bytes, header included: a file that is shorter has lost its end.
    pub size_bytes: u32,
    /// When it was begun, in seconds since 1970: no entry in it is older.
    pub begun_at_s: u32,
}

/// The header of a segment that begins with these bytes.
///
/// # Errors
/// [`Damage::Header`] or [`Damage::Version`].
pub(crate) fn read_segment_header(bytes: &[u8]) -> Result<SegmentHeader, Damage> {
    let header: &[u8; SEGMENT_HEADER_BYTES] =
        bytes.first_chunk().filter(|header| header[..8] == MAGIC).ok_or(Damage::Header)?;
    if u32_at(header, 28) != Some(crc32fast::hash(&header[..28])) {
        return Err(Damage::Header);
    }
    let read = || {
        let size_bytes = u32_at(header, 12)?;
        let (first_position, begun_at_s) = (u64_at(header, 16)?, u32_at(header, 24)?);
        Some((u32_at(header, 8)?, SegmentHeader { first_position, size_bytes, begun_at_s }))
    };
    match read() {
        Some((VERSION, header)) => Ok(header),
        Some((version, _)) => Err(Damage::Version(version)),
        None => Err(Damage::Header),
    }
}

/// The size of a command in an entry, in bytes.
pub fn command_bytes(command: Command<'_>) -> usize {
    match command {
        Command::Send { key, message } => 11 + key.len() + message.len(),
        Command::Commit { key, .. } => 11 + key.len(),
    }
}

/// Appends a command to a payload. Its key has at most [`MAX_KEY_BYTES`], its message at most
/// [`MAX_MESSAGE_BYTES`].
#[expect(clippy::cast_possible_truncation, reason = "stated above, and checked by the engine")]
pub fn write_command(command: Command<'_>, payload: &mut Vec<u8>) {
    match command {
        Command::Send { key, message } => {
            payload.push(SEND);
            payload.extend_from_slice(&(key.len() as u16).to_le_bytes());
            payload.extend_from_slice(&1_u32.to_le_bytes());
            payload.extend_from_slice(&(message.len() as u32).to_le_bytes());
            payload.extend_from_slice(key.as_bytes());
            payload.extend_from_slice(message);
        }
        Command::Commit { key, offset } => {
            payload.push(COMMIT);
            payload.extend_from_slice(&(key.len() as u16).to_le_bytes());
            payload.extend_from_slice(&offset.to_le_bytes());
            payload.extend_from_slice(key.as_bytes());
        }
    }
}

/// Fills in the header of an entry: its first [`ENTRY_HEADER_BYTES`], before the payload.
#[expect(clippy::cast_possible_truncation, reason = "an entry fits into a segment")]
pub fn finish_entry(entry: &mut [u8], position: Position) {
    let length = (entry.len() - ENTRY_HEADER_BYTES) as u32;
    entry[..4].copy_from_slice(&length.to_le_bytes());
    entry[8..16].copy_from_slice(&position.to_le_bytes());
    let crc = entry_crc(length, position, &entry[ENTRY_HEADER_BYTES..]);
    entry[4..8].copy_from_slice(&crc.to_le_bytes());
}

/// The payload of the entry at `position` with which these bytes begin.
///
/// # Errors
/// [`Damage::Entry`].
pub(crate) fn read_entry(bytes: &[u8], position: Position) -> Result<&[u8], Damage> {
    match read_any_entry(bytes) {
        Some((at, payload)) if at == position => Ok(payload),
        _ => Err(Damage::Entry),
    }
}

/// The entry with which these bytes begin, whatever its position.
pub(crate) fn read_any_entry(bytes: &[u8]) -> Option<(Position, &[u8])> {
    let (length, crc) = (u32_at(bytes, 0)?, u32_at(bytes, 4)?);
    let position = u64_at(bytes, 8)?;
    let end = ENTRY_HEADER_BYTES.checked_add(usize::try_from(length).ok()?)?;
    let payload = bytes.get(ENTRY_HEADER_BYTES..end)?;
    let whole = length > 0 && crc == entry_crc(length, position, payload);
    whole.then_some((position, payload))
}

fn entry_crc(length: u32, position: Position, payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&length.to_le_bytes());
    hasher.update(&position.to_le_bytes());
    hasher.update(payload);
    hasher.finalize()
}

/// The first command of a payload, and what follows it.
///
/// # Errors
/// [`Damage::Command`].
pub fn read_command(payload: &[u8]) -> Result<(Command<'_>, &[u8]), Damage> {
    split_command(payload).ok_or(Damage::Command)
}

fn split_command(payload: &[u8]) -> Option<(Command<'_>, &[u8])> {
    let key_bytes = usize::from(u16::from_le_bytes(payload.get(1..)?.first_chunk().copied()?));
    match *payload.first()? {
        SEND => {
            let (1, message_bytes) = (u32_at(payload, 3)?, u32_at(payload, 7)?) else {
                return None;
            };
            let (key, rest) = payload.get(11..)?.split_at_checked(key_bytes)?;
            let message_bytes = usize::try_from(message_bytes).ok()?;
            if message_bytes > MAX_MESSAGE_BYTES {
                return None;
            }
            let (message, rest) = rest.split_at_checked(message_bytes)?;
            Some((Command::Send { key: str::from_utf8(key).ok()?, message }, rest))
        }
        COMMIT => {
            let (key, rest) = payload.get(11..)?.split_at_checked(key_bytes)?;
            let key = str::from_utf8(key).ok()?;
            Some((Command::Commit { key, offset: u64_at(payload, 3)? }, rest))
        }
        _ => None,
    }
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().copied().map(u32::from_le_bytes)
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().copied().map(u64::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEND_ONE: Command<'static> = Command::Send { key: "k", message: b"hello" };
    const COMMIT_ONE: Command<'static> = Command::Commit { key: "k", offset: 7 };

    const HEADER: SegmentHeader =
        SegmentHeader { first_position: 9, size_bytes: 512, begun_at_s: 1_000 };

    fn entry(position: Position) -> Vec<u8> {
        let mut entry = vec![0; ENTRY_HEADER_BYTES];
        write_command(SEND_ONE, &mut entry);
        write_command(COMMIT_ONE, &mut entry);
        finish_entry(&mut entry, position);
        entry
    }

    #[test]
    fn what_is_written_is_read() {
        let entry = entry(5);
        let payload = read_entry(&entry, 5).unwrap();
        let (first, rest) = read_command(payload).unwrap();
        let (second, rest) = read_command(rest).unwrap();
        assert_eq!((first, second), (SEND_ONE, COMMIT_ONE));
        assert!(rest.is_empty());
        assert_eq!(payload.len(), command_bytes(SEND_ONE) + command_bytes(COMMIT_ONE));
        assert_eq!(read_segment_header(&segment_header(HEADER)), Ok(HEADER));
    }

    #[test]
    fn every_flipped_bit_and_every_truncation_of_an_entry_is_noticed() {
        let good = entry(5);
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(read_entry(&bad, 5), Err(Damage::Entry), "bit {bit}");
        }
        for length in 0..good.len() {
            assert_eq!(read_entry(&good[..length], 5), Err(Damage::Entry), "{length} bytes");
        }
        assert_eq!(read_entry(&good, 6), Err(Damage::Entry), "another position");
    }

    #[test]
    fn every_flipped_bit_of_a_segment_header_is_noticed() {
        let good = segment_header(HEADER);
        for bit in 0..good.len() * 8 {
            let mut bad = good;
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(read_segment_header(&bad).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn a_later_version_is_told_from_damage() {
        let mut header = segment_header(HEADER);
        header[8] = 2;
        let crc = crc32fast::hash(&header[..28]);
        header[28..].copy_from_slice(&crc.to_le_bytes());
        assert_eq!(read_segment_header(&header), Err(Damage::Version(2)));
    }
}
