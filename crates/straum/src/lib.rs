//! Straum's engine: many logs, changed only through one journal.
//!
//! The engine is plain data and functions over a few files. It never touches JSON, sockets, async,
//! clocks or randomness; whoever drives it brings those.
//!
//! # The words used throughout
//!
//! - **Key**: names a log; any string.
//! - **Offset**: a message's place in its log, an integer from 0. Our logs are dense: each message's
//!   offset is one more than the last one's. Clients must not rely on that.
//! - **Log**: the messages of one key, in the order of their offsets.
//! - **Next offset**: the offset the next message of a log will get.
//! - **Command**: what changes anything: a message sent, or an offset committed.
//! - **Committed offset**: the messages of a log up to and including it have been processed. It never
//!   goes back, and it always names a message that exists.
//! - **Batch**: commands that take effect together.
//! - **Journal**: puts commands into one total order and keeps them as durably as it promises.
//! - **Entry**: what is at one **position** of a journal, written at once and never changed: one batch
//!   on disk, one or more in a shared journal. An entry takes effect whole or not at all.
//! - **Chunk**: consecutive messages of one log, in one piece in memory and in files.
//!
//! On disk:
//!
//! - **Segment**: one file of a journal, with consecutive entries.
//! - **Sealed segment**: the messages of full segments, sorted by key, in a file that replaces them. To
//!   **seal** is to write it, a slice at a time; what is to be written into it is **frozen** until then: its
//!   chunks change no more.
//! - **Retention**: what is removed of a log's beginning, and when.
//!
//! In a shared journal:
//!
//! - **Member**: one node's part in it. **Peers** are the other members.
//! - **Instance**: the number of one life of a member; no other life has the same. With a number that it
//!   counts up, it is the identity of a batch. Commands that wait are **frozen** into a batch.
//! - **Forward**: to give a batch to a peer, which puts it into its next entry.
//! - **Fence**: a read of the store, after which an answer is up to date.
//! - **Run**: a copy of 64 consecutive entries under one key.

mod chunk;
mod command;
mod engine;
pub mod files;
pub mod journal;
mod log;
mod logs;
mod poll;
mod random;
pub mod shared;

pub use chunk::{Budget, Chunk, Messages};
pub use command::Command;
pub use engine::{Engine, MAX_MESSAGE_BYTES};
pub use journal::{Journal, MemoryJournal, ReadError, Refused, Retention};
pub use logs::Logs;
pub use poll::{MESSAGE_OVERHEAD_BYTES, Polled};

/// A message's place in its log, from 0.
pub type Offset = u64;

/// An entry's place in the journal, from 0.
pub type Position = u64;
