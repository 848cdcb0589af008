//! The in-memory journal: the contract that every journal keeps, in its smallest form.
//! It never stores a byte, so nothing of it survives the process.

use crate::{Command, Position};

/// Puts commands into one total order; promises nothing beyond the life of the process.
///
/// The contract, which later journals keep with stronger promises:
///
/// 1. The commands appended since the last [`sync`](Self::sync) are the open batch. Their order is
///    the order of the `append` calls.
/// 2. `sync` makes the open batch the entry at the next position. When it returns, the entry is as
///    durable as the journal promises, and only then may the replies that depend on it leave.
/// 3. An entry is kept whole or not at all. Commands that must take effect together are appended
///    with no `sync` between them.
#[derive(Debug, Default)]
pub struct MemoryJournal {
    next_position: Position,
    open_commands: usize,
}

impl MemoryJournal {
    /// Adds a command to the open batch.
    pub fn append(&mut self, _command: Command<'_>) {
        self.open_commands += 1;
    }

    /// Ends the open batch, if it holds anything.
    pub fn sync(&mut self) {
        if self.open_commands > 0 {
            self.open_commands = 0;
            self.next_position += 1;
        }
    }

    /// The number of entries, which is the position of the next one.
    pub fn next_position(&self) -> Position {
        self.next_position
    }

    /// The number of commands that the next [`sync`](Self::sync) makes durable.
    pub fn open_commands(&self) -> usize {
        self.open_commands
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMIT: Command<'static> = Command::Commit { key: "k", offset: 0 };

    #[test]
    fn commands_between_two_syncs_are_one_entry() {
        let mut journal = MemoryJournal::default();
        journal.append(COMMIT);
        journal.append(COMMIT);
        assert_eq!((journal.next_position(), journal.open_commands()), (0, 2));
        journal.sync();
        assert_eq!((journal.next_position(), journal.open_commands()), (1, 0));
    }

    #[test]
    fn a_sync_without_commands_makes_no_entry() {
        let mut journal = MemoryJournal::default();
        journal.sync();
        assert_eq!(journal.next_position(), 0);
    }
}
