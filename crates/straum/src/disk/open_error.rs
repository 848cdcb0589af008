//! Why a journal on disk cannot be used, and what to do about it. Never says that something was lost.

use std::fmt;
use std::io;

use crate::disk::wal_format::VERSION;
use crate::read::ReadError;

/// Why a journal cannot be used. Nothing was lost, and nothing changed unless it says so.
#[derive(Debug)]
#[non_exhaustive]
pub enum OpenError {
    /// The options are not possible, as said.
    Options(String),
    /// There is no journal, and none was to be created.
    NoJournal,
    /// The file system failed; a later try may succeed. A torn end may have been cut off already.
    Io {
        /// The file's name; or that it was the folder.
        file: String,
        /// What it said.
        error: io::Error,
    },
    /// A file is there that is no part of a journal.
    Foreign {
        /// Its name.
        file: String,
    },
    /// A file is part of another journal than those before it.
    OtherJournal {
        /// Its name.
        file: String,
    },
    /// A file is of a version that this program does not read.
    Version {
        /// Its name.
        file: String,
        /// The version.
        version: u32,
    },
    /// A file is not there, though one before or after it is.
    Missing {
        /// Its name, or what it begins with.
        file: String,
    },
    /// Something is broken that no crash breaks. What comes after it may have been acknowledged.
    Damaged {
        /// The file's name.
        file: String,
        /// Where the first broken thing begins, in bytes from the beginning of the file.
        byte: u64,
    },
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Options(reason) => f.write_str(reason),
            Self::NoJournal => f.write_str(
                "there is no journal, and none was to be created: is the disk mounted that has it?",
            ),
            Self::Io { file, error } => write!(f, "cannot read or write {file}: {error}"),
            Self::Foreign { file } => {
                write!(f, "{file} does not belong to a journal: move it out of the folder")
            }
            Self::OtherJournal { file } => {
                write!(f, "{file} belongs to another journal: put the right one back from a copy")
            }
            Self::Version { file, version: 1 } => write!(
                f,
                "{file} is of version 1, which straum 0.1 wrote and this program cannot read: read it with \
                 straum 0.1, and append its messages to a new journal"
            ),
            Self::Version { file, version } => {
                write!(f, "{file} is of version {version}; this program reads version {VERSION}")
            }
            Self::Missing { file } => write!(
                f,
                "{file} is missing, though files before or after it are there: put it back from a copy"
            ),
            Self::Damaged { file, byte } => write!(
                f,
                "{file} is damaged at byte {byte}, as no crash leaves it; nothing was changed. Work on a \
                 copy of the folder: docs/format.md, \"Recovery\""
            ),
        }
    }
}

impl std::error::Error for OpenError {}

impl From<ReadError> for OpenError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Io { file, error } => Self::Io { file, error },
            ReadError::Damaged { file, byte } => Self::Damaged { file, byte },
        }
    }
}

impl OpenError {
    /// What becomes of an error at a file.
    pub(crate) fn at(file: &str) -> impl Fn(io::Error) -> Self {
        move |error| Self::Io { file: file.into(), error }
    }

    /// What becomes of an error at the folder itself.
    pub(crate) fn at_folder(error: io::Error) -> Self {
        Self::Io { file: "the folder".into(), error }
    }

    pub(crate) fn damaged(file: &str, byte: usize) -> Self {
        Self::Damaged { file: file.into(), byte: byte as u64 }
    }
}
