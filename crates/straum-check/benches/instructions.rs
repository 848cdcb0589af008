//! How many instructions `maelstrom-kafka` takes for a request, beside a stored baseline. Never looks at a
//! clock: the counts are the same on a busy machine.
//!
//! `cargo bench -p straum-check --bench instructions` fails if a count is more than 3 % above the baseline or has none;
//! with `-- --save` it makes the baseline anew. Needs valgrind (Debian's package of that name). The counts
//! are those of one compiler: with another one, look at the differences, and save them if they are its own.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a benchmark may fail, and prints"
)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

/// Above this share of the baseline, in percent, a count has grown.
const TOLERANCE: u64 = 103;

const INIT: &str = r#"{"src":"c0","dest":"n0","body":{"type":"init","node_id":"n0","node_ids":["n0"],"msg_id":1}}
"#;

/// Something that a node is asked again and again.
struct Case {
    name: &'static str,
    /// Sends before it, of messages of `message_bytes`.
    stored: u32,
    message_bytes: usize,
    /// How often it is asked.
    count: u32,
    /// The body of the request of this number, without its `msg_id`.
    body: fn(u32) -> String,
    on_disk: bool,
}

const CASES: [Case; 8] = [
    Case { name: "send", count: 20_000, body: send, ..Case::NONE },
    Case { name: "send to disk", count: 20_000, body: send, on_disk: true, ..Case::NONE },
    Case { name: "mix", count: 20_000, body: mix, ..Case::NONE },
    Case { name: "poll at the tail of 1,000", stored: 1_000, body: |_| poll(999), ..Case::NONE },
    Case {
        name: "poll at the tail of 100,000",
        stored: 100_000,
        body: |_| poll(99_999),
        ..Case::NONE
    },
    Case { name: "poll of 4 MiB, 10 bytes a message", stored: 150_000, ..Case::CATCH_UP },
    Case {
        name: "poll of 4 MiB, 1 kB a message",
        stored: 5_000,
        message_bytes: 1_000,
        ..Case::CATCH_UP
    },
    Case {
        name: "poll of 4 MiB from sorted segments",
        on_disk: true,
        stored: 150_000,
        ..Case::CATCH_UP
    },
];

impl Case {
    const NONE: Self =
        Self { name: "", stored: 0, message_bytes: 10, count: 10_000, body: send, on_disk: false };
    const CATCH_UP: Self = Self { count: 5, body: |_| poll(0), ..Self::NONE };

    /// Instructions a request: what `count` more of them cost.
    fn measure(&self, node: &Path, folder: &Path) -> u64 {
        let once = self.instructions(node, folder, self.count);
        let twice = self.instructions(node, folder, 2 * self.count);
        (twice - once) / u64::from(self.count)
    }

    fn instructions(&self, node: &Path, folder: &Path, count: u32) -> u64 {
        let input = folder.join("requests.jsonl");
        fs::write(&input, self.input(count)).unwrap();
        let mut valgrind = Command::new("valgrind");
        valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(node);
        if self.on_disk {
            let data = folder.join("data");
            fs::remove_dir_all(&data).ok();
            fs::create_dir(&data).unwrap();
            valgrind.arg("--data-dir").arg(data).args(["--segment-bytes", "262144"]);
        }
        let output = valgrind.stdin(File::open(input).unwrap()).stdout(Stdio::null()).output();
        let output = output.expect("valgrind cannot be started: apt-get install valgrind");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        let collected =
            said.lines().find_map(|line| line.split_once("Collected : ")).expect(&said).1;
        collected.trim().parse().unwrap()
    }

    fn input(&self, count: u32) -> String {
        let mut lines = INIT.to_owned();
        let message = "x".repeat(self.message_bytes - 2);
        let store = |_| format!(r#""type":"send","key":"k0","msg":"{message}""#);
        let bodies = (0..self.stored).map(store).chain((0..count).map(self.body));
        for (id, body) in bodies.enumerate() {
            writeln!(
                lines,
                r#"{{"id":{id},"src":"c1","dest":"n0","body":{{{body},"msg_id":{id}}}}}"#
            )
            .unwrap();
        }
        lines
    }
}

fn send(number: u32) -> String {
    format!(r#""type":"send","key":"k{}","msg":{number}"#, number % 10)
}

fn poll(offset: u32) -> String {
    format!(r#""type":"poll","offsets":{{"k0":{offset}}}"#)
}

/// Of 20, 10 sends, 8 polls of the last messages of two keys, a commit and a list.
fn mix(number: u32) -> String {
    let (round, key) = (number / 20, number % 10);
    match number % 20 {
        0..10 => send(number),
        10..18 => format!(r#""type":"poll","offsets":{{"k{key}":{round},"k9":{round}}}"#),
        18 => format!(r#""type":"commit_offsets","offsets":{{"k{key}":{round}}}"#),
        _ => format!(r#""type":"list_committed_offsets","keys":["k{key}","k8"]"#),
    }
}

/// The node as it is shipped, built if need be: a benchmark of its own crate would be built with what only
/// its tests need.
fn build_node() -> PathBuf {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--release", "--package", "maelstrom-kafka", "--message-format=json"]);
    let output = cargo.stderr(Stdio::inherit()).output().unwrap();
    assert!(output.status.success());
    let messages = String::from_utf8(output.stdout).unwrap();
    let executable = |line: &str| {
        let message: serde_json::Value = serde_json::from_str(line).unwrap();
        message["executable"].as_str().map(PathBuf::from)
    };
    messages.lines().find_map(executable).unwrap()
}

fn main() -> ExitCode {
    let save = std::env::args().any(|argument| argument == "--save");
    let stored = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/instructions.json");
    let baseline: BTreeMap<String, u64> =
        serde_json::from_slice(&fs::read(&stored).unwrap_or(b"{}".to_vec())).unwrap();
    let node = build_node();
    let folder = tempfile::tempdir().unwrap();
    let mut counts = BTreeMap::new();
    let mut fails = false;
    println!("{:38}{:>14}{:>14}{:>8}", "instructions for each", "now", "baseline", "%");
    for case in CASES {
        let now = case.measure(&node, folder.path());
        let before = baseline.get(case.name).copied().unwrap_or(0);
        let mark = match before {
            0 => "  no baseline: save one",
            _ if now * 100 > before * TOLERANCE => "  grown",
            _ => "",
        };
        let percent = (now * 100 + before / 2).checked_div(before).unwrap_or(0);
        println!("{:38}{now:>14}{before:>14}{percent:>8}{mark}", case.name);
        fails |= !mark.is_empty();
        counts.insert(case.name, now);
    }
    if save {
        fs::write(stored, serde_json::to_string_pretty(&counts).unwrap() + "\n").unwrap();
        return ExitCode::SUCCESS;
    }
    if fails { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
