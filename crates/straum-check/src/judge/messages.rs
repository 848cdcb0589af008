//! Judges each message and each offset of a log: `lost-write`, `unseen`, `vanished`, `G1a`,
//! `invented`, `inconsistent-offsets`, `duplicate`. Never looks at the order in which a client saw them.

use super::findings::Findings;
use super::log::{Log, Place, Seen};
use super::names::AnomalyName;
use super::words::{Words, message};
use crate::history::{Action, History, KeyId, Offset, Outcome};

pub(super) fn judge<'h>(history: &'h History, logs: &[Log<'h>], findings: &mut Findings<'h>) {
    for (key, log) in (0..).zip(logs) {
        let judge = Judge { history, words: Words(history), key, log };
        for seen in &log.messages {
            judge.message(seen, findings);
        }
        judge.vanished(findings);
        judge.inconsistent_offsets(findings);
        judge.duplicates(findings);
    }
}

struct Judge<'a, 'h> {
    history: &'h History,
    words: Words<'h>,
    key: KeyId,
    log: &'a Log<'h>,
}

impl Judge<'_, '_> {
    fn message(&self, seen: &Seen<'_>, findings: &mut Findings<'_>) {
        match (seen.send, seen.poll) {
            (None, Some(poll)) => self.invented(seen, poll, "nobody ever sent it", findings),
            (Some(send), Some(poll)) => self.returned(seen, send, poll, findings),
            (Some(send), None) => {
                let operation = &self.history.operations[send];
                if let (Outcome::Ok, Action::Send { offset: Some(offset), .. }) =
                    (&operation.outcome, &operation.action)
                {
                    self.never_returned(seen, send, *offset, findings);
                }
            }
            (None, None) => {}
        }
    }

    fn returned(&self, seen: &Seen<'_>, send: usize, poll: usize, findings: &mut Findings<'_>) {
        let operation = &self.history.operations[send];
        if self.history.operations[poll].completed_ns < operation.invoked_ns {
            self.invented(seen, poll, "it had not been sent yet", findings);
        } else if matches!(operation.outcome, Outcome::Fail(_)) {
            findings.add(AnomalyName::AbortedRead, Some(self.key), &[send, poll], || {
                format!(
                    "{}: the send of {} failed ({}), yet a poll returned it ({})",
                    self.words.key(self.key),
                    message(seen.content),
                    self.words.by(send),
                    self.words.by(poll)
                )
            });
        }
    }

    fn invented(&self, seen: &Seen<'_>, poll: usize, why: &str, findings: &mut Findings<'_>) {
        findings.add(AnomalyName::Invented, Some(self.key), &[poll], || {
            format!(
                "{}: a poll returned {} ({}), but {why}",
                self.words.key(self.key),
                message(seen.content),
                self.words.by(poll)
            )
        });
    }

    fn never_returned(
        &self,
        seen: &Seen<'_>,
        send: usize,
        offset: Offset,
        findings: &mut Findings<'_>,
    ) {
        let start = || {
            format!(
                "{}: {} was acknowledged at offset {offset} ({}), but no poll returned it",
                self.words.key(self.key),
                message(seen.content),
                self.words.by(send)
            )
        };
        if let Some((poll, reached)) = self.log.first_poll_from(offset) {
            findings.add(AnomalyName::LostWrite, Some(self.key), &[send, poll], || {
                format!(
                    "{}, though one returned offset {reached} ({})",
                    start(),
                    self.words.by(poll)
                )
            });
        } else if self.history.finished {
            findings.add(AnomalyName::Unseen, Some(self.key), &[send], || {
                format!("{}, and none got that far", start())
            });
        }
    }

    fn vanished(&self, findings: &mut Findings<'_>) {
        let Some((from, empty)) = self.log.found_empty.filter(|_| self.history.finished) else {
            return;
        };
        for place in self.log.places.iter().filter(|place| place.offset >= from) {
            let seen = &self.log.messages[place.message];
            let Some(poll) = place.poll.filter(|_| !seen.at_the_end) else { continue };
            findings.add(AnomalyName::Vanished, Some(self.key), &[poll, empty], || {
                format!(
                    "{}: a poll returned {} at offset {} ({}), but at the end there is nothing from \
                     offset {from} on ({})",
                    self.words.key(self.key),
                    message(seen.content),
                    place.offset,
                    self.words.by(poll),
                    self.words.by(empty)
                )
            });
        }
    }

    fn inconsistent_offsets(&self, findings: &mut Findings<'_>) {
        for places in self.log.places.chunk_by(|a, b| a.offset == b.offset) {
            let [one, other, ..] = places else { continue };
            findings.add(
                AnomalyName::InconsistentOffsets,
                Some(self.key),
                &[one.shown, other.shown],
                || {
                    format!(
                        "{}: two messages are at offset {}: {}, and {}",
                        self.words.key(self.key),
                        one.offset,
                        self.shown(one),
                        self.shown(other)
                    )
                },
            );
        }
    }

    fn duplicates(&self, findings: &mut Findings<'_>) {
        for places in self.log.places_by_message().chunk_by(|a, b| a.message == b.message) {
            let [one, other, ..] = places else { continue };
            findings.add(AnomalyName::Duplicate, Some(self.key), &[one.shown, other.shown], || {
                format!(
                    "{}: a message is at two offsets: {} at offset {}, and at offset {}, {}",
                    self.words.key(self.key),
                    self.shown(one),
                    one.offset,
                    other.offset,
                    self.words.shown(other.shown)
                )
            });
        }
    }

    /// `message 42, acknowledged (op 310, process 12 on n0)`
    fn shown(&self, place: &Place) -> String {
        let content = self.log.messages[place.message].content;
        format!("{}, {}", message(content), self.words.shown(place.shown))
    }
}
