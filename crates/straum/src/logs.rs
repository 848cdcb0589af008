//! All logs of a node: the state that comes out of applying the journal's commands in order. Never does
//! I/O.

use foldhash::fast::RandomState;
use indexmap::IndexMap;

use crate::log::Log;
use crate::{Command, Offset};

/// All logs, by key. A log is also known by its **number**: how many logs began to exist before it.
/// No log ever ceases to exist.
#[derive(Debug, Default)]
pub struct Logs(IndexMap<Box<str>, Log, RandomState>);

impl Logs {
    pub(crate) fn send(&mut self, key: &str, message: &[u8]) -> Offset {
        if let Some(log) = self.0.get_mut(key) {
            return log.append(message);
        }
        self.0.entry(key.into()).or_default().append(message)
    }

    pub(crate) fn commit(&mut self, key: &str, offset: Offset) {
        if let Some(log) = self.0.get_mut(key) {
            log.commit(offset);
        }
    }

    pub(crate) fn apply(&mut self, command: Command<'_>) {
        match command {
            Command::Send { key, message } => _ = self.send(key, message),
            Command::Commit { key, offset } => self.commit(key, offset),
        }
    }

    /// Adds a log as it was when it was last in memory. False if there is one of that key already.
    pub(crate) fn restore(&mut self, key: &str, log: Log) -> bool {
        self.0.insert(key.into(), log).is_none()
    }

    pub(crate) fn reserve(&mut self, logs: usize) {
        self.0.reserve(logs);
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Log> {
        self.0.get(key)
    }

    /// The log of a key, with its number and its key.
    pub(crate) fn get_full(&self, key: &str) -> Option<(usize, &str, &Log)> {
        self.0.get_full(key).map(|(number, key, log)| (number, &**key, log))
    }

    /// All logs with their keys, in the order of their numbers.
    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Log)> {
        self.0.iter().map(|(key, log)| (&**key, log))
    }

    /// The log of a number.
    pub(crate) fn numbered(&self, number: usize) -> Option<&Log> {
        self.0.get_index(number).map(|(_, log)| log)
    }

    pub(crate) fn freeze(&mut self) {
        self.0.values_mut().for_each(Log::freeze);
    }

    pub(crate) fn drop_frozen(&mut self) {
        self.0.values_mut().for_each(Log::drop_frozen);
    }
}
