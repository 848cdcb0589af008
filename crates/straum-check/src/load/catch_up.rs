//! The mode `catch-up`: one consumer reads every log from its beginning. Never counts the time in which it
//! looks at what it has read.

use std::borrow::Cow;
use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde::Deserialize;
use straum_check::measure::float;

use crate::load::args::Load;
use crate::load::figures::{self, Figure};
use crate::load::floor;
use crate::load::logs::{self, Logs};
use crate::load::node::{self, Node, Program};
use crate::load::pin::Cores;
use crate::load::progress::Progress;
use crate::load::replies::shown;
use crate::load::requests::{self, Sends};
use crate::load::usage::{Meter, Used};

/// Messages stored unless it is said how many.
pub(crate) const STORED: u32 = 200_000;
/// Their size unless it is said.
pub(crate) const MESSAGE_BYTES: u32 = 1000;

/// How much was asked and answered.
#[derive(Default)]
pub(crate) struct Transfer {
    polls: u64,
    poll_bytes: u64,
    reply_bytes: u64,
    /// From the beginning of each write to the end of its reply.
    round_trips: Vec<Duration>,
}

/// Polls all keys that have more, from where the reply before ended, until all was seen.
pub(crate) fn node(
    asked: &Load,
    program: &Program,
    progress: &mut Progress,
) -> Result<(Vec<Figure>, Transfer)> {
    let message_bytes = asked.message_bytes.unwrap_or(MESSAGE_BYTES);
    let sends = Sends { message_bytes: Some(message_bytes), ..Sends::asked(asked) };
    let stored = u64::from(asked.stored.map_or(STORED, u32::from));
    node::run(program, Cores::Same, |node| {
        // All messages may come in one reply.
        node.replies.max_reply_bytes += usize::try_from(stored * u64::from(message_bytes + 100))?;
        let logs = logs::store_and_learn(node, sends, 1..stored + 1, progress)?;
        let mut consumer = Consumer::new(sends, logs);
        let mut transfer = Transfer::default();
        let meter = Meter::start(&node.usage)?;
        while consumer.seen < stored {
            let poll = consumer.poll(stored + 1 + transfer.polls);
            consumer.take(transfer.ask(node, &poll)?)?;
            progress.show("read", consumer.seen, stored);
        }
        let used = meter.stop()?;
        node.finish(node.replies.lines())?;
        Ok((transfer.figures(&used), transfer))
    })
}

/// The same amount as the node's, from a floor whose replies are as long as the node's were.
pub(crate) fn floor(program: &Program, of_node: &Transfer) -> Result<Vec<Figure>> {
    let &Transfer { polls, poll_bytes, reply_bytes, .. } = of_node;
    let program = Program {
        who: program.who,
        bin: program.bin.clone(),
        args: floor::args(reply_bytes / polls),
    };
    let mut poll = vec![b'-'; usize::try_from(poll_bytes / polls)?];
    poll.push(b'\n');
    node::run(&program, Cores::Same, |node| {
        let mut transfer = Transfer::default();
        let meter = Meter::start(&node.usage)?;
        for _ in 0..polls {
            transfer.ask(node, &poll)?;
        }
        let used = meter.stop()?;
        node.finish(polls)?;
        Ok(transfer.figures(&used))
    })
}

impl Transfer {
    fn ask<'n>(&mut self, node: &'n mut Node, poll: &[u8]) -> Result<&'n [u8]> {
        let sent = Instant::now();
        node.write(poll)?;
        let reply = node.replies.read_reply()?;
        self.round_trips.push(sent.elapsed());
        self.polls += 1;
        self.poll_bytes += poll.len() as u64;
        self.reply_bytes += reply.len() as u64;
        Ok(reply)
    }

    fn figures(&self, used: &Used) -> Vec<Figure> {
        let bytes = float(self.reply_bytes);
        let elapsed: Duration = self.round_trips.iter().sum();
        let figures = [
            ("reply_gb_per_s", bytes / 1e9 / elapsed.as_secs_f64()),
            ("cpu_s_per_gb", used.cpu.as_secs_f64() / (bytes / 1e9)),
            ("mean_reply_mb", bytes / 1e6 / float(self.polls)),
            figures::peak(used),
        ];
        figures.into_iter().chain(figures::percentiles(self.round_trips.clone())).collect()
    }
}

/// Knows what is to come, and where it is.
struct Consumer {
    sends: Sends,
    logs: Logs,
    /// How many messages of each key have been read.
    read: Vec<usize>,
    seen: u64,
}

#[derive(Deserialize)]
struct Reply<'l> {
    #[serde(borrow)]
    body: PollOk<'l>,
}

#[derive(Deserialize)]
struct PollOk<'l> {
    #[serde(borrow)]
    msgs: HashMap<String, Vec<Message<'l>>>,
}

#[derive(Deserialize)]
struct Message<'l>(u64, #[serde(borrow)] Cow<'l, str>);

impl Consumer {
    fn new(sends: Sends, logs: Logs) -> Self {
        Self { sends, read: vec![0; logs.of_key.len()], logs, seen: 0 }
    }

    fn poll(&self, number: u64) -> Vec<u8> {
        let mut line = Vec::new();
        let offsets = (0_u64..).zip(self.logs.of_key.iter().zip(&self.read));
        let wanted = offsets.filter_map(|(key, (log, &read))| {
            log.get(read)?; // there is more
            let last = read.checked_sub(1).and_then(|last| log.get(last));
            Some((key, last.map_or(log[0].offset, |last| last.offset + 1)))
        });
        requests::poll(&mut line, number, wanted);
        line
    }

    fn take(&mut self, reply: &[u8]) -> Result<()> {
        let before = self.seen;
        let parsed: Reply =
            serde_json::from_slice(reply).with_context(|| format!("gave {}", shown(reply)))?;
        for (name, messages) in &parsed.body.msgs {
            let key = self
                .key(name)
                .with_context(|| format!("gave messages of {name:?}, a key that was not polled"))?;
            for message in messages {
                self.take_message(key, message)?;
            }
        }
        ensure!(self.seen > before, "{}", self.missing());
        Ok(())
    }

    fn key(&self, name: &str) -> Option<usize> {
        let key = name.strip_prefix('k')?.parse().ok()?;
        (key < self.read.len()).then_some(key)
    }

    fn take_message(&mut self, key: usize, Message(offset, text): &Message<'_>) -> Result<()> {
        let Some(expected) = self.logs.of_key[key].get(self.read[key]) else {
            bail!("gave a message of k{key} at offset {offset}, where none was sent");
        };
        let right = *offset == expected.offset && self.is_message(text, expected.number);
        ensure!(
            right,
            "acknowledged message {} of k{key} at offset {}, but a poll has {:.20} at offset {offset} in its place",
            expected.number,
            expected.offset,
            text.trim_start_matches('0')
        );
        self.read[key] += 1;
        self.seen += 1;
        Ok(())
    }

    fn is_message(&self, text: &str, number: u64) -> bool {
        self.sends.message_bytes.is_some_and(|bytes| text.len() == bytes as usize)
            && text.parse() == Ok(number)
    }

    fn missing(&self) -> String {
        let unread = self.logs.of_key.iter().zip(&self.read).enumerate();
        let mut missing = unread.filter_map(|(key, (log, &read))| Some((key, log.get(read)?)));
        missing.next().map_or_else(String::new, |(key, message)| {
            format!(
                "acknowledged message {} of k{key} at offset {}, but a poll from there returns nothing",
                message.number, message.offset
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::logs::Stored;

    /// Two messages of k0 at 7 and 9, one of k1 at 3.
    fn consumer() -> Consumer {
        let stored = |offset, number| Stored { offset, number };
        let of_key = vec![vec![stored(7, 2), stored(9, 4)], vec![stored(3, 1)]];
        Consumer::new(Sends { keys: 2, message_bytes: Some(10) }, Logs { of_key })
    }

    fn take(consumer: &mut Consumer, msgs: &str) -> Result<()> {
        let reply = format!("{{\"body\": {{\"type\": \"poll_ok\", \"msgs\": {{{msgs}}} }} }}\n");
        consumer.take(reply.as_bytes())
    }

    fn polled(consumer: &Consumer) -> String {
        let poll: serde_json::Value = serde_json::from_slice(&consumer.poll(1)).unwrap();
        poll["body"]["offsets"].to_string()
    }

    #[test]
    fn it_reads_on_from_where_a_reply_ended_until_it_has_all() {
        let mut consumer = consumer();
        assert_eq!(polled(&consumer), "{\"k0\":7,\"k1\":3}");
        take(&mut consumer, "\"k0\": [[7, \"0000000002\"]], \"k1\": [ [3, \"0000000001\"] ]")
            .unwrap();
        assert_eq!(polled(&consumer), "{\"k0\":8}");
        take(&mut consumer, "\"k0\": [[9, \"0000000004\"]]").unwrap();
        assert_eq!(consumer.seen, 3);
    }

    #[test]
    fn whatever_is_not_what_was_sent_is_told() {
        for (msgs, told) in [
            ("", "message 2 of k0 at offset 7, but a poll from there returns nothing"),
            ("\"k0\": []", "message 2 of k0 at offset 7, but a poll from there returns nothing"),
            (
                "\"k0\": [[9, \"0000000004\"]]",
                "message 2 of k0 at offset 7, but a poll has 4 at offset 9",
            ),
            ("\"k0\": [[7, \"0000000004\"]]", "a poll has 4 at offset 7 in its place"),
            ("\"k0\": [[7, \"2\"]]", "a poll has 2 at offset 7 in its place"),
            (
                "\"k0\": [[7, \"0000000002\"], [7, \"0000000002\"]]",
                "a poll has 2 at offset 7 in its place",
            ),
            (
                "\"k1\": [[3, \"0000000001\"], [4, \"0000000001\"]]",
                "k1 at offset 4, where none was sent",
            ),
            ("\"k7\": [[3, \"0000000001\"]]", "\"k7\", a key that was not polled"),
            ("\"k0\": [[\"7\", 2]]", "gave {\"body\""),
        ] {
            let error = format!("{:#}", take(&mut consumer(), msgs).unwrap_err());
            assert!(error.contains(told), "{msgs}: {error}");
        }
    }
}
