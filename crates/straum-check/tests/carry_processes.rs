//! Real processes under `Processes`. Never looks at how long anything takes: what does not happen
//! at all fails after a while.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::ffi::OsString;
use std::path::PathBuf;
use std::{fs, process};

use straum_check::cluster::process::{Processes, StderrSettings};
use straum_check::cluster::{Cluster, Event};
use straum_check::time::{MILLISECOND, Nanos, SECOND};

/// What does not happen within this time does not happen.
const PATIENCE: Nanos = 20 * SECOND;

fn nodes(count: usize, script: &str, stderr: &StderrSettings) -> Processes {
    let args = vec![OsString::from("-c"), OsString::from(script)];
    let mut cluster = Processes::new(PathBuf::from("/bin/sh"), args, count, stderr).unwrap();
    (0..count).for_each(|node| cluster.start(node).unwrap());
    cluster
}

fn shell(script: &str) -> Processes {
    nodes(1, script, &StderrSettings::default())
}

/// What happens until `count` events have come, or no more do.
fn events(cluster: &mut Processes, count: usize) -> Vec<Event> {
    let mut events = Vec::new();
    let deadline = cluster.now() + PATIENCE;
    while events.len() < count && cluster.now() < deadline {
        cluster.wait(deadline, &mut events).unwrap();
    }
    events
}

/// As text, lines after their node, ends after theirs.
fn told(cluster: &mut Processes, count: usize) -> Vec<String> {
    let text = |event| match event {
        Event::Line { node, line } => format!("n{node}: {}", String::from_utf8(line).unwrap()),
        Event::Exited { node, status } => format!("n{node} ended: {status}"),
    };
    events(cluster, count).into_iter().map(text).collect()
}

/// What happens within a moment.
fn soon(cluster: &mut Processes) -> Vec<Event> {
    let mut events = Vec::new();
    let deadline = cluster.now() + 100 * MILLISECOND;
    cluster.wait(deadline, &mut events).unwrap();
    events
}

#[test]
fn every_line_comes_back_in_its_order() {
    const LINES: usize = 200_000;
    let mut cluster = nodes(2, "exec cat", &StderrSettings::default());
    let (mut sent, mut seen) = (0, [0_usize; 2]);
    let mut events = Vec::new();
    while seen.iter().sum::<usize>() < 2 * LINES {
        for _ in 0..1000.min(LINES - sent) {
            (0..2).for_each(|node| cluster.deliver(node, format!("line {sent}\n").as_bytes()));
            sent += 1;
        }
        let deadline = cluster.now() + PATIENCE;
        cluster.wait(deadline, &mut events).unwrap();
        assert!(!events.is_empty());
        for event in events.drain(..) {
            let Event::Line { node, line } = event else { unreachable!("{event:?}") };
            assert_eq!(line, format!("line {}", seen[node]).as_bytes());
            seen[node] += 1;
        }
    }
}

#[test]
fn a_node_that_ends_is_told_of_after_its_last_line() {
    let mut cluster = shell("echo whole; printf half; printf why >&2; exit 3");
    let expected = ["n0: whole", "n0: half", "n0 ended: exit status: 3"];
    assert_eq!(told(&mut cluster, 3), expected);
    assert_eq!(cluster.stderr_tail(0), ["why"]);
    cluster.deliver(0, b"to nobody\n");
    assert!(soon(&mut cluster).is_empty());
}

#[test]
fn a_node_that_is_killed_by_another_hand_is_told_of() {
    let mut cluster = shell("kill -9 $$");
    assert_eq!(told(&mut cluster, 1), ["n0 ended: signal: 9 (SIGKILL)"]);
}

#[test]
fn a_node_that_closes_its_stdout_counts_as_ended() {
    let mut cluster = shell("exec >&-; exec sleep 1000");
    assert_eq!(told(&mut cluster, 1), ["n0 ended: closed its stdout"]);
}

#[test]
fn a_node_that_never_reads_holds_up_nobody() {
    let script = "read first; if [ \"$first\" = deaf ]; then exec sleep 1000; else exec cat; fi";
    let mut cluster = nodes(2, script, &StderrSettings::default());
    cluster.deliver(0, b"deaf\n");
    cluster.deliver(1, b"hearing\n");
    for _ in 0..10_000 {
        cluster.deliver(0, &[b'x'; 1000]);
    }
    cluster.deliver(1, b"are you there?\n");
    assert_eq!(told(&mut cluster, 1), ["n1: are you there?"]);
}

#[test]
fn a_node_that_does_not_read_while_it_writes_is_not_waited_for() {
    let mut cluster = shell("i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done; cat");
    for _ in 0..10_000 {
        cluster.deliver(0, &[b'x'; 100]);
    }
    cluster.deliver(0, b"\n");
    let events = events(&mut cluster, 20_001);
    assert!(matches!(&events[20_000], Event::Line { line, .. } if line.len() == 1_000_000));
}

#[test]
fn a_killed_node_says_no_more_and_starts_anew() {
    let mut cluster = shell("echo born $$; exec cat");
    let first = told(&mut cluster, 1);
    cluster.deliver(0, b"before\n");
    assert_eq!(told(&mut cluster, 1), ["n0: before"]);

    cluster.deliver(0, b"never answered\n");
    cluster.kill(0);
    cluster.deliver(0, b"never heard\n");
    assert!(soon(&mut cluster).is_empty());

    cluster.start(0).unwrap();
    cluster.deliver(0, b"after\n");
    let second = told(&mut cluster, 2);
    assert_ne!(first[0], second[0]);
    assert_eq!(second[1], "n0: after");
}

#[test]
fn lines_of_a_killed_node_that_nobody_took_are_lost() {
    let mut cluster = shell("cat; exec sleep 1000");
    for _ in 0..1000 {
        cluster.deliver(0, &[b"old ".as_slice(); 50].concat());
        cluster.deliver(0, b"\n");
    }
    assert!(!events(&mut cluster, 1).is_empty());
    cluster.kill(0);
    assert!(soon(&mut cluster).is_empty());
    cluster.start(0).unwrap();
    cluster.deliver(0, b"new\n");
    assert_eq!(told(&mut cluster, 1), ["n0: new"]);
}

#[test]
fn a_paused_node_answers_after_it_is_resumed() {
    let mut cluster = shell("exec cat");
    cluster.deliver(0, b"one\n");
    assert_eq!(told(&mut cluster, 1), ["n0: one"]);
    cluster.pause(0);
    cluster.deliver(0, b"two\n");
    assert!(soon(&mut cluster).is_empty());
    cluster.resume(0);
    assert_eq!(told(&mut cluster, 1), ["n0: two"]);
}

#[test]
fn a_paused_node_can_be_killed() {
    let mut cluster = shell("exec cat");
    cluster.pause(0);
    cluster.kill(0);
    cluster.start(0).unwrap();
    cluster.deliver(0, b"one\n");
    assert_eq!(told(&mut cluster, 1), ["n0: one"]);
}

#[test]
fn what_a_node_starts_ends_with_it() {
    let mut cluster = shell("sleep 1000 & echo $!; exec cat");
    let told = told(&mut cluster, 1);
    let status = format!("/proc/{}/status", told[0].strip_prefix("n0: ").unwrap());
    assert!(fs::exists(&status).unwrap());
    drop(cluster);
    // On a busy machine it may take its time to die, and whoever inherits it to bury it.
    let dead = || fs::read_to_string(&status).map_or(true, |text| text.contains("Z (zombie)"));
    assert!((0..20_000).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(1));
        dead()
    }));
}

#[test]
fn stderr_is_drained_logged_and_its_end_kept() {
    let dir = std::env::temp_dir().join(format!("straum-check-stderr-{}", process::id()));
    fs::create_dir_all(&dir).unwrap();
    let settings = StderrSettings { log_dir: Some(dir.clone()), echo: false };
    let script = "i=0; while [ $i -lt 20000 ]; do echo note $i >&2; i=$((i+1)); done; echo done";
    let mut cluster = nodes(1, script, &settings);
    assert_eq!(told(&mut cluster, 2), ["n0: done", "n0 ended: exit status: 0"]);
    cluster.start(0).unwrap();
    told(&mut cluster, 2);

    let tail = cluster.stderr_tail(0);
    assert_eq!((tail.len(), tail[19].as_str()), (20, "note 19999"));
    let log = fs::read_to_string(dir.join("n0.log")).unwrap();
    assert_eq!(log.lines().count(), 40_000);
    fs::remove_dir_all(dir).unwrap();
}

#[test]
fn a_program_that_does_not_exist_cannot_be_started() {
    let program = PathBuf::from("no-such-program");
    let mut cluster = Processes::new(program, Vec::new(), 1, &StderrSettings::default()).unwrap();
    assert!(cluster.start(0).is_err());
    cluster.deliver(0, b"to nobody\n");
    assert!(soon(&mut cluster).is_empty());
}
