//! The node as a process: its command line, its pipes, its end.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::io::Write;
use std::process::{Command, Output, Stdio};

use faulty_node::Bug;

const INIT: &str = r#"{"src":"c0","dest":"n0","body":{"type":"init","msg_id":1,"node_id":"n0","node_ids":["n0"]}}"#;

/// Runs the node on some lines of input; returns what became of it.
fn run(arguments: &[&str], lines: &[&str]) -> Output {
    let mut node = Command::new(env!("CARGO_BIN_EXE_faulty-node"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = node.stdin.take().unwrap();
    for line in lines {
        // A node that has exited reads no more.
        let _ = writeln!(stdin, "{line}");
    }
    drop(stdin);
    node.wait_with_output().unwrap()
}

fn send(msg_id: u64) -> String {
    let body = format!(r#"{{"type":"send","msg_id":{msg_id},"key":"a","msg":{msg_id}}}"#);
    format!(r#"{{"src":"c1","dest":"n0","body":{body}}}"#)
}

fn stdout_lines(output: &Output) -> usize {
    String::from_utf8(output.stdout.clone()).unwrap().lines().count()
}

#[test]
fn a_session_is_answered_and_ends_with_its_input() {
    let output = run(&[], &[INIT, &send(1), &send(2)]);
    assert_eq!(output.status.code(), Some(0));
    let replies = String::from_utf8(output.stdout).unwrap();
    let expected = [
        r#"{"body":{"in_reply_to":1,"type":"init_ok"},"dest":"c0","src":"n0"}"#,
        r#"{"body":{"in_reply_to":1,"offset":0,"type":"send_ok"},"dest":"c1","src":"n0"}"#,
        r#"{"body":{"in_reply_to":2,"offset":1,"type":"send_ok"},"dest":"c1","src":"n0"}"#,
    ];
    assert_eq!(replies.lines().collect::<Vec<_>>(), expected);
    assert!(output.stderr.is_empty());
}

#[test]
fn with_lin_kv_the_service_is_asked() {
    let output = run(&["--storage", "lin-kv"], &[INIT, &send(1)]);
    let replies = String::from_utf8(output.stdout).unwrap();
    assert!(replies.lines().nth(1).unwrap().contains(r#""dest":"lin-kv""#), "{replies}");
}

#[test]
fn exit_after_ends_the_process_with_a_word_on_stderr() {
    let output = run(&["--bug", "exit-after=2"], &[INIT, &send(1), &send(2), &send(3)]);
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(stdout_lines(&output), 3);
    assert_eq!(output.stderr, b"faulty-node: exiting after 2 requests, as told\n");
}

#[test]
fn help_has_a_line_for_every_bug() {
    let output = run(&["--help"], &[]);
    assert_eq!(output.status.code(), Some(0));
    let help = String::from_utf8(output.stdout).unwrap();
    let (_, bugs) = help.split_once("Bugs").unwrap();
    let rows = bugs.lines().filter(|line| line.starts_with("  ")).count();
    assert_eq!(rows, Bug::all().count());
    assert!(help.contains("split brain"));
}

#[test]
fn what_the_command_line_does_not_know_is_refused_with_status_2() {
    for arguments in [
        &["--no-such-option"][..],
        &["--bug", "no-such-bug"],
        &["--bug", "drop-send=0"],
        &["--storage", "paper"],
        &["word"],
    ] {
        let output = run(arguments, &[]);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(output.stdout.is_empty());
        assert!(!output.stderr.is_empty());
    }
}
