//! The node's state and the four operations on it. It never does I/O of its own: what durability
//! there is comes from the journal.

use crate::files::Files;
use crate::journal::disk::{DiskJournal, OpenError, Opened, Settings};
use crate::journal::format::MAX_KEY_BYTES;
use crate::journal::{Journal, MemoryJournal, ReadError, Refused};
use crate::logs::Logs;
use crate::poll::fair_shares;
use crate::{Command, Offset, Polled};

/// The largest message that a log takes, in bytes (1 GiB). Formats count a message's bytes in 32 bits.
pub const MAX_MESSAGE_BYTES: usize = 1 << 30;

/// Many logs, changed only through one journal.
///
/// Commands take effect at once for whoever asks this engine next, but nothing that depends on them
/// may leave the node before [`sync`](Self::sync) has returned.
#[derive(Debug, Default)]
pub struct Engine<J = MemoryJournal> {
    journal: J,
    logs: Logs,
}

impl<F: Files> Engine<DiskJournal<F>> {
    /// The engine whose journal is in `files`, with everything that was acknowledged; and the file and the byte
    /// from which on a torn end was cut off, if there was one.
    ///
    /// # Errors
    /// [`OpenError`]; nothing was lost.
    pub fn open(files: F, settings: Settings) -> Result<(Self, Option<(String, u64)>), OpenError> {
        let Opened { journal, logs, cut } = DiskJournal::open(files, settings)?;
        Ok((Self { journal, logs }, cut))
    }
}

impl<J: Journal> Engine<J> {
    /// Appends a message to the log of `key` and returns its offset.
    ///
    /// # Errors
    /// [`Refused`]; nothing was stored.
    pub fn send(&mut self, key: &str, message: &[u8]) -> Result<Offset, Refused> {
        Refused::at_most("key", key.len(), MAX_KEY_BYTES)?;
        Refused::at_most("message", message.len(), MAX_MESSAGE_BYTES)?;
        self.journal.append(&mut self.logs, &[Command::Send { key, message }])?;
        Ok(self.logs.send(key, message))
    }

    /// Records, for each key, that its messages up to and including the offset have been processed; for
    /// all of them, or for none.
    ///
    /// A committed offset never goes back, and it never claims a message that does not exist, which a
    /// consumer that starts again would skip: an offset past the end commits the last message, and a
    /// commit for a log that does not exist changes nothing.
    ///
    /// # Errors
    /// [`Refused`]; nothing was recorded.
    pub fn commit<K: AsRef<str>>(&mut self, offsets: &[(K, Offset)]) -> Result<(), Refused> {
        let existing = offsets.iter().filter(|(key, _)| self.logs.get(key.as_ref()).is_some());
        let commits: Vec<_> = existing
            .map(|(key, offset)| Command::Commit { key: key.as_ref(), offset: *offset })
            .collect();
        if commits.is_empty() {
            return Ok(());
        }
        self.journal.append(&mut self.logs, &commits)?;
        for commit in commits {
            self.logs.apply(commit);
        }
        Ok(())
    }

    /// Makes every command so far as durable as the journal promises.
    ///
    /// # Errors
    /// What failed, in words. Nobody may be told of anything since the last sync; the process must end.
    pub fn sync(&mut self) -> Result<(), String> {
        self.journal.sync(&mut self.logs)
    }

    /// The committed offset of `key`, if it has one.
    pub fn committed(&self, key: &str) -> Option<Offset> {
        self.logs.get(key)?.committed()
    }

    /// Reads each wanted log from its offset on, or from the first message that is left after it. Logs
    /// with nothing to return are left out.
    ///
    /// All messages returned together cost at most `max_bytes`, each its own bytes and
    /// [`MESSAGE_OVERHEAD_BYTES`](crate::MESSAGE_OVERHEAD_BYTES), shared fairly among the logs; but
    /// each log that has a message returns at least one, however large.
    ///
    /// # Errors
    /// [`ReadError`]: one of the logs cannot be read now.
    pub fn poll<K: AsRef<str>>(
        &self,
        wanted: &[(K, Offset)],
        max_bytes: u64,
    ) -> Result<Vec<Polled<'_>>, ReadError> {
        let equal_share = max_bytes / (wanted.len() as u64).max(1);
        let mut found = Vec::with_capacity(wanted.len());
        let mut costs = Vec::with_capacity(wanted.len());
        for (key, offset) in wanted {
            let Some((number, key, log)) = self.logs.get_full(key.as_ref()) else { continue };
            let log_at = (number, key, log);
            if let Some(polled) = Polled::begin(&self.journal, log_at, *offset, equal_share)? {
                costs.push(polled.cost_of_all(log));
                found.push(polled);
            }
        }
        for (polled, share) in found.iter_mut().zip(fair_shares(costs, max_bytes)) {
            polled.take(&self.journal, share)?;
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_change_is_a_command_in_the_journal_and_a_sync_makes_an_entry_of_them() {
        let mut engine = Engine::<MemoryJournal>::default();
        engine.send("k", b"m").unwrap();
        engine.commit(&[("k", 0)]).unwrap();
        assert_eq!(engine.journal.open_commands(), 2);
        engine.sync().unwrap();
        assert_eq!((engine.journal.next_position(), engine.journal.open_commands()), (1, 0));
    }

    #[test]
    fn all_offsets_of_a_commit_wait_together_for_the_sync() {
        let mut engine = Engine::<MemoryJournal>::default();
        for key in ["a", "b"] {
            engine.send(key, b"m").unwrap();
        }
        engine.sync().unwrap();
        engine.commit(&[("a", 0), ("b", 0)]).unwrap();
        assert_eq!(engine.journal.open_commands(), 2);
        engine.sync().unwrap();
        assert_eq!(engine.journal.next_position(), 2);
    }

    #[test]
    fn what_changes_nothing_is_not_in_the_journal() {
        let mut engine = Engine::<MemoryJournal>::default();
        let too_large = vec![0; MAX_MESSAGE_BYTES + 1];
        let refused = engine.send("k", &too_large).unwrap_err().to_string();
        assert_eq!(refused, "the message has 1073741825 bytes, the limit is 1073741824");
        let too_long = "k".repeat(MAX_KEY_BYTES + 1);
        assert!(matches!(engine.send(&too_long, b"m"), Err(Refused::TooLarge { .. })));
        engine.commit(&[("k", 0)]).unwrap();
        assert_eq!(engine.journal.open_commands(), 0);
        assert_eq!(engine.committed("k"), None);
    }
}
