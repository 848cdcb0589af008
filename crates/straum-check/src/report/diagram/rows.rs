//! The rows of a sequence diagram: what happens, from top to bottom. Never draws.

use super::sequence::Shown;
use crate::history::Fault;
use crate::report::figures::{moment, span};
use crate::time::{MILLISECOND, Nanos};

/// The height of the parties' names.
const HEAD: f64 = 44.0;
const SEND_ROW: f64 = 24.0;
const RECEIVE_ROW: f64 = 14.0;

/// How many faults are shown.
const FAULTS: usize = 12;

/// A pause that is worth a line of its own.
const PAUSE: Nanos = 100 * MILLISECOND;

/// Something that has a height of its own.
pub(super) struct Row {
    pub(super) at: Nanos,
    pub(super) y: f64,
    pub(super) what: What,
}

#[derive(PartialEq)]
pub(super) enum What {
    /// A message leaves, and perhaps arrives in the same moment: an index into the sequence.
    Sent(usize),
    /// A message arrives later than it left.
    Received(usize),
    Fault(String),
    Pause(String),
}

/// What happens, from top to bottom, and where it ends.
pub(super) fn rows(sequence: &[Shown], faults: &[Fault]) -> (Vec<Row>, f64) {
    let messages = message_events(sequence);
    let (first, last) = bounds(&messages);
    let mut events = fault_events(faults, first, last);
    events.extend(messages);
    events.sort_by_key(|(at, _)| *at);
    let mut rows: Vec<Row> = Vec::new();
    let mut y = HEAD;
    let mut before = first;
    for (at, what) in events {
        if at.saturating_sub(before) >= PAUSE {
            y += SEND_ROW;
            let text = format!("{} pass", span(at - before));
            rows.push(Row { at: before, y, what: What::Pause(text) });
        }
        y += if matches!(what, What::Received(_)) { RECEIVE_ROW } else { SEND_ROW };
        rows.push(Row { at, y, what });
        before = at;
    }
    (rows, y + SEND_ROW)
}

fn message_events(sequence: &[Shown]) -> Vec<(Nanos, What)> {
    let mut events = Vec::new();
    for (i, Shown { message, .. }) in sequence.iter().enumerate() {
        events.push((message.sent_ns, What::Sent(i)));
        if let Some(received) = message.received_ns.filter(|received| *received > message.sent_ns) {
            events.push((received, What::Received(i)));
        }
    }
    events
}

fn bounds(events: &[(Nanos, What)]) -> (Nanos, Nanos) {
    let times = events.iter().map(|(at, _)| *at);
    (times.clone().min().unwrap_or(0), times.max().unwrap_or(0))
}

/// What begins or ends between two moments, or is active at the first.
fn fault_events(faults: &[Fault], first: Nanos, last: Nanos) -> Vec<(Nanos, What)> {
    let mut events = Vec::new();
    for fault in faults {
        let until = fault.until_ns.unwrap_or(Nanos::MAX);
        let text = format!("{} {}", fault.kind, fault.detail);
        if (first..=last).contains(&fault.from_ns) {
            events.push((fault.from_ns, What::Fault(format!("{text} begins"))));
        } else if fault.from_ns < first && first < until {
            let since = moment(fault.from_ns);
            events.push((first, What::Fault(format!("{text} since {since}"))));
        }
        if (first..=last).contains(&until) {
            events.push((until, What::Fault(format!("{text} ends"))));
        }
    }
    events.truncate(FAULTS);
    events
}

/// Where a message arrives, if that is a row of its own.
pub(super) fn arrival(rows: &[Row], index: usize) -> Option<f64> {
    rows.iter().find(|row| row.what == What::Received(index)).map(|row| row.y)
}
