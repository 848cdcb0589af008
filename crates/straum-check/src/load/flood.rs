//! The modes `flood` and `mix`: requests as fast as the pipe takes them. Never waits for a reply before it
//! writes on.

use std::io::Write as _;

use anyhow::Result;

use crate::load::args::Load;
use crate::load::figures::{self, Figure};
use crate::load::logs::{self, Logs};
use crate::load::node::{self, Node, Program};
use crate::load::pin::Cores;
use crate::load::ping;
use crate::load::progress::Progress;
use crate::load::replies::check_ok;
use crate::load::requests::{self, Requests, SEED, Sends};
use crate::load::usage::Meter;

/// Sends only, to the keys in turn.
pub(crate) fn flood(asked: &Load, program: &Program) -> Result<Vec<Figure>> {
    let sends = Sends::asked(asked);
    let count = asked.requests.get().into();
    let requests = Requests::generate(1, count, |lines, number| sends.write(lines, number));
    node::run(program, Cores::Apart, |node| drive(node, &requests))
}

/// Half sends, the rest reads of what was just sent and commits. How long each takes is that of one at a time.
pub(crate) fn mix(asked: &Load, program: &Program, progress: &mut Progress) -> Result<Vec<Figure>> {
    let sends = Sends::asked(asked);
    let flooded = node::run(program, Cores::Apart, |node| {
        let requests = mixed(node, sends, asked.requests.get().into(), progress)?;
        drive(node, &requests)
    })?;
    let (_, round_trips) = node::run(program, Cores::Same, |node| {
        let requests = mixed(node, sends, asked.round_trips.get().into(), progress)?;
        ping::drive(node, &requests, check_ok)
    })?;
    Ok(flooded.into_iter().chain(figures::percentiles(round_trips)).collect())
}

fn mixed(node: &mut Node, sends: Sends, count: u64, progress: &mut Progress) -> Result<Requests> {
    let first = sends.keys + 1;
    // One message for each key first, to learn where its log is.
    let logs = logs::store_and_learn(node, sends, 1..first, progress)?;
    let mut mix = Mix::after(sends, &logs);
    Ok(Requests::generate(first, count, |lines, number| mix.write(lines, number)))
}

/// Closes the node's stdin when all is written, so that a reply that never comes is seen at once.
fn drive(node: &mut Node, requests: &Requests) -> Result<Vec<Figure>> {
    let expected = node.replies.lines() + requests.count;
    let usage = node.usage.clone();
    let meter = Meter::start(&usage)?;
    let (before_close_kib, (elapsed, peak_kib)) = node.stream(
        |stdin| {
            let written = stdin.as_mut().map_or(Ok(()), |stdin| stdin.write_all(&requests.lines));
            let peak_kib = usage.peak_kib();
            *stdin = None;
            written.map(|()| peak_kib)
        },
        |replies| {
            replies.read_until(expected)?;
            let measured = (meter.elapsed(), usage.peak_kib());
            replies.finish(expected)?;
            Ok(measured)
        },
    )?;
    let used = meter.used(elapsed, peak_kib.max(before_close_kib))?;
    Ok(figures::of_requests(&used, requests.count))
}

/// Knows each key's next offset by then, if offsets are dense from the first one on.
struct Mix {
    sends: Sends,
    first: Vec<u64>,
    next: Vec<u64>,
    random: fastrand::Rng,
}

impl Mix {
    fn after(sends: Sends, logs: &Logs) -> Self {
        let last = |log: &Vec<logs::Stored>| log.last().map_or(0, |stored| stored.offset);
        let first: Vec<_> = logs.of_key.iter().map(last).collect();
        let next = first.iter().map(|first| first + 1).collect();
        Self { sends, first, next, random: fastrand::Rng::with_seed(SEED) }
    }

    fn write(&mut self, lines: &mut Vec<u8>, number: u64) {
        let key = self.random.u64(..self.sends.keys);
        let other = (key + 1) % self.sends.keys;
        match self.random.u32(..100) {
            ..50 => {
                self.next[place(key)] += 1;
                self.sends.write_to(lines, key, number);
            }
            50..90 => self.poll(lines, number, key, other),
            90..95 => requests::commit(lines, number, key, self.next[place(key)] - 1),
            _ => {
                let other = (other != key).then_some(other);
                requests::list_committed(lines, number, [key].into_iter().chain(other));
            }
        }
    }

    /// Asks for the last two messages at most of one key and the last one at most of another.
    fn poll(&mut self, lines: &mut Vec<u8>, number: u64, key: u64, other: u64) {
        let first = (key, self.behind(key, 2));
        let second = (other != key).then(|| (other, self.behind(other, 1)));
        requests::poll(lines, number, [first].into_iter().chain(second));
    }

    fn behind(&mut self, key: u64, messages: u64) -> u64 {
        let (first, next) = (self.first[place(key)], self.next[place(key)]);
        next - self.random.u64(..=messages).min(next - first)
    }
}

/// A key's number as an index: there is a vector that is so long.
#[expect(clippy::cast_possible_truncation, reason = "there are at most 2^32 keys")]
fn place(key: u64) -> usize {
    key as usize
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use serde_json::Value;

    use super::*;

    fn mix(count: u64, keys: u64) -> Vec<Value> {
        let sends = Sends { keys, message_bytes: None };
        let mut mix = Mix::after(sends, &Logs::dense(sends, 1..keys + 1).unwrap());
        let requests = Requests::generate(1, count, |lines, number| mix.write(lines, number));
        let lines = requests.lines.split_inclusive(|&byte| byte == b'\n');
        lines.map(|line| serde_json::from_slice::<Value>(line).unwrap()["body"].take()).collect()
    }

    #[test]
    fn the_mix_has_its_shares() {
        let bodies = mix(20_000, 10);
        assert_eq!(bodies.len(), 20_000);
        let share = |kind| bodies.iter().filter(|body| body["type"] == kind).count() / 200;
        assert!((49..=51).contains(&share("send")));
        assert!((39..=41).contains(&share("poll")));
        assert!((4..=5).contains(&share("commit_offsets")));
        assert!((4..=5).contains(&share("list_committed_offsets")));
    }

    #[test]
    fn polls_and_commits_are_at_the_tail() {
        for keys in [1, 2, 10] {
            let mut sent = HashMap::<String, u64>::new();
            for body in mix(5_000, keys) {
                let sent_to = |key: &str| 1 + sent.get(key).copied().unwrap_or(0);
                let offsets = || body["offsets"].as_object().unwrap().iter();
                let behind = || offsets().map(|(key, at)| sent_to(key) - at.as_u64().unwrap());
                match body["type"].as_str().unwrap() {
                    "send" => *sent.entry(body["key"].as_str().unwrap().into()).or_default() += 1,
                    "poll" => {
                        assert_eq!(offsets().len(), usize::min(2, keys.try_into().unwrap()));
                        assert!(behind().sum::<u64>() <= 3);
                    }
                    "commit_offsets" => assert!(behind().all(|messages| messages == 1)),
                    _ => {}
                }
            }
        }
    }
}
