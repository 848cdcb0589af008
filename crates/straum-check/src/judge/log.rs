//! What a history shows of each key's log: which messages, at which offsets, seen by whom. Never
//! decides what is wrong with it.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;

use crate::history::{Action, History, KeyId, Message, Offset, Outcome};

/// A message, without owning it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Content<'h> {
    Value(u64),
    Foreign(&'h str),
}

impl<'h> From<&'h Message> for Content<'h> {
    fn from(message: &'h Message) -> Self {
        match message {
            Message::Value(value) => Self::Value(*value),
            Message::Foreign(text) => Self::Foreign(text),
        }
    }
}

/// All that is known of a key's log. Operations are given by their index.
#[derive(Default)]
pub(super) struct Log<'h> {
    /// In the order of their first appearance.
    pub(super) messages: Vec<Seen<'h>>,
    /// Where messages are known to be, by offset. Several at one offset, or several of one message,
    /// are anomalies.
    pub(super) places: Vec<Place>,
    /// For each place the earliest poll that returned something there or beyond, and at what offset.
    polled_from: Vec<Option<(usize, Offset)>>,
    ids: HashMap<Content<'h>, usize>,
    /// Of the final polls that found nothing of this key, the one that asked from the lowest offset.
    pub(super) found_empty: Option<(Offset, usize)>,
}

/// A message of a log.
pub(super) struct Seen<'h> {
    pub(super) content: Content<'h>,
    /// The send of it; the acknowledged one, if there were several.
    pub(super) send: Option<usize>,
    /// The first poll that returned it.
    pub(super) poll: Option<usize>,
    /// Whether one of the final polls returned it.
    pub(super) at_the_end: bool,
}

/// A message known to be at an offset.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) offset: Offset,
    /// An index into [`Log::messages`].
    pub(super) message: usize,
    /// The first operation that showed it here.
    pub(super) shown: usize,
    /// The first poll that returned it here.
    pub(super) poll: Option<usize>,
}

/// The log of each key, by its id.
pub(super) fn logs(history: &History) -> Vec<Log<'_>> {
    let mut builders: Vec<Builder<'_>> = Vec::new();
    builders.resize_with(history.keys.len(), Builder::default);
    for (index, operation) in history.operations.iter().enumerate() {
        match &operation.action {
            Action::Send { key, value, offset } => {
                let acknowledged = offset.filter(|_| operation.outcome == Outcome::Ok);
                builders[*key as usize].sent(history, index, *value, acknowledged);
            }
            Action::Poll { from, messages } if operation.outcome == Outcome::Ok => {
                for (key, offset, content) in flat(messages) {
                    builders[key as usize].polled(index, offset, content, operation.last);
                }
                if operation.last {
                    for (key, offset) in unanswered(from, messages) {
                        builders[key as usize].found_empty(offset, index);
                    }
                }
            }
            _ => {}
        }
    }
    builders.into_iter().map(Builder::finish).collect()
}

fn flat(
    messages: &[(KeyId, Vec<(Offset, Message)>)],
) -> impl Iterator<Item = (KeyId, Offset, Content<'_>)> {
    messages.iter().flat_map(|(key, messages)| {
        messages.iter().map(|(offset, message)| (*key, *offset, Content::from(message)))
    })
}

/// What a poll asked for and was told that there is nothing of. That a key is left out says so only if
/// all are: an answer may be bounded.
fn unanswered(
    from: &[(KeyId, Offset)],
    messages: &[(KeyId, Vec<(Offset, Message)>)],
) -> impl Iterator<Item = (KeyId, Offset)> {
    let bounded = messages.iter().any(|(_, messages)| !messages.is_empty());
    let empty = messages.iter().filter(|(_, messages)| messages.is_empty());
    let named: HashSet<KeyId> = empty.map(|(key, _)| *key).collect();
    from.iter().copied().filter(move |(key, _)| !bounded || named.contains(key))
}

impl<'h> Log<'h> {
    /// The index of a message in [`messages`](Self::messages).
    pub(super) fn id(&self, message: &'h Message) -> Option<usize> {
        self.ids.get(&message.into()).copied()
    }

    /// The lowest place at `from` or beyond, if it is below `until`.
    pub(super) fn known_between(&self, from: Offset, until: Offset) -> Option<Place> {
        if from >= until {
            return None;
        }
        let index = self.places.partition_point(|place| place.offset < from);
        self.places.get(index).filter(|place| place.offset < until).copied()
    }

    /// The earliest poll that returned something at an offset or beyond, and at what offset.
    pub(super) fn first_poll_from(&self, offset: Offset) -> Option<(usize, Offset)> {
        let index = self.places.partition_point(|place| place.offset < offset);
        self.polled_from.get(index).copied().flatten()
    }

    /// Where each message is that the log has, by message, in the order in which it was shown.
    pub(super) fn places_by_message(&self) -> Vec<Place> {
        let mut places = self.places.clone();
        places.sort_unstable_by_key(|place| (place.message, place.shown, place.offset));
        places
    }
}

/// A log while the history is read.
#[derive(Default)]
struct Builder<'h> {
    log: Log<'h>,
    /// By message, its first known place in [`Log::places`]: the only one, if nothing is wrong.
    first: Vec<Option<usize>>,
    /// Indexes of all other places, by message and offset.
    others: HashMap<(usize, Offset), usize>,
}

impl<'h> Builder<'h> {
    fn sent(&mut self, history: &History, index: usize, value: u64, offset: Option<Offset>) {
        let id = self.id(Content::Value(value));
        let send = &mut self.log.messages[id].send;
        if send.is_none_or(|earlier| certainty(history, index) > certainty(history, earlier)) {
            *send = Some(index);
        }
        if let Some(offset) = offset {
            self.place(id, offset, index);
        }
    }

    fn found_empty(&mut self, offset: Offset, poll: usize) {
        let here = (offset, poll);
        self.log.found_empty = Some(self.log.found_empty.map_or(here, |lower| lower.min(here)));
    }

    fn polled(&mut self, index: usize, offset: Offset, content: Content<'h>, last: bool) {
        let id = self.id(content);
        self.log.messages[id].poll.get_or_insert(index);
        self.log.messages[id].at_the_end |= last;
        let place = self.place(id, offset, index);
        self.log.places[place].poll.get_or_insert(index);
    }

    fn id(&mut self, content: Content<'h>) -> usize {
        *self.log.ids.entry(content).or_insert_with(|| {
            self.log.messages.push(Seen { content, send: None, poll: None, at_the_end: false });
            self.first.push(None);
            self.first.len() - 1
        })
    }

    /// The index of a place, which is made if it is new.
    fn place(&mut self, message: usize, offset: Offset, shown: usize) -> usize {
        let places = &mut self.log.places;
        let next = places.len();
        let index = match &mut self.first[message] {
            Some(first) if places[*first].offset == offset => *first,
            Some(_) => *self.others.entry((message, offset)).or_insert(next),
            none => *none.insert(next),
        };
        if index == next {
            places.push(Place { offset, message, shown, poll: None });
        }
        index
    }

    fn finish(self) -> Log<'h> {
        let mut log = self.log;
        log.places.sort_unstable_by_key(|place| (place.offset, place.shown, place.message));
        let mut earliest = None;
        let polled_from = log.places.iter().rev().map(|place| {
            let here = place.poll.map(|poll| (poll, place.offset));
            earliest = earliest.into_iter().chain(here).min();
            earliest
        });
        log.polled_from = polled_from.collect();
        log.polled_from.reverse();
        log
    }
}

/// How much a send says of its message: an acknowledgement most, a failure least.
fn certainty(history: &History, send: usize) -> u8 {
    match history.operations[send].outcome {
        Outcome::Ok => 2,
        Outcome::Info(_) => 1,
        Outcome::Fail(_) => 0,
    }
}
