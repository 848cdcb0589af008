//! Commands as bytes, the same on disk, in a shared journal and between its members. Never decides
//! anything.
//!
//! ```text
//! command  = 1 log record                                     append one, at the time of its entry
//!          | 2 log flags count time? producer? record         append, flags: 1 a time, 2 a producer
//!          | 3 group log how offset metadata                  commit, how: 0 raise, 1 set
//!          | 4 group log                                      uncommit
//!          | 5 name version+1 (0: any) length+1 (0: remove) value   set
//!          | 6 log                                            drop
//!          | 7 log before                                     cut
//! producer = id epoch first-sequence
//! ```
//!
//! Kinds, flags and `how` are one byte. Numbers are varints. Texts and bytes stand behind their length.

use crate::bytes::{Reader, bytes_with_length, put_bytes, put_varint, varint_bytes};
use crate::command::{Append, Command, How, MAX_NAME_BYTES, MAX_RECORD_BYTES, Producer};

const APPEND_ONE: u8 = 1;
const APPEND: u8 = 2;
const COMMIT: u8 = 3;
const UNCOMMIT: u8 = 4;
const SET: u8 = 5;
const DROP: u8 = 6;
const CUT: u8 = 7;

const HAS_TIME: u8 = 1;
const HAS_PRODUCER: u8 = 2;

/// Sequences are below this.
pub(crate) const SEQUENCES: u32 = 1 << 31;

/// The size of a command, in bytes.
pub(crate) fn command_bytes(command: &Command<'_>) -> usize {
    let text = |text: &str| bytes_with_length(text.len());
    1 + match command {
        Command::Append(Append { log, record, count: 1, time_ms: None, producer: None }) => {
            text(log) + bytes_with_length(record.len())
        }
        Command::Append(Append { log, record, count, time_ms, producer }) => {
            let producer_bytes = producer.as_ref().map_or(0, |producer| {
                let Producer { id, epoch, first_sequence } = *producer;
                varint_bytes(id) + varint_bytes(epoch.into()) + varint_bytes(first_sequence.into())
            });
            let time_bytes = time_ms.map_or(0, varint_bytes);
            let record_bytes = bytes_with_length(record.len());
            text(log)
                + 1
                + varint_bytes((*count).into())
                + time_bytes
                + producer_bytes
                + record_bytes
        }
        Command::Commit { group, log, offset, metadata, .. } => {
            text(group) + text(log) + 1 + varint_bytes(*offset) + bytes_with_length(metadata.len())
        }
        Command::Uncommit { group, log } => text(group) + text(log),
        Command::Set { name, value, if_version } => {
            let value_bytes =
                value.map_or(1, |value| varint_bytes(value.len() as u64 + 1) + value.len());
            text(name) + varint_bytes(if_version.map_or(0, |version| version + 1)) + value_bytes
        }
        Command::Drop { log } => text(log),
        Command::Cut { log, before } => text(log) + varint_bytes(*before),
    }
}

/// Appends a command, whose sizes have been checked.
pub(crate) fn put_command(command: &Command<'_>, out: &mut Vec<u8>) {
    match command {
        Command::Append(append) => put_append(append, out),
        Command::Commit { group, log, offset, metadata, how } => {
            out.push(COMMIT);
            put_bytes(group.as_bytes(), out);
            put_bytes(log.as_bytes(), out);
            out.push(u8::from(*how == How::Set));
            put_varint(*offset, out);
            put_bytes(metadata, out);
        }
        Command::Uncommit { group, log } => {
            out.push(UNCOMMIT);
            put_bytes(group.as_bytes(), out);
            put_bytes(log.as_bytes(), out);
        }
        Command::Set { name, value, if_version } => {
            out.push(SET);
            put_bytes(name.as_bytes(), out);
            put_varint(if_version.map_or(0, |version| version + 1), out);
            put_varint(value.map_or(0, |value| value.len() as u64 + 1), out);
            out.extend_from_slice(value.unwrap_or_default());
        }
        Command::Drop { log } => {
            out.push(DROP);
            put_bytes(log.as_bytes(), out);
        }
        Command::Cut { log, before } => {
            out.push(CUT);
            put_bytes(log.as_bytes(), out);
            put_varint(*before, out);
        }
    }
}

fn put_append(append: &Append<'_>, out: &mut Vec<u8>) {
    let Append { log, record, count, time_ms, producer } = *append;
    if (count, time_ms, producer) == (1, None, None) {
        out.push(APPEND_ONE);
        put_bytes(log.as_bytes(), out);
        put_bytes(record, out);
        return;
    }
    out.push(APPEND);
    put_bytes(log.as_bytes(), out);
    let has_time = if time_ms.is_some() { HAS_TIME } else { 0 };
    let has_producer = if producer.is_some() { HAS_PRODUCER } else { 0 };
    out.push(has_time | has_producer);
    put_varint(count.into(), out);
    if let Some(time_ms) = time_ms {
        put_varint(time_ms, out);
    }
    if let Some(Producer { id, epoch, first_sequence }) = producer {
        put_varint(id, out);
        put_varint(epoch.into(), out);
        put_varint(first_sequence.into(), out);
    }
    put_bytes(record, out);
}

/// Takes a command; none if these bytes do not begin with one.
pub(crate) fn take_command<'a>(reader: &mut Reader<'a>) -> Option<Command<'a>> {
    let kind = reader.byte()?;
    Some(match kind {
        APPEND_ONE => {
            let (log, record) = (name(reader)?, record(reader)?);
            Command::Append(Append::record(log, record))
        }
        APPEND => Command::Append(take_append(reader)?),
        COMMIT => {
            let (group, log) = (name(reader)?, name(reader)?);
            let how = match reader.byte()? {
                0 => How::Raise,
                1 => How::Set,
                _ => return None,
            };
            let (offset, metadata) = (reader.varint()?, reader.bytes()?);
            Command::Commit { group, log, offset, metadata, how }
        }
        UNCOMMIT => Command::Uncommit { group: name(reader)?, log: name(reader)? },
        SET => {
            let (name, version) = (name(reader)?, reader.varint()?);
            let value = match reader.size()?.checked_sub(1) {
                Some(length) => Some(reader.take(length)?),
                None => None,
            };
            Command::Set { name, value, if_version: version.checked_sub(1) }
        }
        DROP => Command::Drop { log: name(reader)? },
        CUT => Command::Cut { log: name(reader)?, before: reader.varint()? },
        _ => return None,
    })
}

fn take_append<'a>(reader: &mut Reader<'a>) -> Option<Append<'a>> {
    let (log, flags, count) = (name(reader)?, reader.byte()?, reader.varint32()?);
    if flags & !(HAS_TIME | HAS_PRODUCER) != 0 || count == 0 {
        return None;
    }
    let time_ms = if flags & HAS_TIME != 0 { Some(reader.varint()?) } else { None };
    let producer = if flags & HAS_PRODUCER != 0 { Some(take_producer(reader)?) } else { None };
    Some(Append { log, record: record(reader)?, count, time_ms, producer })
}

fn take_producer(reader: &mut Reader<'_>) -> Option<Producer> {
    let (id, epoch) = (reader.varint()?, u16::try_from(reader.varint()?).ok()?);
    let first_sequence = reader.varint32().filter(|first| *first < SEQUENCES)?;
    Some(Producer { id, epoch, first_sequence })
}

fn name<'a>(reader: &mut Reader<'a>) -> Option<&'a str> {
    reader.text().filter(|name| name.len() <= MAX_NAME_BYTES)
}

fn record<'a>(reader: &mut Reader<'a>) -> Option<&'a [u8]> {
    reader.bytes().filter(|record| record.len() <= MAX_RECORD_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One command of each kind, and of the second kind with all and with nothing.
    fn commands() -> Vec<Command<'static>> {
        let producer = Some(Producer { id: 300, epoch: 2, first_sequence: 7 });
        let append = Append::record("clé", b"hello");
        vec![
            Command::Append(append),
            Command::Append(Append { count: 3, time_ms: Some(1 << 40), producer, ..append }),
            Command::Append(Append { count: 2, ..append }),
            Command::Commit { group: "g", log: "k", offset: 7, metadata: b"m", how: How::Raise },
            Command::Commit { group: "", log: "k", offset: 0, metadata: b"", how: How::Set },
            Command::Uncommit { group: "g", log: "k" },
            Command::Set { name: "r", value: Some(b"v"), if_version: Some(0) },
            Command::Set { name: "r", value: Some(b""), if_version: None },
            Command::Set { name: "r", value: None, if_version: Some(9) },
            Command::Drop { log: "k" },
            Command::Cut { log: "k", before: 1 << 50 },
        ]
    }

    #[test]
    fn what_is_written_is_read_and_takes_as_much_as_was_said() {
        let mut all = Vec::new();
        for command in commands() {
            let before = all.len();
            put_command(&command, &mut all);
            assert_eq!(all.len() - before, command_bytes(&command), "{command:?}");
        }
        let mut reader = Reader(&all);
        for command in commands() {
            assert_eq!(take_command(&mut reader), Some(command));
        }
        assert!(reader.is_empty());
    }

    #[test]
    fn what_is_cut_short_is_no_command() {
        for command in commands() {
            let mut bytes = Vec::new();
            put_command(&command, &mut bytes);
            for length in 0..bytes.len() {
                assert_eq!(take_command(&mut Reader(&bytes[..length])), None, "{command:?}");
            }
        }
    }

    #[test]
    fn what_no_program_writes_is_no_command() {
        let unknown = [0, 8, 255].map(|kind| vec![kind, 1, b'k', 1, b'm']);
        let no_offsets = vec![APPEND, 1, b'k', 0, 0, 1, b'm'];
        let unknown_flag = vec![APPEND, 1, b'k', 4, 1, 1, b'm'];
        let unknown_how = vec![COMMIT, 1, b'g', 1, b'k', 2, 7, 0];
        for bytes in unknown.into_iter().chain([no_offsets, unknown_flag, unknown_how]) {
            assert_eq!(take_command(&mut Reader(&bytes)), None, "{bytes:?}");
        }
    }
}
