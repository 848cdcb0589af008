//! An operation of the history as a person reads it. Never more of it than fits on a line.

use super::figures::shorten;
use crate::history::{Action, History, KeyId, Message, Offset, Operation, Outcome};

/// How many keys, and runs of messages of a key, are shown.
const SHOWN: usize = 6;

/// How many characters are shown of a text that came from a node.
const TEXT_CHARS: usize = 120;

/// What was asked: `send 41 to k3`. Of several keys, only `about` if it is among them.
pub(super) fn asked(history: &History, operation: &Operation, about: Option<KeyId>) -> String {
    match &operation.action {
        Action::Send { key, value, .. } => format!("send {value} to {}", name(history, *key)),
        Action::Poll { from, .. } => format!("poll {}", offsets(history, from, about)),
        Action::Commit { offsets: wanted } => format!("commit {}", offsets(history, wanted, about)),
        Action::Assign { keys, from_beginning, .. } => {
            let keys: Vec<String> = keys.iter().map(|key| name(history, *key)).collect();
            let how = if *from_beginning { " from the beginning" } else { "" };
            format!("assign {}{how}", some_of(&keys, ", "))
        }
        Action::Crash => "the client is thrown away".to_owned(),
    }
}

/// What was answered: `offset 12`. Of several keys, only `about` if it is among them.
pub(super) fn answered(history: &History, operation: &Operation, about: Option<KeyId>) -> String {
    match &operation.outcome {
        Outcome::Ok => good_answer(history, operation, about),
        Outcome::Fail(error) | Outcome::Info(error) => {
            format!("error {}: {}", error.code, shorten(&error.text, TEXT_CHARS))
        }
    }
}

fn good_answer(history: &History, operation: &Operation, about: Option<KeyId>) -> String {
    match &operation.action {
        Action::Send { offset: Some(offset), .. } => format!("at offset {offset}"),
        Action::Send { .. } | Action::Commit { .. } => "done".to_owned(),
        Action::Poll { messages, .. } => polled(history, messages, about),
        Action::Assign { committed, positions, .. } => {
            let committed = offsets(history, committed, about);
            format!("committed {committed}; goes on at {}", offsets(history, positions, about))
        }
        Action::Crash => String::new(),
    }
}

type Messages = [(KeyId, Vec<(Offset, Message)>)];

fn polled(history: &History, messages: &Messages, about: Option<KeyId>) -> String {
    let wanted = messages.iter().filter(|(key, _)| about.is_none_or(|about| *key == about));
    let keys: Vec<String> = wanted
        .map(|(key, got)| {
            let runs: Vec<String> =
                got.chunk_by(|a, b| a.0.checked_add(1) == Some(b.0)).map(run).collect();
            format!("{}: {}", name(history, *key), some_of(&runs, " | "))
        })
        .collect();
    if keys.is_empty() { "nothing".to_owned() } else { some_of(&keys, "; ") }
}

/// Messages at consecutive offsets, by the first and the last: what is skipped or out of order then
/// stands out between runs.
fn run(messages: &[(Offset, Message)]) -> String {
    match messages {
        [] => String::new(),
        [only] => message(only),
        [first, last] => format!("{} {}", message(first), message(last)),
        [first, .., last] => format!("{} … {}", message(first), message(last)),
    }
}

fn message((offset, message): &(Offset, Message)) -> String {
    match message {
        Message::Value(value) => format!("{value}@{offset}"),
        Message::Foreign(json) => format!("{}@{offset}", shorten(json, 40)),
    }
}

fn offsets(history: &History, offsets: &[(KeyId, Offset)], about: Option<KeyId>) -> String {
    let only = about.filter(|about| offsets.iter().any(|(key, _)| key == about));
    let wanted = offsets.iter().filter(|(key, _)| only.is_none_or(|only| *key == only));
    let texts: Vec<String> =
        wanted.map(|(key, offset)| format!("{}@{offset}", name(history, *key))).collect();
    let others = offsets.len() - texts.len();
    match (texts.is_empty(), others) {
        (true, _) => "nothing".to_owned(),
        (false, 0) => some_of(&texts, ", "),
        (false, others) => format!("{} (and {others} more keys)", some_of(&texts, ", ")),
    }
}

/// The name of a key: names are often numbers, so they say what they are.
pub(super) fn name(history: &History, key: KeyId) -> String {
    let name = history.keys.get(key as usize).map_or("?", String::as_str);
    format!("key {}", shorten(name, 24))
}

fn some_of(texts: &[String], separator: &str) -> String {
    let shown = texts[..texts.len().min(SHOWN)].join(separator);
    match texts.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown}{separator}… {more} more"),
    }
}

/// `ok`, `fail` or `info`.
pub(super) fn outcome(operation: &Operation) -> &'static str {
    match operation.outcome {
        Outcome::Ok => "ok",
        Outcome::Fail(_) => "fail",
        Outcome::Info(_) => "info",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_skip_within_a_long_poll_stands_out() {
        let history = History { keys: vec!["a".to_owned()], ..History::default() };
        let got = (0..40).chain(41..99).map(|offset| (offset, Message::Value(7))).collect();
        let text = polled(&history, &[(0, got)], None);
        assert_eq!(text, "key a: 7@0 … 7@39 | 7@41 … 7@98");
    }
}
