//! The loop of one of several nodes: it waits for input or for the time at which the node wants to be
//! woken, whichever comes first. With `serve.rs`, the only place that reads, writes and waits.

use std::fs::File;
use std::io::{self, Read};
use std::time::Instant;

use maelstrom_kafka::{ClusterNode, Life, Line};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use straum::shared::Pacing;
use straum::system;

use crate::serve::{FLUSH_BYTES, Failure, Pipes, read, warn_too_long, write};
use crate::stop::Stop;

/// Serves from the `init` on, until the input ends or `stop` is asked for. What clients wait for at the
/// end is not answered: it takes others to find out.
///
/// # Errors
/// [`Failure`], with what was being done.
pub(crate) fn serve_cluster(
    max_poll_bytes: u64,
    init: &[u8],
    pipes: &mut Pipes,
    stop: &Stop,
) -> Result<(), Failure> {
    let (instance, identity) = random_numbers().map_err(|error| {
        Failure::Pipe(format!("cannot read /dev/urandom, to tell this life from others: {error}"))
    })?;
    let (began_at_ms, pacing) = (system::now().time_ms, Pacing::default());
    let life = Life { instance, identity, began_at_ms, pacing };
    let mut session = Session {
        node: ClusterNode::new(max_poll_bytes, life),
        began: Instant::now(),
        out: Vec::new(),
        line_number: 0,
    };
    session.handle(&Line::Whole(init));
    loop {
        let timeout = {
            let _at_hand = stop.batch();
            while let Some(line) = pipes.lines.next_line() {
                session.handle(&line);
                if session.out.len() >= FLUSH_BYTES {
                    session.flush(&mut pipes.output)?;
                }
            }
            session.wake();
            session.flush(&mut pipes.output)?;
            if stop.asked() {
                return Ok(());
            }
            session
                .node
                .failure()
                .map_or(Ok(()), |why| Err(Failure::Unreadable(why.to_string())))?;
            session.timeout()
        };
        if is_readable(&pipes.input, timeout)? && read(&mut pipes.lines, &mut pipes.input)? == 0 {
            if let Some(line) = pipes.lines.last_line() {
                session.handle(&line);
            }
            return session.flush(&mut pipes.output);
        }
    }
}

struct Session {
    node: ClusterNode,
    began: Instant,
    out: Vec<u8>,
    line_number: u64,
}

impl Session {
    fn now_ns(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn handle(&mut self, line: &Line<'_>) {
        self.line_number += 1;
        let number = self.line_number;
        let now_ns = self.now_ns();
        match line {
            Line::TooLong { size_bytes } => warn_too_long(number, *size_bytes),
            Line::Whole(line) => {
                if let Err(why) = self.node.handle(now_ns, line, &mut self.out) {
                    log::warn!("line {number} not answered: {why}");
                }
            }
        }
    }

    fn wake(&mut self) {
        let now_ns = self.now_ns();
        if self.node.wake_at_ns().is_some_and(|at_ns| at_ns <= now_ns) {
            self.node.wake(now_ns, &mut self.out);
        }
    }

    fn flush(&mut self, output: &mut File) -> Result<(), Failure> {
        write(output, &mut self.out)
    }

    /// How long the node may sleep; none if it waits for input alone.
    fn timeout(&self) -> Option<Timespec> {
        let span_ns = self.node.wake_at_ns()?.saturating_sub(self.now_ns());
        let of = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        Some(Timespec { tv_sec: of(span_ns / 1_000_000_000), tv_nsec: of(span_ns % 1_000_000_000) })
    }
}

/// Waits until there is input, or its end, or the time is over.
fn is_readable(input: &File, timeout: Option<Timespec>) -> Result<bool, Failure> {
    let mut wanted = [PollFd::new(input, PollFlags::IN)];
    match poll(&mut wanted, timeout.as_ref()) {
        Ok(ready) => Ok(ready > 0),
        Err(Errno::INTR) => Ok(false),
        Err(error) => Err(Failure::Pipe(format!("cannot wait for stdin: {error}"))),
    }
}

fn random_numbers() -> io::Result<(u64, [u8; 16])> {
    let (mut instance, mut identity) = ([0; 8], [0; 16]);
    let mut random = File::open("/dev/urandom")?;
    random.read_exact(&mut instance)?;
    random.read_exact(&mut identity)?;
    Ok((u64::from_le_bytes(instance), identity))
}
