//! The loop of the node: take all the whole lines that are waiting, handle each, make the journal
//! durable once, write all the replies at once. The only place that reads and writes; it never looks
//! into a line.

use std::fs::File;
use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};

use maelstrom_kafka::{Line, LineBuffer, Node};

/// Replies leave when this many bytes of them have gathered, even if more lines are waiting. It bounds
/// the memory for replies to this and one reply more.
const FLUSH_BYTES: usize = 1024 * 1024;

/// How much of a line that is not answered is shown, in bytes.
const EXCERPT_BYTES: usize = 100;

/// Serves from `input` to `output` until the input ends. `batch` is held while what was read is
/// handled and answered, and free while the node waits for more.
///
/// # Errors
/// Those of reading and writing, each with what was being done.
pub(crate) fn serve(
    node: &mut Node,
    mut input: File,
    output: File,
    batch: &Mutex<()>,
) -> io::Result<()> {
    let mut session = Session { node, output, replies: Vec::new(), line_number: 0 };
    let mut lines = LineBuffer::default();
    loop {
        let count = match lines.fill(&mut input) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            count => count.map_err(|error| doing("cannot read stdin", &error))?,
        };
        let _busy = batch.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(line) = lines.next_line() {
            session.handle(&line)?;
        }
        if count == 0 {
            if let Some(line) = lines.last_line() {
                session.handle(&line)?;
            }
            return session.flush();
        }
        session.flush()?;
    }
}

struct Session<'n> {
    node: &'n mut Node,
    output: File,
    replies: Vec<u8>,
    line_number: u64,
}

impl Session<'_> {
    fn handle(&mut self, line: &Line<'_>) -> io::Result<()> {
        self.line_number += 1;
        match line {
            Line::Whole(line) => {
                if let Err(reason) = self.node.handle(line, &mut self.replies) {
                    let number = self.line_number;
                    log::warn!("line {number} not answered: {reason}; it begins {}", excerpt(line));
                }
            }
            Line::TooLong { size_bytes } => {
                log::warn!(
                    "line {} not answered: it has {size_bytes} bytes, the limit is {}",
                    self.line_number,
                    maelstrom_kafka::MAX_LINE_BYTES
                );
            }
        }
        if self.replies.len() >= FLUSH_BYTES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.node.sync();
        self.output
            .write_all(&self.replies)
            .map_err(|error| doing("cannot write replies to stdout", &error))?;
        self.replies.clear();
        self.replies.shrink_to(FLUSH_BYTES);
        Ok(())
    }
}

fn excerpt(line: &[u8]) -> String {
    let begin = &line[..line.len().min(EXCERPT_BYTES)];
    format!("{:?}", String::from_utf8_lossy(begin))
}

fn doing(what: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{what}: {error}"))
}
