//! Which messages a sequence diagram shows: those that prove an anomaly and those around them, or
//! the first of a run. Never more than fit on a screen or two, and never draws.

use std::collections::BTreeSet;
use std::ops::Range;

use super::retold::exchange;
use crate::history::{Action, KeyId, Operation};
use crate::judge::Anomaly;
use crate::measure::asks_a_node;
use crate::network::{Address, Traced};
use crate::report::Run;
use crate::time::Nanos;

/// How many messages are shown around an anomaly.
const AROUND: usize = 60;

/// How many operations of a proof are drawn.
const PROOF: usize = 20;

/// How many other operations are drawn where there are no messages among servers.
const OTHERS: usize = 10;

/// How many parties a diagram may have with them; more would leave no room for labels.
const OTHERS_PARTIES: usize = 6;

/// How many of the first messages are shown.
const FIRST: usize = 40;

/// How many parties the first messages may have.
const PARTIES: usize = 8;

/// Messages in the order of their sending.
pub(in crate::report) type Sequence = Vec<Shown>;

/// A message that is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::report) struct Shown {
    /// The message.
    pub(in crate::report) message: Traced,
    /// Whether it belongs to an operation that proves the anomaly.
    pub(in crate::report) proves: bool,
}

/// What is shown around an anomaly.
#[derive(Debug, Default)]
pub(in crate::report) struct Around {
    pub(in crate::report) messages: Sequence,
    /// Whether the trace does not reach so far, so that the history told some of it.
    pub(in crate::report) retold: bool,
}

/// What is shown around the worst anomaly; nothing without one, or if its proof asks no node.
pub(in crate::report) fn around_worst(run: &Run<'_>) -> Around {
    let worst = run.verdict.findings.first().and_then(|finding| finding.examples.first());
    worst.map_or_else(Around::default, |anomaly| around(run, anomaly))
}

/// The requests and answers of the operations that prove the anomaly, and what their nodes said to
/// other nodes and services meanwhile. Where that is not known, other requests to the same nodes.
fn around(run: &Run<'_>, anomaly: &Anomaly) -> Around {
    let known = |&index: &usize| run.history.operations.get(index).is_some_and(asks_a_node);
    let proof: Vec<usize> = anomaly.evidence.iter().copied().filter(known).collect();
    let proof = both_ends(&proof, PROOF);
    let mut around = Around::default();
    for &index in &proof {
        around.add(run, index, true);
    }
    if around.retold {
        for index in others(run, anomaly, &proof) {
            around.add(run, index, false);
        }
    }
    let servers = among_servers(run, &proof, AROUND.saturating_sub(around.messages.len()));
    around.messages.extend(servers);
    around.messages.sort_by_key(|shown| shown.message.sent_ns);
    around
}

impl Around {
    fn add(&mut self, run: &Run<'_>, index: usize, proves: bool) {
        let exchange = exchange(run, &run.history.operations[index]);
        self.retold |= exchange.retold;
        let shown = exchange.messages.into_iter().map(|message| Shown { message, proves });
        self.messages.extend(shown);
    }
}

/// Operations of the same clients, then of the same nodes, while those of the proof were open and
/// about the same key; of as few clients as a diagram can hold.
fn others(run: &Run<'_>, anomaly: &Anomaly, proof: &[usize]) -> Vec<usize> {
    let operations = &run.history.operations;
    let mut parties: BTreeSet<Address> =
        proof.iter().flat_map(|&index| parties_of(&operations[index])).collect();
    let window = window(proof.iter().map(|&index| &operations[index]));
    let candidates: Vec<usize> = (0..operations.len())
        .filter(|index| !proof.contains(index))
        .filter(|&index| asks_a_node(&operations[index]))
        .filter(|&index| window.contains(&operations[index].invoked_ns))
        .filter(|&index| anomaly.key.is_none_or(|key| is_about(&operations[index], key)))
        .filter(|&index| parties.contains(&Address::Node(operations[index].node)))
        .collect();
    let is_known = |&&index: &&usize| parties.contains(&Address::Client(operations[index].process));
    let (same_clients, others): (Vec<&usize>, Vec<&usize>) =
        candidates.iter().partition(|index| is_known(index));
    let mut chosen = Vec::new();
    for &index in same_clients.into_iter().rev().chain(others.into_iter().rev()) {
        let new = parties_of(&operations[index]);
        if chosen.len() < OTHERS && parties.union(&new).count() <= OTHERS_PARTIES.max(parties.len())
        {
            parties.extend(new);
            chosen.push(index);
        }
    }
    chosen
}

/// From the first request to the last answer.
fn window<'a>(operations: impl Iterator<Item = &'a Operation> + Clone) -> Range<Nanos> {
    let from = operations.clone().map(|operation| operation.invoked_ns).min().unwrap_or(0);
    from..operations.map(|operation| operation.completed_ns).max().unwrap_or(0)
}

fn parties_of(operation: &Operation) -> BTreeSet<Address> {
    [Address::Client(operation.process), Address::Node(operation.node)].into()
}

fn is_about(operation: &Operation, key: KeyId) -> bool {
    match &operation.action {
        Action::Send { key: sent, .. } => *sent == key,
        Action::Poll { from: offsets, .. } | Action::Commit { offsets } => {
            offsets.iter().any(|(of, _)| *of == key)
        }
        Action::Assign { keys, .. } => keys.contains(&key),
        Action::Crash => false,
    }
}

/// What the nodes of operations said to nodes and services meanwhile, `most` messages in all.
fn among_servers(run: &Run<'_>, operations: &[usize], most: usize) -> Vec<Shown> {
    let share = most / operations.len().max(1);
    let mut chosen = BTreeSet::new();
    for &index in operations {
        let operation = &run.history.operations[index];
        let servers: Vec<usize> = during(run, operation)
            .filter(|&i| is_among_servers(&run.trace[i], operation.node))
            .collect();
        chosen.extend(both_ends(&servers, share));
    }
    let shown = |i: usize| Shown { message: run.trace[i].clone(), proves: false };
    chosen.into_iter().map(shown).collect()
}

/// The first messages, of as few parties as a diagram can hold.
pub(in crate::report) fn first(run: &Run<'_>) -> Sequence {
    let mut parties = BTreeSet::new();
    let mut sequence = Vec::new();
    for message in run.trace.iter().take(FIRST * 20) {
        let new: BTreeSet<Address> =
            [message.envelope.src, message.envelope.dest].into_iter().collect();
        if parties.union(&new).count() <= PARTIES {
            parties.extend(new);
            sequence.push(Shown { message: message.clone(), proves: false });
        }
        if sequence.len() == FIRST {
            break;
        }
    }
    sequence
}

/// The messages that were sent between an operation's request and its end.
fn during(run: &Run<'_>, operation: &Operation) -> Range<usize> {
    let sent_before = |at: Nanos| run.trace.partition_point(|message| message.sent_ns < at);
    let from = sent_before(operation.invoked_ns);
    from..sent_before(operation.completed_ns.saturating_add(1)).max(from)
}

fn is_among_servers(message: &Traced, node: u32) -> bool {
    let (src, dest) = (message.envelope.src, message.envelope.dest);
    let is_client = |address| matches!(address, Address::Client(_));
    [src, dest].contains(&Address::Node(node)) && !is_client(src) && !is_client(dest)
}

/// The first and the last ones: what a request set off, and what came before its answer.
fn both_ends(indexes: &[usize], most: usize) -> Vec<usize> {
    if indexes.len() <= most {
        return indexes.to_vec();
    }
    let (head, tail) = (most.div_ceil(2), most / 2);
    indexes[..head].iter().chain(&indexes[indexes.len() - tail..]).copied().collect()
}
