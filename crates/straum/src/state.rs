//! The state: what comes out of applying commands in their order. It is the specification of every storage,
//! which must be indistinguishable from it. Never does I/O, and never asks for the time.

pub(crate) mod chunk;
pub(crate) mod log;
pub(crate) mod logs;
pub(crate) mod producers;
pub(crate) mod shadowed;

use crate::Offset;
use crate::bytes::{Reader, put_bytes};
use crate::command::{Append, Command, How, Outcome, Producer, Version};
use crate::engine::Committed;

use log::LogId;
use logs::Logs;
use producers::KnownProducer;
use shadowed::Shadowed;

/// About what a log takes in a sorted segment beside its key and its records, in bytes.
const ROW_BYTES: u64 = 16;

/// About what a committed offset, a register or a producer takes there, in bytes.
const ITEM_BYTES: u64 = 64;

/// Logs, committed offsets, registers and producers.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) logs: Logs,
    /// By group and log, as [`commit_key`] writes them.
    pub(crate) commits: Shadowed<Box<[u8]>, Commit>,
    pub(crate) registers: Shadowed<Box<str>, Register>,
    pub(crate) producers: Shadowed<(LogId, u64), KnownProducer>,
    /// Invariant: no version of a register is higher.
    pub(crate) last_version: Version,
    /// The time at which commands are applied, in milliseconds since 1970. It may go back, as clocks do.
    pub(crate) time_ms: u64,
}

/// What a group has committed for a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Commit {
    pub(crate) offset: Offset,
    pub(crate) metadata: Box<[u8]>,
    /// When it was committed, in milliseconds since 1970.
    pub(crate) time_ms: u64,
}

impl Commit {
    pub(crate) fn shown(&self) -> Committed<'_> {
        Committed { offset: self.offset, metadata: &self.metadata, time_ms: self.time_ms }
    }
}

/// A register.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Register {
    pub(crate) version: Version,
    pub(crate) value: Box<[u8]>,
}

/// The key of a commit: the group behind its length, then the log.
pub(crate) fn commit_key(group: &str, log: &str) -> Vec<u8> {
    let mut key = Vec::with_capacity(5 + group.len() + log.len());
    put_bytes(group.as_bytes(), &mut key);
    key.extend_from_slice(log.as_bytes());
    key
}

/// The group and the log of a commit's key. None if it is no such key.
pub(crate) fn split_commit_key(key: &[u8]) -> Option<(&str, &str)> {
    let mut reader = Reader(key);
    let group = reader.text()?;
    Some((group, str::from_utf8(reader.0).ok()?))
}

impl State {
    /// Commands are applied at this time from now on.
    pub(crate) fn set_time(&mut self, now_ms: u64) {
        self.time_ms = now_ms;
    }

    /// Applies a command, whose sizes have been checked.
    pub(crate) fn apply(&mut self, command: &Command<'_>) -> Outcome {
        match *command {
            Command::Append(append) => self.append(&append),
            Command::Commit { group, log, offset, metadata, how } => {
                self.commit(group, log, offset, metadata, how)
            }
            Command::Uncommit { group, log } => {
                let removed = self.commits.remove(&commit_key(group, log).into());
                if removed { Outcome::Done } else { Outcome::Absent }
            }
            Command::Set { name, value, if_version } => self.set(name, value, if_version),
            Command::Drop { log } => self.drop_log(log),
            Command::Cut { log, before } => self.cut(log, before),
        }
    }

    /// What a group has committed for a log.
    pub(crate) fn committed(&self, group: &str, log: &str) -> Option<Committed<'_>> {
        self.commits.get(&*commit_key(group, log)).map(Commit::shown)
    }

    /// Whether a command changes nothing, whatever is applied before it later: then it need not be in a
    /// journal.
    pub(crate) fn is_done_already(&self, command: &Command<'_>) -> bool {
        let Command::Commit { group, log, offset, how: How::Raise, .. } = *command else {
            return false;
        };
        let reached = |commit: &Commit| commit.offset >= offset;
        self.logs.get(log).is_none()
            || self.commits.get(&*commit_key(group, log)).is_some_and(reached)
    }

    fn append(&mut self, append: &Append<'_>) -> Outcome {
        let Append { log, record, count, time_ms, producer } = *append;
        let time_ms = time_ms.unwrap_or(self.time_ms);
        let Some(producer) = producer else {
            let appended = self.logs.append(log, record, count, time_ms);
            return appended.map_or(Outcome::Full, Outcome::Appended);
        };
        let known = self.logs.get(log).and_then(|log| self.known_producer(log.id, producer));
        if let Some(refused) = known.and_then(|known| known.refuses(producer, count)) {
            return refused;
        }
        let mut known = known.cloned().unwrap_or_default();
        let Some(offset) = self.logs.append(log, record, count, time_ms) else {
            return Outcome::Full;
        };
        known.note(producer, count, offset, self.time_ms);
        if let Some(log) = self.logs.get(log) {
            self.producers.insert((log.id, producer.id), known);
        }
        Outcome::Appended(offset)
    }

    fn known_producer(&self, log: LogId, producer: Producer) -> Option<&KnownProducer> {
        let known = self.producers.get(&(log, producer.id))?;
        (!known.is_expired(self.time_ms)).then_some(known)
    }

    fn commit(
        &mut self,
        group: &str,
        log: &str,
        offset: Offset,
        metadata: &[u8],
        how: How,
    ) -> Outcome {
        let key = commit_key(group, log);
        let mut offset = offset;
        if how == How::Raise {
            let last = self.logs.get(log).and_then(|log| log.next_offset().checked_sub(1));
            let Some(last) = last else { return Outcome::Absent };
            offset = offset.min(last);
            if self.commits.get(&*key).is_some_and(|commit| commit.offset >= offset) {
                return Outcome::Done;
            }
        }
        let commit = Commit { offset, metadata: metadata.into(), time_ms: self.time_ms };
        self.commits.insert(key.into(), commit);
        Outcome::Done
    }

    fn set(&mut self, name: &str, value: Option<&[u8]>, if_version: Option<Version>) -> Outcome {
        let version = self.registers.get(name).map_or(0, |register| register.version);
        if if_version.is_some_and(|wanted| wanted != version) {
            return Outcome::Conflict(version);
        }
        self.last_version += 1;
        let version = self.last_version;
        match value {
            Some(value) => {
                self.registers.insert(name.into(), Register { version, value: value.into() });
            }
            None => _ = self.registers.remove(&name.into()),
        }
        Outcome::Set(version)
    }

    fn cut(&mut self, log: &str, before: Offset) -> Outcome {
        let written = self.written_epoch();
        let Some(log) = self.logs.get_mut(log) else { return Outcome::Absent };
        log.cut(before, written);
        Outcome::Cut(log.start_offset())
    }

    /// The epoch of the logs, if what is frozen in them is being written.
    pub(crate) fn written_epoch(&self) -> Option<u32> {
        self.commits.has_snapshot().then_some(self.logs.epoch())
    }

    /// Looks at every committed offset: nobody knows which groups have one for the log.
    fn drop_log(&mut self, key: &str) -> Outcome {
        let is_of_log = |commit: &[u8]| split_commit_key(commit).is_some_and(|(_, log)| log == key);
        let all = self.commits.from(Box::default());
        let gone = all.map(|(commit, _)| commit).filter(|commit| is_of_log(commit));
        let gone: Vec<_> = gone.cloned().collect();
        for commit in &gone {
            self.commits.remove(commit);
        }
        let Some(id) = self.logs.drop_log(key) else {
            return if gone.is_empty() { Outcome::Absent } else { Outcome::Done };
        };
        let all = self.producers.from((id, 0));
        let gone = all.map(|(producer, _)| *producer).take_while(|(log, _)| *log == id);
        for producer in gone.collect::<Vec<_>>() {
            self.producers.remove(&producer);
        }
        Outcome::Done
    }

    /// Everything but the messages, as of now, is to be written out a piece at a time: what is in the
    /// logs is frozen, and of the rest a snapshot is taken.
    pub(crate) fn freeze(&mut self) {
        self.logs.freeze();
        self.commits.take_snapshot();
        self.registers.take_snapshot();
        self.producers.take_snapshot();
    }

    /// About how many bytes a sorted segment takes beside the records.
    pub(crate) fn stored_bytes(&self) -> u64 {
        self.logs.count() as u64 * ROW_BYTES
            + self.logs.key_bytes()
            + (self.commits.count() + self.registers.count() + self.producers.count()) * ITEM_BYTES
    }

    /// Lets go of the snapshots, about so many changes at a time. Whether they are gone.
    pub(crate) fn release_snapshots(&mut self, most_changes: usize) -> bool {
        self.commits.release_snapshot(most_changes)
            && self.registers.release_snapshot(most_changes)
            && self.producers.release_snapshot(most_changes)
    }
}
