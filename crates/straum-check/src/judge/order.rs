//! Judges the order in which one client sees or writes a log: `int-poll-skip`, `poll-skip`,
//! `int-nonmonotonic-poll`, `nonmonotonic-poll`, `nonmonotonic-send`. Never compares two clients.

use std::collections::HashMap;

use super::findings::Findings;
use super::log::{Log, Place};
use super::names::AnomalyName;
use super::words::{Words, message};
use crate::history::{Action, History, KeyId, Message, Offset, Operation, Outcome};

pub(super) fn judge<'h>(history: &'h History, logs: &[Log<'h>], findings: &mut Findings<'h>) {
    let mut judge = Judge { words: Words(history), logs, clients: HashMap::new() };
    for (index, operation) in history.operations.iter().enumerate() {
        if operation.outcome == Outcome::Ok {
            judge.operation(index, operation, findings);
        }
    }
}

struct Judge<'a, 'h> {
    words: Words<'h>,
    logs: &'a [Log<'h>],
    /// By process.
    clients: HashMap<u32, Client>,
}

/// What a client saw last of each key.
#[derive(Default)]
struct Client {
    sent: HashMap<KeyId, Last>,
    polled: HashMap<KeyId, Last>,
}

#[derive(Clone, Copy)]
struct Last {
    offset: Offset,
    operation: usize,
}

/// One key's part of a poll's answer.
struct Answer<'h> {
    index: usize,
    key: KeyId,
    wanted: Option<Offset>,
    messages: &'h [(Offset, Message)],
}

impl<'h> Judge<'_, 'h> {
    fn operation(&mut self, index: usize, operation: &'h Operation, findings: &mut Findings<'h>) {
        match &operation.action {
            Action::Send { key, offset: Some(offset), .. } => {
                self.send(index, operation.process, *key, *offset, findings);
            }
            Action::Poll { from, messages } => {
                let wanted: HashMap<_, _> = from.iter().copied().collect();
                for (key, messages) in messages {
                    let wanted = wanted.get(key).copied();
                    let answer = Answer { index, key: *key, wanted, messages };
                    self.answer(operation.process, &answer, findings);
                }
            }
            Action::Assign { from_beginning: true, .. } => self.client(operation).polled.clear(),
            Action::Assign { keys, .. } => {
                self.client(operation).polled.retain(|key, _| keys.contains(key));
            }
            Action::Crash => {
                self.clients.remove(&operation.process);
            }
            Action::Send { .. } | Action::Commit { .. } => {}
        }
    }

    fn client(&mut self, operation: &Operation) -> &mut Client {
        self.clients.entry(operation.process).or_default()
    }

    fn send(
        &mut self,
        index: usize,
        process: u32,
        key: KeyId,
        offset: Offset,
        findings: &mut Findings<'h>,
    ) {
        let sent = &mut self.clients.entry(process).or_default().sent;
        let Some(before) = sent.insert(key, Last { offset, operation: index }) else { return };
        if offset <= before.offset {
            let (earlier, before) = (before.offset, before.operation);
            findings.add(AnomalyName::NonmonotonicSend, Some(key), &[before, index], || {
                let (key, by) = (self.words.key(key), self.words.by(index));
                format!(
                    "{key}: a send got offset {offset} ({by}), though one by the same client before it \
                     had got offset {earlier} (op {before})"
                )
            });
        }
    }

    fn answer(&mut self, process: u32, answer: &Answer<'h>, findings: &mut Findings<'h>) {
        let (Some((first, _)), Some((last, _))) = (answer.messages.first(), answer.messages.last())
        else {
            return;
        };
        let polled = &mut self.clients.entry(process).or_default().polled;
        let before = polled.insert(answer.key, Last { offset: *last, operation: answer.index });
        self.beginning(answer, *first, before, findings);
        for pair in answer.messages.windows(2) {
            let [(one, _), (next, _)] = pair else { continue };
            self.step(answer, *one, *next, findings);
        }
    }

    /// Whether the answer begins where it must.
    fn beginning(
        &self,
        answer: &Answer<'h>,
        first: Offset,
        before: Option<Last>,
        findings: &mut Findings<'h>,
    ) {
        let after_last = before.map(|before| before.offset.saturating_add(1));
        let Some(due) = answer.wanted.or(after_last) else { return };
        // The poll before explains why the client asked for what it did, unless it began anew.
        let before = before.filter(|_| after_last == Some(due)).map(|before| before.operation);
        let (key, index) = (answer.key, answer.index);
        let began = || {
            let (key, by) = (self.words.key(key), self.words.by(index));
            let after =
                before.map_or_else(String::new, |before| format!(", next after op {before}"));
            format!("{key}: a poll from offset {due} on{after} began with offset {first} ({by})")
        };
        if first < due {
            let evidence: Vec<_> = before.into_iter().chain([index]).collect();
            findings.add(AnomalyName::NonmonotonicPoll, Some(key), &evidence, began);
        } else if let Some(skipped) = self.logs[key as usize].known_between(due, first) {
            let evidence: Vec<_> = before.into_iter().chain([skipped.shown, index]).collect();
            findings.add(AnomalyName::PollSkip, Some(key), &evidence, || {
                format!("{}, though {}", began(), self.stands(key, skipped))
            });
        }
    }

    /// Whether one message may follow another within the answer.
    fn step(&self, answer: &Answer<'h>, one: Offset, next: Offset, findings: &mut Findings<'h>) {
        let (key, index) = (answer.key, answer.index);
        let followed = || {
            let (key, by) = (self.words.key(key), self.words.by(index));
            format!(
                "{key}: in the answer to a poll, offset {one} is followed by offset {next} ({by})"
            )
        };
        if next <= one {
            findings.add(AnomalyName::IntNonmonotonicPoll, Some(key), &[index], followed);
        } else if let Some(skipped) = self.logs[key as usize].known_between(one + 1, next) {
            findings.add(AnomalyName::IntPollSkip, Some(key), &[skipped.shown, index], || {
                format!("{}, though {}", followed(), self.stands(key, skipped))
            });
        }
    }

    /// `message 42 is at offset 17, acknowledged (op 310, process 12 on n0)`
    fn stands(&self, key: KeyId, place: Place) -> String {
        let content = self.logs[key as usize].messages[place.message].content;
        let shown = self.words.shown(place.shown);
        format!("{} is at offset {}, {shown}", message(content), place.offset)
    }
}
