//! The loop of the node: take all the whole lines that are waiting, handle each, make the journal
//! durable once, write all the replies at once. The only place that reads and writes; it never looks
//! into a line.

use std::fs::File;
use std::io::{self, Write};

use maelstrom_kafka::{HandleError, Line, LineBuffer, MAX_LINE_BYTES, Node};
use straum::Journal;

use crate::stop::Stop;

/// Replies leave when this many bytes of them have gathered, even if more lines are waiting: what waits
/// in memory is this and one reply more.
const FLUSH_BYTES: usize = 1024 * 1024;

/// Why a node can serve no longer. What was not acknowledged by then may have happened.
#[derive(Debug)]
pub(crate) enum Failure {
    /// stdin could not be read, or stdout not be written.
    Pipe(String),
    /// The data folder cannot be used.
    Open(String),
    /// The journal could not be written or synced.
    Journal(String),
}

/// Serves from `input` to `output` until the input ends or `stop` is asked for.
///
/// # Errors
/// [`Failure`], with what was being done.
pub(crate) fn serve<J: Journal>(
    node: &mut Node<J>,
    mut input: File,
    output: File,
    stop: &Stop,
) -> Result<(), Failure> {
    let mut session = Session { node, output, replies: Vec::new(), line_number: 0 };
    let mut lines = LineBuffer::default();
    loop {
        let count = match lines.fill(&mut input) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            count => count.map_err(|error| Failure::Pipe(format!("cannot read stdin: {error}")))?,
        };
        let _at_hand = stop.batch();
        while let Some(line) = lines.next_line() {
            session.handle(&line)?;
            if session.replies.len() >= FLUSH_BYTES {
                session.flush()?;
                if stop.asked() {
                    return Ok(());
                }
            }
        }
        if count == 0
            && let Some(line) = lines.last_line()
        {
            session.handle(&line)?;
        }
        session.flush()?;
        if count == 0 || stop.asked() {
            return Ok(());
        }
    }
}

struct Session<'n, J> {
    node: &'n mut Node<J>,
    output: File,
    replies: Vec<u8>,
    line_number: u64,
}

impl<J: Journal> Session<'_, J> {
    fn handle(&mut self, line: &Line<'_>) -> Result<(), Failure> {
        self.line_number += 1;
        let number = self.line_number;
        let handled = match line {
            Line::Whole(line) => self.node.handle(line, &mut self.replies),
            Line::TooLong { size_bytes } => {
                log::warn!(
                    "line {number} not answered: it has {size_bytes} bytes, the limit is \
                     {MAX_LINE_BYTES}"
                );
                Ok(())
            }
        };
        match handled {
            Ok(()) => Ok(()),
            Err(HandleError::Unanswerable(reason)) => {
                log::warn!("line {number} not answered: {reason}");
                Ok(())
            }
            Err(HandleError::Open(reason)) => {
                self.flush()?;
                Err(Failure::Open(reason))
            }
        }
    }

    fn flush(&mut self) -> Result<(), Failure> {
        self.node.sync().map_err(Failure::Journal)?;
        self.output
            .write_all(&self.replies)
            .map_err(|error| Failure::Pipe(format!("cannot write replies to stdout: {error}")))?;
        self.replies.clear();
        self.replies.shrink_to(FLUSH_BYTES);
        Ok(())
    }
}
