//! The loop of the node: take all the whole lines that are waiting, handle each, make the journal
//! durable once, write all the replies at once. The only place that reads, waits and writes; it never
//! looks into a line.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use maelstrom_kafka::{Line, LineBuffer, Node};
use rustix::event::{PollFd, PollFlags, poll};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::low_level::pipe;

/// Replies leave when this many bytes of them have gathered, even if more lines are waiting. It bounds
/// the memory for replies to this and one reply more.
const FLUSH_BYTES: usize = 1024 * 1024;

/// How much of a line that is not answered is shown, in bytes.
const EXCERPT_BYTES: usize = 100;

/// Why the loop ended well.
#[derive(Debug)]
pub(crate) enum Ended {
    /// Everything that came in was answered.
    EndOfInput,
    /// SIGTERM or SIGINT; everything that was read was answered.
    Signal,
}

/// Serves from `input` to `output` until the input ends or a signal asks to stop.
///
/// # Errors
/// Those of reading and writing, each with what was being done.
pub(crate) fn serve(node: &mut Node, mut input: File, output: File) -> io::Result<Ended> {
    let stop = stop_signals().map_err(|error| doing("cannot listen for signals", &error))?;
    let mut session = Session { node, output, replies: Vec::new(), line_number: 0 };
    let mut lines = LineBuffer::default();
    loop {
        if wait(input.as_fd(), stop.as_fd())? == Wakeup::Stop {
            return Ok(Ended::Signal);
        }
        let count = lines.fill(&mut input).map_err(|error| doing("cannot read stdin", &error))?;
        while let Some(line) = lines.next_line() {
            session.handle(&line)?;
        }
        if count == 0 {
            if let Some(line) = lines.last_line() {
                session.handle(&line)?;
            }
            session.flush()?;
            return Ok(Ended::EndOfInput);
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

#[derive(PartialEq, Eq)]
enum Wakeup {
    Input,
    Stop,
}

/// The end of a pipe into which SIGTERM and SIGINT write a byte. A signal may come between any two
/// instructions; unlike a flag, a byte in a pipe cannot be missed by the `poll` that follows.
fn stop_signals() -> io::Result<UnixStream> {
    let (receiver, sender) = UnixStream::pair()?;
    pipe::register(SIGTERM, sender.try_clone()?)?;
    pipe::register(SIGINT, sender)?;
    Ok(receiver)
}

fn wait(input: BorrowedFd<'_>, stop: BorrowedFd<'_>) -> io::Result<Wakeup> {
    let mut fds = [PollFd::new(&input, PollFlags::IN), PollFd::new(&stop, PollFlags::IN)];
    loop {
        match poll(&mut fds, None) {
            Ok(_) if fds[1].revents().is_empty() => return Ok(Wakeup::Input),
            Ok(_) => return Ok(Wakeup::Stop),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(doing("cannot wait for stdin", &error.into())),
        }
    }
}

fn excerpt(line: &[u8]) -> String {
    let begin = &line[..line.len().min(EXCERPT_BYTES)];
    format!("{:?}", String::from_utf8_lossy(begin))
}

fn doing(what: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{what}: {error}"))
}
