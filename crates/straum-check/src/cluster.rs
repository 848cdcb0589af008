//! The nodes of a run, behind one seam: processes with pipes and a real clock, or plain objects on a
//! virtual one. Never looks into a line.

pub mod process;
pub mod simulated;

use std::io;

use crate::time::Nanos;

/// Nodes `n0`, `n1`, … that take lines and give lines. A node is named by its index.
///
/// None of the methods waits, except [`wait`](Self::wait). A node is down until it is started and
/// after it was killed or has exited; what is delivered to it then is lost.
pub trait Cluster {
    /// Time since the start of the run.
    fn now(&mut self) -> Nanos;

    /// Starts a node that is down, with empty memory.
    ///
    /// # Errors
    /// When it cannot be started; it stays down.
    fn start(&mut self, node: usize) -> io::Result<()>;

    /// Gives a node a line, its end included. A paused node gets it when it is resumed.
    fn deliver(&mut self, node: usize, line: &[u8]);

    /// Ends a node without warning (SIGKILL). Lines that it wrote and that were not returned by
    /// [`wait`](Self::wait) yet are lost; no [`Event`] of it follows until it is started again.
    fn kill(&mut self, node: usize);

    /// Halts a node where it is (SIGSTOP).
    fn pause(&mut self, node: usize);

    /// Lets a paused node go on (SIGCONT).
    fn resume(&mut self, node: usize);

    /// Waits until nodes have written something or exited, or until `deadline`, and appends what
    /// happened to `events`, a node's lines in the order in which it wrote them. Returns at once if
    /// `deadline` has passed, after taking what is there.
    ///
    /// # Errors
    /// When the machine fails us; a node's end is an event, not an error.
    fn wait(&mut self, deadline: Nanos, events: &mut Vec<Event>) -> io::Result<()>;
}

/// What a node did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// It wrote a line to its stdout.
    Line {
        /// Who.
        node: usize,
        /// Without its end.
        line: Vec<u8>,
    },
    /// It ended by itself, or closed its stdout, which comes to the same.
    Exited {
        /// Who.
        node: usize,
        /// Its status in words: `exit status: 1`.
        status: String,
    },
}
