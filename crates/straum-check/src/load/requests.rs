//! Writes requests. Never by chance: the bytes depend on what was asked for, on where the node's logs
//! begin, and on nothing else.

use serde_json::Value;

use crate::load::args::Load;

/// The first request of every run, from a client of its own.
pub(crate) const INIT: &[u8] = b"{\"id\":0,\"src\":\"c0\",\"dest\":\"n0\",\"body\":\
    {\"type\":\"init\",\"node_id\":\"n0\",\"node_ids\":[\"n0\"],\"msg_id\":1}}\n";

/// What chance there is begins here.
pub(crate) const SEED: u64 = 0x0073_7472_6175_6d21;

/// Whole requests, one a line, made before anything is measured.
pub(crate) struct Requests {
    pub(crate) lines: Vec<u8>,
    pub(crate) count: u64,
}

impl Requests {
    /// `count` requests, the first of them number `first`.
    pub(crate) fn generate(
        first: u64,
        count: u64,
        mut write: impl FnMut(&mut Vec<u8>, u64),
    ) -> Self {
        let mut lines = Vec::new();
        for number in first..first + count {
            write(&mut lines, number);
        }
        Self { lines, count }
    }
}

/// What sends look like: number n goes to the key n modulo `keys`, and its message says n.
#[derive(Clone, Copy)]
pub(crate) struct Sends {
    pub(crate) keys: u64,
    /// A string of so many characters instead of a number.
    pub(crate) message_bytes: Option<u32>,
}

impl Sends {
    pub(crate) fn asked(asked: &Load) -> Self {
        Self { keys: asked.keys.into(), message_bytes: asked.message_bytes }
    }

    pub(crate) fn key(self, number: u64) -> u64 {
        number % self.keys
    }

    /// Appends a request.
    pub(crate) fn write(self, lines: &mut Vec<u8>, number: u64) {
        self.write_to(lines, self.key(number), number);
    }

    /// Appends a request to send to another key.
    pub(crate) fn write_to(self, lines: &mut Vec<u8>, key: u64, number: u64) {
        request(lines, number, |lines| {
            lines.extend_from_slice(b"\"type\":\"send\",\"key\":");
            put_key(lines, key);
            lines.extend_from_slice(b",\"msg\":");
            self.put_message(lines, number);
        });
    }

    /// The message of a send.
    pub(crate) fn message(self, number: u64) -> Value {
        let mut text = Vec::new();
        self.put_message(&mut text, number);
        serde_json::from_slice(&text).unwrap_or_default()
    }

    fn put_message(self, lines: &mut Vec<u8>, number: u64) {
        let mut digits = itoa::Buffer::new();
        let digits = digits.format(number).as_bytes();
        let Some(bytes) = self.message_bytes else {
            return lines.extend_from_slice(digits);
        };
        lines.push(b'"');
        lines.resize(lines.len() + (bytes as usize).saturating_sub(digits.len()), b'0');
        lines.extend_from_slice(digits);
        lines.push(b'"');
    }
}

/// Appends a poll.
pub(crate) fn poll(
    lines: &mut Vec<u8>,
    number: u64,
    offsets: impl IntoIterator<Item = (u64, u64)>,
) {
    request(lines, number, |lines| {
        lines.extend_from_slice(b"\"type\":\"poll\",\"offsets\":");
        put_offsets(lines, offsets);
    });
}

/// Appends a commit.
pub(crate) fn commit(lines: &mut Vec<u8>, number: u64, key: u64, offset: u64) {
    request(lines, number, |lines| {
        lines.extend_from_slice(b"\"type\":\"commit_offsets\",\"offsets\":");
        put_offsets(lines, [(key, offset)]);
    });
}

/// Appends a request for committed offsets.
pub(crate) fn list_committed(
    lines: &mut Vec<u8>,
    number: u64,
    keys: impl IntoIterator<Item = u64>,
) {
    request(lines, number, |lines| {
        lines.extend_from_slice(b"\"type\":\"list_committed_offsets\",\"keys\":");
        put_all(lines, *b"[]", keys, put_key);
    });
}

fn request(lines: &mut Vec<u8>, number: u64, put_body: impl FnOnce(&mut Vec<u8>)) {
    lines.extend_from_slice(b"{\"id\":");
    put_number(lines, number);
    lines.extend_from_slice(b",\"src\":\"c1\",\"dest\":\"n0\",\"body\":{");
    put_body(lines);
    lines.extend_from_slice(b",\"msg_id\":");
    put_number(lines, number);
    lines.extend_from_slice(b"}}\n");
}

fn put_offsets(lines: &mut Vec<u8>, offsets: impl IntoIterator<Item = (u64, u64)>) {
    put_all(lines, *b"{}", offsets, |lines, (key, offset)| {
        put_key(lines, key);
        lines.push(b':');
        put_number(lines, offset);
    });
}

fn put_all<T>(
    lines: &mut Vec<u8>,
    [open, close]: [u8; 2],
    all: impl IntoIterator<Item = T>,
    mut put: impl FnMut(&mut Vec<u8>, T),
) {
    lines.push(open);
    for (place, one) in all.into_iter().enumerate() {
        if place > 0 {
            lines.push(b',');
        }
        put(lines, one);
    }
    lines.push(close);
}

fn put_key(lines: &mut Vec<u8>, key: u64) {
    lines.extend_from_slice(b"\"k");
    put_number(lines, key);
    lines.push(b'"');
}

fn put_number(lines: &mut Vec<u8>, number: u64) {
    lines.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: Sends = Sends { keys: 10, message_bytes: None };

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut lines = Vec::new();
        write(&mut lines);
        String::from_utf8(lines).unwrap()
    }

    #[test]
    fn a_send_reads_as_the_protocol_says() {
        assert_eq!(
            written(|lines| SMALL.write(lines, 17)),
            "{\"id\":17,\"src\":\"c1\",\"dest\":\"n0\",\"body\":{\"type\":\"send\",\
             \"key\":\"k7\",\"msg\":17,\"msg_id\":17}}\n"
        );
    }

    #[test]
    fn a_poll_and_the_others_read_as_the_protocol_says() {
        let body = |line: String| serde_json::from_str::<Value>(&line).unwrap()["body"].to_string();
        for (line, expected) in [
            (
                written(|lines| poll(lines, 1, [(3, 40), (4, 50)])),
                "{\"msg_id\":1,\"offsets\":{\"k3\":40,\"k4\":50},\"type\":\"poll\"}",
            ),
            (
                written(|lines| commit(lines, 2, 3, 40)),
                "{\"msg_id\":2,\"offsets\":{\"k3\":40},\"type\":\"commit_offsets\"}",
            ),
            (
                written(|lines| list_committed(lines, 3, [3, 4])),
                "{\"keys\":[\"k3\",\"k4\"],\"msg_id\":3,\"type\":\"list_committed_offsets\"}",
            ),
        ] {
            assert_eq!(body(line), expected);
        }
    }

    #[test]
    fn a_message_is_what_was_sent() {
        for message_bytes in [None, Some(10), Some(1000)] {
            let sends = Sends { message_bytes, ..SMALL };
            let line = written(|lines| sends.write(lines, 123));
            let sent = serde_json::from_str::<Value>(&line).unwrap()["body"]["msg"].take();
            assert_eq!(sent, sends.message(123));
            if let Some(bytes) = message_bytes {
                assert_eq!(sent.as_str().unwrap().len(), bytes as usize);
            }
        }
    }

    #[test]
    fn sends_are_as_many_as_asked_over_the_keys_asked() {
        let sends = Sends { keys: 7, ..SMALL };
        let requests = Requests::generate(1, 100, |lines, number| sends.write(lines, number));
        let lines: Vec<_> = requests.lines.split_inclusive(|&byte| byte == b'\n').collect();
        let key = |line: &&[u8]| {
            serde_json::from_slice::<Value>(line).unwrap()["body"]["key"].to_string()
        };
        let keys: std::collections::HashSet<_> = lines.iter().map(key).collect();
        assert_eq!((lines.len(), keys.len()), (100, 7));
    }
}
