//! Any bytes as input to a node: it never panics, writes nothing but whole JSON lines, at most one for
//! each line, and still knows afterwards what it acknowledged before.

#![no_main]

use libfuzzer_sys::fuzz_target;
use maelstrom_kafka::{Line, LineBuffer, Node};
use serde_json::Value;

const INIT: &[u8] = br#"{"src":"c","body":{"type":"init","msg_id":1,"node_id":"n","node_ids":["n"]}}"#;
const SEND: &[u8] = br#"{"src":"c","body":{"type":"send","msg_id":2,"key":"k","msg":"safe"}}"#;
const POLL: &[u8] = br#"{"src":"c","body":{"type":"poll","msg_id":3,"offsets":{"k":0}}}"#;

fuzz_target!(|input: &[u8]| {
    let mut node = Node::in_memory(10_000);
    let mut replies = Vec::new();
    for line in [INIT, SEND] {
        node.handle(line, &mut replies).expect("a good request is answered");
    }

    let mut lines = LineBuffer::default();
    let mut unread = input;
    while lines.fill(&mut unread).expect("memory can be read") > 0 {
        while let Some(line) = lines.next_line() {
            handle(&mut node, &line);
        }
    }
    if let Some(line) = lines.last_line() {
        handle(&mut node, &line);
    }

    replies.clear();
    node.handle(POLL, &mut replies).expect("a good request is answered");
    let reply: Value = serde_json::from_slice(&replies).expect("a reply is JSON");
    assert_eq!(reply["body"]["msgs"]["k"][0], serde_json::json!([0, "safe"]));
});

fn handle(node: &mut Node, line: &Line<'_>) {
    let Line::Whole(line) = line else { return };
    let mut reply = Vec::new();
    if node.handle(line, &mut reply).is_err() {
        assert!(reply.is_empty(), "a line that is not answered gets nothing");
        return;
    }
    let (end, reply) = reply.split_last().expect("a line that is answered gets a reply");
    assert!(*end == b'\n' && !reply.contains(&b'\n'), "a reply is one line");
    serde_json::from_slice::<&serde_json::value::RawValue>(reply).expect("a reply is JSON");
}
