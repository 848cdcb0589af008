//! The store is Maelstrom's `lin-kv`: a value is created by a `cas` that never finds what it compares
//! with, and read by a `read`. Never decides what is stored.
//!
//! Source: Maelstrom's `doc/services.md` and `doc/protocol.md`, "Errors".

use std::collections::BTreeMap;
use std::io::Write;

use straum::shared::{GetAnswer, Member, PutAnswer, StorePlace};

use super::server_line::{Answer, encode};

/// Where requests go.
pub(super) const ADDRESS: &str = "lin-kv";

/// The errors of the service that say what is the case; after any other, nobody knows.
const ABSENT: i64 = 20;
const TAKEN: i64 = 22;

/// How many requests may be open; an answer to an older one is not listened to.
const MOST_OPEN: usize = 4096;

#[derive(Debug)]
pub(super) struct LinKv {
    last_msg_id: u64,
    /// By `msg_id`, the oldest first.
    open: BTreeMap<u64, Open>,
}

#[derive(Clone, Copy, Debug)]
enum Open {
    Put(StorePlace),
    /// With when it was asked.
    Get(StorePlace, u64),
}

impl LinKv {
    /// Numbers of requests begin where those of another life are unlikely to be, so that an answer to a
    /// node that is no more is not taken for ours. They stay below 2^53, which every JSON parser can read.
    pub(super) fn new(instance: u64) -> Self {
        Self { last_msg_id: instance >> 12, open: BTreeMap::new() }
    }

    pub(super) fn put(&mut self, src: &str, place: StorePlace, bytes: &[u8], out: &mut Vec<u8>) {
        let key = key(place);
        let value = encode(bytes);
        // What is compared with is empty, and no value is.
        let fields = format!(
            r#""type":"cas","key":"{key}","from":"","to":"{value}","create_if_not_exists":true"#
        );
        self.ask(src, Open::Put(place), &fields, out);
    }

    /// No answer is listened to.
    pub(super) fn replace(
        &mut self,
        src: &str,
        place: StorePlace,
        bytes: &[u8],
        out: &mut Vec<u8>,
    ) {
        let (key, value) = (key(place), encode(bytes));
        self.last_msg_id += 1;
        let fields = format!(r#""type":"write","key":"{key}","value":"{value}""#);
        write_request(src, &fields, self.last_msg_id, out);
    }

    pub(super) fn get(&mut self, now_ns: u64, src: &str, place: StorePlace, out: &mut Vec<u8>) {
        let fields = format!(r#""type":"read","key":"{}""#, key(place));
        self.ask(src, Open::Get(place, now_ns), &fields, out);
    }

    fn ask(&mut self, src: &str, open: Open, fields: &str, out: &mut Vec<u8>) {
        self.last_msg_id += 1;
        let msg_id = self.last_msg_id;
        self.open.insert(msg_id, open);
        if self.open.len() > MOST_OPEN {
            self.open.pop_first();
        }
        write_request(src, fields, msg_id, out);
    }

    /// Tells the member what became of its request.
    pub(super) fn answered(&mut self, now_ns: u64, answer: &Answer, member: &mut Member) {
        let Some(open) = self.open.remove(&answer.in_reply_to) else { return };
        match open {
            Open::Put(place) => {
                let outcome = match (answer.kind.as_str(), answer.code) {
                    ("cas_ok", _) => PutAnswer::Created,
                    ("error", Some(TAKEN)) => PutAnswer::Taken,
                    _ => PutAnswer::Unknown,
                };
                member.put_answered(now_ns, place, outcome);
            }
            Open::Get(place, asked_at_ns) => {
                let found = match (answer.kind.as_str(), answer.code) {
                    ("read_ok", _) => GetAnswer::Found(&answer.value),
                    ("error", Some(ABSENT)) => GetAnswer::Absent,
                    _ => GetAnswer::Unknown,
                };
                member.get_answered(now_ns, place, asked_at_ns, found);
            }
        }
    }
}

fn write_request(src: &str, fields: &str, msg_id: u64, out: &mut Vec<u8>) {
    // Nothing can fail here: a `Vec` takes every byte.
    writeln!(out, r#"{{"src":{src},"dest":"{ADDRESS}","body":{{{fields},"msg_id":{msg_id}}}}}"#)
        .ok();
}

/// The key of a place, without anything that JSON would escape.
fn key(place: StorePlace) -> String {
    match place {
        StorePlace::Entry(position) => format!("straum/entry/{position}"),
        StorePlace::Run(run) => format!("straum/run/{run}"),
    }
}
