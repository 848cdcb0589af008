//! One process from start to end: its pipes, its signals, its status. Never waits, except for the
//! end of what it has killed.

use std::ffi::OsString;
use std::io::{self, ErrorKind, Read};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Stdio};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use super::lines::Lines;
use super::outbox::Outbox;

/// A longer line is cut: a node that writes no line ends must not fill memory.
const LINE_BYTES: usize = 64 * 1024 * 1024;

/// A process that runs, or has ended and was not told of yet. Dropping it kills it, with everything
/// that it started.
#[derive(Debug)]
pub(super) struct Running {
    child: Child,
    pid: Pid,
    /// Whether its status was taken. Then its number may belong to another process.
    reaped: bool,
    pub(super) outbox: Outbox,
    /// None once it has been closed.
    pub(super) stdout: Option<ChildStdout>,
    /// None once it has been closed.
    pub(super) stderr: Option<ChildStderr>,
    pub(super) lines: Lines,
}

impl Running {
    pub(super) fn start(program: &Path, args: &[OsString]) -> io::Result<Self> {
        let mut child = Command::new(program)
            .args(args)
            .current_dir(std::env::temp_dir()) // as Maelstrom does
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0) // it is signalled with all that it started, and a Ctrl-C is for us
            .spawn()?;
        let (stdin, stdout, stderr) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(stdin), Some(stdout), Some(stderr)) = (stdin, stdout, stderr) else {
            return Err(io::Error::other("a process was started without pipes"));
        };
        let pid = Pid::from_child(&child);
        let outbox = Outbox::new(unblocked(stdin)?);
        let (stdout, stderr) = (Some(unblocked(stdout)?), Some(unblocked(stderr)?));
        Ok(Self {
            child,
            pid,
            reaped: false,
            outbox,
            stdout,
            stderr,
            lines: Lines::new(LINE_BYTES),
        })
    }

    /// Sends a signal to the process and all that it started.
    pub(super) fn signal(&self, signal: Signal) {
        // It can only fail because there is nobody left.
        let _ = kill_process_group(self.pid, signal);
    }

    /// Whether the process has ended. It keeps its number until it is dropped.
    pub(super) fn has_ended(&self) -> io::Result<bool> {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        Ok(waitid(WaitId::Pid(self.pid), options)?.is_some())
    }

    /// Kills what is left of it and gives its status.
    pub(super) fn end(&mut self) -> io::Result<ExitStatus> {
        if !self.reaped {
            self.signal(Signal::KILL);
            self.reaped = true;
        }
        self.child.wait()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.end();
    }
}

fn unblocked<Pipe: AsFd>(pipe: Pipe) -> io::Result<Pipe> {
    fcntl_setfl(&pipe, fcntl_getfl(&pipe)? | OFlags::NONBLOCK)?;
    Ok(pipe)
}

/// Reads what is there, at most as much as fits. Closes a pipe that has come to its end.
pub(super) fn read<'a>(pipe: &mut Option<impl Read>, buffer: &'a mut [u8]) -> io::Result<&'a [u8]> {
    let Some(source) = pipe else { return Ok(&[]) };
    match source.read(buffer) {
        Ok(0) => *pipe = None,
        Ok(count) => return Ok(&buffer[..count]),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
        Err(error) => return Err(error),
    }
    Ok(&[])
}
