//! What every journal does, and the one that keeps nothing: the in-memory journal, which is the contract
//! in its smallest form.

pub mod disk;
pub mod format;
mod recovery;
mod retention;
mod sealed;

use std::fmt;
use std::io;

use crate::chunk::{Budget, Chunk};
use crate::logs::Logs;
use crate::{Command, Offset, Position};

pub use retention::Retention;

/// What a segment's name ends in.
const SEGMENT_SUFFIX: &str = ".segment";

/// What a sealed segment's name ends in.
const SEALED_SUFFIX: &str = ".sealed";

/// What a name ends in until all that a file must hold is durable.
const NEW_SUFFIX: &str = ".new";

/// The name of the segment whose first entry is at a position: in the order of the positions.
fn segment_name(first_position: Position) -> String {
    format!("{first_position:020}{SEGMENT_SUFFIX}")
}

/// Puts commands into one total order, and keeps them as durably as it promises. Only this crate can
/// implement it: nobody else can make a [`Chunk`].
///
/// 1. The commands appended since the last [`sync`](Self::sync) are the open batch. Their order is
///    the order of the `append` calls.
/// 2. `sync` makes the open batch the entry at the next position. When it returns, the entry is as
///    durable as the journal promises, and only then may the replies that depend on it leave.
/// 3. An entry is kept whole or not at all. Commands that are appended together are in one entry. An
///    `append` may sync the batch before it, when there is no more room where that would go.
/// 4. After [`Refused::Failed`] or an error of `sync` nothing may be taken for durable that was not
///    before, and every later call fails.
/// 5. The logs are what comes out of all commands that were appended: who appends commands applies them
///    before the next call. The journal may take messages that are durable out of the logs' memory; then
///    it can [`read`](Self::read) them.
pub trait Journal {
    /// Adds commands to the open batch, all of them or none.
    ///
    /// # Errors
    /// [`Refused`]: none of them is in the batch.
    fn append(&mut self, logs: &mut Logs, commands: &[Command<'_>]) -> Result<(), Refused>;

    /// Ends the open batch, if it holds anything.
    ///
    /// # Errors
    /// What failed, in words. Nobody may be told that any command of the batch happened.
    fn sync(&mut self, logs: &mut Logs) -> Result<(), String>;

    /// Reads messages that are not in memory, of the log of this number: the first that is left at or after
    /// `from`, and those that follow it without a gap, as far as the budget goes.
    ///
    /// # Errors
    /// [`ReadError`]; another read may succeed.
    fn read(&self, log: usize, from: Offset, budget: Budget) -> Result<Vec<Chunk>, ReadError>;
}

/// Why messages could not be read. Nothing was changed by it.
#[derive(Debug)]
pub enum ReadError {
    /// The file system failed.
    Io {
        /// The file's name.
        file: String,
        /// What it said.
        error: io::Error,
    },
    /// What is there is not what was written.
    Damaged {
        /// The file's name.
        file: String,
        /// Where the first broken thing begins, in bytes from the beginning of the file.
        byte: u64,
    },
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { file, error } => write!(f, "cannot read {file}: {error}"),
            Self::Damaged { file, byte } => write!(f, "{file} is damaged at byte {byte}"),
        }
    }
}

impl std::error::Error for ReadError {}

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

impl Refused {
    /// Refuses `what` if it is larger than the limit.
    pub(crate) fn at_most(
        what: &'static str,
        size_bytes: usize,
        limit_bytes: usize,
    ) -> Result<(), Self> {
        if size_bytes > limit_bytes {
            return Err(Self::TooLarge { what, size_bytes, limit_bytes });
        }
        Ok(())
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge { what, size_bytes, limit_bytes } => {
                write!(f, "the {what} has {size_bytes} bytes, the limit is {limit_bytes}")
            }
            Self::Full(reason) => {
                write!(f, "the disk is full ({reason}): this works again when there is room")
            }
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

#[cfg(test)]
impl MemoryJournal {
    /// The number of entries, which is the position of the next one.
    pub(crate) fn next_position(&self) -> Position {
        self.next_position
    }

    /// The number of commands that the next [`sync`](Journal::sync) makes durable.
    pub(crate) fn open_commands(&self) -> usize {
        self.open_commands
    }
}

impl Journal for MemoryJournal {
    fn append(&mut self, _: &mut Logs, commands: &[Command<'_>]) -> Result<(), Refused> {
        self.open_commands += commands.len();
        Ok(())
    }

    fn sync(&mut self, _: &mut Logs) -> Result<(), String> {
        if self.open_commands > 0 {
            self.open_commands = 0;
            self.next_position += 1;
        }
        Ok(())
    }

    /// All messages are in memory.
    fn read(&self, _: usize, _: Offset, _: Budget) -> Result<Vec<Chunk>, ReadError> {
        Ok(Vec::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMIT: Command<'static> = Command::Commit { key: "k", offset: 0 };

    #[test]
    fn commands_between_two_syncs_are_one_entry() {
        let (mut journal, mut logs) = (MemoryJournal::default(), Logs::default());
        journal.append(&mut logs, &[COMMIT]).unwrap();
        journal.append(&mut logs, &[COMMIT]).unwrap();
        assert_eq!((journal.next_position(), journal.open_commands()), (0, 2));
        journal.sync(&mut logs).unwrap();
        assert_eq!((journal.next_position(), journal.open_commands()), (1, 0));
    }

    #[test]
    fn a_sync_without_commands_makes_no_entry() {
        let (mut journal, mut logs) = (MemoryJournal::default(), Logs::default());
        journal.sync(&mut logs).unwrap();
        assert_eq!(journal.next_position(), 0);
    }
}
