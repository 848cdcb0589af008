//! Which messages a sequence diagram shows: those that prove an anomaly and those around them, or
//! the first of a run. Never more than fit on a screen or two, and never draws.

use std::collections::BTreeSet;
use std::ops::Range;

use super::Run;
use crate::history::Operation;
use crate::judge::Anomaly;
use crate::network::{Address, Journaled};
use crate::time::Nanos;

/// How many messages are shown around an anomaly.
const AROUND: usize = 60;

/// How many of the first messages are shown.
const FIRST: usize = 40;

/// How many parties the first messages may have.
const PARTIES: usize = 8;

/// Messages in the order of their sending.
pub(super) type Sequence<'a> = Vec<Shown<'a>>;

/// A message that is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shown<'a> {
    /// The message.
    pub(super) message: &'a Journaled,
    /// Whether it belongs to an operation that proves the anomaly.
    pub(super) proves: bool,
}

/// The requests and answers of the operations that prove the anomaly, and what their nodes said to
/// other nodes and services meanwhile.
pub(super) fn around<'a>(run: &Run<'a>, anomaly: &Anomaly) -> Sequence<'a> {
    let operations: Vec<&Operation> =
        anomaly.evidence.iter().filter_map(|&index| run.history.operations.get(index)).collect();
    let mut proof = BTreeSet::new();
    let share = (AROUND / operations.len().max(1)).max(2);
    for operation in &operations {
        let client = Address::Client(operation.process);
        let talk: Vec<usize> =
            during(run, operation).filter(|&i| touches(&run.journal[i], client)).collect();
        proof.extend(both_ends(&talk, share));
    }
    let mut chosen: BTreeSet<usize> = proof.iter().copied().take(AROUND).collect();
    let share = (AROUND - chosen.len()) / operations.len().max(1);
    for operation in &operations {
        let servers: Vec<usize> = during(run, operation)
            .filter(|&i| among_servers(&run.journal[i], operation.node))
            .collect();
        chosen.extend(both_ends(&servers, share));
    }
    let shown = |i| Shown { message: &run.journal[i], proves: proof.contains(&i) };
    chosen.into_iter().map(shown).collect()
}

/// The first messages, of as few parties as a diagram can hold.
pub(super) fn first<'a>(run: &Run<'a>) -> Sequence<'a> {
    let mut parties = BTreeSet::new();
    let mut sequence = Vec::new();
    for message in run.journal.iter().take(FIRST * 20) {
        let new: BTreeSet<Address> =
            [message.envelope.src, message.envelope.dest].into_iter().collect();
        if parties.union(&new).count() <= PARTIES {
            parties.extend(new);
            sequence.push(Shown { message, proves: false });
        }
        if sequence.len() == FIRST {
            break;
        }
    }
    sequence
}

/// The messages that were sent between an operation's request and its end.
fn during(run: &Run<'_>, operation: &Operation) -> Range<usize> {
    let sent_before = |at: Nanos| run.journal.partition_point(|message| message.sent < at);
    let from = sent_before(operation.invoked);
    from..sent_before(operation.completed.saturating_add(1)).max(from)
}

fn touches(message: &Journaled, address: Address) -> bool {
    message.envelope.src == address || message.envelope.dest == address
}

fn among_servers(message: &Journaled, node: u32) -> bool {
    let is_client = |address| matches!(address, Address::Client(_));
    touches(message, Address::Node(node))
        && !is_client(message.envelope.src)
        && !is_client(message.envelope.dest)
}

/// The first and the last ones: what a request set off, and what came before its answer.
fn both_ends(indexes: &[usize], most: usize) -> Vec<usize> {
    if indexes.len() <= most {
        return indexes.to_vec();
    }
    let (head, tail) = (most.div_ceil(2), most / 2);
    indexes[..head].iter().chain(&indexes[indexes.len() - tail..]).copied().collect()
}
