//! The Maelstrom door: what stands between JSON lines and the engine.
//!
//! [`Node`] is the protocol as a state machine: a line in, a line out. It never does I/O, never
//! starts a thread and never asks for the time, so that a simulator can drive many nodes in one
//! thread. [`ClusterNode`] is another one, for one of several nodes, whose journal is in `lin-kv`: it answers
//! commands later, is told the time, and says when it wants to be told again. [`LineBuffer`] cuts input into lines. The program
//! around them, `main.rs`, `serve.rs` and `serve_cluster.rs`, is the only place that reads, writes and
//! waits.

mod cluster;
mod identity;
mod json;
mod lines;
mod node;
mod poll;
mod refusal;
mod reply;
mod request;

pub use cluster::{ClusterNode, LATE_NS, Life};
pub use lines::{Line, LineBuffer, MAX_LINE_BYTES};
pub use node::{HandleError, Node};
pub use request::Unanswerable;
