//! Running the real binary.

#![allow(dead_code, reason = "each test file uses its own part")]
#![allow(clippy::expect_used, reason = "a test may fail")]

use std::io::Write;
use std::process::{Child, Command, Output, Stdio};

/// The node with its three streams as pipes.
pub(crate) fn start(options: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_maelstrom-kafka"))
        .args(options)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the node starts")
}

/// What the node makes of all of `input`, followed by its end.
pub(crate) fn run(options: &[&str], input: &[u8]) -> Output {
    let mut node = start(options);
    let mut stdin = node.stdin.take().expect("a pipe");
    std::thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(input).expect("the node reads everything"));
        node.wait_with_output().expect("the node ends")
    })
}

/// A request from client `c1` to node `n0`.
pub(crate) fn request(body: &str) -> String {
    format!(r#"{{"id":1,"src":"c1","dest":"n0","body":{body}}}"#)
}

/// The `init` of a single node.
pub(crate) fn init() -> String {
    request(r#"{"type":"init","msg_id":0,"node_id":"n0","node_ids":["n0"]}"#)
}

pub(crate) fn lines(bytes: &[u8]) -> Vec<&str> {
    std::str::from_utf8(bytes).expect("UTF-8").lines().collect()
}
