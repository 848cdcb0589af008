//! The node's state and the four operations on it. It never does I/O of its own: what durability
//! there is comes from the journal.

use std::collections::HashMap;
use std::fmt;

use crate::log::Log;
use crate::poll::fair_shares;
use crate::{Command, MemoryJournal, Offset, Polled};

/// The largest message that a log takes, in bytes (1 GiB). Formats count a message's bytes in 32 bits.
pub const MAX_MESSAGE_BYTES: usize = 1 << 30;

/// Many logs, changed only through one journal.
///
/// Commands take effect at once for whoever asks this engine next, but nothing that depends on them
/// may leave the node before [`sync`](Self::sync) has returned.
#[derive(Debug, Default)]
pub struct Engine {
    journal: MemoryJournal,
    logs: HashMap<Box<str>, Log>,
}

impl Engine {
    /// Appends a message to the log of `key` and returns its offset.
    ///
    /// # Errors
    /// [`MessageTooLarge`] if the message has more than [`MAX_MESSAGE_BYTES`]. Nothing was stored.
    pub fn send(&mut self, key: &str, message: &[u8]) -> Result<Offset, MessageTooLarge> {
        if message.len() > MAX_MESSAGE_BYTES {
            return Err(MessageTooLarge { size_bytes: message.len() });
        }
        self.journal.append(Command::Send { key, message });
        if let Some(log) = self.logs.get_mut(key) {
            return Ok(log.append(message));
        }
        Ok(self.logs.entry(key.into()).or_default().append(message))
    }

    /// Records that the messages of `key` up to and including `offset` have been processed.
    ///
    /// A committed offset never goes back, and it never claims a message that does not exist, which a
    /// consumer that starts again would skip: an offset past the end commits the last message, and a
    /// commit for a log that does not exist changes nothing.
    pub fn commit(&mut self, key: &str, offset: Offset) {
        if let Some(log) = self.logs.get_mut(key) {
            self.journal.append(Command::Commit { key, offset });
            log.commit(offset);
        }
    }

    /// Makes every command so far as durable as the journal promises.
    pub fn sync(&mut self) {
        self.journal.sync();
    }

    /// The journal: how many commands wait for the next [`sync`](Self::sync).
    pub fn journal(&self) -> &MemoryJournal {
        &self.journal
    }

    /// The committed offset of `key`, if it has one.
    pub fn committed(&self, key: &str) -> Option<Offset> {
        self.logs.get(key)?.committed()
    }

    /// Reads each wanted log from its offset on. Logs with nothing to return are left out.
    ///
    /// All messages returned together cost at most `max_bytes`, each its own bytes and
    /// [`MESSAGE_OVERHEAD_BYTES`](crate::MESSAGE_OVERHEAD_BYTES), shared fairly among the logs; but
    /// each log that has a message returns at least one, however large.
    pub fn poll<'a, K: AsRef<str>>(
        &'a self,
        wanted: &'a [(K, Offset)],
        max_bytes: u64,
    ) -> impl Iterator<Item = Polled<'a>> {
        let found: Vec<(&str, &Log, Offset)> = wanted
            .iter()
            .filter_map(|(key, offset)| Some((key.as_ref(), self.logs.get(key.as_ref())?, *offset)))
            .collect();
        let costs: Vec<u64> = found.iter().map(|(_, log, offset)| log.cost_from(*offset)).collect();
        let shares = fair_shares(&costs, max_bytes);
        std::iter::zip(found, std::iter::zip(costs, shares)).filter(|(_, (cost, _))| *cost > 0).map(
            |((key, log, offset), (_, share))| Polled {
                key,
                messages: log.messages(offset, share),
            },
        )
    }
}

/// A message was larger than a log takes; it was not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageTooLarge {
    /// The size of the message, in bytes.
    pub size_bytes: usize,
}

impl fmt::Display for MessageTooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the message has {} bytes, the limit is {MAX_MESSAGE_BYTES}", self.size_bytes)
    }
}

impl std::error::Error for MessageTooLarge {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_change_is_a_command_in_the_journal_and_a_sync_makes_an_entry_of_them() {
        let mut engine = Engine::default();
        engine.send("k", b"m").unwrap();
        engine.commit("k", 0);
        assert_eq!(engine.journal().open_commands(), 2);
        engine.sync();
        assert_eq!((engine.journal().next_position(), engine.journal().open_commands()), (1, 0));
    }

    #[test]
    fn what_changes_nothing_is_not_in_the_journal() {
        let mut engine = Engine::default();
        let too_large = vec![0; MAX_MESSAGE_BYTES + 1];
        let size_bytes = too_large.len();
        assert_eq!(engine.send("k", &too_large), Err(MessageTooLarge { size_bytes }));
        engine.commit("k", 0);
        assert_eq!(engine.journal().open_commands(), 0);
        assert_eq!(engine.committed("k"), None);
    }
}
