//! Drives one node through one run and times it. Never judges the figures.

use std::io::Write as _;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};

use crate::load::node::{self, Node, Program};
use crate::load::pin::Pinned;
use crate::load::requests::Requests;
use crate::load::stats::percentile;

/// A name, its unit last, and a value.
pub(crate) type Figure = (&'static str, f64);

struct Driven {
    elapsed: Duration,
    peak_kib: Option<u32>,
}

/// Writes all requests as fast as the pipe takes them while it reads the replies.
pub(crate) fn flood(program: &Program, requests: &Requests) -> Result<Vec<Figure>> {
    let (driven, cpu) = node::run(program, |node| drive_flood(node, requests))?;
    figures(&driven, cpu, requests.count)
}

/// Writes one request at a time, on one core with the node.
pub(crate) fn ping(program: &Program, requests: &Requests) -> Result<Vec<Figure>> {
    let _pinned = Pinned::to_one_core()?;
    let mut round_trips = Vec::new();
    let (driven, cpu) = node::run(program, |node| drive_ping(node, requests, &mut round_trips))?;
    let mut figures = figures(&driven, cpu, requests.count)?;
    round_trips.sort_unstable();
    for (name, percent) in [("median_us", 50), ("p99_us", 99)] {
        let round_trip = percentile(&round_trips, percent).context("no round trips")?;
        figures.push((name, round_trip.as_secs_f64() * 1e6));
    }
    Ok(figures)
}

fn drive_flood(node: &mut Node, requests: &Requests) -> Result<Driven> {
    let mut stdin = node.stdin.take().context("its stdin is closed")?;
    let Node { replies, memory, .. } = node;
    let expected = u64::from(requests.count);
    let start = Instant::now();
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let written = stdin.write_all(&requests.lines).context("stopped reading requests");
            let peak_kib = memory.peak_kib();
            drop(stdin);
            written.map(|()| peak_kib)
        });
        let read = replies.read_until(expected);
        let elapsed = start.elapsed();
        let peak_kib = memory.peak_kib();
        let finished = read.and_then(|_| replies.finish(expected));
        // The writer's failure first: it is why replies are missing.
        let before_close_kib = writer.join().map_err(|_| anyhow!("the writer panicked"))??;
        finished.map(|()| Driven { elapsed, peak_kib: peak_kib.max(before_close_kib) })
    })
}

fn drive_ping(
    node: &mut Node,
    requests: &Requests,
    round_trips: &mut Vec<Duration>,
) -> Result<Driven> {
    let mut stdin = node.stdin.take().context("its stdin is closed")?;
    let mut lines = requests.lines.split_inclusive(|&byte| byte == b'\n');
    let start = Instant::now();
    for answered in 1..=u64::from(requests.count) {
        let line = lines.next().context("too few requests were made")?;
        let sent = Instant::now();
        stdin.write_all(line).context("stopped reading requests")?;
        if !node.replies.read_until(answered)? {
            break;
        }
        round_trips.push(sent.elapsed());
    }
    let elapsed = start.elapsed();
    let peak_kib = node.memory.peak_kib();
    drop(stdin);
    node.replies.finish(u64::from(requests.count))?;
    Ok(Driven { elapsed, peak_kib })
}

fn figures(driven: &Driven, cpu: Duration, count: u32) -> Result<Vec<Figure>> {
    let count = f64::from(count);
    let peak_kib = driven.peak_kib.context("no VmHWM in /proc/PID/status")?;
    Ok(vec![
        ("rate_per_s", count / driven.elapsed.as_secs_f64()),
        ("cpu_s_per_million", cpu.as_secs_f64() * 1e6 / count),
        ("peak_mb", f64::from(peak_kib) * 1024.0 / 1e6),
    ])
}
