//! Makes a report of an invented run, to look at: `sample_report DIR [valid] [OPERATIONS]`. Never runs
//! a node.

#![allow(clippy::print_stdout, reason = "an example talks to a person")]

use std::path::Path;
use std::time::Instant;

use straum_check::history::{Action, Error, Fault, History, Message, Operation, Outcome};
use straum_check::history::{Rule, Violation};
use straum_check::judge::{Anomaly, Finding, Validity, Verdict};
use straum_check::measure::measure;
use straum_check::network::{Address, Counts, Envelope, Journaled, Service};
use straum_check::report::{Run, summary, wants_colour, write_all};
use straum_check::time::{MILLISECOND, Nanos, SECOND};

const NODES: u32 = 3;
const CLIENTS: u32 = 6;
const KEYS: u32 = 10;
const END: Nanos = 20 * SECOND;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let folder = arguments.first().map_or("store/sample", String::as_str);
    let valid = arguments.iter().any(|argument| argument == "valid");
    let count = arguments.iter().find_map(|argument| argument.parse().ok()).unwrap_or(20_000);
    std::fs::create_dir_all(folder)?;

    let mut sample = Sample::new(count);
    sample.run();
    let verdict = if valid { fine() } else { sample.broken() };
    let start = Instant::now();
    let measures = measure(&sample.history);
    println!("measured {count} operations in {:?}", start.elapsed());
    let options = [("workload", "kafka"), ("node-count", "3"), ("rate", "1000"), ("latency", "5")];
    let run = Run {
        options: &options.map(|(name, value)| (name.to_owned(), value.to_owned())),
        command: "straum-check test -w kafka --bin ./my-node --node-count 3 --concurrency 2n \
                  --nemesis partition,kill,pause --time-limit 20 --rate 1000",
        seed: Some(42),
        started: "2024-01-31 12:00:00 UTC",
        elapsed: END + 300 * MILLISECOND,
        node_count: NODES as usize,
        history: &sample.history,
        verdict: &verdict,
        measures: &measures,
        counts: &sample.counts,
        journal: &sample.journal,
        stderr_tails: &["n0: up\nn0: caught up at 912\n".to_owned(), String::new()],
        out: Path::new(folder),
    };
    let start = Instant::now();
    write_all(&run)?;
    println!("written in {:?}", start.elapsed());
    print!("{}", summary(&run, wants_colour(&std::io::stdout())));
    Ok(())
}

fn fine() -> Verdict {
    Verdict { validity: Validity::Valid, findings: Vec::new() }
}

/// An invented run: three nodes on `lin-kv`.
struct Sample {
    random: fastrand::Rng,
    count: u64,
    history: History,
    journal: Vec<Journaled>,
    counts: Counts,
    /// How long each log is.
    lengths: Vec<i64>,
    /// What each client reads next.
    positions: Vec<Vec<i64>>,
}

impl Sample {
    fn new(count: u64) -> Self {
        let history = History {
            keys: (0..KEYS).map(|key| key.to_string()).collect(),
            faults: faults(),
            violations: violations(),
            finished: true,
            ..History::default()
        };
        Self {
            random: fastrand::Rng::with_seed(42),
            count,
            history,
            journal: Vec::new(),
            counts: Counts::default(),
            lengths: vec![0; KEYS as usize],
            positions: vec![vec![0; KEYS as usize]; CLIENTS as usize],
        }
    }

    fn run(&mut self) {
        for i in 0..self.count {
            let invoked = END / self.count * i + self.random.u64(0..500_000);
            let process = self.random.u32(0..CLIENTS);
            let action = self.action(process);
            self.operation(invoked, process, action);
        }
        self.history.operations.sort_by_key(|operation| operation.invoked);
        self.journal.sort_by_key(|message| message.sent);
    }

    fn action(&mut self, process: u32) -> Action {
        let key = self.random.u32(0..KEYS) * self.random.u32(0..KEYS) / KEYS;
        match self.random.u32(0..100) {
            0..55 => {
                let offset = self.lengths[key as usize];
                self.lengths[key as usize] += 1;
                let value = u64::try_from(offset).unwrap_or(0) + 1;
                Action::Send { key, value, offset: Some(offset) }
            }
            55..90 => self.poll(process, key),
            90..98 => Action::Commit {
                offsets: vec![(key, self.positions[process as usize][key as usize])],
            },
            98 => Action::Assign {
                keys: vec![key, (key + 1) % KEYS],
                from_beginning: false,
                committed: vec![(key, 3)],
                positions: vec![(key, 4)],
            },
            _ => Action::Crash,
        }
    }

    fn poll(&mut self, process: u32, key: u32) -> Action {
        let position = &mut self.positions[process as usize][key as usize];
        let from = *position;
        *position = self.lengths[key as usize].min(from + 50);
        let messages =
            (from..*position).map(|at| (at, Message::Value(u64::try_from(at).unwrap_or(0) + 1)));
        Action::Poll { from: vec![(key, from)], messages: vec![(key, messages.collect())] }
    }

    fn operation(&mut self, invoked: Nanos, process: u32, action: Action) {
        let node = process % NODES;
        let trouble = self.trouble(invoked, node);
        let base = if matches!(action, Action::Poll { .. }) { 200_000.0 } else { 6_000_000.0 };
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a sample")]
        let mut took = (base * (0.5 - self.random.f64().ln())) as u64;
        let mut outcome = Outcome::Ok;
        if trouble && action != Action::Crash {
            took += self.random.u64(0..900) * MILLISECOND;
            outcome = match self.random.u32(0..10) {
                0 => Outcome::Info(Error { code: 0, text: "no answer in 5 s".to_owned() }),
                1 => Outcome::Fail(Error { code: 11, text: "<not ready> & \"busy\"".to_owned() }),
                _ => Outcome::Ok,
            };
        }
        self.talk(invoked, took, process, &action, &outcome);
        self.history.operations.push(Operation {
            process,
            node,
            group: None,
            last: false,
            invoked,
            completed: invoked + took,
            outcome,
            action,
        });
    }

    fn trouble(&self, at: Nanos, node: u32) -> bool {
        let name = format!("n{node}");
        let mut faults = self.history.faults.iter();
        faults.any(|fault| {
            (fault.from_ns..fault.until_ns.unwrap_or(END)).contains(&at)
                && fault.detail.ends_with(&name)
        })
    }

    fn talk(&mut self, at: Nanos, took: Nanos, process: u32, action: &Action, outcome: &Outcome) {
        let (client, node) = (Address::Client(process), Address::Node(process % NODES));
        let (kind, request, answer) = match action {
            Action::Send { key, value, offset } => (
                "send",
                format!("\"key\":\"{key}\",\"msg\":{value}"),
                format!(",\"offset\":{}", offset.unwrap_or(0)),
            ),
            Action::Poll { from, .. } => {
                ("poll", format!("\"offsets\":{{\"{}\":{}}}", from[0].0, from[0].1), String::new())
            }
            Action::Commit { .. } => ("commit_offsets", "\"offsets\":{}".to_owned(), String::new()),
            Action::Assign { .. } => {
                ("list_committed_offsets", "\"keys\":[]".to_owned(), String::new())
            }
            Action::Crash => return,
        };
        self.message(at, Some(at), client, node, kind, &request);
        if kind == "send" {
            let kv = Address::Service(Service::LinKv);
            let peer = Address::Node((process + 1) % NODES);
            let lost = (*outcome != Outcome::Ok).then_some(at);
            self.message(at + took / 8, Some(at + took / 2), node, kv, "cas", "\"key\":\"e/912\"");
            self.message(at + took / 2, Some(at + took), kv, node, "cas_ok", "\"in_reply_to\":3");
            let arrives = lost.map_or(Some(at + took + 4 * MILLISECOND), |_| None);
            self.message(at + took, arrives, node, peer, "entry", "\"position\":912");
        }
        let kind = if *outcome == Outcome::Ok { format!("{kind}_ok") } else { "error".to_owned() };
        let after = at + took;
        self.message(
            after,
            Some(after),
            node,
            client,
            &kind,
            &format!("\"in_reply_to\":1{answer}"),
        );
    }

    fn message(
        &mut self,
        sent: Nanos,
        received: Option<Nanos>,
        src: Address,
        dest: Address,
        kind: &str,
        fields: &str,
    ) {
        let is_client = |address| matches!(address, Address::Client(_));
        self.counts.all += 1;
        if is_client(src) || is_client(dest) {
            self.counts.clients += 1;
        } else {
            self.counts.servers += 1;
        }
        *self.counts.by_kind.entry(kind.to_owned()).or_default() += 1;
        let body = format!("{{\"type\":\"{kind}\",\"msg_id\":1,{fields}}}").into_boxed_str();
        self.journal.push(Journaled {
            sent,
            received,
            envelope: Envelope { src, dest, body, life: 0 },
        });
    }

    /// Finds what is not there.
    fn broken(&self) -> Verdict {
        let key = 3;
        let about = |operation: &&(usize, &Operation)| match &operation.1.action {
            Action::Send { key: sent, .. } => *sent == key,
            Action::Poll { from, .. } => from[0].0 == key,
            _ => false,
        };
        let after = |at: Nanos| {
            let operations = self.history.operations.iter().enumerate();
            let mut operations = operations.filter(move |(_, operation)| operation.invoked > at);
            operations.by_ref().find(|found| about(&found)).map_or(0, |(index, _)| index)
        };
        let evidence = vec![
            after(8_990 * MILLISECOND),
            after(9_010 * MILLISECOND),
            after(9_450 * MILLISECOND),
        ];
        let anomaly = |text: &str, at_ns| Anomaly {
            text: text.to_owned(),
            key: Some(key),
            at_ns,
            evidence: evidence.clone(),
        };
        let finding = |name, meaning, count, examples| Finding { name, meaning, count, examples };
        Verdict {
            validity: Validity::Invalid,
            findings: vec![
                finding(
                    "lost-write",
                    "A message that was acknowledged is gone: polls passed its offset without it.",
                    17,
                    vec![
                        anomaly(
                            "message 412 of key 3 was acknowledged at offset 411; after n1 was killed, polls returned 410 and 412, never 411",
                            9_450 * MILLISECOND,
                        ),
                        anomaly(
                            "message 413 of key 3 was acknowledged at offset 412 and never seen",
                            9_460 * MILLISECOND,
                        ),
                        anomaly(
                            "message 97 of key <7> was acknowledged and never seen",
                            9_700 * MILLISECOND,
                        ),
                    ],
                ),
                finding(
                    "int-poll-skip",
                    "One poll left out an offset between two that it returned.",
                    3,
                    vec![anomaly(
                        "a poll of key 3 went from offset 410 to 412",
                        9_450 * MILLISECOND,
                    )],
                ),
                finding(
                    "committed-went-back",
                    "A committed offset was lower than one that the same client had seen on the same node.",
                    1_204,
                    vec![anomaly("c4 saw key 3 committed at 98, then at 57", 12_200 * MILLISECOND)],
                ),
            ],
        }
    }
}

fn faults() -> Vec<Fault> {
    let fault = |kind: &str, detail: &str, from_ms: u64, until_ms: u64| Fault {
        kind: kind.to_owned(),
        detail: detail.to_owned(),
        from_ns: from_ms * MILLISECOND,
        until_ns: Some(until_ms * MILLISECOND),
    };
    vec![
        fault("partition", "n0 n1 | n2", 4_000, 6_500),
        fault("kill", "n1", 9_000, 9_400),
        fault("pause", "n0", 9_300, 10_200),
        fault("partition", "n1 n2 | n0", 13_000, 15_500),
        fault("kill", "n2", 17_000, 17_300),
    ]
}

fn violations() -> Vec<Violation> {
    vec![Violation {
        at_ns: 9_412 * MILLISECOND,
        node: 1,
        line_number: 4_011,
        rule: Rule::MalformedReply,
        text: "poll_ok has a field `took_ms` that its type does not know".to_owned(),
        line: r#"{"src":"n1","dest":"c4","body":{"type":"poll_ok","msgs":{},"took_ms":3}}"#
            .to_owned(),
    }]
}
