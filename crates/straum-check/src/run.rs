//! One run: nodes, network, services, clients and faults on one clock, from the first `init` to the
//! final poll. Never judges what it records, and never reads a clock: the cluster says what time it is.
//!
//! - `stage`: the loop, and what it holds.
//! - `nodes`: nodes come up, go down and are halted, as the faults say.
//! - `seats`: operations begin and end.
//! - `carry`: messages go from one to another.
//! - `phases`: the workload, the recovery, the final polls, and when each is over.
//! - `script`: what a seat does next.

mod carry;
mod nodes;
mod phases;
mod script;
mod seats;
mod stage;

use crate::cluster::Cluster;
use crate::fault;
use crate::history::History;
use crate::network::{Counts, Envelope, NetworkSettings, Traced};
use crate::time::{Nanos, SECOND};

/// How long a client waits for an answer; then it is gone. Source: Maelstrom's `client.clj`.
pub const REQUEST_TIMEOUT: Nanos = 5 * SECOND;

/// How long the final polls may take to catch up. Source: Maelstrom's `workload/kafka.clj`.
pub const FINAL_POLLS: Nanos = 10 * SECOND;

/// What to run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How many nodes, at least 1.
    pub node_count: usize,
    /// How many clients at a time, at least 1.
    pub concurrency: usize,
    /// How long the workload lasts.
    pub time_limit_ns: Nanos,
    /// Operations a second, of all clients together, on average.
    pub rate: f64,
    /// How messages travel.
    pub network: NetworkSettings,
    /// What is to go wrong.
    pub faults: Vec<fault::Kind>,
    /// How often, on average, a fault begins or ends.
    pub fault_interval_ns: Nanos,
    /// How many keys are written to at a time.
    pub key_count: usize,
    /// How many messages a key gets before another takes its place.
    pub max_writes_per_key: u64,
    /// The schedule of operations, faults and latencies is a function of this.
    pub seed: u64,
}

/// What a run leaves behind.
#[derive(Debug)]
pub struct Record {
    /// What clients saw.
    pub history: History,
    /// How many messages it took, without those to start the nodes.
    pub counts: Counts,
    /// The first messages.
    pub trace: Vec<Traced>,
    /// When the workload ended: since the start of the run.
    pub elapsed_ns: Nanos,
}

/// Watches a run. Does nothing unless told otherwise.
pub trait Observer {
    /// Called some times a second.
    fn progress(&mut self, _snapshot: &Snapshot) {}
    /// A message leaves.
    fn sent(&mut self, _envelope: &Envelope) {}
    /// A message arrives.
    fn received(&mut self, _envelope: &Envelope) {}
    /// Whether to stop before the end; what has happened until then is recorded.
    fn stop(&mut self) -> bool {
        false
    }
}

/// Nobody watches.
impl Observer for () {}

/// How far a run has come.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    /// Since the workload began.
    pub elapsed_ns: Nanos,
    /// How long the workload lasts.
    pub limit: Nanos,
    /// What is being done, in a word.
    pub phase: &'static str,
    /// Operations that succeeded.
    pub ok: u64,
    /// Operations that definitely did not happen.
    pub fail: u64,
    /// Operations of which nobody knows.
    pub info: u64,
    /// The faults in force.
    pub faults: Vec<String>,
}

/// Runs the workload on a cluster of nodes that are all down.
///
/// # Errors
/// Those of the machine, such as a pipe that fails. What nodes do wrong is in the record.
pub fn run(
    settings: &Settings,
    cluster: &mut impl Cluster,
    observer: &mut dyn Observer,
) -> std::io::Result<Record> {
    stage::Stage::new(settings, cluster, observer).run()
}
