//! Judges committed offsets: `commit-missing`, `commit-went-back`, `commit-never-asked`. Never looks
//! at messages.

use std::collections::{BTreeMap, HashMap};

use super::findings::Findings;
use super::names::AnomalyName;
use super::words::{Words, committed};
use crate::history::{Action, History, KeyId, Offset, Operation, Outcome};
use crate::time::Nanos;

pub(super) fn judge<'h>(history: &'h History, findings: &mut Findings<'h>) {
    never_asked(history, findings);
    went_back(history, findings);
    missing(history, findings);
}

/// An operation that said that an offset is committed.
#[derive(Clone, Copy)]
struct Said {
    offset: Offset,
    operation: usize,
}

/// A good answer to the question what is committed.
struct List<'h> {
    index: usize,
    operation: &'h Operation,
    keys: &'h [KeyId],
    committed: &'h [(KeyId, Offset)],
}

impl List<'_> {
    /// Each key that was asked for, with what was answered.
    fn answers(&self) -> impl Iterator<Item = (KeyId, Option<Offset>)> {
        let committed: HashMap<_, _> = self.committed.iter().copied().collect();
        self.keys.iter().map(move |key| (*key, committed.get(key).copied()))
    }
}

fn list(index: usize, operation: &Operation) -> Option<List<'_>> {
    match &operation.action {
        Action::Assign { keys, from_beginning: false, committed, .. }
            if operation.outcome == Outcome::Ok =>
        {
            Some(List { index, operation, keys, committed })
        }
        _ => None,
    }
}

fn lists(history: &History) -> impl DoubleEndedIterator<Item = List<'_>> {
    history.operations.iter().enumerate().filter_map(|(index, operation)| list(index, operation))
}

fn never_asked<'h>(history: &'h History, findings: &mut Findings<'h>) {
    let words = Words(history);
    let asked = first_asked(history);
    for List { index, operation, committed, .. } in lists(history) {
        for &(key, offset) in committed {
            let first = asked[key as usize].get(&offset);
            if first.is_none_or(|&invoked_ns| invoked_ns > operation.completed_ns) {
                findings.add(AnomalyName::CommitNeverAsked, Some(key), &[index], || {
                    let (key, by) = (words.key(key), words.by(index));
                    format!(
                        "{key}: offset {offset} was listed as committed ({by}), but no commit had asked \
                         for it by then"
                    )
                });
            }
        }
    }
}

/// When each offset was first asked to be committed, by key.
fn first_asked(history: &History) -> Vec<HashMap<Offset, Nanos>> {
    let mut asked = vec![HashMap::new(); history.keys.len()];
    for operation in &history.operations {
        if let Action::Commit { offsets } = &operation.action {
            for &(key, offset) in offsets {
                asked[key as usize].entry(offset).or_insert(operation.invoked_ns);
            }
        }
    }
    asked
}

fn went_back<'h>(history: &'h History, findings: &mut Findings<'h>) {
    let mut clients: HashMap<(u32, u32), Highest> = HashMap::new();
    for (index, operation) in history.operations.iter().enumerate() {
        let client = (operation.process, operation.node);
        if let Some(list) = list(index, operation) {
            let told = clients.entry(client).or_default();
            for (key, answer) in list.answers() {
                told.listed(history, index, key, answer, findings);
            }
        } else if let Some(offsets) = acknowledged(operation) {
            let told = clients.entry(client).or_default();
            for &(key, offset) in offsets {
                told.raise(index, key, offset);
            }
        } else if operation.action == Action::Crash {
            clients.remove(&client);
        }
    }
}

/// What an acknowledged commit asked for.
fn acknowledged(operation: &Operation) -> Option<&[(KeyId, Offset)]> {
    match &operation.action {
        Action::Commit { offsets } if operation.outcome == Outcome::Ok => Some(offsets),
        _ => None,
    }
}

/// The highest committed offset of each key, of those that somebody was told of.
#[derive(Default)]
struct Highest(HashMap<KeyId, Said>);

impl Highest {
    fn raise(&mut self, operation: usize, key: KeyId, offset: Offset) {
        let said = Said { offset, operation };
        let highest = self.0.entry(key).or_insert(said);
        if offset > highest.offset {
            *highest = said;
        }
    }

    fn listed<'h>(
        &mut self,
        history: &'h History,
        list: usize,
        key: KeyId,
        answer: Option<Offset>,
        findings: &mut Findings<'h>,
    ) {
        let before = self.0.get(&key).copied();
        if let Some(Said { offset, operation }) =
            before.filter(|before| answer < Some(before.offset))
        {
            findings.add(AnomalyName::CommitWentBack, Some(key), &[operation, list], || {
                let how = match history.operations[operation].action {
                    Action::Commit { .. } => "a commit by the same client was acknowledged",
                    _ => "the same client was told of it",
                };
                let (words, answer) = (Words(history), committed(answer));
                let (key, by) = (words.key(key), words.by(list));
                format!(
                    "{key}: offset {offset} was committed ({how}, op {operation}), but a later list on \
                     the same node says {answer} ({by})"
                )
            });
        }
        if let Some(offset) = answer {
            self.raise(list, key, offset);
        }
    }
}

fn missing<'h>(history: &'h History, findings: &mut Findings<'h>) {
    let words = Words(history);
    for list in final_lists(history).into_values() {
        let highest = highest_commits(history, &list);
        for (key, answer) in list.answers() {
            let Some(commit) = highest.0.get(&key).filter(|commit| answer < Some(commit.offset))
            else {
                continue;
            };
            findings.add(AnomalyName::CommitMissing, Some(key), &[commit.operation, list.index], || {
                let (key, by) = (words.key(key), words.by(commit.operation));
                let (offset, answer) = (commit.offset, committed(answer));
                format!(
                    "{key}: the commit of offset {offset} was acknowledged ({by}), but the list at the \
                     end says {answer} ({})",
                    words.by(list.index)
                )
            });
        }
    }
}

/// The last good list of each node after everything was healed.
fn final_lists(history: &History) -> BTreeMap<u32, List<'_>> {
    let finals =
        lists(history).filter(|list| list.operation.last && list.operation.group.is_none());
    finals.map(|list| (list.operation.node, list)).collect()
}

/// The highest commit, by key, that was acknowledged before a list was asked for.
fn highest_commits(history: &History, list: &List<'_>) -> Highest {
    let mut highest = Highest::default();
    for (index, operation) in history.operations.iter().enumerate() {
        if operation.completed_ns >= list.operation.invoked_ns {
            continue;
        }
        for &(key, offset) in acknowledged(operation).unwrap_or_default() {
            highest.raise(index, key, offset);
        }
    }
    highest
}
