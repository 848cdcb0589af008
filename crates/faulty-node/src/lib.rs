//! A node for Maelstrom's `kafka` workload that is plain and correct, with switches that each break
//! exactly one thing. It exists to prove that a judge finds what it should; it is never fast.
//!
//! - `message`: lines to messages and back.
//! - `request`: what clients may ask, and the errors for what they may not.
//! - `task`: a request under way: what it does to which documents, and its answer.
//! - [`bugs`]: the switches, and when each strikes.
//! - `storage`: documents in this process, or in Maelstrom's `lin-kv` service.
//! - [`core`]: the node, which ties them together.
//!
//! A log and a committed offset are each one JSON document. With [`Storage::Memory`] they live in the
//! process, so several nodes of one cluster each have logs of their own: split brain, a bug without a
//! switch. With [`Storage::LinKv`] nodes keep nothing, so they may be killed at any time.
//!
//! Nothing here does I/O, reads a clock or draws random numbers. It shares no code with any other
//! node, nor with a judge.

pub mod bugs;
pub mod core;
mod message;
mod request;
mod storage;
mod task;

pub use crate::bugs::{Bug, Planted};
pub use crate::core::{Exit, FaultyNode, Options};
pub use crate::request::Kind;
pub use crate::storage::Storage;
