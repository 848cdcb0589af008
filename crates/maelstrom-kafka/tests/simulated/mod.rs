//! Clusters on a virtual clock, with lin-kv, clients and faults, in one thread: a run is a function of its
//! seed. Never judges a run by itself.

#![allow(dead_code, reason = "each test file uses its own part")]
#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod adapter;

use std::fmt::Write;
use std::path::Path;

use maelstrom_kafka::{ClusterNode, Life};
use straum::shared::Pacing;
use straum_check::cluster::simulated::Simulated;
use straum_check::fault;
use straum_check::history;
use straum_check::judge::{Demands, Verdict, judge};
use straum_check::measure::measure;
use straum_check::network::{Distribution, NetworkSettings};
use straum_check::report;
use straum_check::run::{Record, Settings, run};
use straum_check::time::{MILLISECOND, SECOND};

use adapter::Adapter;
pub(crate) use adapter::Lie;

/// How many bytes of messages a poll may return.
const MAX_POLL_BYTES: u64 = 4 << 20;

/// Two nodes, some seconds, a few hundred operations; nothing goes wrong.
pub(crate) fn settings(seed: u64) -> Settings {
    Settings {
        node_count: 2,
        concurrency: 6,
        time_limit_ns: 5 * SECOND,
        rate: 100.0,
        network: NetworkSettings::default(),
        faults: Vec::new(),
        fault_interval_ns: SECOND,
        key_count: 5,
        max_writes_per_key: 32,
        seed,
    }
}

/// A run in which everything may go wrong, differently for each seed.
pub(crate) fn hard_settings(seed: u64) -> Settings {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut settings = settings(seed);
    settings.node_count = rng.usize(2..=5);
    settings.concurrency = settings.node_count * rng.usize(1..=4);
    settings.rate = *rng.choice(&[10.0, 50.0, 200.0]).unwrap();
    settings.network.latency = *rng.choice(&[0, 1, 10, 50]).unwrap() * MILLISECOND;
    settings.network.distribution = Distribution::Exponential;
    settings.network.loss = *rng.choice(&[0.0, 0.02, 0.1]).unwrap();
    settings.network.duplication = *rng.choice(&[0.0, 0.02, 0.2]).unwrap();
    settings.fault_interval_ns = *rng.choice(&[300, 1000, 2000]).unwrap() * MILLISECOND;
    settings.faults = FAULTS.into_iter().filter(|_| rng.bool()).collect();
    settings
}

/// What may go wrong beside the network.
pub(crate) const FAULTS: [fault::Kind; 4] =
    [fault::Kind::Partition, fault::Kind::Kill, fault::Kind::Pause, fault::Kind::Service];

/// Runs a cluster.
pub(crate) fn simulate(settings: &Settings, lie: Option<Lie>) -> Record {
    let mut lives = settings.seed << 32;
    let mut cluster = Simulated::new(settings.node_count, move |_| {
        lives += 1;
        // Spread as random numbers are.
        let instance = lives.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let identity = u128::from(instance).to_le_bytes();
        let pacing = Pacing::default();
        let node = Life { instance, identity, began_at_ms: 1_000_000, pacing };
        Box::new(Adapter::new(ClusterNode::new(MAX_POLL_BYTES, node), lie))
    });
    run(settings, &mut cluster, &mut ()).unwrap()
}

/// Judges a record, without any demand on availability.
pub(crate) fn verdict(record: &Record) -> Verdict {
    judge(&record.history, &Demands::default())
}

/// Runs and judges; tells the story of a run in which anything was found, and how to see it again. That
/// hardly anything succeeds is no fault of nodes that are down, or whose store is, nearly all the time.
pub(crate) fn must_not_be_accused(settings: &Settings, story: &str) -> Record {
    let record = simulate(settings, None);
    let verdict = verdict(&record);
    let excused = |name: &str| name == "never-succeeds" && !settings.faults.is_empty();
    assert!(
        verdict.findings.iter().all(|finding| excused(finding.name)) && record.history.finished,
        "{}",
        tell(settings, &record, &verdict, story)
    );
    record
}

fn tell(settings: &Settings, record: &Record, verdict: &Verdict, story: &str) -> String {
    let mut text = format!("seed {} is {:?}\n", settings.seed, verdict.validity);
    for finding in &verdict.findings {
        writeln!(text, "  {finding:?}").unwrap();
    }
    for fault in &record.history.faults {
        writeln!(text, "  {fault:?}").unwrap();
    }
    writeln!(text, "{:?}", record.history.crash).unwrap();
    let folder = std::env::temp_dir().join(format!("straum-seed-{}", settings.seed));
    // Once more, this time with every message.
    let settings = Settings {
        network: NetworkSettings { trace_limit: 100_000, ..settings.network },
        ..settings.clone()
    };
    write_report(&settings, &simulate(&settings, None), verdict, &folder);
    let seed = settings.seed;
    write!(
        text,
        "{settings:?}\nthe story: {}/report.html\nonce more: STRAUM_SEED={seed} cargo test -p \
         maelstrom-kafka --test simulation {story}",
        folder.display()
    )
    .unwrap();
    text
}

fn write_report(settings: &Settings, record: &Record, verdict: &Verdict, folder: &Path) {
    std::fs::create_dir_all(folder).unwrap();
    let mut file = std::fs::File::create(folder.join("history.jsonl")).unwrap();
    history::file::write(&record.history, &mut file).unwrap();
    let messages = record.trace.iter().map(|message| format!("{message:?}\n"));
    std::fs::write(folder.join("messages.txt"), messages.collect::<String>()).unwrap();
    let run = report::Run {
        options: &[("settings".to_owned(), format!("{settings:?}"))],
        command: "cargo test -p maelstrom-kafka --test simulation",
        seed: Some(settings.seed),
        started: "on a virtual clock",
        elapsed_ns: record.elapsed_ns,
        node_count: settings.node_count,
        history: &record.history,
        verdict,
        measures: &measure(&record.history),
        counts: &record.counts,
        trace: &record.trace,
        stderr_tails: &vec![String::new(); settings.node_count],
        out: folder,
    };
    report::write_all(&run).unwrap();
}
