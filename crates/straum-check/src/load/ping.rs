//! The mode `ping`: one request at a time. Never has a second request on the way.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::load::args::Load;
use crate::load::figures::{self, Figure};
use crate::load::node::{self, Node, Program};
use crate::load::pin::Cores;
use crate::load::replies::check_ok;
use crate::load::requests::{Requests, Sends};
use crate::load::usage::{Meter, Used};

/// Sends, on one core with the node.
pub(crate) fn ping(asked: &Load, program: &Program) -> Result<Vec<Figure>> {
    let sends = Sends::asked(asked);
    let count = asked.round_trips.get().into();
    let requests = Requests::generate(1, count, |lines, number| sends.write(lines, number));
    let (used, round_trips) =
        node::run(program, Cores::Same, |node| drive(node, &requests, check_ok))?;
    Ok(figures::of_latencies(&used, round_trips))
}

/// Times each request, and hands over its reply outside of that.
pub(crate) fn drive(
    node: &mut Node,
    requests: &Requests,
    mut take: impl FnMut(&[u8]) -> Result<()>,
) -> Result<(Used, Vec<Duration>)> {
    let mut round_trips = Vec::with_capacity(usize::try_from(requests.count)?);
    let meter = Meter::start(&node.usage)?;
    for line in requests.lines.split_inclusive(|&byte| byte == b'\n') {
        let sent = Instant::now();
        node.write(line)?;
        let reply = node.replies.read_reply()?;
        round_trips.push(sent.elapsed());
        take(reply)?;
    }
    let used = meter.stop()?;
    node.finish(node.replies.lines())?;
    Ok((used, round_trips))
}
