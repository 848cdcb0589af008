//! What a run hands to a person, read as text.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::path::{Path, PathBuf};

use serde_json::Value;
use straum_check::history::{Action, Crash, Error, Fault, History, Message, Operation, Outcome};
use straum_check::judge::{Anomaly, Finding, Validity, Verdict};
use straum_check::measure::measure;
use straum_check::network::{Address, Counts, Envelope, Traced};
use straum_check::report::{Run, summary, write_all};
use straum_check::time::{MILLISECOND, SECOND};

/// A client sends, the node loses it to a kill, and a poll sees nothing.
fn history() -> History {
    let operation = |invoked_ns, action| Operation {
        process: 5,
        node: 0,
        group: None,
        last: false,
        invoked_ns,
        completed_ns: invoked_ns + 2 * MILLISECOND,
        outcome: Outcome::Ok,
        action,
    };
    let mut refused =
        operation(3 * SECOND, Action::Poll { from: vec![(0, 0)], messages: vec![(0, vec![])] });
    refused.outcome =
        Outcome::Fail(Error { code: 11, text: "<script>alert(1)</script>".to_owned() });
    History {
        keys: vec!["<b>".to_owned()],
        operations: vec![
            operation(SECOND, Action::Send { key: 0, value: 41, offset: Some(0) }),
            operation(
                2 * SECOND,
                Action::Poll {
                    from: vec![(0, 0)],
                    messages: vec![(0, vec![(1, Message::Foreign("\"</svg>\"".into()))])],
                },
            ),
            refused,
        ],
        faults: vec![Fault {
            kind: "kill".to_owned(),
            detail: "n0".to_owned(),
            from_ns: SECOND + 500 * MILLISECOND,
            until_ns: None,
        }],
        violations: vec![],
        finished: true,
        crash: None,
    }
}

fn lost(anomalies: u64, names: usize) -> Verdict {
    let anomaly = Anomaly {
        text: "message 41 of key <b> was acknowledged\nand never seen".to_owned(),
        key: Some(0),
        at_ns: 2 * SECOND,
        evidence: vec![0, 1, 2, 999],
    };
    let finding = Finding {
        name: "lost-write",
        meaning: "An acknowledged message is gone.",
        count: anomalies,
        examples: vec![anomaly; 8],
    };
    Verdict { validity: Validity::Invalid, findings: vec![finding; names] }
}

fn trace() -> Vec<Traced> {
    let message = |sent_ns, received_ns, src, dest, body: &str| Traced {
        sent_ns,
        received_ns,
        envelope: Envelope { src, dest, body: body.into(), life: 0 },
    };
    let (client, node, peer) = (Address::Client(5), Address::Node(0), Address::Node(1));
    let send = r#"{"type":"send","key":"<b>","msg":41,"msg_id":1}"#;
    let answer = r#"{"type":"send_ok","offset":0,"in_reply_to":1}"#;
    let polled = 2 * SECOND + 2 * MILLISECOND;
    let poll = 3 * SECOND;
    vec![
        message(SECOND - 1, Some(SECOND), Address::Client(77), node, r#"{"type":"earlier"}"#),
        message(SECOND, Some(SECOND), client, node, send),
        message(SECOND + 1, None, node, peer, r#"{"type":"tell"}"#),
        message(SECOND + 1, Some(SECOND + 1), node, client, r#"{"type":"stray","in_reply_to":9}"#),
        message(SECOND + 2, Some(SECOND + 2), node, client, answer),
        message(2 * SECOND, Some(2 * SECOND), client, node, r#"{"type":"poll","msg_id":2}"#),
        message(polled, Some(polled), node, client, r#"{"type":"poll_ok","in_reply_to":2}"#),
        message(polled, Some(polled), client, node, r#"{"type":"commit_offsets","msg_id":3}"#),
        message(poll, Some(poll), client, node, r#"{"type":"poll","msg_id":4}"#),
        message(poll + 1, Some(poll + 1), node, client, r#"{"type":"error","in_reply_to":4}"#),
    ]
}

/// A run, told in a folder of its own.
struct Told {
    history: History,
    verdict: Verdict,
    counts: Counts,
    trace: Vec<Traced>,
    folder: PathBuf,
}

impl Told {
    fn new(name: &str, verdict: Verdict) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let by_kind = [("send".to_owned(), 4), ("<tell>".to_owned(), 2)].into();
        let counts = Counts { all: 6, clients: 4, servers: 2, by_kind };
        Self { history: history(), verdict, counts, trace: trace(), folder }
    }

    fn with<T>(&self, command: &str, tell: impl FnOnce(&Run<'_>) -> T) -> T {
        let measures = measure(&self.history);
        tell(&Run {
            options: &[("rate".to_owned(), "1000".to_owned())],
            command,
            seed: Some(42),
            started: "2024-01-31 12:00:00 UTC",
            elapsed_ns: 4 * SECOND,
            node_count: 2,
            history: &self.history,
            verdict: &self.verdict,
            measures: &measures,
            counts: &self.counts,
            trace: &self.trace,
            stderr_tails: &["thread 'main' panicked <here>".to_owned()],
            out: &self.folder,
        })
    }

    fn page(&self) -> String {
        let path = self.with("straum-check test", |run| write_all(run).unwrap());
        std::fs::read_to_string(path).unwrap()
    }

    /// What the page left beside it.
    fn results(&self) -> Value {
        let text = std::fs::read_to_string(self.folder.join("results.json")).unwrap();
        serde_json::from_str(&text).unwrap()
    }
}

fn valid() -> Verdict {
    Verdict { validity: Validity::Valid, findings: vec![] }
}

#[test]
fn the_summary_says_the_verdict_first_and_how_to_run_again() {
    let told = Told::new("summary", valid());
    let text =
        told.with("straum-check test -w kafka --bin ./n -- --fast", |run| summary(run, false));
    let verdict = text.lines().find(|line| !line.is_empty()).unwrap();
    assert_eq!(verdict, "[ VALID ]  no anomaly in 3 operations on 2 nodes, 4.00 s of workload");
    assert!(text.contains("--bin ./n --seed 42 -- --fast\n"), "{text}");
    assert!(text.contains("per operation 2.00: 1.33 with clients, 0.667 among servers"), "{text}");
    assert!(!text.contains('\x1b'), "{text}");
}

#[test]
fn a_seed_that_was_given_is_not_given_twice() {
    let told = Told::new("seed", valid());
    let text = told.with("straum-check test --seed 42", |run| summary(run, false));
    assert!(text.ends_with(" straum-check test --seed 42\n"), "{text}");
}

#[test]
fn only_the_verdict_is_coloured() {
    let told = Told::new("colour", lost(1, 1));
    let text = told.with("straum-check test", |run| summary(run, true));
    assert_eq!(text.lines().filter(|line| line.contains('\x1b')).count(), 1, "{text}");
    assert!(text.contains(" INVALID "), "{text}");
}

#[test]
fn however_much_was_found_the_terminal_is_not_flooded() {
    let told = Told::new("flood", lost(1_000_000, 20));
    let text = told.with("straum-check test", |run| summary(run, false));
    assert!(text.lines().count() <= 43, "{text}");
    assert!(text.contains("lost-write (1,000,000): An acknowledged message is gone."), "{text}");
    assert!(text.contains("also: lost-write (1,000,000), "), "{text}");
}

#[test]
fn results_have_the_documented_names() {
    let mut told = Told::new("results", lost(17, 1));
    told.history.crash = Some(Crash { node: 1, text: "ended by itself".to_owned() });
    told.page();
    let results = told.results();
    let documented = include_str!("../../../docs/results.md");
    for (name, value) in results.as_object().unwrap() {
        assert!(documented.contains(&format!("| `{name}`")), "{name} is not documented");
        let Some(fields) = value.as_object().filter(|_| name != "options") else { continue };
        for field in fields.keys() {
            assert!(documented.contains(field.as_str()), "{name}.{field} is not documented");
        }
    }
    assert_eq!(results["verdict"], "invalid");
    assert_eq!(results["findings"][0]["examples"][0]["key"], "<b>");
    assert_eq!(results["all_operations"]["fail"], 1);
    assert_eq!(results["messages"]["all_per_operation"], 2.0);
    assert_eq!(results["latencies"]["send"]["p99_ms"], 2.0);
}

#[test]
fn the_page_needs_nothing_else_and_escapes_what_it_shows() {
    let page = Told::new("escape", lost(17, 2)).page();
    let others = page.replace("http://www.w3.org/2000/svg", "");
    assert!(!others.contains("http"), "a reference to the outside");
    assert!(!page.contains("<script>alert") && !page.contains("<b>\""), "a text became markup");
    assert!(page.contains("&lt;script&gt;alert(1)"));
    assert!(page.contains("&lt;here&gt;") && page.contains("&lt;tell&gt;"));
    assert_eq!(page.matches("<svg").count(), page.matches("</svg>").count());
}

#[test]
fn the_worst_anomaly_comes_with_its_operations_and_messages() {
    let page = Told::new("worst", lost(17, 2)).page();
    assert!(page.contains("send 41 to key &lt;b&gt;") && page.contains("at offset 0"));
    assert_eq!(page.matches("class=\"diagram\"").count(), 1);
    assert_eq!(page.matches("class=\"arrow proof\"").count(), 6);
    assert_eq!(page.matches("class=\"arrow lost\"").count(), 1);
    assert!(page.contains("kill n0 begins"));
    assert!(!page.contains("earlier"), "a message of another client");
    assert!(!page.contains("stray"), "an answer to something else");
    assert!(!page.contains("c5 to n0, 2.002 s"), "a request that left as the answer came");
}

#[test]
fn an_anomaly_after_the_last_message_kept_is_drawn_from_the_history() {
    let mut told = Told::new("late", lost(17, 1));
    told.trace.truncate(1);
    let mut other = told.history.operations[0].clone();
    (other.process, other.invoked_ns, other.completed_ns) = (6, SECOND + 1, SECOND + 2);
    let mut elsewhere = other.clone();
    (elsewhere.process, elsewhere.node) = (7, 1);
    told.history.operations.extend([other, elsewhere]);
    let page = told.page();
    assert_eq!(page.matches("class=\"diagram\"").count(), 1);
    assert_eq!(page.matches("class=\"arrow proof\"").count(), 6);
    assert!(page.contains("n0 to c5, 1.002 s") && page.contains("&quot;msgs&quot;"));
    assert!(page.contains("c6 to n0, 1.000 s") && !page.contains("c7 to n1"));
    assert!(page.contains("messages among servers were not kept that late"));
    assert!(!page.contains("earlier"), "a message of another time");
}

#[test]
fn an_answer_that_came_after_the_last_message_kept_is_drawn_too() {
    let mut told = Told::new("cut", lost(17, 1));
    told.trace.truncate(2);
    let page = told.page();
    assert_eq!(page.matches("c5 to n0, 1.000 s").count(), 1, "the request is in the trace");
    assert_eq!(page.matches("n0 to c5, 1.002 s").count(), 1, "the answer is not");
}

#[test]
fn without_operations_of_the_anomaly_the_first_messages_are_shown_and_why() {
    let mut verdict = lost(17, 1);
    verdict.findings[0].examples[0].evidence.clear();
    let page = Told::new("nobody", verdict).page();
    assert!(page.contains("The first messages") && page.contains("names no request"));
}

#[test]
fn two_examples_of_a_finding_are_open_and_the_others_folded() {
    let page = Told::new("folded", lost(17, 1)).page();
    let (open, folded) = page.split_once("<details class=\"more\">").unwrap();
    let examples = |html: &str| html.matches("was acknowledged\nand never seen").count();
    assert_eq!((examples(open), examples(folded)), (2, 6));
    assert!(folded.starts_with("<summary>6 more in full</summary><ol start=\"3\">"));
}

#[test]
fn a_crash_is_told_before_all_else_in_every_file() {
    let mut told = Told::new("crash", Verdict { validity: Validity::Unknown, findings: vec![] });
    told.history.finished = false;
    told.history.crash =
        Some(Crash { node: 0, text: "ended by itself (exit status: 3)".to_owned() });
    let headline = "n0 ended by itself (exit status: 3) after 4.00 s";
    let text = told.with("straum-check test", |run| summary(run, false));
    assert!(text.starts_with(&format!("\n[ CRASHED ]  {headline}\n")), "{text}");
    let page = told.page();
    let (header, _) = page.split_once("</header>").unwrap();
    assert!(header.contains("Crashed") && header.contains(headline), "{header}");
    assert!(header.contains("panicked &lt;here&gt;"), "what the node wrote to stderr");
    let crash = &told.results()["crash"];
    assert_eq!(crash["node"], 0);
    assert_eq!(crash["text"], "ended by itself (exit status: 3)");
}

#[test]
fn what_was_found_before_a_crash_is_told_too() {
    let mut told = Told::new("found", lost(17, 1));
    told.history.crash = Some(Crash { node: 7, text: "cannot be started".to_owned() });
    let text = told.with("straum-check test", |run| summary(run, false));
    assert!(text.contains("n7 cannot be started after 4.00 s; 17 anomalies found\n"), "{text}");
    assert!(text.contains("lost-write (17)"), "{text}");
    assert!(told.page().contains("lost-write"));
}

#[test]
fn a_rate_is_that_of_the_workload() {
    let mut told = Told::new("rate", valid());
    let mut last = told.history.operations[1].clone();
    (last.last, last.invoked_ns, last.completed_ns) = (true, 9 * SECOND, 10 * SECOND);
    told.history.operations.push(last);
    let text = told.with("straum-check test", |run| summary(run, false));
    let line =
        "workload    3 operations in 4.00 s: 0.750 a second, then 1 operation in the final polls";
    assert!(text.contains(line), "{text}");
    assert!(told.page().contains("0.750 a second in the workload"));
    let results = told.results();
    assert_eq!(results["operations_per_s"], 0.75);
    assert_eq!(results["elapsed_s"], 4.0);
}

#[test]
fn without_an_anomaly_the_first_messages_are_shown() {
    let page = Told::new("first", valid()).page();
    assert!(page.contains("The first messages") && page.contains("earlier"));
    assert!(!page.contains("What was found"));
}

#[test]
fn a_history_without_messages_has_a_report_without_those_among_servers() {
    let mut told = Told::new("analyzed", lost(1, 1));
    told.trace.clear();
    told.counts = Counts::default();
    let page = told.page();
    assert_eq!(page.matches("class=\"arrow proof\"").count(), 6);
    assert!(page.contains("which has no messages among servers"));
    assert!(!page.contains("Messages by kind"));
    assert!(!page.contains("messages per op") && page.contains("lost-write"));
}

#[test]
fn an_empty_history_has_a_report_too() {
    let mut told = Told::new("empty", Verdict { validity: Validity::Unknown, findings: vec![] });
    told.history = History::default();
    let page = told.page();
    assert!(page.contains("Unknown") && !page.contains("NaN") && !page.contains("inf "));
}
