//! The program as its environment sees it: how it starts, stops, and bears being cut off.

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use common::{init, lines, request, run, start};
use rustix::io::ioctl_fionread;
use rustix::process::{Pid, Signal, kill_process};

fn send(n: usize) -> String {
    request(&format!(r#"{{"type":"send","key":"k","msg":{n},"msg_id":{n}}}"#))
}

fn send_large(size_bytes: usize) -> String {
    let msg = "x".repeat(size_bytes);
    request(&format!(r#"{{"type":"send","key":"k","msg":"{msg}","msg_id":1}}"#))
}

fn poll() -> String {
    request(r#"{"type":"poll","offsets":{"k":0},"msg_id":2}"#)
}

#[test]
fn everything_that_came_in_is_answered_before_the_end() {
    let requests: Vec<String> = (1..=20_000).map(send).collect();
    // The last line has no end of its own: the input just stops.
    let output = run(&[], format!("{}\n{}", init(), requests.join("\n")).as_bytes());
    let replies = lines(&output.stdout);
    assert_eq!(replies.len(), 20_001);
    for (n, reply) in replies.iter().enumerate().skip(1) {
        assert!(
            reply.ends_with(&format!(r#""in_reply_to":{n},"offset":{}}}}}"#, n - 1)),
            "{reply}"
        );
    }
    assert_eq!(output.status.code(), Some(0));
}

/// The checker's final polls read hundreds of logs from 0, with some seconds to catch up.
#[test]
fn a_poll_is_generous_unless_told_otherwise() {
    let sends: Vec<String> = (0..30_000).map(send).collect();
    let input = format!("{}\n{}\n{}", init(), sends.join("\n"), poll());
    let output = run(&[], input.as_bytes());
    let polled = lines(&output.stdout)[30_001];
    assert!(polled.starts_with(r#"{"src":"n0","dest":"c1","body":{"type":"poll_ok","#));
    assert!(polled.ends_with(",[29999,29999]]}}}"));
}

#[test]
fn an_empty_input_is_an_end_like_any_other() {
    let output = run(&[], b"");
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stdout.is_empty() && output.stderr.is_empty());
}

#[test]
fn a_signal_ends_an_idle_node_with_success() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut node = start(&[]);
        let mut stdin = node.stdin.take().unwrap();
        let mut replies = BufReader::new(node.stdout.take().unwrap());
        writeln!(stdin, "{}\n{}", init(), send(1)).unwrap();
        let mut reply = String::new();
        replies.read_line(&mut reply).unwrap();
        replies.read_line(&mut reply).unwrap();
        assert!(reply.ends_with("\"offset\":0}}\n"));
        kill_process(Pid::from_child(&node), signal).unwrap();
        assert_eq!(node.wait().unwrap().code(), Some(0));
    }
}

/// Each reply is larger than a pipe holds, so that the signal comes while one is being written.
#[test]
fn a_signal_under_load_ends_the_node_after_whole_replies() {
    let mut node = start(&["--log-level", "info"]);
    let mut stdin = node.stdin.take().unwrap();
    let mut stdout = node.stdout.take().unwrap();
    let mut stderr = node.stderr.take().unwrap();
    writeln!(stdin, "{}\n{}", init(), send_large(3 * 1024 * 1024)).unwrap();
    let pid = Pid::from_child(&node);
    let polls = (poll() + "\n").repeat(500);
    let replies = std::thread::scope(|scope| {
        // Until the node is gone and the pipe breaks.
        scope.spawn(move || while stdin.write_all(polls.as_bytes()).is_ok() {});
        let mut replies = vec![0; 8 * 1024 * 1024];
        stdout.read_exact(&mut replies).unwrap();
        kill_process(pid, Signal::TERM).unwrap();
        stdout.read_to_end(&mut replies).unwrap();
        replies
    });
    assert_eq!(node.wait().unwrap().code(), Some(0));
    assert!(replies.ends_with(b"\"]]}}}\n"), "no reply is cut off");
    assert!(replies.len() < 64 * 1024 * 1024, "the node stops at the batch at hand");
    let mut told = String::new();
    stderr.read_to_string(&mut told).unwrap();
    let farewells: Vec<_> = told.lines().filter(|line| line.contains("stopped")).collect();
    assert_eq!(farewells, ["maelstrom-kafka: info: stopped: a signal"]);
}

#[test]
fn two_signals_at_once_are_one_wish() {
    let mut node = start(&[]);
    let mut stdout = node.stdout.take().unwrap();
    writeln!(node.stdin.as_ref().unwrap(), "{}", init()).unwrap();
    stdout.read_exact(&mut [0; 10]).unwrap();
    kill_process(Pid::from_child(&node), Signal::TERM).unwrap();
    kill_process(Pid::from_child(&node), Signal::INT).unwrap();
    assert_eq!(node.wait().unwrap().code(), Some(0));
}

/// A node whose replies nobody reads cannot finish its batch; whoever asks again later means it.
#[test]
fn a_later_signal_ends_a_node_that_is_stuck() {
    let mut node = start(&[]);
    let mut stdin = node.stdin.take().unwrap();
    let stdout = node.stdout.take().unwrap();
    writeln!(stdin, "{}\n{}", init(), send_large(1024 * 1024)).unwrap();
    let mut replies = BufReader::new(stdout);
    let mut reply = String::new();
    replies.read_line(&mut reply).unwrap();
    replies.read_line(&mut reply).unwrap();
    writeln!(stdin, "{}", poll()).unwrap();
    // More than a pipe holds: once it begins to come, the node waits for us to read the rest.
    while ioctl_fionread(replies.get_ref()).unwrap() == 0 {
        std::thread::yield_now();
    }
    let status = loop {
        kill_process(Pid::from_child(&node), Signal::TERM).unwrap();
        if let Some(status) = node.try_wait().unwrap() {
            break status;
        }
        std::thread::yield_now();
    };
    assert_eq!(status.signal(), Some(Signal::TERM.as_raw()));
}

#[test]
fn a_closed_stdout_ends_the_node_with_a_message() {
    let mut node = start(&[]);
    drop(node.stdout.take());
    writeln!(node.stdin.take().unwrap(), "{}", init()).unwrap();
    let output = node.wait_with_output().unwrap();
    assert_failure(output.status);
    let stderr = lines(&output.stderr);
    assert_eq!(stderr.len(), 1, "{stderr:?}");
    assert!(stderr[0].contains("cannot write replies to stdout"), "{stderr:?}");
}

fn assert_failure(status: ExitStatus) {
    assert_eq!(status.code(), Some(1));
}

#[test]
fn a_closed_stderr_does_not_stop_the_node() {
    let mut node = start(&[]);
    drop(node.stderr.take());
    let mut stdin = node.stdin.take().unwrap();
    writeln!(stdin, "garbage\n{}", init()).unwrap();
    drop(stdin);
    let output = node.wait_with_output().unwrap();
    assert_eq!(lines(&output.stdout).len(), 1);
    assert_eq!(output.status.code(), Some(0));
}

/// Replies far larger than the requests leave as they gather: they do not wait for the last request.
#[cfg(target_os = "linux")]
#[test]
fn neither_large_replies_nor_an_endless_line_fill_the_memory() {
    let mut node = start(&[]);
    let mut stdin = node.stdin.take().unwrap();
    let stdout = node.stdout.take().unwrap();
    let peak_kib = std::thread::scope(|scope| {
        let replies = scope.spawn(|| BufReader::new(stdout).lines().map(Result::unwrap).count());
        writeln!(stdin, "{}\n{}", init(), send_large(1024 * 1024)).unwrap();
        let poll = poll() + "\n";
        stdin.write_all(poll.repeat(600).as_bytes()).unwrap();
        let piece = vec![b'x'; 1024 * 1024];
        for _ in 0..200 {
            stdin.write_all(&piece).unwrap();
        }
        writeln!(stdin).unwrap();
        stdin.write_all(poll.as_bytes()).unwrap();
        let status = std::fs::read_to_string(format!("/proc/{}/status", node.id())).unwrap();
        drop(stdin);
        assert_eq!(replies.join().unwrap(), 603);
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        peak.trim().trim_end_matches(" kB").parse::<u64>().unwrap()
    });
    assert!(peak_kib < 64 * 1024, "{peak_kib} KiB");
    assert_eq!(node.wait().unwrap().code(), Some(0));
}

#[test]
fn the_command_line_teaches_and_refuses() {
    let help = run(&["--help"], b"");
    assert_eq!(help.status.code(), Some(0));
    let text = String::from_utf8(help.stdout).unwrap();
    for part in ["--max-poll-bytes", "--log-level", "./maelstrom test -w kafka", "Exit codes"] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    let version = run(&["--version"], b"");
    assert_eq!(lines(&version.stdout), [format!("maelstrom-kafka {}", env!("CARGO_PKG_VERSION"))]);
    for wrong in [&["--no-such-option"][..], &["--max-poll-bytes", "many"], &["operand"]] {
        let output = run(wrong, b"");
        assert_eq!(output.status.code(), Some(2), "{wrong:?}");
        assert!(!output.stderr.is_empty() && output.stdout.is_empty());
    }
}
