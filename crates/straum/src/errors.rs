//! Why something was not done, for a program to match on. Never says more than is certain.

use std::fmt;
use std::io;

/// Why a command was not taken. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refused {
    /// Something is larger than a journal takes, now and ever.
    TooLarge {
        /// What: the key, the record, or all that must be in one entry.
        what: &'static str,
        /// Its size, in bytes.
        size_bytes: usize,
        /// The largest there may be, in bytes.
        limit_bytes: usize,
    },
    /// The command says what cannot be, as said here.
    Malformed(&'static str),
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
            Self::Malformed(reason) => f.write_str(reason),
            Self::Full(reason) => {
                write!(f, "there is no room ({reason}): this works again when there is")
            }
            Self::Failed(reason) => f.write_str(reason),
        }
    }
}

impl std::error::Error for Refused {}

/// The journal could not be written or synced. What was acknowledged before is safe; of what came since the
/// last sync, nobody can know. The process must end, and recover when it starts again.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Failed {
    /// What was being done.
    pub doing: &'static str,
    /// What kind of error it was.
    pub kind: io::ErrorKind,
    /// What the system said.
    pub reason: String,
}

impl Failed {
    pub(crate) fn new(doing: &'static str, error: &io::Error) -> Self {
        Self { doing, kind: error.kind(), reason: error.to_string() }
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {}: {}", self.doing, self.reason)
    }
}

impl std::error::Error for Failed {}

impl From<Failed> for Refused {
    fn from(failed: Failed) -> Self {
        Self::Failed(failed.to_string())
    }
}
