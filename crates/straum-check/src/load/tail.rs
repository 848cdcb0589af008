//! The mode `tail`: one poll at a time of the newest messages of long logs. Never reads anything older.

use std::cmp;
use std::ops::Range;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Map, Value};

use crate::load::args::Load;
use crate::load::figures::{self, Figure};
use crate::load::logs::{self, Logs, Stored};
use crate::load::node::{self, Program, Who};
use crate::load::pin::Cores;
use crate::load::ping;
use crate::load::progress::Progress;
use crate::load::replies::shown;
use crate::load::requests::{self, Requests, SEED, Sends};

/// Messages stored unless it is said how many.
pub(crate) const STORED: u32 = 1_000_000;

/// Polls of one or two keys, on one core with the node, when so many messages are stored.
pub(crate) fn tail(
    asked: &Load,
    program: &Program,
    progress: &mut Progress,
) -> Result<Vec<Figure>> {
    let sends = Sends::asked(asked);
    let stored = u64::from(asked.stored.map_or(STORED, u32::from));
    // Of the last two messages of each key the places are needed.
    let newest = stored + 1 - cmp::min(2 * sends.keys, stored)..stored + 1;
    node::run(program, Cores::Same, |node| {
        logs::store(node, sends, 1..newest.start, progress)?;
        let logs = logs::store_and_learn(node, sends, newest.clone(), progress)?;
        let polls = polls(sends, &logs, &newest, asked.round_trips.get());
        let mut replies = Vec::new();
        let (used, round_trips) = ping::drive(node, &requests(&polls, newest.end), |reply| {
            replies.extend_from_slice(reply);
            Ok(())
        })?;
        if program.who != Who::Floor {
            check(sends, &polls, &replies)?;
        }
        Ok(figures::of_latencies(&used, round_trips))
    })
}

/// Of each key that is polled, the messages that are to come.
type Poll<'l> = Vec<(u64, &'l [Stored])>;

/// Each polls the key of one of the newest messages from one of its last two on, and half of them the last
/// message of another key.
fn polls<'l>(sends: Sends, logs: &'l Logs, newest: &Range<u64>, count: u32) -> Vec<Poll<'l>> {
    let mut random = fastrand::Rng::with_seed(SEED);
    let mut newest_of = |messages| {
        let key = sends.key(random.u64(newest.clone()));
        let log = usize::try_from(key).map_or(&[][..], |key| &logs.of_key[key]);
        let from = log.len().saturating_sub(random.usize(1..=messages));
        ((key, &log[from..]), random.bool())
    };
    let mut one_or_two = || {
        let ((first, both), (second, _)) = (newest_of(2), newest_of(1));
        let second = (both && second.0 != first.0).then_some(second);
        [first].into_iter().chain(second).collect()
    };
    (0..count).map(|_| one_or_two()).collect()
}

fn requests(polls: &[Poll<'_>], first: u64) -> Requests {
    let mut polls_left = polls.iter();
    Requests::generate(first, polls.len() as u64, |lines, number| {
        let poll = polls_left.next().into_iter().flatten();
        let offsets = poll.filter_map(|(key, log)| Some((*key, log.first()?.offset)));
        requests::poll(lines, number, offsets);
    })
}

/// Whether each reply begins with what is to come, and has something of each key.
fn check(sends: Sends, polls: &[Poll<'_>], replies: &[u8]) -> Result<()> {
    for (poll, line) in polls.iter().zip(replies.split_inclusive(|&byte| byte == b'\n')) {
        let wrong = || format!("answered a poll at the end of a log with {}", shown(line));
        let reply: Value = serde_json::from_slice(line).with_context(wrong)?;
        let msgs = reply["body"]["msgs"].as_object().with_context(wrong)?;
        ensure!(msgs.len() == poll.len(), wrong());
        for (key, log) in poll {
            ensure!(begins(sends, msgs, *key, log), wrong());
        }
    }
    Ok(())
}

fn begins(sends: Sends, msgs: &Map<String, Value>, key: u64, log: &[Stored]) -> bool {
    let Some(Value::Array(got)) = msgs.get(&format!("k{key}")) else { return false };
    let expected = log
        .iter()
        .map(|stored| Value::Array(vec![stored.offset.into(), sends.message(stored.number)]));
    !got.is_empty()
        && got.len() <= log.len()
        && got.iter().cloned().zip(expected).all(|(got, expected)| got == expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SENDS: Sends = Sends { keys: 2, message_bytes: None };
    const STORED: [Stored; 2] =
        [Stored { offset: 7, number: 12 }, Stored { offset: 9, number: 14 }];

    fn answered(msgs: &str) -> Result<()> {
        let reply = format!("{{\"body\": {{\"type\": \"poll_ok\", \"msgs\": {msgs}}}}}\n");
        check(SENDS, &[vec![(0, &STORED)]], reply.as_bytes())
    }

    #[test]
    fn what_is_to_come_or_its_beginning_is_right() {
        answered("{\"k0\": [[7, 12], [9, 14]]}").unwrap();
        answered("{\"k0\": [[7, 12]]}").unwrap();
    }

    #[test]
    fn anything_else_is_told() {
        for msgs in [
            "{}",
            "{\"k0\": []}",
            "{\"k1\": [[7, 12]]}",
            "{\"k0\": [[9, 14]]}",
            "{\"k0\": [[7, 13]]}",
            "{\"k0\": [[7, 12], [9, 14], [10, 16]]}",
            "{\"k0\": [[7, 12]], \"k1\": [[7, 12]]}",
            "null",
        ] {
            let error = answered(msgs).unwrap_err().to_string();
            assert!(error.contains(msgs), "{error}");
        }
    }

    #[test]
    fn polls_are_of_one_or_two_keys_and_their_newest_messages() {
        let sends = Sends { keys: 10, ..SENDS };
        let logs = Logs::dense(sends, 1..101).unwrap();
        let polls = polls(sends, &logs, &(81..101), 1000);
        let lengths =
            |index: usize| polls.iter().filter_map(move |poll| Some(poll.get(index)?.1.len()));
        assert!(lengths(0).all(|length| (1..=2).contains(&length)));
        assert!(lengths(1).all(|length| length == 1));
        assert!((300..600).contains(&lengths(1).count()));
        assert!(polls.iter().flatten().all(|(_, log)| log.last().unwrap().offset == 9));
    }
}
