//! A node of a cluster, told line by line: what it asks `lin-kv` and its peers, and when clients hear of
//! it. Never a clock or a process but where a test says so.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

mod common;

use std::io::{BufRead, BufReader, Write};

use maelstrom_kafka::{ClusterNode, LATE_NS, Life, MAX_LINE_BYTES};
use serde_json::{Value, json};
use straum::shared::Pacing;

const MILLISECOND_NS: u64 = 1_000_000;

fn life(instance: u64) -> Life {
    Life {
        instance,
        identity: u128::from(instance).to_le_bytes(),
        began_at_ms: 1_000_000,
        pacing: Pacing::default(),
    }
}

struct Story {
    node: ClusterNode,
    now_ns: u64,
}

impl Story {
    /// A node `n1` of two that has been told that the store is empty.
    fn ready() -> Self {
        let mut story = Self { node: ClusterNode::new(1 << 20, life(1 << 40)), now_ns: 0 };
        let mut out = story
            .client("c0", json!({"type":"init","node_id":"n1","node_ids":["n0","n1"],"msg_id":1}));
        assert_eq!(out.remove(0)["body"]["type"], "init_ok");
        story.absent(&out);
        story
    }

    fn say(&mut self, src: &str, body: impl Into<Value>) -> Vec<Value> {
        let body = body.into();
        let line = json!({"id": 1, "src": src, "dest": "n1", "body": body}).to_string();
        let mut out = Vec::new();
        self.node.handle(self.now_ns, line.as_bytes(), &mut out).unwrap();
        values(&out)
    }

    fn client(&mut self, src: &str, body: impl Into<Value>) -> Vec<Value> {
        self.say(src, body)
    }

    /// The store has nothing of what it was asked for.
    fn absent(&mut self, asked: &[Value]) -> Vec<Value> {
        let mut out = Vec::new();
        let mut asked = asked.to_vec();
        while !asked.is_empty() {
            let one = asked.remove(0);
            assert_eq!(one["body"]["type"], "read", "{one}");
            let in_reply_to = &one["body"]["msg_id"];
            let said =
                self.say("lin-kv", json!({"type":"error","code":20,"in_reply_to":in_reply_to}));
            let (reads, others): (Vec<_>, Vec<_>) =
                said.into_iter().partition(|line| line["body"]["type"] == "read");
            asked.extend(reads);
            out.extend(others);
        }
        out
    }

    fn send(&mut self, msg: &str) -> Vec<Value> {
        self.client("c1", json!({"type":"send","key":"k","msg":msg,"msg_id":7}))
    }
}

fn values(lines: &[u8]) -> Vec<Value> {
    lines
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect()
}

fn kinds(lines: &[Value]) -> Vec<&str> {
    lines.iter().map(|line| line["body"]["type"].as_str().unwrap()).collect()
}

#[test]
fn a_send_is_answered_when_its_entry_is_created_and_the_peer_is_told() {
    let mut story = Story::ready();
    let put = story.send("a");
    assert_eq!(kinds(&put), ["cas"]);
    assert_eq!(put[0]["dest"], "lin-kv");
    let body = &put[0]["body"];
    assert_eq!((&body["key"], &body["from"]), (&json!("straum/entry/0"), &json!("")));
    assert_eq!(body["create_if_not_exists"], true);
    let created = story.say("lin-kv", json!({"type":"cas_ok","in_reply_to":body["msg_id"]}));
    assert_eq!(kinds(&created), ["send_ok", "straum_tell"]);
    assert_eq!(created[0]["body"], json!({"type":"send_ok","in_reply_to":7,"offset":0}));
    assert_eq!(created[1]["dest"], "n0");
    let polled = story.client("c2", json!({"type":"poll","offsets":{"k":0},"msg_id":1}));
    assert_eq!(polled[0]["body"]["msgs"], json!({"k":[[0,"a"]]}));
}

#[test]
fn what_a_peer_tells_is_there_and_what_it_does_not_say_well_is_dropped() {
    let mut one = Story::ready();
    let put = one.send("a");
    let created =
        one.say("lin-kv", json!({"type":"cas_ok","in_reply_to":put[0]["body"]["msg_id"]}));
    let mut other = Story::ready();
    for body in [json!({"type":"straum_tell"}), json!({"type":"straum_tell","bytes":"%%"})] {
        assert!(other.say("n0", body).is_empty());
    }
    assert!(other.say("n0", created[1]["body"].clone()).is_empty());
    let polled = other.client("c2", json!({"type":"poll","offsets":{"k":0},"msg_id":1}));
    assert_eq!(polled[0]["body"]["msgs"], json!({"k":[[0,"a"]]}));
}

#[test]
fn nobody_is_answered_from_an_empty_memory_before_the_store_was_read() {
    let mut story = Story { node: ClusterNode::new(1 << 20, life(1 << 40)), now_ns: 0 };
    let early = story.client("c1", json!({"type":"send","key":"k","msg":1,"msg_id":1}));
    assert_eq!(early[0]["body"]["code"], 11);
    let started =
        story.client("c0", json!({"type":"init","node_id":"n1","node_ids":["n0","n1"],"msg_id":1}));
    assert_eq!(kinds(&started), ["init_ok", "read"]);
    let polled = story.client("c1", json!({"type":"poll","offsets":{"k":0},"msg_id":2}));
    assert!(polled.is_empty());
    let asked: Vec<_> = started[1..].to_vec();
    let answers = story.absent(&asked);
    assert_eq!(answers[0]["body"], json!({"type":"poll_ok","in_reply_to":2,"msgs":{}}));
}

#[test]
fn a_list_is_answered_when_the_store_has_been_asked() {
    let mut story = Story::ready();
    let asked =
        story.client("c1", json!({"type":"list_committed_offsets","keys":["k"],"msg_id":3}));
    assert_eq!(kinds(&asked), ["read"]);
    let listed = story.absent(&asked);
    assert_eq!(
        listed[0]["body"],
        json!({"type":"list_committed_offsets_ok","in_reply_to":3,"offsets":{}})
    );
}

/// The answer to a read that began before another node's commit comes after the list that has to show it.
#[test]
fn a_list_is_not_answered_by_a_read_that_began_before_it() {
    let mut story = Story::ready();
    let list = |id| json!({"type":"list_committed_offsets","keys":["k"],"msg_id":id});
    let late = story.client("c1", list(1));
    story.now_ns = story.node.wake_at_ns().unwrap();
    let mut out = Vec::new();
    story.node.wake(story.now_ns, &mut out);
    let again = values(&out);
    assert_eq!((kinds(&late), kinds(&again)), (vec!["read"], vec!["read"]));
    assert_eq!(kinds(&story.absent(&again)), ["list_committed_offsets_ok"]);
    story.now_ns += 100 * MILLISECOND_NS;
    assert_eq!(kinds(&story.client("c2", list(2))), ["read"]);
    let in_reply_to = &late[0]["body"]["msg_id"];
    let said = story.say("lin-kv", json!({"type":"error","code":20,"in_reply_to":in_reply_to}));
    assert!(!kinds(&said).contains(&"list_committed_offsets_ok"), "it says nothing of now");
}

/// What a node writes into the store, every node must be able to read again.
#[test]
fn no_line_is_longer_than_what_a_node_reads() {
    let mut story = Story::ready();
    let offsets: Vec<String> = (0..1_000_000).map(|n| format!("\"{n:04x}\":1")).collect();
    let body =
        format!(r#"{{"type":"commit_offsets","msg_id":2,"offsets":{{{}}}}}"#, offsets.join(","));
    let line = format!(r#"{{"src":"c1","dest":"n1","body":{body}}}"#);
    assert!(line.len() <= MAX_LINE_BYTES);
    let mut out = Vec::new();
    story.node.handle(story.now_ns, line.as_bytes(), &mut out).unwrap();
    assert!(out.split(|byte| *byte == b'\n').all(|line| line.len() <= MAX_LINE_BYTES));
    assert_eq!(kinds(&values(&out)), ["error"]);
}

#[test]
fn a_value_that_no_node_has_written_ends_this_one() {
    for value in [json!(7), json!([1]), json!({"a": 1}), json!(null), json!("%%")] {
        let mut story = Story { node: ClusterNode::new(1 << 20, life(1 << 40)), now_ns: 0 };
        let init = json!({"type":"init","node_id":"n1","node_ids":["n0","n1"],"msg_id":1});
        let mut asked = story.client("c0", init).split_off(1);
        while let Some(one) = asked.pop() {
            let (key, id) = (one["body"]["key"].as_str().unwrap(), &one["body"]["msg_id"]);
            let answer = if key.starts_with("straum/run") {
                json!({"type":"error","code":20,"in_reply_to":id})
            } else {
                json!({"type":"read_ok","value":value,"in_reply_to":id})
            };
            asked.extend(story.say("lin-kv", answer));
        }
        assert!(story.node.failure().is_some(), "{value}");
    }
}

/// Answers to a node that was killed are not taken for ours.
#[test]
fn two_lives_never_use_the_same_numbers() {
    let numbers = [1_u64 << 40, 5 << 50].map(|instance| {
        let mut story = Story { node: ClusterNode::new(1 << 20, life(instance)), now_ns: 0 };
        let init = json!({"type":"init","node_id":"n1","node_ids":["n0","n1"],"msg_id":1});
        story.client("c0", init)[1]["body"]["msg_id"].as_u64().unwrap()
    });
    assert!(numbers[0].abs_diff(numbers[1]) > 1 << 20, "{numbers:?}");
}

/// A client of Maelstrom is gone after 5 s, and who writes to it is not heard any more.
#[test]
fn an_answer_that_would_be_late_is_dropped_and_what_it_said_is_true() {
    let mut story = Story::ready();
    let put = story.send("a");
    story.now_ns += LATE_NS;
    let created =
        story.say("lin-kv", json!({"type":"cas_ok","in_reply_to":put[0]["body"]["msg_id"]}));
    assert_eq!(kinds(&created), ["straum_tell"]);
    let polled = story.client("c2", json!({"type":"poll","offsets":{"k":0},"msg_id":1}));
    assert_eq!(polled[0]["body"]["msgs"], json!({"k":[[0,"a"]]}));
}

#[test]
fn an_error_of_the_store_is_never_an_error_for_a_client() {
    let mut story = Story::ready();
    let put = story.send("a");
    for code in [0, 11, 13, 14] {
        let in_reply_to = &put[0]["body"]["msg_id"];
        let answer = json!({"type":"error","code":code,"in_reply_to":in_reply_to});
        assert!(story.say("lin-kv", answer).is_empty(), "code {code}");
    }
    assert!(story.node.wake_at_ns().unwrap() > story.now_ns);
    story.now_ns += 2_000 * MILLISECOND_NS;
    let mut out = Vec::new();
    story.node.wake(story.now_ns, &mut out);
    assert_eq!(kinds(&values(&out)), ["read"], "nobody knows what became of it");
}

#[test]
fn what_cannot_be_stored_is_refused_for_good_and_asks_nobody() {
    let mut story = Story::ready();
    let key = "k".repeat(70_000);
    let refused = story.client("c1", json!({"type":"send","key":key,"msg":1,"msg_id":4}));
    assert_eq!((refused.len(), &refused[0]["body"]["code"]), (1, &json!(12)));
    let large = "x".repeat(9 << 20);
    let refused = story.client("c1", json!({"type":"send","key":"k","msg":large,"msg_id":5}));
    assert_eq!((refused.len(), &refused[0]["body"]["code"]), (1, &json!(12)));
}

#[test]
fn a_second_init_is_welcome_if_it_is_the_same() {
    let mut story = Story::ready();
    let init = |nodes: Value| json!({"type":"init","node_id":"n1","node_ids":nodes,"msg_id":9});
    assert_eq!(kinds(&story.client("c0", init(json!(["n1", "n0"])))), ["init_ok"]);
    assert_eq!(story.client("c0", init(json!(["n1"])))[0]["body"]["code"], 22);
}

/// The program itself: the same binary, told that it is one of two.
#[test]
fn the_program_becomes_one_of_several_and_wakes_by_itself() {
    let mut process = common::start(&[]);
    let mut stdin = process.stdin.take().unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    let mut next = || -> Value { serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap() };
    let mut say = |src: &str, body: Value| {
        writeln!(stdin, "{}", json!({"src": src, "dest": "n1", "body": body})).unwrap();
    };
    say("c0", json!({"type":"init","node_id":"n1","node_ids":["n0","n1"],"msg_id":1}));
    assert_eq!(next()["body"]["type"], "init_ok");
    let first = next();
    // Nobody answers: after a while it asks again, which takes a timer.
    let again = next();
    assert_eq!(first["body"]["key"], again["body"]["key"]);
    assert_ne!(first["body"]["msg_id"], again["body"]["msg_id"]);
    drop(stdin);
    assert_eq!(process.wait().unwrap().code(), Some(0), "the input has ended");
}

/// No new start would help, which the exit code says.
#[test]
fn the_program_ends_with_a_code_of_its_own_when_the_store_holds_what_no_node_has_written() {
    let mut process = common::start(&[]);
    let mut stdin = process.stdin.take().unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    let mut say = |src: &str, body: Value| {
        writeln!(stdin, "{}", json!({"src": src, "dest": "n1", "body": body})).unwrap();
    };
    say("c0", json!({"type":"init","node_id":"n1","node_ids":["n0","n1"],"msg_id":1}));
    lines.next().unwrap().unwrap();
    let read: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
    assert_eq!(read["body"]["key"], "straum/run/0");
    let read_id = &read["body"]["msg_id"];
    say("lin-kv", json!({"type":"error","code":20,"in_reply_to":read_id}));
    let read: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
    assert_eq!(read["body"]["key"], "straum/entry/0");
    let read_id = &read["body"]["msg_id"];
    say("lin-kv", json!({"type":"read_ok","value":"%%","in_reply_to":read_id}));
    assert_eq!(process.wait().unwrap().code(), Some(5));
}

#[test]
fn a_node_with_a_folder_of_its_own_is_not_one_of_several() {
    let folder = tempfile::tempdir().unwrap();
    let init =
        common::request(r#"{"type":"init","msg_id":0,"node_id":"n0","node_ids":["n0","n1"]}"#);
    let options = ["--data-dir", folder.path().to_str().unwrap()];
    let output = common::run(&options, format!("{init}\n").as_bytes());
    let reply: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(reply["body"]["code"], 10);
    assert!(reply["body"]["text"].as_str().unwrap().contains("without --data-dir"));
}

/// Lines of peers, of the store and of clients, with a byte here and there changed, cut off or doubled.
#[test]
fn nonsense_from_anybody_is_survived_and_never_passed_on() {
    let mut story = Story::ready();
    let put = story.send("a");
    let msg_id = &put[0]["body"]["msg_id"];
    let told = story.say("lin-kv", json!({"type":"cas_ok","in_reply_to":msg_id})).remove(1);
    let lines = [
        json!({"src":"n0","dest":"n1","body":told["body"]}),
        json!({"src":"lin-kv","dest":"n1","body":{"type":"cas_ok","in_reply_to":msg_id}}),
        json!({"src":"lin-kv","dest":"n1","body":{"type":"error","code":22,"in_reply_to":msg_id}}),
        json!({"src":"c1","dest":"n1","body":{"type":"send","key":"k","msg":1,"msg_id":3}}),
        json!({"src":"c1","dest":"n1","body":{"type":"poll","offsets":{"k":0},"msg_id":4}}),
        json!({"src":"c1","dest":"n1","body":{"type":"commit_offsets","offsets":{"k":0},"msg_id":5}}),
    ];
    let mut rng = fastrand::Rng::with_seed(1);
    for _ in 0..20_000 {
        let mut line = lines[rng.usize(..lines.len())].to_string().into_bytes();
        for _ in 0..rng.usize(..4) {
            let at = rng.usize(..line.len());
            match rng.u32(..4) {
                0 => line[at] = rng.u8(..),
                1 => line.truncate(at.max(1)),
                2 => line.insert(at, line[at]),
                _ => line[at] = *rng.choice(b"{}[]\",:0A").unwrap(),
            }
        }
        story.now_ns += MILLISECOND_NS;
        let mut out = Vec::new();
        story.node.handle(story.now_ns, &line, &mut out).ok();
        story.node.wake(story.now_ns, &mut out);
        values(&out);
    }
    assert_eq!(story.node.failure(), None);
    let polled = story.client("c2", json!({"type":"poll","offsets":{"k":0},"msg_id":1}));
    assert_eq!(polled[0]["body"]["msgs"]["k"][0], json!([0, "a"]));
}
