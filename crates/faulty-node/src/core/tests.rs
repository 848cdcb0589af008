//! Stories of nodes, told as requests and replies, on a service and a clock that the test holds.

mod planted;
mod protocol;
mod through_lin_kv;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::*;

const SECOND_NS: u64 = 1_000_000_000;

/// A node, initialized as `n0`, with the clock that it sees.
struct Bench {
    node: FaultyNode,
    now_ns: u64,
    msg_id: i64,
}

impl Bench {
    fn new(storage: Storage, bugs: &[&str]) -> Self {
        Self::named("n0", storage, bugs, 0)
    }

    fn named(id: &str, storage: Storage, bugs: &[&str], now_ns: u64) -> Self {
        let bugs = bugs.iter().map(|bug| bug.parse().unwrap()).collect();
        let mut bench =
            Self { node: FaultyNode::new(Options { storage, bugs }), now_ns, msg_id: 0 };
        let init = json!({"type": "init", "node_id": id, "node_ids": ["n0", "n1"]});
        let replies = bench.give(init);
        assert_eq!(messages(&replies)[0]["body"]["type"], "init_ok");
        bench
    }

    fn memory(bugs: &[&str]) -> Self {
        Self::new(Storage::Memory, bugs)
    }

    /// Gives the node a request of a client; returns the lines that follow at once.
    fn give(&mut self, mut body: Value) -> Vec<Vec<u8>> {
        self.msg_id += 1;
        body["msg_id"] = self.msg_id.into();
        self.give_line(&json!({"id": 7, "src": "c1", "dest": "n0", "body": body}).to_string())
    }

    fn give_line(&mut self, line: &str) -> Vec<Vec<u8>> {
        let mut out = Vec::new();
        self.node.receive(self.now_ns, line.as_bytes(), &mut out);
        out
    }

    /// Lets the node's timers ring up to a time; returns the lines that follow.
    fn wait_until(&mut self, now_ns: u64) -> Vec<Vec<u8>> {
        let mut out = Vec::new();
        while let Some(at_ns) = self.node.next_timer().filter(|at_ns| *at_ns <= now_ns) {
            self.node.on_timer(at_ns, &mut out);
        }
        self.now_ns = now_ns;
        out
    }

    /// Asks the node; returns the body of its only reply, without `in_reply_to`.
    fn ask(&mut self, body: Value) -> Value {
        let lines = self.give(body);
        assert_eq!(lines.len(), 1, "{:?}", messages(&lines));
        self.reply(&lines[0])
    }

    /// As [`ask`](Self::ask), through a service that answers at once.
    fn ask_with(&mut self, kv: &mut FakeLinKv, body: Value) -> Value {
        let lines = self.give(body);
        let replies = self.settle(kv, lines);
        assert_eq!(replies.len(), 1, "{:?}", messages(&replies));
        self.reply(&replies[0])
    }

    /// Carries lines between the node and the service until only others are left; returns those.
    fn settle(&mut self, kv: &mut FakeLinKv, lines: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
        let mut rest = Vec::new();
        let mut lines = VecDeque::from(lines);
        while let Some(line) = lines.pop_front() {
            match kv.answer(&line) {
                Some(answer) => lines.extend(self.give_line(&answer)),
                None => rest.push(line),
            }
        }
        rest
    }

    fn reply(&self, line: &[u8]) -> Value {
        let mut message = message(line);
        assert_eq!(message["dest"], "c1");
        let in_reply_to = message["body"].as_object_mut().unwrap().remove("in_reply_to");
        assert_eq!(in_reply_to, Some(self.msg_id.into()));
        message["body"].take()
    }

    fn send(&mut self, key: &str, msg: i64) -> Value {
        self.ask(send(key, msg))
    }

    /// Sends 0, 1, … to a key.
    fn send_many(&mut self, key: &str, count: i64) {
        (0..count).for_each(|msg| {
            self.send(key, msg);
        });
    }

    /// The messages of a key from an offset on.
    fn poll(&mut self, key: &str, from: i64) -> Value {
        self.ask(json!({"type": "poll", "offsets": {key: from}}))["msgs"][key].take()
    }

    fn commit(&mut self, key: &str, offset: i64) {
        let ok = self.ask(json!({"type": "commit_offsets", "offsets": {key: offset}}));
        assert_eq!(ok, json!({"type": "commit_offsets_ok"}));
    }

    /// The committed offset of a key; null if there is none.
    fn committed(&mut self, key: &str) -> Value {
        let list = json!({"type": "list_committed_offsets", "keys": [key]});
        self.ask(list)["offsets"][key].take()
    }
}

fn send(key: &str, msg: i64) -> Value {
    json!({"type": "send", "key": key, "msg": msg})
}

fn message(line: &[u8]) -> Value {
    serde_json::from_slice(line).unwrap()
}

fn messages(lines: &[Vec<u8>]) -> Vec<Value> {
    lines.iter().map(|line| message(line)).collect()
}

/// The service, as small as it can be.
#[derive(Default)]
struct FakeLinKv {
    values: BTreeMap<String, Value>,
    cas_count: u64,
}

impl FakeLinKv {
    /// Executes a call; `None` if the line is not for the service.
    fn answer(&mut self, line: &[u8]) -> Option<String> {
        let call = message(line);
        if call["dest"] != "lin-kv" {
            return None;
        }
        let mut body = self.execute(&call["body"]);
        body["in_reply_to"] = call["body"]["msg_id"].clone();
        Some(json!({"src": "lin-kv", "dest": call["src"], "body": body}).to_string())
    }

    fn execute(&mut self, call: &Value) -> Value {
        let key = call["key"].as_str().unwrap();
        let value = self.values.get(key);
        if call["type"] == "read" {
            return value.map_or_else(
                || json!({"type": "error", "code": 20}),
                |value| json!({"type": "read_ok", "value": value}),
            );
        }
        assert_eq!(call["type"], "cas");
        self.cas_count += 1;
        let may_replace = match value {
            Some(value) => *value == call["from"],
            None if call["create_if_not_exists"] == true => true,
            None => return json!({"type": "error", "code": 20}),
        };
        if !may_replace {
            return json!({"type": "error", "code": 22});
        }
        self.values.insert(key.to_owned(), call["to"].clone());
        json!({"type": "cas_ok"})
    }
}
