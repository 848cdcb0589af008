//! What every journal does, and the one that keeps nothing: the in-memory journal, which is the contract
//! in its smallest form.

pub mod disk;
pub mod format;
mod recovery;

use std::fmt;

use crate::{Command, Position};

/// Puts commands into one total order, and keeps them as durably as it promises.
///
/// 1. The commands appended since the last [`sync`](Self::sync) are the open batch. Their order is
///    the order of the `append` calls.
/// 2. `sync` makes the open batch the entry at the next position. When it returns, the entry is as
///    durable as the journal promises, and only then may the replies that depend on it leave.
/// 3. An entry is kept whole or not at all. Commands that are appended together are in one entry. An
///    `append` may sync the batch before it, when there is no more room where that would go.
/// 4. After [`Refused::Failed`] or an error of `sync` nothing may be taken for durable that was not
///    before, and every later call fails.
pub trait Journal {
    /// Adds commands to the open batch, all of them or none.
    ///
    /// # Errors
    /// [`Refused`]: none of them is in the batch.
    fn append(&mut self, commands: &[Command<'_>]) -> Result<(), Refused>;

    /// Ends the open batch, if it holds anything.
    ///
    /// # Errors
    /// What failed, in words. Nobody may be told that any command of the batch happened.
    fn sync(&mut self) -> Result<(), String>;
}

/// Why a command was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Something is larger than a journal takes, now and ever.
    TooLarge {
        /// What: the key, the message, or all that must be in one entry.
        what: &'static str,
        /// Its size, in bytes.
        size_bytes: usize,
        /// The largest there may be, in bytes.
        limit_bytes: usize,
    },
    /// There is no room; there may be later. What is there can be read.
    Full(String),
    /// The journal has failed, as said: the process must end, and recover when it starts again.
    Failed(String),
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge { what, size_bytes, limit_bytes } => {
                write!(f, "the {what} has {size_bytes} bytes, the limit is {limit_bytes}")
            }
            Self::Full(reason) => write!(f, "there is no room on the disk: {reason}"),
            Self::Failed(reason) => f.write_str(reason),
        }
    }
}

impl std::error::Error for Refused {}

/// Promises nothing beyond the life of the process, and never stores a byte.
#[derive(Debug, Default)]
pub struct MemoryJournal {
    next_position: Position,
    open_commands: usize,
}

impl MemoryJournal {
    /// The number of entries, which is the position of the next one.
    pub fn next_position(&self) -> Position {
        self.next_position
    }

    /// The number of commands that the next [`sync`](Journal::sync) makes durable.
    pub fn open_commands(&self) -> usize {
        self.open_commands
    }
}

impl Journal for MemoryJournal {
    fn append(&mut self, commands: &[Command<'_>]) -> Result<(), Refused> {
        self.open_commands += commands.len();
        Ok(())
    }

    fn sync(&mut self) -> Result<(), String> {
        if self.open_commands > 0 {
            self.open_commands = 0;
            self.next_position += 1;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMIT: Command<'static> = Command::Commit { key: "k", offset: 0 };

    #[test]
    fn commands_between_two_syncs_are_one_entry() {
        let mut journal = MemoryJournal::default();
        journal.append(&[COMMIT]).unwrap();
        journal.append(&[COMMIT]).unwrap();
        assert_eq!((journal.next_position(), journal.open_commands()), (0, 2));
        journal.sync().unwrap();
        assert_eq!((journal.next_position(), journal.open_commands()), (1, 0));
    }

    #[test]
    fn a_sync_without_commands_makes_no_entry() {
        let mut journal = MemoryJournal::default();
        journal.sync().unwrap();
        assert_eq!(journal.next_position(), 0);
    }
}
