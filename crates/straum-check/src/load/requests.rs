//! Makes the requests, all of them before anything is measured. Never by chance: the bytes depend
//! on the counts asked for and on nothing else.

use std::io::{self, Write as _};
use std::num::NonZeroU32;

/// The first request of every run, from a client of its own.
pub(crate) const INIT: &[u8] = b"{\"id\":0,\"src\":\"c0\",\"dest\":\"n0\",\"body\":\
    {\"type\":\"init\",\"node_id\":\"n0\",\"node_ids\":[\"n0\"],\"msg_id\":1}}\n";

const SEED: u64 = 0x0073_7472_6175_6d21;

/// `count` requests, one a line.
pub(crate) struct Requests {
    pub(crate) lines: Vec<u8>,
    pub(crate) count: u32,
}

impl Requests {
    /// Sends only, to the keys in turn.
    pub(crate) fn sends(count: NonZeroU32, keys: NonZeroU32) -> io::Result<Self> {
        Self::generate(count, |id, lines| send(lines, id % keys, id))
    }

    /// Half sends, the rest reads of what was just sent and commits.
    pub(crate) fn mix(count: NonZeroU32, keys: NonZeroU32) -> io::Result<Self> {
        let mut mix = Mix { sent: Vec::new(), random: fastrand::Rng::with_seed(SEED) };
        mix.sent.resize(usize::try_from(keys.get()).map_err(io::Error::other)?, 0);
        Self::generate(count, |id, lines| mix.request(lines, id))
    }

    fn generate(
        count: NonZeroU32,
        mut body: impl FnMut(u32, &mut Vec<u8>) -> io::Result<()>,
    ) -> io::Result<Self> {
        let count = count.get();
        let mut lines = Vec::new();
        for id in 1..=count {
            write!(lines, "{{\"id\":{id},\"src\":\"c1\",\"dest\":\"n0\",\"body\":{{")?;
            body(id, &mut lines)?;
            writeln!(lines, ",\"msg_id\":{id}}}}}")?;
        }
        Ok(Self { lines, count })
    }
}

/// Knows how many messages each key has by then: their offsets are dense from 0.
struct Mix {
    sent: Vec<u32>,
    random: fastrand::Rng,
}

impl Mix {
    fn request(&mut self, lines: &mut Vec<u8>, id: u32) -> io::Result<()> {
        let key = self.random.usize(..self.sent.len());
        let next = (key + 1) % self.sent.len();
        match self.random.u32(..100) {
            50..90 => self.poll(lines, key, next),
            90..95 if self.sent[key] > 0 => commit(lines, key, self.sent[key] - 1),
            95..100 => list_committed(lines, key, next),
            _ => {
                self.sent[key] += 1;
                send(lines, key, id)
            }
        }
    }

    /// Asks for the last two messages at most of one key and the last one at most of another.
    fn poll(&mut self, lines: &mut Vec<u8>, key: usize, next: usize) -> io::Result<()> {
        let from = self.sent[key].saturating_sub(self.random.u32(..=2));
        write!(lines, "\"type\":\"poll\",\"offsets\":{{\"k{key}\":{from}")?;
        if next != key {
            let from = self.sent[next].saturating_sub(self.random.u32(..=1));
            write!(lines, ",\"k{next}\":{from}")?;
        }
        write!(lines, "}}")
    }
}

fn send(lines: &mut Vec<u8>, key: impl std::fmt::Display, message: u32) -> io::Result<()> {
    write!(lines, "\"type\":\"send\",\"key\":\"k{key}\",\"msg\":{message}")
}

fn commit(lines: &mut Vec<u8>, key: usize, offset: u32) -> io::Result<()> {
    write!(lines, "\"type\":\"commit_offsets\",\"offsets\":{{\"k{key}\":{offset}}}")
}

fn list_committed(lines: &mut Vec<u8>, key: usize, next: usize) -> io::Result<()> {
    write!(lines, "\"type\":\"list_committed_offsets\",\"keys\":[\"k{key}\"")?;
    if next != key {
        write!(lines, ",\"k{next}\"")?;
    }
    write!(lines, "]")
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use serde_json::Value;

    use super::*;

    fn count(number: u32) -> NonZeroU32 {
        NonZeroU32::new(number).unwrap()
    }

    fn bodies(requests: &Requests) -> Vec<Value> {
        let lines = requests.lines.split_inclusive(|&byte| byte == b'\n');
        lines.map(|line| serde_json::from_slice::<Value>(line).unwrap()["body"].take()).collect()
    }

    #[test]
    fn a_send_reads_as_the_protocol_says() {
        let requests = Requests::sends(count(17), count(10)).unwrap();
        let last = requests.lines.split_inclusive(|&byte| byte == b'\n').next_back().unwrap();
        let expected = "{\"id\":17,\"src\":\"c1\",\"dest\":\"n0\",\"body\":{\"type\":\"send\",\
            \"key\":\"k7\",\"msg\":17,\"msg_id\":17}}\n";
        assert_eq!(std::str::from_utf8(last).unwrap(), expected);
    }

    #[test]
    fn sends_are_as_many_as_asked_over_the_keys_asked() {
        let bodies = bodies(&Requests::sends(count(100), count(7)).unwrap());
        let keys: std::collections::HashSet<_> =
            bodies.iter().map(|body| body["key"].as_str().unwrap()).collect();
        assert_eq!((bodies.len(), keys.len()), (100, 7));
    }

    #[test]
    fn the_mix_has_its_shares() {
        let bodies = bodies(&Requests::mix(count(20_000), count(10)).unwrap());
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
            for body in bodies(&Requests::mix(count(5_000), count(keys)).unwrap()) {
                let sent_to = |key: &str| sent.get(key).copied().unwrap_or(0);
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
