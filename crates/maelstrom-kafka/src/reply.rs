//! Writing replies. Never writes anything but whole lines of the exact form that Maelstrom's schemas
//! demand: one field too many makes a reply malformed.
//!
//! Source of the format: Maelstrom's `doc/protocol.md` and `doc/workloads.md`, "Workload: Kafka".

use straum::{Offset, Records};

use crate::json::fields::Json;
use crate::refusal::Refusal;
use crate::request::Request;

/// Where a reply goes: the envelope around its body. Every part is JSON already.
#[derive(Clone, Copy)]
pub(crate) struct Reply<'a> {
    pub(crate) src: Json<'a>,
    pub(crate) dest: Json<'a>,
    pub(crate) in_reply_to: Json<'a>,
}

impl<'a> Reply<'a> {
    /// The reply to a request, from us; before we have a name, from whom the sender takes us for.
    pub(crate) fn to(request: &Request<'a>, our_src: Option<Json<'a>>) -> Self {
        let src = our_src.or(request.dest).unwrap_or(b"\"\"");
        Self { src, dest: request.src, in_reply_to: request.msg_id }
    }
}

impl Reply<'_> {
    pub(crate) fn init_ok(self, out: &mut Vec<u8>) {
        self.line(out, "init_ok", |_| {});
    }

    pub(crate) fn send_ok(self, out: &mut Vec<u8>, offset: Offset) {
        self.line(out, "send_ok", |out| {
            out.extend_from_slice(b",\"offset\":");
            integer(out, offset);
        });
    }

    pub(crate) fn poll_ok(self, out: &mut Vec<u8>, logs: &[(&str, Records)]) {
        self.line(out, "poll_ok", |out| {
            out.extend_from_slice(b",\"msgs\":{");
            separated(out, logs.iter(), |out, (key, records)| {
                string(out, key);
                out.extend_from_slice(b":[");
                let mut head = Head::default();
                separated(out, records.iter(), |out, record| {
                    head.write(out, record.offset);
                    out.extend_from_slice(record.bytes);
                    out.push(b']');
                });
                out.push(b']');
            });
            out.push(b'}');
        });
    }

    pub(crate) fn commit_offsets_ok(self, out: &mut Vec<u8>) {
        self.line(out, "commit_offsets_ok", |_| {});
    }

    pub(crate) fn list_committed_offsets_ok<'k>(
        self,
        out: &mut Vec<u8>,
        offsets: impl Iterator<Item = (&'k str, Offset)>,
    ) {
        self.line(out, "list_committed_offsets_ok", |out| {
            out.extend_from_slice(b",\"offsets\":{");
            separated(out, offsets, |out, (key, offset)| {
                string(out, key);
                out.push(b':');
                integer(out, offset);
            });
            out.push(b'}');
        });
    }

    pub(crate) fn error(self, out: &mut Vec<u8>, refusal: &Refusal) {
        self.line(out, "error", |out| {
            out.extend_from_slice(b",\"code\":");
            integer(out, refusal.code as u64);
            out.extend_from_slice(b",\"text\":");
            string(out, &refusal.text);
        });
    }

    fn line(self, out: &mut Vec<u8>, kind: &str, fields: impl FnOnce(&mut Vec<u8>)) {
        out.extend_from_slice(b"{\"src\":");
        out.extend_from_slice(self.src);
        out.extend_from_slice(b",\"dest\":");
        out.extend_from_slice(self.dest);
        out.extend_from_slice(b",\"body\":{\"type\":\"");
        out.extend_from_slice(kind.as_bytes());
        out.extend_from_slice(b"\",\"in_reply_to\":");
        out.extend_from_slice(self.in_reply_to);
        fields(out);
        out.extend_from_slice(b"}}\n");
    }
}

fn separated<T>(
    out: &mut Vec<u8>,
    items: impl Iterator<Item = T>,
    mut write: impl FnMut(&mut Vec<u8>, T),
) {
    for (index, item) in items.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write(out, item);
    }
}

fn integer(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

fn string(out: &mut Vec<u8>, text: &str) {
    // Nothing can fail here: every `str` is a JSON string, and a `Vec` takes every byte.
    serde_json::to_writer(out, text).ok();
}

/// What stands before a message in a poll's reply, `[offset,`: copied from the one before, which differs in
/// its last digit only, nine times of ten.
#[derive(Default)]
struct Head {
    text: [u8; 24],
    length: usize,
    /// The offset in `text`, without its last digit.
    tens: Option<Offset>,
}

impl Head {
    fn write(&mut self, out: &mut Vec<u8>, offset: Offset) {
        if self.tens != Some(offset / 10) {
            self.format(offset);
        }
        let end = out.len() + self.length;
        out.extend_from_slice(&self.text); // All of it: copying a fixed size is no call.
        out.truncate(end);
        out[end - 2] = b"0123456789"[(offset % 10) as usize];
    }

    fn format(&mut self, offset: Offset) {
        let mut buffer = itoa::Buffer::new();
        let digits = buffer.format(offset).as_bytes();
        self.length = digits.len() + 2;
        self.text[0] = b'[';
        self.text[1..=digits.len()].copy_from_slice(digits);
        self.text[digits.len() + 1] = b',';
        self.tens = Some(offset / 10);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_of_a_message_is_its_offset_whatever_was_written_before() {
        let max = u64::MAX;
        let jumps = [0, 9, 10, 8, 10, 99, 100, 1_000_000, 9, max, max - 1, max - 6, 0, 5, 15];
        let mut head = Head::default();
        for offset in (0..1_200).chain(jumps) {
            let mut out = b"x".to_vec();
            head.write(&mut out, offset);
            assert_eq!(String::from_utf8(out).unwrap(), format!("x[{offset},"));
        }
    }
}
