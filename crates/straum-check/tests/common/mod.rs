//! The planted node: runs of it on a virtual clock, and its program. Never judges a run.

#![allow(dead_code, reason = "each test file uses its own part")]
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::rc::Rc;
use std::sync::OnceLock;

use faulty_node::{FaultyNode, Options, Planted, Storage};
use straum_check::cluster::simulated::{Node, Simulated};
use straum_check::judge::{Demands, Verdict, judge};
use straum_check::network::{Distribution, NetworkSettings};
use straum_check::run::{Observer, Record, Settings, run};
use straum_check::time::{MILLISECOND, Nanos, SECOND};

/// One node, some seconds, a few hundred operations, nothing goes wrong.
pub(crate) fn settings(seed: u64) -> Settings {
    Settings {
        node_count: 1,
        concurrency: 4,
        time_limit_ns: 8 * SECOND,
        rate: 100.0,
        network: NetworkSettings {
            latency: 0,
            distribution: Distribution::Constant,
            loss: 0.0,
            duplication: 0.0,
            trace_limit: 0,
        },
        faults: Vec::new(),
        fault_interval_ns: SECOND,
        key_count: 10,
        max_writes_per_key: 16,
        seed,
    }
}

/// Latency of about this much, exponentially distributed.
pub(crate) fn latency(settings: &mut Settings, mean_ms: u64) {
    settings.network.latency = mean_ms * MILLISECOND;
    settings.network.distribution = Distribution::Exponential;
}

/// Runs planted nodes. A node that exits ends the run, as a process that exits does.
pub(crate) fn simulate(settings: &Settings, storage: Storage, bugs: &[&str]) -> Record {
    let bugs: Vec<Planted> = bugs.iter().map(|bug| bug.parse().unwrap()).collect();
    let exited = Rc::new(Cell::new(false));
    let shared = Rc::clone(&exited);
    let mut cluster = Simulated::new(settings.node_count, move |_| {
        let node = FaultyNode::new(Options { storage, bugs: bugs.clone() });
        Box::new(Adapter { node, exited: Rc::clone(&shared) })
    });
    run(settings, &mut cluster, &mut StopAtExit(exited)).unwrap()
}

/// Judges a record, without any demand on availability.
pub(crate) fn verdict(record: &Record) -> Verdict {
    judge(&record.history, &Demands::default())
}

/// What was found, in the order in which it is told.
pub(crate) fn names(verdict: &Verdict) -> Vec<&'static str> {
    verdict.findings.iter().map(|finding| finding.name).collect()
}

struct Adapter {
    node: FaultyNode,
    exited: Rc<Cell<bool>>,
}

impl Node for Adapter {
    fn receive(&mut self, now: Nanos, line: &[u8], out: &mut Vec<Vec<u8>>) {
        self.node.receive(now, line, out);
        self.exited.set(self.exited.get() || self.node.exit().is_some());
    }

    fn next_timer(&self) -> Option<Nanos> {
        self.node.next_timer()
    }

    fn on_timer(&mut self, now: Nanos, out: &mut Vec<Vec<u8>>) {
        self.node.on_timer(now, out);
    }
}

struct StopAtExit(Rc<Cell<bool>>);

impl Observer for StopAtExit {
    fn stop(&mut self) -> bool {
        self.0.get()
    }
}

/// The planted node's program, which cargo does not build for the tests of another package.
pub(crate) fn faulty_node() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let check = Path::new(env!("CARGO_BIN_EXE_straum-check"));
        let release = check.parent().unwrap().ends_with("release");
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--quiet", "--package", "faulty-node", "--bin", "faulty-node"]);
        build.args(["--target-dir"]).arg(check.parent().unwrap().parent().unwrap());
        build.args(release.then_some("--release"));
        assert!(build.status().unwrap().success());
        check.with_file_name("faulty-node")
    })
}
