//! Fills a node's logs before something is measured, and learns where messages are from the replies, since
//! offsets may be any that ascend. Never counts as part of what is measured.

use std::borrow::Cow;
use std::io::{self, Write as _};
use std::ops::Range;
use std::process::ChildStdin;

use anyhow::{Result, bail, ensure};
use serde::Deserialize;

use crate::load::node::{Node, Who};
use crate::load::progress::Progress;
use crate::load::replies::shown;
use crate::load::requests::Sends;

/// So many bytes of requests are made at a time.
const WRITE_BYTES: usize = 64 * 1024;

/// A message that was acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Stored {
    pub(crate) offset: u64,
    pub(crate) number: u64,
}

/// Messages of each key, by their offset.
pub(crate) struct Logs {
    pub(crate) of_key: Vec<Vec<Stored>>,
}

/// Sends messages and only counts the replies. The floor is spared: it stores nothing.
pub(crate) fn store(
    node: &mut Node,
    sends: Sends,
    numbers: Range<u64>,
    progress: &mut Progress,
) -> Result<()> {
    if node.who == Who::Floor {
        return Ok(());
    }
    let (before, all) = (node.replies.lines(), numbers.end - numbers.start);
    node.stream(
        |stdin| write(stdin, sends, numbers),
        |replies| {
            while replies.lines() < before + all && replies.count_some()?.is_some() {
                progress.show("stored", replies.lines() - before, all);
            }
            replies.check(before + all)
        },
    )?;
    Ok(())
}

/// Sends messages and learns their offsets.
pub(crate) fn store_and_learn(
    node: &mut Node,
    sends: Sends,
    numbers: Range<u64>,
    progress: &mut Progress,
) -> Result<Logs> {
    if node.who == Who::Floor {
        return Logs::dense(sends, numbers);
    }
    let mut logs = Logs::empty(sends)?;
    let (before, all) = (node.replies.lines(), numbers.end - numbers.start);
    let (asked, mut learnt) = (numbers.clone(), 0);
    node.stream(
        |stdin| write(stdin, sends, numbers),
        |replies| {
            replies.each_until(before + all, |line| {
                learnt += 1;
                progress.show("stored", learnt, all);
                logs.learn(sends, &asked, line)
            })
        },
    )?;
    logs.sort()?;
    Ok(logs)
}

fn write(stdin: &mut Option<ChildStdin>, sends: Sends, numbers: Range<u64>) -> io::Result<()> {
    let Some(stdin) = stdin else { return Ok(()) };
    let mut lines = Vec::with_capacity(2 * WRITE_BYTES);
    for number in numbers {
        sends.write(&mut lines, number);
        if lines.len() >= WRITE_BYTES {
            stdin.write_all(&lines)?;
            lines.clear();
        }
    }
    stdin.write_all(&lines)
}

#[derive(Deserialize)]
struct Reply<'l> {
    #[serde(borrow)]
    body: SendOk<'l>,
}

#[derive(Deserialize)]
struct SendOk<'l> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'l, str>,
    in_reply_to: u64,
    offset: u64,
}

impl Logs {
    fn empty(sends: Sends) -> Result<Self> {
        Ok(Self { of_key: vec![Vec::new(); usize::try_from(sends.keys)?] })
    }

    /// As if the messages had been sent to a new node whose offsets begin at 0.
    pub(crate) fn dense(sends: Sends, numbers: Range<u64>) -> Result<Self> {
        let mut logs = Self::empty(sends)?;
        for number in numbers {
            let log = logs.log(sends, number)?;
            log.push(Stored { offset: log.len() as u64, number });
        }
        Ok(logs)
    }

    fn log(&mut self, sends: Sends, number: u64) -> Result<&mut Vec<Stored>> {
        Ok(&mut self.of_key[usize::try_from(sends.key(number))?])
    }

    fn learn(&mut self, sends: Sends, asked: &Range<u64>, line: &[u8]) -> Result<()> {
        match serde_json::from_slice(line) {
            Ok(Reply { body: SendOk { kind, in_reply_to: number, offset } })
                if kind == "send_ok" && asked.contains(&number) =>
            {
                self.log(sends, number)?.push(Stored { offset, number });
                Ok(())
            }
            _ => bail!("answered a send with {}", shown(line)),
        }
    }

    fn sort(&mut self) -> Result<()> {
        for (key, log) in self.of_key.iter_mut().enumerate() {
            log.sort_unstable();
            for pair in log.windows(2) {
                let offset = pair[0].offset;
                ensure!(pair[1].offset > offset, "gave two messages of k{key} the offset {offset}");
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SENDS: Sends = Sends { keys: 3, message_bytes: None };

    fn learn(lines: &[&str]) -> Result<Logs> {
        let mut logs = Logs::empty(SENDS)?;
        for line in lines {
            logs.learn(SENDS, &(1..100), line.as_bytes())?;
        }
        logs.sort()?;
        Ok(logs)
    }

    fn send_ok(number: u64, offset: u64) -> String {
        format!(
            "{{\"body\": {{\"offset\": {offset}, \"in_reply_to\": {number}, \"type\": \"send_ok\"}}}}\n"
        )
    }

    #[test]
    fn a_log_is_learnt_whatever_the_order_of_the_replies() {
        let logs = learn(&[&send_ok(5, 70), &send_ok(4, 3), &send_ok(2, 10)]).unwrap();
        let stored = |offset, number| Stored { offset, number };
        assert_eq!(logs.of_key, [vec![], vec![stored(3, 4)], vec![stored(10, 2), stored(70, 5)]]);
    }

    #[test]
    fn an_offset_that_was_given_twice_is_told() {
        let error = learn(&[&send_ok(2, 10), &send_ok(5, 10)]).err().unwrap().to_string();
        assert_eq!(error, "gave two messages of k2 the offset 10");
    }

    #[test]
    fn what_does_not_acknowledge_a_send_is_told() {
        for line in [
            "nonsense\n",
            &send_ok(100, 7),
            "{\"body\":{\"type\":\"error\",\"in_reply_to\":1,\"code\":11}}\n",
            "{\"body\":{\"type\":\"poll_ok\",\"in_reply_to\":1,\"offset\":1}}\n",
        ] {
            let error = learn(&[line]).err().unwrap().to_string();
            assert!(error.contains(line.trim_end()), "{error}");
        }
    }
}
