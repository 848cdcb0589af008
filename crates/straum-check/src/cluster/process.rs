//! Nodes as child processes: one thread, one poll(2), pipes that never block. Never looks into a
//! line. A node that does not read, or writes without end to its stderr, holds up nobody.

mod diagnostics;
mod lines;
mod outbox;
mod running;

use std::ffi::OsString;
use std::io;
use std::path::{self, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::Signal;

use super::{Cluster, Event};
use crate::time::{MILLISECOND, Nanos, SECOND};

use diagnostics::Diagnostics;
use running::{Running, read};

/// As much as is read at once.
const CHUNK_BYTES: usize = 256 * 1024;
/// How many chunks of stderr are read after a node's end: more than a pipe holds.
const LAST_CHUNKS: usize = 5;
/// A node that has closed its stdout and lives on for so long is killed.
const GRACE: Nanos = SECOND;
/// How often a node that has closed its stdout is asked whether it has ended.
const END_CHECK: Nanos = MILLISECOND;

/// What becomes of the nodes' stderr. Its last lines are kept in any case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StderrSettings {
    /// An existing directory in which each node gets a file `<node>.log`.
    pub log_dir: Option<PathBuf>,
    /// Whether each line goes to our own stderr too, after the node's name (`--log-stderr`).
    pub echo: bool,
}

/// Nodes as child processes, on the real clock. Dropping it kills them all.
#[derive(Debug)]
pub struct Processes {
    program: PathBuf,
    args: Vec<OsString>,
    beginning: Instant,
    places: Vec<Place>,
    /// Where chunks are read to.
    buffer: Vec<u8>,
    /// The first failure of a call that has no other way to tell of it.
    failure: Option<io::Error>,
}

/// Where a node runs, or does not.
#[derive(Debug)]
struct Place {
    process: Option<Running>,
    /// When the process closed its stdout, if it has.
    closed: Option<Nanos>,
    diagnostics: Diagnostics,
}

#[derive(Clone, Copy)]
enum Pipe {
    Stdin,
    Stdout,
    Stderr,
}

impl Processes {
    /// `count` nodes, all down. A relative `program` is looked for in the current directory: nodes
    /// themselves run in the system's temporary one.
    ///
    /// # Errors
    /// When there is no current directory, or a log cannot be created.
    pub fn new(
        program: PathBuf,
        args: Vec<OsString>,
        count: usize,
        stderr: &StderrSettings,
    ) -> io::Result<Self> {
        let place = |node| {
            let diagnostics =
                Diagnostics::new(format!("n{node}"), stderr.log_dir.as_deref(), stderr.echo)?;
            Ok(Place { process: None, closed: None, diagnostics })
        };
        Ok(Self {
            program: path::absolute(program)?,
            args,
            beginning: Instant::now(),
            places: (0..count).map(place).collect::<io::Result<_>>()?,
            buffer: vec![0; CHUNK_BYTES],
            failure: None,
        })
    }

    /// The last lines that a node wrote to its stderr, at most 20, over all its restarts.
    pub fn stderr_tail(&self, node: usize) -> Vec<String> {
        self.places[node].diagnostics.tail()
    }

    fn elapsed(&self) -> Nanos {
        u64::try_from(self.beginning.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn flush(&mut self) -> io::Result<()> {
        let mut processes = self.places.iter_mut().filter_map(|place| place.process.as_mut());
        processes.try_for_each(|process| process.outbox.flush())
    }

    /// Waits until a pipe is ready, at most until `deadline`, and says which. None if a signal came
    /// first.
    fn ready(&self, deadline: Nanos) -> io::Result<Option<Vec<(usize, Pipe)>>> {
        let (pipes, mut fds) = self.pipes();
        let timeout = Duration::from_nanos(deadline.saturating_sub(self.elapsed()));
        let timeout = Timespec::try_from(timeout).map_err(io::Error::other)?;
        match poll(&mut fds, Some(&timeout)) {
            Ok(_) => {}
            Err(Errno::INTR) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        let ready = pipes.into_iter().zip(fds).filter(|(_, fd)| !fd.revents().is_empty());
        Ok(Some(ready.map(|(pipe, _)| pipe).collect()))
    }

    /// The pipes that something is expected from, with what poll(2) wants to know of them.
    fn pipes(&self) -> (Vec<(usize, Pipe)>, Vec<PollFd<'_>>) {
        let (mut pipes, mut fds) = (Vec::new(), Vec::new());
        for (node, place) in self.places.iter().enumerate() {
            let Some(process) = &place.process else { continue };
            if let Some(stdin) = process.outbox.waiting() {
                pipes.push((node, Pipe::Stdin));
                fds.push(PollFd::new(stdin, PollFlags::OUT));
            }
            if let Some(stdout) = &process.stdout {
                pipes.push((node, Pipe::Stdout));
                fds.push(PollFd::new(stdout, PollFlags::IN));
            }
            if let Some(stderr) = &process.stderr {
                pipes.push((node, Pipe::Stderr));
                fds.push(PollFd::new(stderr, PollFlags::IN));
            }
        }
        (pipes, fds)
    }

    fn serve(&mut self, node: usize, pipe: Pipe, events: &mut Vec<Event>) -> io::Result<()> {
        let now = self.elapsed();
        let place = &mut self.places[node];
        let Some(process) = &mut place.process else { return Ok(()) };
        match pipe {
            Pipe::Stdin => process.outbox.has_room(),
            Pipe::Stderr => place.diagnostics.take(read(&mut process.stderr, &mut self.buffer)?)?,
            Pipe::Stdout => {
                let bytes = read(&mut process.stdout, &mut self.buffer)?;
                process.lines.cut(bytes, |line| events.push(Event::Line { node, line }));
                if process.stdout.is_none() {
                    let rest = process.lines.finish();
                    events.extend(rest.map(|line| Event::Line { node, line }));
                    place.closed = Some(now);
                }
            }
        }
        Ok(())
    }

    /// Tells of processes that closed their stdout and have ended, or had time enough to.
    fn take_ended(&mut self, events: &mut Vec<Event>) -> io::Result<()> {
        let now = self.elapsed();
        for (node, place) in self.places.iter_mut().enumerate() {
            let (Some(closed), Some(process)) = (place.closed, &mut place.process) else {
                continue;
            };
            let ended = process.has_ended()?;
            if ended || now.saturating_sub(closed) >= GRACE {
                let status = process.end()?;
                place.vacate(&mut self.buffer)?;
                let status =
                    if ended { status.to_string() } else { "closed its stdout".to_owned() };
                events.push(Event::Exited { node, status });
            }
        }
        Ok(())
    }

    /// When something must be looked at even if no pipe is ready.
    fn next_look(&self, deadline: Nanos) -> Nanos {
        let closed = self.places.iter().any(|place| place.closed.is_some());
        if closed { deadline.min(self.elapsed() + END_CHECK) } else { deadline }
    }

    fn note(&mut self, outcome: io::Result<()>) {
        if let Err(error) = outcome {
            self.failure.get_or_insert(error);
        }
    }

    fn signal(&mut self, node: usize, signal: Signal) {
        if let Some(process) = &self.places[node].process {
            process.signal(signal);
        }
    }
}

impl Place {
    /// Lets go of the process, which has ended, after taking its last words.
    fn vacate(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        self.closed = None;
        let Some(mut process) = self.process.take() else { return Ok(()) };
        for _ in 0..LAST_CHUNKS {
            self.diagnostics.take(read(&mut process.stderr, buffer)?)?;
        }
        self.diagnostics.finish();
        Ok(())
    }
}

impl Cluster for Processes {
    fn now(&mut self) -> Nanos {
        self.elapsed()
    }

    fn start(&mut self, node: usize) -> io::Result<()> {
        if self.places[node].process.is_none() {
            self.places[node].process = Some(Running::start(&self.program, &self.args)?);
        }
        Ok(())
    }

    fn deliver(&mut self, node: usize, line: &[u8]) {
        if let Some(process) = &mut self.places[node].process {
            let outcome = process.outbox.push(line);
            self.note(outcome);
        }
    }

    fn kill(&mut self, node: usize) {
        let place = &mut self.places[node];
        if let Some(process) = &mut place.process {
            let ended = process.end().map(drop);
            let vacated = place.vacate(&mut self.buffer);
            self.note(ended.and(vacated));
        }
    }

    fn pause(&mut self, node: usize) {
        self.signal(node, Signal::STOP);
    }

    fn resume(&mut self, node: usize) {
        self.signal(node, Signal::CONT);
    }

    fn wait(&mut self, deadline: Nanos, events: &mut Vec<Event>) -> io::Result<()> {
        if let Some(error) = self.failure.take() {
            return Err(error);
        }
        let before = events.len();
        loop {
            self.flush()?;
            let Some(ready) = self.ready(self.next_look(deadline))? else { return Ok(()) };
            for (node, pipe) in ready {
                self.serve(node, pipe, events)?;
            }
            self.take_ended(events)?;
            if events.len() > before || self.elapsed() >= deadline {
                return self.flush();
            }
        }
    }
}
