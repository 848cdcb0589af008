//! The loop of the node: take all the whole lines that are waiting, handle each, make the journal
//! durable once, write all the replies at once. The only place that reads and writes; it never looks
//! into a line.

use std::fs::File;
use std::io::{self, Write};
use std::time::Instant;

use maelstrom_kafka::{HandleError, Line, LineBuffer, MAX_LINE_BYTES, Node};
use straum::system;

use crate::late::Waits;
use crate::stop::Stop;

/// Replies leave when this many bytes of them have gathered, even if more lines are waiting: what waits
/// in memory is this and one reply more.
pub(crate) const FLUSH_BYTES: usize = 1024 * 1024;

/// A buffer that replies have made larger than this is given back when they have left: getting the memory of a
/// large reply again for each costs more than formatting it.
const KEEP_BYTES: usize = 8 * 1024 * 1024;

/// Why a node can serve no longer. What was not acknowledged by then may have happened.
#[derive(Debug)]
pub(crate) enum Failure {
    /// stdin could not be read, or stdout not be written.
    Pipe(String),
    /// The data folder cannot be used.
    Open(String),
    /// The journal could not be written or synced.
    Journal(String),
    /// The store of a cluster holds an entry that this program cannot read.
    Unreadable(String),
}

/// What is read from and written to.
pub(crate) struct Pipes {
    pub(crate) input: File,
    pub(crate) output: File,
    /// What was read and has not been handled yet.
    pub(crate) lines: LineBuffer,
}

/// Why a node serves no longer as the one that it was.
pub(crate) enum End {
    Failure(Failure),
    /// This line is an `init` that names several nodes: it and all that follows is for one of them.
    Cluster(Vec<u8>),
}

impl From<Failure> for End {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

/// Serves until the input ends or `stop` is asked for.
///
/// # Errors
/// [`End`], with what was being done.
pub(crate) fn serve(node: &mut Node, pipes: &mut Pipes, stop: &Stop) -> Result<(), End> {
    let Pipes { input, output, lines } = pipes;
    let waits = Waits::new(Instant::now());
    let mut session = Session { node, output, replies: Vec::new(), waits, line_number: 0 };
    loop {
        let count = read(lines, input)?;
        session.waits.has_read(Instant::now());
        let _at_hand = stop.batch();
        while let Some(line) = lines.next_line() {
            session.handle(&line)?;
            if session.replies.len() >= FLUSH_BYTES {
                session.flush(stop)?;
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
        session.flush(stop)?;
        if count == 0 || stop.asked() {
            return Ok(());
        }
    }
}

/// Reads what is there, and waits if there is nothing: how many bytes; 0 at the end.
///
/// # Errors
/// [`Failure::Pipe`].
pub(crate) fn read(lines: &mut LineBuffer, input: &mut File) -> Result<usize, Failure> {
    loop {
        match lines.fill(input) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            count => {
                return count.map_err(|error| Failure::Pipe(format!("cannot read stdin: {error}")));
            }
        }
    }
}

/// Writes lines and takes them out of the buffer.
///
/// # Errors
/// [`Failure::Pipe`].
pub(crate) fn write(output: &mut File, lines: &mut Vec<u8>) -> Result<(), Failure> {
    output
        .write_all(lines)
        .map_err(|error| Failure::Pipe(format!("cannot write replies to stdout: {error}")))?;
    lines.clear();
    lines.shrink_to(KEEP_BYTES);
    Ok(())
}

pub(crate) fn warn_too_long(number: u64, size_bytes: u64) {
    log::warn!(
        "line {number} not answered: it has {size_bytes} bytes, the limit is {MAX_LINE_BYTES}"
    );
}

struct Session<'n> {
    node: &'n mut Node,
    output: &'n mut File,
    replies: Vec<u8>,
    waits: Waits,
    line_number: u64,
}

impl Session<'_> {
    fn handle(&mut self, line: &Line<'_>) -> Result<(), End> {
        self.line_number += 1;
        let number = self.line_number;
        let handled = match line {
            Line::Whole(line) if self.node.is_serving() => {
                self.node.handle(line, &mut self.replies)
            }
            Line::Whole(line) => {
                let handled = self.node.handle(line, &mut self.replies);
                self.waits.has_opened(Instant::now());
                handled
            }
            Line::TooLong { size_bytes } => {
                warn_too_long(number, *size_bytes);
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
                self.send()?;
                Err(Failure::Open(reason).into())
            }
            Err(HandleError::Cluster) => {
                self.send()?;
                let Line::Whole(line) = line else { return Ok(()) };
                Err(End::Cluster((*line).into()))
            }
        }
    }

    /// Makes all that was handled durable, and sends the replies. When it is asked to stop, polls that wait are not
    /// answered any more, as if they had not been read.
    fn flush(&mut self, stop: &Stop) -> Result<(), Failure> {
        let synced = self.node.sync(system::now());
        synced.map_err(|failed| Failure::Journal(failed.to_string()))?;
        while self.node.answer_poll(&mut self.replies) {
            if self.replies.len() >= FLUSH_BYTES {
                self.send()?;
                if stop.asked() {
                    break;
                }
            }
        }
        self.send()
    }

    /// Writes the replies that there are, unless it is too late for them.
    fn send(&mut self) -> Result<(), Failure> {
        if let Some(waited) = self.waits.too_late(Instant::now())
            && !self.replies.is_empty()
        {
            let count = memchr::memchr_iter(b'\n', &self.replies).count();
            log::warn!("replies not sent: {count}; what they answer has waited up to {waited:.1?}");
            self.replies.clear();
        }
        write(self.output, &mut self.replies)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Seek};
    use std::time::Duration;

    use super::*;

    #[test]
    fn replies_leave_unless_they_would_come_too_late() {
        for (waited_ms, sent) in [(0, "a reply\n"), (4_400, "a reply\n"), (4_500, "")] {
            let mut output = tempfile::tempfile().unwrap();
            let began = Instant::now().checked_sub(Duration::from_millis(waited_ms)).unwrap();
            let mut waits = Waits::new(began);
            waits.has_read(began);
            let mut session = Session {
                node: &mut Node::in_memory(0),
                output: &mut output,
                replies: b"a reply\n".to_vec(),
                waits,
                line_number: 0,
            };
            session.send().unwrap();
            assert!(session.replies.is_empty());
            output.rewind().unwrap();
            let mut text = String::new();
            output.read_to_string(&mut text).unwrap();
            assert_eq!(text, sent);
        }
    }
}
