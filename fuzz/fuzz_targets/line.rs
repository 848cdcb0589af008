//! Any bytes as input to a node: it never panics, writes nothing but whole JSON lines, at most one for
//! each line, and still knows afterwards what it acknowledged before. A line with a space before it, which
//! only the JSON parser reads, gets the same reply as the line itself.

#![no_main]

use libfuzzer_sys::fuzz_target;
use maelstrom_kafka::{Line, LineBuffer, Node};
use serde_json::Value;

const INIT: &[u8] =
    br#"{"src":"c","body":{"type":"init","msg_id":1,"node_id":"n","node_ids":["n"]}}"#;
const SEND: &[u8] = br#"{"src":"c","body":{"type":"send","msg_id":2,"key":"k","msg":"safe"}}"#;
const POLL: &[u8] = br#"{"src":"c","body":{"type":"poll","msg_id":3,"offsets":{"k":0}}}"#;

fuzz_target!(|input: &[u8]| {
    let mut nodes = [Node::in_memory(10_000), Node::in_memory(10_000)];
    let mut replies = Vec::new();
    for node in &mut nodes {
        for line in [INIT, SEND] {
            node.handle(line, &mut replies).expect("a good request is answered");
        }
    }

    let mut lines = LineBuffer::default();
    let mut unread = input;
    while lines.fill(&mut unread).expect("memory can be read") > 0 {
        while let Some(line) = lines.next_line() {
            handle(&mut nodes, &line);
        }
    }
    if let Some(line) = lines.last_line() {
        handle(&mut nodes, &line);
    }

    replies.clear();
    nodes[0].handle(POLL, &mut replies).expect("a good request is answered");
    let reply: Value = serde_json::from_slice(&replies).expect("a reply is JSON");
    assert_eq!(reply["body"]["msgs"]["k"][0], serde_json::json!([0, "safe"]));
});

fn handle([node, parser]: &mut [Node; 2], line: &Line<'_>) {
    let Line::Whole(line) = line else { return };
    let (mut reply, mut parsers) = (Vec::new(), Vec::new());
    let answered = node.handle(line, &mut reply).is_ok();
    let spaced = [b" ", *line].concat();
    assert_eq!(parser.handle(&spaced, &mut parsers).is_ok(), answered);
    assert_eq!(parsers, reply, "the JSON parser reads the same");
    if !answered {
        assert!(reply.is_empty(), "a line that is not answered gets nothing");
        return;
    }
    let (end, reply) = reply.split_last().expect("a line that is answered gets a reply");
    assert!(*end == b'\n' && !reply.contains(&b'\n'), "a reply is one line");
    serde_json::from_slice::<&serde_json::value::RawValue>(reply).expect("a reply is JSON");
}
