//! The mode `window`: sends, of which never more than so many are unanswered. Never waits in a write: the
//! node might be waiting for us to read.

use std::collections::VecDeque;
use std::io::{ErrorKind, Write as _};
use std::iter;
use std::process::ChildStdin;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::io::ioctl_fionbio;

use crate::load::args::Load;
use crate::load::figures::{self, Figure};
use crate::load::node::{self, Node, Program};
use crate::load::pin::Cores;
use crate::load::requests::{Requests, Sends};
use crate::load::usage::Meter;

/// Sends to the keys in turn, the k-th reply being that to the k-th request.
pub(crate) fn window(asked: &Load, program: &Program) -> Result<Vec<Figure>> {
    let sends = Sends::asked(asked);
    let count = asked.requests.get().into();
    let requests = Requests::generate(1, count, |lines, number| sends.write(lines, number));
    let window = usize::try_from(asked.window.get())?;
    node::run(program, Cores::Same, |node| drive(node, &requests, window))
}

fn drive(node: &mut Node, requests: &Requests, window: usize) -> Result<Vec<Figure>> {
    let mut stdin = node.stdin.take().context("its stdin is closed")?;
    ioctl_fionbio(&stdin, true)?;
    let count = usize::try_from(requests.count)?;
    let mut flight = Flight::new(&requests.lines, window);
    flight.latencies.reserve(count);
    let meter = Meter::start(&node.usage)?;
    while flight.latencies.len() < count {
        flight.write(&mut stdin)?;
        if !flight.writing.is_empty() && !node.wait_for_replies_or_room(&stdin)? {
            continue;
        }
        let Some(replies) = node.replies.count_some()? else { bail!(node.replies.ended()) };
        flight.answered(replies).context("gave more replies than it was asked for")?;
    }
    let used = meter.stop()?;
    drop(stdin);
    node.finish(requests.count)?;
    Ok(figures::of_latencies(&used, flight.latencies))
}

/// What is on its way.
struct Flight<'r> {
    window: usize,
    unsent: &'r [u8],
    /// What there was room for in the window, and has not been written yet.
    writing: &'r [u8],
    /// How many requests got their place in the window at a time, the oldest first.
    unanswered: VecDeque<(Instant, usize)>,
    room: usize,
    latencies: Vec<Duration>,
}

impl<'r> Flight<'r> {
    fn new(lines: &'r [u8], window: usize) -> Self {
        Self {
            window,
            unsent: lines,
            writing: &[],
            unanswered: VecDeque::new(),
            room: window,
            latencies: Vec::new(),
        }
    }

    /// Writes as much as the window and the pipe take.
    fn write(&mut self, stdin: &mut ChildStdin) -> Result<()> {
        if self.writing.is_empty() {
            self.fill_window();
        }
        if self.writing.is_empty() {
            return Ok(());
        }
        match stdin.write(self.writing) {
            Ok(length) => self.writing = &self.writing[length..],
            Err(error)
                if [ErrorKind::WouldBlock, ErrorKind::Interrupted].contains(&error.kind()) => {}
            Err(error) => return Err(error).context("stopped reading requests"),
        }
        Ok(())
    }

    fn fill_window(&mut self) {
        let ends = memchr::memchr_iter(b'\n', self.unsent).take(self.room);
        let (count, end) = ends.fold((0, 0), |(count, _), newline| (count + 1, newline + 1));
        if count > 0 {
            (self.writing, self.unsent) = self.unsent.split_at(end);
            self.room -= count;
            self.unanswered.push_back((Instant::now(), count));
        }
    }

    /// None if there were not so many requests.
    fn answered(&mut self, replies: u64) -> Option<()> {
        let now = Instant::now();
        let mut replies = usize::try_from(replies).ok()?;
        while replies > 0 {
            let (at, requests) = self.unanswered.front_mut()?;
            let both = usize::min(replies, *requests);
            self.latencies.extend(iter::repeat_n(now.duration_since(*at), both));
            *requests -= both;
            if *requests == 0 {
                self.unanswered.pop_front();
            }
            replies -= both;
            self.room += both;
        }
        debug_assert!(self.room <= self.window);
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINES: &[u8] = b"1\n22\n333\n4444\n55555\n";

    #[test]
    fn there_are_never_more_in_flight_than_the_window_holds() {
        let mut flight = Flight::new(LINES, 2);
        flight.fill_window();
        assert_eq!(flight.writing, b"1\n22\n");
        flight.answered(1).unwrap();
        flight.fill_window();
        assert_eq!(flight.writing, b"333\n");
        flight.answered(2).unwrap();
        flight.fill_window();
        assert_eq!(flight.writing, b"4444\n55555\n");
        flight.answered(2).unwrap();
        flight.fill_window();
        assert_eq!((flight.latencies.len(), flight.unsent), (5, &b""[..]));
    }

    #[test]
    fn a_latency_is_from_when_there_was_room_to_the_reply_of_that_number() {
        let mut flight = Flight::new(LINES, 5);
        flight.fill_window();
        let earlier = Instant::now().checked_sub(Duration::from_secs(9)).unwrap();
        flight.unanswered = VecDeque::from([(earlier, 1), (Instant::now(), 4)]);
        flight.answered(3).unwrap();
        let long: Vec<_> =
            flight.latencies.iter().map(|latency| *latency >= Duration::from_secs(9)).collect();
        assert_eq!(long, [true, false, false]);
    }

    #[test]
    fn more_replies_than_requests_are_noticed() {
        let mut flight = Flight::new(LINES, 2);
        flight.fill_window();
        assert_eq!(flight.answered(3), None);
    }
}
