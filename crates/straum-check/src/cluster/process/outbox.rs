//! What a node has been given and not read yet. Never waits for the node, and never drops a byte
//! while the node may still read.

use std::io::{self, ErrorKind, Write as _};
use std::process::ChildStdin;

/// Once so much has gathered, it is offered to the node without waiting for more.
const BATCH_BYTES: usize = 64 * 1024;

/// The way to a node's stdin.
#[derive(Debug)]
pub(super) struct Outbox {
    /// None once the node has closed its end.
    stdin: Option<ChildStdin>,
    buffer: Vec<u8>,
    /// How much of `buffer` has been written.
    written: usize,
    /// Whether the pipe was full the last time: only poll(2) knows when it no longer is.
    full: bool,
}

impl Outbox {
    /// `stdin` must not block.
    pub(super) fn new(stdin: ChildStdin) -> Self {
        Self { stdin: Some(stdin), buffer: Vec::new(), written: 0, full: false }
    }

    pub(super) fn push(&mut self, line: &[u8]) -> io::Result<()> {
        if self.stdin.is_some() {
            self.buffer.extend_from_slice(line);
        }
        if self.buffer.len() - self.written >= BATCH_BYTES { self.flush() } else { Ok(()) }
    }

    /// The pipe, if something waits for room in it.
    pub(super) fn waiting(&self) -> Option<&ChildStdin> {
        self.stdin.as_ref().filter(|_| self.full)
    }

    /// There is room in the pipe again.
    pub(super) fn has_room(&mut self) {
        self.full = false;
    }

    /// Writes what the pipe takes.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        while !self.full && self.written < self.buffer.len() {
            let Some(stdin) = &mut self.stdin else { break };
            match stdin.write(&self.buffer[self.written..]) {
                Ok(count) => self.written += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.full = true,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::BrokenPipe => self.close(),
                Err(error) => return Err(error),
            }
        }
        self.forget_written();
        Ok(())
    }

    fn close(&mut self) {
        self.stdin = None;
        self.buffer.clear();
        self.written = 0;
    }

    /// Moves what is left to the front when that is less work than what was written.
    fn forget_written(&mut self) {
        if self.written * 2 >= self.buffer.len() {
            self.buffer.drain(..self.written);
            self.written = 0;
        }
    }
}
