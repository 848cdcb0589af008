//! One node process from start to end, and what it used. Never decides what it is asked.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs;
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, ensure};
use wait4::{ResUse, Wait4 as _};

use crate::load::replies::Replies;
use crate::load::requests::INIT;
use crate::load::watchdog::Watchdog;

/// A node that answers nothing from one look to the next is taken for dead.
const SILENCE: Duration = Duration::from_secs(30);
const STDERR_LINES: usize = 20;
/// Longer stderr lines are shown in pieces.
const STDERR_LINE_BYTES: u64 = 1000;

/// How to start a node.
pub(crate) struct Program {
    pub(crate) bin: PathBuf,
    pub(crate) args: Vec<OsString>,
}

/// A running node.
pub(crate) struct Node {
    child: Child,
    /// Dropped to close the node's stdin.
    pub(crate) stdin: Option<ChildStdin>,
    pub(crate) replies: Replies<ChildStdout>,
    pub(crate) memory: Memory,
    stderr: JoinHandle<VecDeque<String>>,
    watchdog: Watchdog,
}

/// Runs the node once: starts it, sends `init`, drives it, ends it. Gives what `drive` gave and
/// the CPU time the process used.
pub(crate) fn run<T>(
    program: &Program,
    drive: impl FnOnce(&mut Node) -> Result<T>,
) -> Result<(T, Duration)> {
    let mut node = Node::start(program)?;
    let outcome = node.init().and_then(|()| drive(&mut node));
    node.end(outcome).with_context(|| program.bin.display().to_string())
}

impl Node {
    fn start(program: &Program) -> Result<Self> {
        let mut child = Command::new(&program.bin)
            .args(&program.args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0) // the watchdog kills it with all it started
            .spawn()
            .with_context(|| format!("cannot start {}", program.bin.display()))?;
        let replies = Replies::new(child.stdout.take().context("no stdout")?);
        let stderr = child.stderr.take().context("no stderr")?;
        Ok(Self {
            stdin: child.stdin.take(),
            memory: Memory { status: format!("/proc/{}/status", child.id()) },
            stderr: thread::spawn(move || last_lines(stderr)),
            watchdog: Watchdog::watch(&child, replies.progress(), SILENCE),
            replies,
            child,
        })
    }

    fn init(&mut self) -> Result<()> {
        let mut stdin = self.stdin.as_ref().context("its stdin is closed")?;
        stdin.write_all(INIT).context("did not read init")?;
        self.replies.read_init_ok()
    }

    /// Waits for the end of the process. Its failure, if any, says how it ended and what it said.
    fn end<T>(self, outcome: Result<T>) -> Result<(T, Duration)> {
        // A node that still waits for us or writes to us learns that we are gone.
        drop((self.stdin, self.replies));
        let ResUse { status, rusage } = self.child.wait4()?;
        let stderr = self.stderr.join().unwrap_or_default();
        let silent = self.watchdog.disarm();
        let checked = outcome.and_then(|given| {
            ensure!(status.success(), "answered everything but did not end well");
            Ok(given)
        });
        match checked {
            Ok(given) => Ok((given, rusage.utime + rusage.stime)),
            Err(error) => {
                let killed = if silent { " (killed: it had gone silent)" } else { "" };
                Err(anyhow!("{error:#}; {status}{killed}{}", quoted(&stderr)))
            }
        }
    }
}

/// Reads a process's peak resident memory while it lives. The `ru_maxrss` that `wait4` gives would
/// be the loader's own when that is larger: the child shares its memory until it calls exec.
pub(crate) struct Memory {
    status: String,
}

impl Memory {
    /// None once the process has ended.
    pub(crate) fn peak_kib(&self) -> Option<u32> {
        peak_kib(&fs::read_to_string(&self.status).ok()?)
    }
}

fn peak_kib(status: &str) -> Option<u32> {
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    peak.trim().strip_suffix(" kB")?.parse().ok()
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
    fn the_peak_is_read_from_status() {
        let status = "Name:\tnode\nVmPeak:\t  9000 kB\nVmHWM:\t    1234 kB\nVmRSS:\t 1000 kB\n";
        assert_eq!(peak_kib(status), Some(1234));
        assert_eq!(peak_kib("Name:\tnode\nState:\tZ (zombie)\n"), None);
    }

    #[test]
    fn the_end_of_stderr_is_kept() {
        let text = "first\n".repeat(10) + &"last\n".repeat(STDERR_LINES - 1) + "cut";
        let lines = last_lines(text.as_bytes());
        assert_eq!((lines.len(), lines[0].as_str()), (STDERR_LINES, "last"));
        assert_eq!(lines[STDERR_LINES - 1], "cut");
    }
}
