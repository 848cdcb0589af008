//! `straum-check load` as a person runs it. Never checks a time.

use std::process::{Command, Output};

const CHECK: &str = env!("CARGO_BIN_EXE_straum-check");

#[expect(clippy::unwrap_used, reason = "a helper of tests")]
fn load(args: &[&str]) -> Output {
    Command::new(CHECK).arg("load").args(args).output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A node in shell: answers `init`, then does as the script says.
fn load_shell(mode: &str, script: &str) -> Output {
    let script = format!("read init; echo '{{\"type\":\"init_ok\"}}'; {script}");
    load(&[
        "--bin",
        "/bin/sh",
        "--mode",
        mode,
        "--requests",
        "5000",
        "--round-trips",
        "20",
        "--runs",
        "1",
        "--",
        "-c",
        &script,
    ])
}

#[test]
fn its_own_floor_is_measured_in_every_mode() {
    let output = load(&[
        "--bin",
        CHECK,
        "--requests",
        "3000",
        "--round-trips",
        "50",
        "--runs",
        "2",
        "--json",
        "--",
        "floor",
    ]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    for mode in ["flood", "mix", "ping"] {
        for figure in ["rate_per_s", "cpu_s_per_million", "peak_mb"] {
            let figures = &report["modes"][mode][figure];
            assert!(figures["node"].as_f64().unwrap() > 0.0, "{mode} {figure}: {figures}");
            assert!(figures["ratio"].is_number(), "{mode} {figure}: {figures}");
        }
    }
    for figure in ["median_us", "p99_us"] {
        assert!(report["modes"]["ping"][figure]["node"].as_f64().unwrap() > 0.0);
        assert!(report["modes"]["flood"][figure].is_null());
    }
    let progress = stderr(&output);
    assert_eq!(progress.lines().count(), 3 * 2 * 2, "{progress}");
}

#[test]
fn the_peak_is_the_nodes_own() {
    // The requests take some 50 MB here; the floor needs a few.
    let output = load(&[
        "--bin",
        CHECK,
        "--mode",
        "flood",
        "--requests",
        "600000",
        "--runs",
        "1",
        "--json",
        "--",
        "floor",
    ]);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let peak_mb = report["modes"]["flood"]["peak_mb"]["node"].as_f64().unwrap();
    assert!(peak_mb < 25.0, "{peak_mb}");
}

#[test]
fn the_table_names_the_machine_and_every_figure() {
    let output = load(&[
        "--bin",
        CHECK,
        "--mode",
        "ping",
        "--round-trips",
        "50",
        "--runs",
        "1",
        "--",
        "floor",
    ]);
    let table = String::from_utf8(output.stdout).unwrap();
    for word in [" cores, ", "ratio", "rate_per_s", "cpu_s_per_million", "peak_mb", "p99_us"] {
        assert!(table.contains(word), "{word}: {table}");
    }
}

#[test]
fn a_node_that_ends_at_once_is_reported() {
    for bin in ["/bin/true", "/bin/false"] {
        for mode in ["flood", "mix", "ping"] {
            let output = load(&["--bin", bin, "--mode", mode, "--requests", "100", "--runs", "1"]);
            assert_eq!(output.status.code(), Some(255), "{bin} {mode}: {}", stderr(&output));
            assert!(stderr(&output).contains(bin), "{}", stderr(&output));
        }
    }
}

#[test]
fn a_node_that_dies_early_is_reported_with_its_last_words() {
    for mode in ["flood", "ping"] {
        let output = load_shell(mode, "read one; echo '{}'; echo farewell >&2; exit 3");
        assert_eq!(output.status.code(), Some(255));
        let told = stderr(&output);
        assert!(told.contains("exit status: 3") && told.contains("| farewell"), "{told}");
    }
}

#[test]
fn a_node_that_closes_its_stdout_is_reported() {
    for mode in ["flood", "ping"] {
        let output = load_shell(mode, "exec >&-; cat >/dev/null");
        assert_eq!(output.status.code(), Some(255), "{}", stderr(&output));
        assert!(stderr(&output).contains("gave 0 replies"), "{}", stderr(&output));
    }
}

#[test]
fn a_lost_reply_is_reported() {
    let output = load_shell("mix", "read lost; cat");
    assert_eq!(output.status.code(), Some(255));
    assert!(stderr(&output).contains("gave 4999 replies to 5000 requests"), "{}", stderr(&output));
}

#[test]
fn error_replies_are_reported() {
    let output = load_shell("flood", "read one; echo '{\"type\":\"error\",\"code\":10}'; cat");
    assert_eq!(output.status.code(), Some(255));
    assert!(stderr(&output).contains("gave 1 error replies"), "{}", stderr(&output));
}

#[test]
fn bad_arguments_are_refused() {
    let refused: &[&[&str]] = &[
        &[],
        &["--bin", "/no/such/file"],
        &["--bin", CHECK, "--requests", "0"],
        &["--bin", CHECK, "--keys", "0"],
        &["--bin", CHECK, "--round-trips", "0"],
        &["--bin", CHECK, "--runs", "0"],
        &["--bin", CHECK, "--mode", "storm"],
    ];
    for args in refused {
        assert_eq!(load(args).status.code(), Some(254), "{args:?}");
    }
}
