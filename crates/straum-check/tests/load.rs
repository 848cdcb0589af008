//! `straum-check load` as a person runs it. Never checks a time.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use std::process::{Command, Output};

use serde_json::Value;

const CHECK: &str = env!("CARGO_BIN_EXE_straum-check");
const SENDS: [&str; 3] = ["flood", "window", "ping"];
const MODES: [&str; 6] = ["flood", "mix", "window", "ping", "tail", "catch-up"];

fn load(args: &[&str]) -> Output {
    Command::new(CHECK).arg("load").args(args).output().unwrap()
}

/// One small run.
fn load_small(mode: &str, bin: &str, options: &[&str]) -> Output {
    let usual = ["--bin", bin, "--mode", mode, "--requests", "5000", "--round-trips", "20"];
    load(&[&usual[..], &["--stored", "500", "--runs", "1"], options].concat())
}

fn load_faulty(mode: &str, bug: &str) -> Output {
    let node = common::faulty_node().to_str().unwrap();
    load_small(mode, node, &["--", "--bug", bug])
}

/// A node in shell: answers `init`, then does as the script says.
fn load_shell(mode: &str, script: &str) -> Output {
    let script = format!("read init; echo '{{\"type\":\"init_ok\"}}'; {script}");
    load_small(mode, "/bin/sh", &["--", "-c", &script])
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn report(output: &Output) -> Value {
    assert_eq!(output.status.code(), Some(0), "{}", stderr(output));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Fails unless the node is said to have misbehaved, in these words.
fn misbehaved(output: &Output, words: &[&str]) {
    let told = stderr(output);
    assert_eq!(output.status.code(), Some(255), "{told}");
    assert!(output.stdout.is_empty(), "nothing was measured");
    for word in words {
        assert!(told.contains(word), "{word}: {told}");
    }
}

#[test]
fn a_node_is_measured_in_every_mode_unless_it_is_said_in_which() {
    let node = common::faulty_node().to_str().unwrap();
    let sizes = ["--requests", "2000", "--round-trips", "50", "--stored", "3000", "--runs", "2"];
    let output = load(&[&["--bin", node, "--json"], &sizes[..]].concat());
    let report = report(&output);
    for mode in MODES {
        for (name, figure) in report["modes"][mode].as_object().unwrap() {
            assert!(figure["node"].as_f64().unwrap() > 0.0, "{mode} {name}: {figure}");
            assert!(figure["ratio"].is_number(), "{mode} {name}: {figure}");
        }
        assert!(report["modes"][mode]["peak_mb"].is_object(), "{mode}");
    }
    for mode in MODES {
        let has = |name: &&str| report["modes"][mode][*name].is_object();
        let latencies = ["p50_us", "p95_us", "p99_us", "p99_9_us", "max_us"];
        assert!(latencies.iter().all(|name| has(name) == (mode != "flood")), "{mode}");
        let of_requests = ["rate_per_s", "cpu_s_per_million"];
        assert!(of_requests.iter().all(|name| has(name) == (mode != "catch-up")), "{mode}");
        let of_bytes = ["reply_gb_per_s", "cpu_s_per_gb", "mean_reply_mb"];
        assert!(of_bytes.iter().all(|name| has(name) == (mode == "catch-up")), "{mode}");
    }
    let catch_up = &report["modes"]["catch-up"];
    assert_eq!(catch_up["mean_reply_mb"]["ratio"], 1.0, "the floor's replies are as long");
    assert_eq!(report["stored"]["tail"], 3000);
    let progress = stderr(&output);
    assert_eq!(progress.lines().count(), MODES.len() * 2 * 2, "{progress}");
}

#[test]
fn the_floor_itself_can_be_measured() {
    for mode in SENDS {
        load_small(mode, CHECK, &["--json", "--", "floor"]).status.success().then_some(()).unwrap();
    }
}

#[test]
fn the_peak_is_the_nodes_own() {
    // The requests take some 50 MB here; the floor needs a few.
    let args = ["--bin", CHECK, "--mode", "flood", "--requests", "600000", "--runs", "1", "--json"];
    let report = report(&load(&[&args[..], &["--", "floor"]].concat()));
    let peak_mb = report["modes"]["flood"]["peak_mb"]["node"].as_f64().unwrap();
    assert!(peak_mb < 25.0, "{peak_mb}");
}

#[test]
fn the_table_names_the_machine_and_every_figure() {
    let output = load_small("ping,window", CHECK, &["--", "floor"]);
    let table = String::from_utf8(output.stdout).unwrap();
    for word in [" cores, ", "ratio", "rate_per_s", "cpu_s_per_million", "peak_mb", "p99_9_us"] {
        assert!(table.contains(word), "{word}: {table}");
    }
}

#[test]
fn another_node_is_measured_beside() {
    let node = common::faulty_node().to_str().unwrap();
    let options = ["--beside", node, "--json", "--", "--bug", "forget-commits"];
    let output = load_small("mix,tail,catch-up", node, &options);
    let report = report(&output);
    for mode in ["mix", "tail", "catch-up"] {
        let peak = &report["modes"][mode]["peak_mb"];
        assert!(peak["beside"].is_number() && peak["ratio_to_beside"].is_number(), "{peak}");
    }
    assert_eq!(stderr(&output).lines().count(), 3 * 3);
}

#[test]
fn messages_are_as_long_as_asked_and_keys_as_many() {
    let node = common::faulty_node().to_str().unwrap();
    for (keys, bytes) in [("1", "10"), ("700", "70000")] {
        let size = ["--keys", keys, "--message-bytes", bytes, "--requests", "90", "--stored", "90"];
        let options = [&size[..], &["--window", "3", "--json"]].concat();
        let report = report(&load_small("window,tail,catch-up", node, &options));
        assert_eq!(report["message_bytes"].to_string(), bytes);
    }
}

#[test]
fn a_node_that_ends_at_once_is_reported() {
    for bin in ["/bin/true", "/bin/false"] {
        for mode in MODES {
            misbehaved(&load_small(mode, bin, &[]), &[bin]);
        }
    }
}

#[test]
fn a_node_that_dies_in_the_middle_is_reported_with_its_last_words() {
    for mode in MODES {
        let output = load_shell(mode, "read one; echo '{}'; echo farewell >&2; exit 3");
        misbehaved(&output, &["exit status: 3", "| farewell"]);
        let after = match mode {
            "ping" => "exit-after=10",
            "tail" => "exit-after=510", // when all is stored
            _ => "exit-after=300",
        };
        misbehaved(&load_faulty(mode, after), &["exit status: 3", "| faulty-node:"]);
    }
}

#[test]
fn a_node_that_closes_its_stdout_is_reported() {
    for mode in SENDS {
        let output = load_shell(mode, "exec >&-; cat >/dev/null");
        misbehaved(&output, &["gave 0 replies"]);
    }
}

#[test]
fn a_lost_reply_is_reported() {
    let output = load_shell("flood", "read lost; sed 's|.*|{\"type\":\"send_ok\"}|'");
    misbehaved(&output, &["gave 4999 replies to 5000 requests"]);
}

#[test]
fn replies_that_nobody_asked_for_are_reported() {
    for mode in MODES {
        misbehaved(&load_faulty(mode, "blank-line=15"), &[]);
    }
    misbehaved(&load_shell("flood", "read one; yes"), &["to 5000 requests, and goes on"]);
}

#[test]
fn a_reply_that_answers_nothing_is_reported() {
    for mode in ["flood", "window", "ping", "mix"] {
        let output = load_shell(mode, "while read line; do echo garbage; done");
        misbehaved(&output, &["garbage"]);
    }
}

#[test]
fn a_signal_takes_the_node_along() {
    let folder = tempfile::tempdir().unwrap();
    let id_file = folder.path().join("id");
    let script = format!(
        "echo $$ > '{id}.new'; mv '{id}.new' '{id}'; read init; echo '{{\"type\":\"init_ok\"}}'; \
         while :; do sleep 0.1; done",
        id = id_file.display()
    );
    let args = ["load", "--bin", "/bin/sh", "--mode", "ping", "--", "-c", &script];
    let mut load = Command::new(CHECK).args(args).spawn().unwrap();
    let id = loop {
        if let Ok(id) = std::fs::read_to_string(&id_file) {
            break id.trim().to_owned();
        }
        std::thread::yield_now();
    };
    rustix::process::kill_process(
        rustix::process::Pid::from_child(&load),
        rustix::process::Signal::TERM,
    )
    .unwrap();
    assert!(!load.wait().unwrap().success());
    // It is dead already, and perhaps not yet (Z) or just being (X) buried by whoever inherited it.
    let state = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    assert!(state.is_empty() || state.contains(") Z ") || state.contains(") X "), "{state}");
}

#[test]
fn error_replies_are_reported() {
    for mode in MODES {
        misbehaved(&load_faulty(mode, "fail-stored-send=7"), &["\"code\":11"]);
    }
    let output = load_shell("flood", "read one; echo '{\"type\":\"error\",\"code\":10}'; cat");
    misbehaved(&output, &["gave 1 error replies"]);
}

#[test]
fn a_message_that_is_lost_in_catch_up_is_reported() {
    // The tenth send is message 10 of k0.
    let output = load_faulty("catch-up", "drop-send=10");
    misbehaved(&output, &["acknowledged message 10 of k0 at offset 0, but a poll"]);
}

#[test]
fn a_poll_that_is_wrong_in_catch_up_is_reported() {
    for (bug, told) in [
        ("reuse-offset-keep-old", "two messages of k"),
        ("skip-in-poll=1", "but a poll has"),
        ("reorder-in-poll=1", "but a poll has"),
        ("invent-message=1", "expected a string"),
    ] {
        misbehaved(&load_faulty("catch-up", bug), &[told]);
    }
}

#[test]
fn a_tail_that_is_not_there_is_reported() {
    for bug in ["drop-send", "poll-from-beginning", "reorder-in-poll=1", "invent-message"] {
        misbehaved(&load_faulty("tail", bug), &["at the end of a log with"]);
    }
}

#[test]
fn bad_arguments_are_refused() {
    let refused: &[(&[&str], &str)] = &[
        (&[], "--bin"),
        (&["--bin", "/no/such/file"], "No such file"),
        (&["--bin", "/etc/passwd"], "not an executable file"),
        (&["--bin", CHECK, "--beside", "/no/such/file"], "--beside"),
        (&["--bin", CHECK, "--requests", "0"], "--requests"),
        (&["--bin", CHECK, "--keys", "0"], "--keys"),
        (&["--bin", CHECK, "--round-trips", "0"], "--round-trips"),
        (&["--bin", CHECK, "--runs", "0"], "--runs"),
        (&["--bin", CHECK, "--window", "0"], "--window"),
        (&["--bin", CHECK, "--stored", "0"], "--stored"),
        (&["--bin", CHECK, "--message-bytes", "9"], "10..=1000000"),
        (&["--bin", CHECK, "--mode", "flood,storm"], "catch-up"),
    ];
    for (args, says) in refused {
        let output = load(args);
        assert_eq!(output.status.code(), Some(254), "{args:?}");
        assert!(stderr(&output).contains(says), "{args:?}: {}", stderr(&output));
    }
    assert_eq!(load(&["--help"]).status.code(), Some(0));
}
