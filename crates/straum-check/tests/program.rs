//! The program as a person meets it: verdicts, exit codes, what it stores, what it says of bad
//! arguments. The nodes are real processes. Never looks at timing.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use crate::common::faulty_node;

/// A folder of this test's own, empty.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::remove_dir_all(&folder).ok();
    fs::create_dir_all(&folder).unwrap();
    folder
}

fn check(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_straum-check"))
        .current_dir(folder)
        .args(arguments)
        .output()
        .unwrap()
}

/// A short run of the planted node, with its options after `--`.
fn test_run(folder: &Path, options: &[&str], node: &[&str]) -> Output {
    let bin = faulty_node().to_str().unwrap();
    let usual = ["test", "-w", "kafka", "--bin", bin, "--time-limit", "2", "--rate", "200"];
    let arguments: Vec<&str> =
        usual.iter().chain(options).chain(&["--"]).chain(node).copied().collect();
    check(folder, &arguments)
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn a_good_node_is_valid_and_everything_is_stored() {
    let folder = folder("good");
    let output = test_run(&folder, &["--node-count", "1", "--seed", "7"], &[]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("VALID"));
    assert!(text(&output.stderr).contains("seed 7"));
    let stored = folder.join("store/latest");
    for name in ["history.jsonl", "results.json", "report.html", "n0.log"] {
        assert!(stored.join(name).is_file(), "{name}");
    }
    let history = stored.join("history.jsonl");
    let again = check(&folder, &["analyze", history.to_str().unwrap()]);
    assert_eq!(again.status.code(), Some(0), "{}", text(&again.stderr));
    assert!(stored.join("analysis/report.html").is_file());
}

#[test]
fn nodes_on_a_service_bear_every_fault() {
    let folder = folder("faults");
    let faults = ["--nemesis", "partition,kill,pause", "--nemesis-interval", "0.4"];
    let options = ["--node-count", "3", "--concurrency", "2n", "--latency", "2"];
    let output = test_run(&folder, &[&options[..], &faults].concat(), &["--storage", "lin-kv"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
    assert!(text(&output.stdout).contains("kill"));
}

#[test]
fn a_bug_is_told_by_its_name_with_the_line_that_shows_it() {
    let folder = folder("garbage");
    let output = test_run(&folder, &["--node-count", "1"], &["--bug", "garbage-on-stdout"]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stdout));
    let told = text(&output.stdout);
    assert!(told.contains("INVALID") && told.contains("not-json"), "{told}");
    assert!(told.contains("n0") && told.contains("line "), "{told}");
}

#[test]
fn a_wrong_reply_is_told_with_the_field() {
    let folder = folder("extra");
    let output = test_run(&folder, &["--node-count", "1", "--json"], &["--bug", "extra-field"]);
    assert_eq!(output.status.code(), Some(1));
    let results: Value = serde_json::from_slice(&output.stdout).unwrap();
    let findings = results["findings"].as_array().unwrap();
    let malformed = findings.iter().find(|finding| finding["name"] == "malformed-reply").unwrap();
    assert!(malformed.to_string().contains("unknown field"), "{malformed}");
}

#[test]
fn a_node_that_ends_is_a_crash_with_its_last_words() {
    let folder = folder("exit");
    let output = test_run(&folder, &["--node-count", "1"], &["--bug", "exit-after=20"]);
    assert_eq!(output.status.code(), Some(255));
    let told = text(&output.stderr);
    assert!(told.contains("n0 ended by itself") && told.contains("faulty-node:"), "{told}");
    assert!(folder.join("store/latest/history.jsonl").is_file());
}

#[test]
fn a_node_that_cannot_be_run_is_a_crash() {
    let folder = folder("cannot");
    let file = folder.join("not-a-program");
    fs::write(&file, "words").unwrap();
    let run = || check(&folder, &["test", "--bin", file.to_str().unwrap()]);
    let output = run();
    assert_eq!(output.status.code(), Some(254));
    assert!(text(&output.stderr).contains("not an executable file"), "{}", text(&output.stderr));
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    let output = run();
    assert_eq!(output.status.code(), Some(255));
    assert!(text(&output.stderr).contains("cannot be started"), "{}", text(&output.stderr));
}

#[test]
fn bad_arguments_are_told_and_nothing_is_run() {
    let folder = folder("arguments");
    let bin = faulty_node().to_str().unwrap();
    for (wrong, says) in [
        (&["--workload", "echo"][..], "kafka"),
        (&["--nemesis", "earthquake"], "partition, kill, pause and service"),
        (&["--node-count", "0"], "1 to 1000"),
        (&["--concurrency", "2m"], "such as 2n"),
        (&["--rate", "0"], "above 0"),
        (&["--availability", "2"], "0 to 1"),
        (&["--latency-dist", "normal"], "exponential"),
        (&["--no-such-option"], "--no-such-option"),
    ] {
        let output = check(&folder, &[&["test", "--bin", bin], wrong].concat());
        assert_eq!(output.status.code(), Some(254), "{wrong:?}");
        assert!(text(&output.stderr).contains(says), "{wrong:?}: {}", text(&output.stderr));
    }
    assert_eq!(check(&folder, &["test", "--bin", "nowhere"]).status.code(), Some(254));
    assert_eq!(check(&folder, &[]).status.code(), Some(254));
    for help in [&["--help"][..], &["test", "--help"], &["analyze", "--help"]] {
        let output = check(&folder, help);
        assert_eq!(output.status.code(), Some(0));
        assert!(text(&output.stdout).contains("Exit codes"), "{help:?}");
    }
    assert!(!folder.join("store").exists());
}

#[test]
fn a_history_that_is_none_is_told_with_its_line() {
    let folder = folder("analyze");
    fs::write(folder.join("h.jsonl"), "{\"format\":\"straum-history-1\"}\nnonsense\n").unwrap();
    let output = check(&folder, &["analyze", "h.jsonl"]);
    assert_eq!(output.status.code(), Some(255));
    assert!(text(&output.stderr).contains("h.jsonl: line 2"), "{}", text(&output.stderr));
}
