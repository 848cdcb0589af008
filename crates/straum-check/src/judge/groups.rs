//! Judges consumer groups: `unprocessed`. Never looks at clients without a group.

use std::collections::BTreeMap;

use super::findings::Findings;
use super::log::Log;
use super::names::AnomalyName;
use super::words::{Words, message};
use crate::history::{Action, History, KeyId, Offset, Outcome};

/// What a group did with a key.
#[derive(Default)]
struct Reading {
    /// Where its clients began, and with which assign.
    assigned: Vec<(Offset, usize)>,
    /// Whether each message of the log came to one of its clients.
    processed: Vec<bool>,
}

pub(super) fn judge<'h>(history: &'h History, logs: &[Log<'h>], findings: &mut Findings<'h>) {
    if !history.finished {
        return;
    }
    for ((group, key), reading) in readings(history, logs) {
        if !reading.assigned.is_empty() {
            unprocessed(history, group, key, &reading, &logs[key as usize], findings);
        }
    }
}

fn readings<'h>(history: &'h History, logs: &[Log<'h>]) -> BTreeMap<(u32, KeyId), Reading> {
    let mut readings: BTreeMap<_, Reading> = BTreeMap::new();
    for (index, operation) in history.operations.iter().enumerate() {
        let (Some(group), Outcome::Ok) = (operation.group, &operation.outcome) else { continue };
        match &operation.action {
            Action::Assign { keys, positions, .. } => {
                for key in keys {
                    let position = positions.iter().find(|(of, _)| of == key);
                    let position = position.map_or(0, |(_, position)| *position);
                    let reading = readings.entry((group, *key)).or_default();
                    reading.assigned.push((position, index));
                }
            }
            Action::Poll { messages, .. } => {
                for (key, messages) in messages {
                    let log = &logs[*key as usize];
                    let processed = &mut readings.entry((group, *key)).or_default().processed;
                    processed.resize(log.messages.len(), false);
                    for id in messages.iter().filter_map(|(_, message)| log.id(message)) {
                        processed[id] = true;
                    }
                }
            }
            _ => {}
        }
    }
    readings
}

fn unprocessed<'h>(
    history: &'h History,
    group: u32,
    key: KeyId,
    reading: &Reading,
    log: &Log<'h>,
    findings: &mut Findings<'h>,
) {
    let words = Words(history);
    for (id, seen) in log.messages.iter().enumerate() {
        let Some(send) = seen.send.filter(|&send| history.operations[send].outcome == Outcome::Ok)
        else {
            continue;
        };
        if reading.processed.get(id) == Some(&true) {
            continue;
        }
        let Action::Send { offset: Some(offset), .. } = history.operations[send].action else {
            continue;
        };
        let beyond = reading.assigned.iter().find(|(position, _)| *position > offset);
        let evidence: Vec<_> =
            [send].into_iter().chain(beyond.map(|(_, assign)| *assign)).collect();
        findings.add(AnomalyName::Unprocessed, Some(key), &evidence, || {
            let beyond = beyond.map_or_else(String::new, |(position, assign)| {
                format!("; {} resumed at offset {position} (op {assign})", words.process(*assign))
            });
            format!(
                "{}: {} was acknowledged at offset {offset} ({}), but no poll of group {group}, which \
                 reads the key, returned it{beyond}",
                words.key(key),
                message(seen.content),
                words.by(send)
            )
        });
    }
}
