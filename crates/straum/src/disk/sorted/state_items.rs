//! The items of a sorted segment's state section: committed offsets, registers and producers. Never reads or
//! writes a file.
//!
//! ```text
//! item     = 1 group-and-log offset metadata time                       commit
//!          | 2 name version value                                       register
//!          | 3 log-id producer-id epoch time count appended{count}      producer
//! appended = first-sequence count offset
//! ```
//!
//! Kinds are one byte, numbers varints; names and bytes stand behind their length; a time is a signed varint,
//! after the base time. `group-and-log` is the group behind its length, and the log's key.

use crate::bytes::{Reader, put_bytes, put_difference, put_varint};
use crate::state::producers::{Appended, KnownProducer};
use crate::state::{Commit, Register, State, split_commit_key};

const COMMIT: u8 = 1;
const REGISTER: u8 = 2;
const PRODUCER: u8 = 3;

pub(crate) fn put_commit(key: &[u8], commit: &Commit, base_time_ms: u64, out: &mut Vec<u8>) {
    out.push(COMMIT);
    put_bytes(key, out);
    put_varint(commit.offset, out);
    put_bytes(&commit.metadata, out);
    put_difference(base_time_ms, commit.time_ms, out);
}

pub(crate) fn put_register(name: &str, register: &Register, out: &mut Vec<u8>) {
    out.push(REGISTER);
    put_bytes(name.as_bytes(), out);
    put_varint(register.version, out);
    put_bytes(&register.value, out);
}

pub(crate) fn put_producer(
    (log, id): (u64, u64),
    producer: &KnownProducer,
    base_time_ms: u64,
    out: &mut Vec<u8>,
) {
    out.push(PRODUCER);
    put_varint(log, out);
    put_varint(id, out);
    put_varint(producer.epoch.into(), out);
    put_difference(base_time_ms, producer.time_ms, out);
    put_varint(producer.last().len() as u64, out);
    for appended in producer.last() {
        put_varint(appended.first_sequence.into(), out);
        put_varint(appended.count.into(), out);
        put_varint(appended.offset, out);
    }
}

/// Puts all items of a block into the state. None if there is anything else in it.
pub(crate) fn restore_items(items: &[u8], base_time_ms: u64, state: &mut State) -> Option<()> {
    let mut reader = Reader(items);
    while let Some(kind) = reader.byte() {
        match kind {
            COMMIT => restore_commit(&mut reader, base_time_ms, state)?,
            REGISTER => {
                let name = reader.text()?;
                let (version, value) = (reader.varint()?, reader.bytes()?);
                state.registers.insert(name.into(), Register { version, value: value.into() });
            }
            PRODUCER => restore_producer(&mut reader, base_time_ms, state)?,
            _ => return None,
        }
    }
    Some(())
}

fn restore_commit(reader: &mut Reader<'_>, base_time_ms: u64, state: &mut State) -> Option<()> {
    let key = reader.bytes().filter(|key| split_commit_key(key).is_some())?;
    let commit = Commit {
        offset: reader.varint()?,
        metadata: reader.bytes()?.into(),
        time_ms: reader.difference(base_time_ms)?,
    };
    state.commits.insert(key.into(), commit);
    Some(())
}

fn restore_producer(reader: &mut Reader<'_>, base_time_ms: u64, state: &mut State) -> Option<()> {
    let key = (reader.varint()?, reader.varint()?);
    let epoch = u16::try_from(reader.varint()?).ok()?;
    let (time_ms, count) = (reader.difference(base_time_ms)?, reader.varint()?);
    let mut last = Vec::new();
    for _ in 0..count {
        last.push(Appended {
            first_sequence: reader.varint32()?,
            count: reader.varint32()?,
            offset: reader.varint()?,
        });
    }
    state.producers.insert(key, KnownProducer::restored(epoch, time_ms, last)?);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::commit_key;

    #[test]
    fn what_is_written_is_restored_and_nothing_else() {
        let commit = Commit { offset: 5, metadata: b"m"[..].into(), time_ms: 90 };
        let register = Register { version: 7, value: b"v"[..].into() };
        let appended = Appended { first_sequence: 3, count: 2, offset: 11 };
        let producer = KnownProducer::restored(1, 120, vec![appended, appended]).unwrap();
        let mut items = Vec::new();
        put_commit(&commit_key("g", "k"), &commit, 100, &mut items);
        put_register("r", &register, &mut items);
        put_producer((4, 9), &producer, 100, &mut items);

        let mut state = State::default();
        restore_items(&items, 100, &mut state).unwrap();
        assert_eq!(state.commits.get(&*commit_key("g", "k")), Some(&commit));
        assert_eq!(state.registers.get("r"), Some(&register));
        assert_eq!(state.producers.get(&(4, 9)), Some(&producer));

        items.push(4);
        assert!(restore_items(&items, 100, &mut State::default()).is_none());
    }
}
