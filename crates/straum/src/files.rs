//! The file system as the journal needs it: a folder of files that are written and synced. Never
//! decides what is in a file.
//!
//! The contract says what a crash may do, which is what the simulated files do with relish: a write
//! that was not followed by a [`File::sync`] may be there, or not, or in part, whatever the order in
//! which writes were made; a name that was created, changed or removed may be so, or not, until
//! [`Files::sync_names`]. What was synced stays.

use std::fmt::Debug;
use std::io;

pub mod real;
pub mod simulated;

/// A folder.
pub trait Files: Debug + Send + Sync + 'static {
    /// A file in it, open for reading and writing.
    type File: File;

    /// The names of all files in it, in no order.
    ///
    /// # Errors
    /// Those of the file system.
    fn names(&self) -> io::Result<Vec<String>>;

    /// Creates a file of `size_bytes` zeros, with room for all of them reserved on the disk.
    ///
    /// # Errors
    /// [`io::ErrorKind::StorageFull`] or [`io::ErrorKind::QuotaExceeded`] if there is no room: then no
    /// file of that name is left. [`io::ErrorKind::AlreadyExists`], and others of the file system.
    fn create(&self, name: &str, size_bytes: u64) -> io::Result<Self::File>;

    /// Opens a file.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`], and others of the file system.
    fn open(&self, name: &str) -> io::Result<Self::File>;

    /// Gives a file another name. A file that has it is replaced: there is one of that name all the time.
    ///
    /// # Errors
    /// Those of the file system.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// Those of the file system.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Makes durable which files there are, and their names.
    ///
    /// # Errors
    /// Those of the file system. Nothing may be taken for durable then.
    fn sync_names(&self) -> io::Result<()>;
}

/// A file. Its size changes by [`extend`](File::extend) alone. Any thread may read it.
pub trait File: Debug + Send + Sync + 'static {
    /// Its size, in bytes.
    ///
    /// # Errors
    /// Those of the file system.
    fn size_bytes(&self) -> io::Result<u64>;

    /// Fills `buffer` from `at` on.
    ///
    /// # Errors
    /// [`io::ErrorKind::UnexpectedEof`] if the file ends before, and others of the file system.
    fn read_at(&self, at: u64, buffer: &mut [u8]) -> io::Result<()>;

    /// Writes all of `bytes` from `at` on.
    ///
    /// # Errors
    /// Those of the file system. Any part may have been written.
    fn write_at(&mut self, at: u64, bytes: &[u8]) -> io::Result<()>;

    /// Makes the file as long as this, if it is shorter. What is added is zero, and has its room reserved on the
    /// disk.
    ///
    /// # Errors
    /// [`io::ErrorKind::StorageFull`] or [`io::ErrorKind::QuotaExceeded`] if there is no room: then the file is as
    /// it was. Others of the file system.
    fn extend(&mut self, size_bytes: u64) -> io::Result<()>;

    /// What is read next comes from the disk, if the system can do that, and not from a memory of what was
    /// written.
    ///
    /// # Errors
    /// Those of the file system.
    fn forget_cached(&self) -> io::Result<()>;

    /// Makes everything written so far durable.
    ///
    /// # Errors
    /// Those of the file system. What was written since the last sync may be lost, now or later, even
    /// if a later sync succeeds: whoever gets an error here must not go on as if nothing had happened.
    fn sync(&mut self) -> io::Result<()>;
}
