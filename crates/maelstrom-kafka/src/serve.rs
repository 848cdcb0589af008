//! The loop of the node: take all the whole lines that are waiting, handle each, make the journal
//! durable once, write all the replies at once. The only place that reads and writes; it never looks
//! into a line.

use std::fs::File;
use std::io::{self, Write};

use maelstrom_kafka::{Line, LineBuffer, MAX_LINE_BYTES, Node};

use crate::stop::Stop;

/// Replies leave when this many bytes of them have gathered, even if more lines are waiting: what waits
/// in memory is this and one reply more.
const FLUSH_BYTES: usize = 1024 * 1024;

/// Serves from `input` to `output` until the input ends or `stop` is asked for.
///
/// # Errors
/// Those of reading and writing, each with what was being done.
pub(crate) fn serve(node: &mut Node, mut input: File, output: File, stop: &Stop) -> io::Result<()> {
    let mut session = Session { node, output, replies: Vec::new(), line_number: 0 };
    let mut lines = LineBuffer::default();
    loop {
        let count = match lines.fill(&mut input) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            count => count.map_err(|error| doing("cannot read stdin", &error))?,
        };
        let _at_hand = stop.batch();
        while let Some(line) = lines.next_line() {
            session.handle(&line);
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
            session.handle(&line);
        }
        session.flush()?;
        if count == 0 || stop.asked() {
            return Ok(());
        }
    }
}

struct Session<'n> {
    node: &'n mut Node,
    output: File,
    replies: Vec<u8>,
    line_number: u64,
}

impl Session<'_> {
    fn handle(&mut self, line: &Line<'_>) {
        self.line_number += 1;
        match line {
            Line::Whole(line) => {
                if let Err(reason) = self.node.handle(line, &mut self.replies) {
                    log::warn!("line {} not answered: {reason}", self.line_number);
                }
            }
            Line::TooLong { size_bytes } => log::warn!(
                "line {} not answered: it has {size_bytes} bytes, the limit is {MAX_LINE_BYTES}",
                self.line_number
            ),
        }
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

fn doing(what: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{what}: {error}"))
}
