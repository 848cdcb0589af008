//! One node process from start to end. Never decides what it is asked.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io::{self, BufRead as _, BufReader, Read, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, ensure};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::retry_on_intr;
use rustix::process::Pid;

use crate::load::pin::{Cores, Pinned};
use crate::load::replies::Replies;
use crate::load::requests::INIT;
use crate::load::signals;
use crate::load::usage::Usage;
use crate::load::watchdog::{Waits, Watchdog};

/// A node that answers nothing from one look to the next is taken for dead.
const SILENCE: Duration = Duration::from_secs(30);
const STDERR_LINES: usize = 20;
/// Longer stderr lines are shown in pieces.
const STDERR_LINE_BYTES: u64 = 1000;

/// Whose figures a run is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Who {
    Node,
    /// Another node, for comparison.
    Beside,
    /// Answers every line alike, so nothing can be learnt from it.
    Floor,
}

impl Who {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Beside => "beside",
            Self::Floor => "floor",
        }
    }
}

/// How to start a node.
pub(crate) struct Program {
    pub(crate) who: Who,
    pub(crate) bin: PathBuf,
    pub(crate) args: Vec<OsString>,
}

/// A running node.
pub(crate) struct Node {
    pub(crate) who: Who,
    child: Child,
    /// Dropped to close the node's stdin.
    pub(crate) stdin: Option<ChildStdin>,
    pub(crate) replies: Replies<ChildStdout>,
    pub(crate) usage: Usage,
    waits: Waits,
    stderr: JoinHandle<VecDeque<String>>,
    watchdog: Watchdog,
}

/// Runs the node once: starts it, sends `init`, drives it, ends it. Gives what `drive` gave.
pub(crate) fn run<T>(
    program: &Program,
    cores: Cores,
    drive: impl FnOnce(&mut Node) -> Result<T>,
) -> Result<T> {
    let (_pinned, node) = Pinned::start(cores, || Node::start(program))?;
    let mut node = node?;
    let outcome = node.init().and_then(|()| drive(&mut node));
    node.end(outcome).with_context(|| program.bin.display().to_string())
}

impl Node {
    fn start(program: &Program) -> Result<Self> {
        let mut running = signals::running(); // A signal waits until it is known whom to kill.
        let mut child = Command::new(&program.bin)
            .args(&program.args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0) // the watchdog kills it with all it started
            .spawn()
            .with_context(|| format!("{} cannot be started", program.bin.display()))?;
        *running = Some(Pid::from_child(&child));
        let waits = Waits::default();
        let stdout = child.stdout.take().context("no stdout")?;
        let stderr = child.stderr.take().context("no stderr")?;
        Ok(Self {
            who: program.who,
            stdin: child.stdin.take(),
            replies: Replies::new(stdout, waits.clone()),
            usage: Usage::of(&child)?,
            stderr: thread::spawn(move || last_lines(stderr)),
            watchdog: Watchdog::watch(&child, waits.clone(), SILENCE),
            waits,
            child,
        })
    }

    fn init(&mut self) -> Result<()> {
        self.write(INIT)?;
        self.replies.read_init_ok()
    }

    /// Writes what is small enough for the node to take it before it must be read from.
    pub(crate) fn write(&mut self, lines: &[u8]) -> Result<()> {
        let stdin = self.stdin.as_mut().context("its stdin is closed")?;
        self.waits.during(|| stdin.write_all(lines)).context("stopped reading requests")
    }

    /// Writes in a thread of its own while this one reads.
    pub(crate) fn stream<W: Send, R>(
        &mut self,
        write: impl FnOnce(&mut Option<ChildStdin>) -> io::Result<W> + Send,
        read: impl FnOnce(&mut Replies<ChildStdout>) -> Result<R>,
    ) -> Result<(W, R)> {
        let Self { stdin, replies, waits, .. } = self;
        thread::scope(|scope| {
            let writer = scope.spawn(move || write(stdin));
            let read = read(replies);
            if read.is_err() {
                replies.close(); // or the node might wait for us, and the writer for the node
            }
            let written =
                waits.during(|| writer.join()).map_err(|_| anyhow!("the writer panicked"));
            let read = read?;
            Ok((written?.context("stopped reading requests")?, read))
        })
    }

    /// Waits until there is something to read or room to write; true if there is something to read.
    pub(crate) fn wait_for_replies_or_room(&mut self, stdin: &ChildStdin) -> Result<bool> {
        let stdout = self.replies.source()?;
        let mut ends = [PollFd::new(stdin, PollFlags::OUT), PollFd::new(stdout, PollFlags::IN)];
        self.waits.during(|| retry_on_intr(|| poll(&mut ends, None)))?;
        Ok(!ends[1].revents().is_empty())
    }

    /// Ends the requests and waits for the end of the replies, of which there must be so many.
    pub(crate) fn finish(&mut self, expected: u64) -> Result<()> {
        self.stdin = None;
        self.replies.finish(expected)
    }

    /// Waits for the end of the process. Its failure, if any, says how it ended and what it said.
    fn end<T>(mut self, outcome: Result<T>) -> Result<T> {
        // A node that still waits for us or writes to us learns that we are gone.
        self.stdin = None;
        self.replies.close();
        self.waits.during(|| signals::wait_for_its_death(Pid::from_child(&self.child)));
        *signals::running() = None;
        let status = self.child.wait()?;
        let stderr = self.waits.during(|| self.stderr.join()).unwrap_or_default();
        let silent = self.watchdog.disarm();
        let checked = outcome.and_then(|given| {
            ensure!(status.success(), "answered everything but did not end well");
            Ok(given)
        });
        checked.map_err(|error| {
            let killed = if silent { " (killed: it had gone silent)" } else { "" };
            anyhow!("{error:#}; {status}{killed}{}", quoted(&stderr))
        })
    }
}

/// Reads all, for a full pipe would stop the node, and keeps the end.
fn last_lines(stream: impl Read) -> VecDeque<String> {
    let mut stream = BufReader::new(stream);
    let mut lines = VecDeque::new();
    let mut line = Vec::new();
    while let Ok(1..) = stream.by_ref().take(STDERR_LINE_BYTES).read_until(b'\n', &mut line) {
        lines.push_back(String::from_utf8_lossy(&line).trim_end().to_owned());
        if lines.len() > STDERR_LINES {
            lines.pop_front();
        }
        line.clear();
    }
    lines
}

fn quoted(stderr: &VecDeque<String>) -> String {
    if stderr.is_empty() {
        return "; it wrote nothing to stderr".to_owned();
    }
    let lines: Vec<_> = stderr.iter().map(String::as_str).collect();
    format!("; its last stderr lines:\n  | {}", lines.join("\n  | "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_stderr_is_kept() {
        let text = "first\n".repeat(10) + &"last\n".repeat(STDERR_LINES - 1) + "cut";
        let lines = last_lines(text.as_bytes());
        assert_eq!((lines.len(), lines[0].as_str()), (STDERR_LINES, "last"));
        assert_eq!(lines[STDERR_LINES - 1], "cut");
    }
}
