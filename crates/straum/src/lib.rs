//! Straum's engine: a durable log for many keys, of which a program can say what it promises.
//!
//! ```
//! # let folder = tempfile::tempdir()?;
//! let (mut engine, _) = straum::Options::default().create(true).open(folder.path())?;
//! let offset = engine.append("orders", b"two pears")?;
//! engine.sync(straum::system::now())?; // Now it survives `kill -9` and power loss, and can be read.
//! let read = engine.read("orders", offset, 1 << 20, &mut straum::Budget::new(1 << 20, 0));
//! assert_eq!(read.unwrap().fetch()?.iter().next().unwrap().bytes, b"two pears");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Everything that changes anything is a [`Command`]. Commands are put into one total order, the **journal**. The
//! state is what comes out of applying them in that order, and what came of each is decided then. It may be shown to
//! others when it is as durable as the storage promises: after the next [`Engine::sync`].
//!
//! - [`Engine`] is one journal, in memory or on disk, for one thread. [`Options`] opens one on disk.
//! - [`Engine::read`] neither waits for a disk nor holds on to the engine: what it gives can be fetched and read by any
//!   thread, later.
//! - [`Handle`] is an engine for many threads: a thread owns it, and what waits shares a sync.
//! - [`shared::Member`] is one program's part in a journal that many share, in a store that they bring.
//!
//! The engine is plain data and functions over a few files. It has no clock: the time comes in with
//! [`Engine::sync`] and [`Engine::set_time`]. It never touches JSON, sockets, async or randomness. [`system`] asks the
//! operating system for whoever wants that.
//!
//! # The words used throughout
//!
//! - **Key**: names a log; any text of at most 65,535 bytes.
//! - **Record**: what one append stores: bytes that take one offset or more, and are read as a whole.
//! - **Offset**: a record's place in its log, an integer from 0. Our logs are dense: each record's offset is the one
//!   after those that the record before it takes. Clients must not rely on that.
//! - **Log**: the records of one key, in the order of their offsets.
//! - **Next offset**: the offset the next record of a log will get (Kafka: log end offset).
//! - **Stable end**: the offset after the last record that may be read (Kafka: high watermark).
//! - **Start offset**: the records before it are removed (Kafka: log start offset).
//! - **Committed offset** of a **group**: how far it has got with a log.
//! - **Register**: a name with a value and a version.
//! - **Producer**: who appends records and numbers them, so that a retry is recognised.
//! - **Batch**: commands that become durable together. **Entry**: a batch at its **position** in the journal; more than
//!   one batch in a shared journal. An entry takes effect whole or not at all.
//! - **Chunk**: consecutive records of one log, in one piece in memory and in files.
//!
//! On disk:
//!
//! - **Write-ahead log**: the entries as they came, in files that are called **segments**.
//! - **Sorted segment**: the records of full segments, sorted by log, in a file that replaces them. What is to be
//!   written into it is **frozen** until then: its chunks change no more.
//! - **Slot**: a log's number for as long as it exists. **Id**: a number that no other log ever has.
//! - **Retention**: what is removed of the beginnings of all logs, and when. **Upkeep**: rewriting sorted segments of
//!   which much was cut off or dropped.
//!
//! In a shared journal:
//!
//! - **Member**: one program's part in it. **Peers** are the other members.
//! - **Instance**: the number of one life of a member; no other life has the same. With a number that it
//!   counts up, it is the identity of a batch.
//! - **Forward**: to give a batch to a peer, which puts it into its next entry.
//! - **Fence**: a read of the store, after which an answer is up to date.
//! - **Run**: a copy of 64 consecutive entries under one key.
//! - **Tombstone**: what stands in the place of an entry that was removed.

mod bytes;
mod command;
mod command_bytes;
mod disk;
mod engine;
mod errors;
#[doc(hidden)]
pub mod files;
mod handle;
mod identity;
mod options;
mod random;
mod read;
pub mod shared;
mod state;
pub mod system;
mod time;

pub use command::{
    Append, Command, How, MAX_NAME_BYTES, MAX_RECORD_BYTES, MAX_VALUE_BYTES, Outcome, Producer,
    Version,
};
pub use disk::open_error::OpenError;
pub use disk::retention::Retention;
pub use engine::{Bounds, Committed, Engine, Grown, Token};
pub use errors::{Failed, Refused};
pub use handle::{Handle, HandleError, Pending};
#[doc(hidden)]
pub use identity::Identity;
pub use options::{Found, Options};
pub use read::{Budget, Read, ReadError, Record, Records, RecordsIter};
pub use time::Now;

/// A record's place in its log, from 0. Offsets are at most 2⁵⁶.
pub type Offset = u64;

/// An entry's place in the journal, from 0.
pub type Position = u64;

/// Offsets, positions and sizes of logs are at most this, so that no sum or cost of them overflows.
pub(crate) const MAX_OFFSET: u64 = 1 << 56;
